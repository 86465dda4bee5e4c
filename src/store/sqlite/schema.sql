-- The embedded store of a node, format 4. `docs/store.md` describes who writes what, and what a crash leaves.
--
-- Times are nanoseconds since 1970 (UTC). Blobs are the messages in src/store/sqlite/blob/. Any process may read this
-- file; only the node that holds the lock file beside it writes. Some columns have another name in the code, which is
-- given in brackets.

-- Values of the whole store: `generation` (how often it was opened), `clean` (1 if it was closed cleanly),
-- `recovering` (the generation that was opened after the last crash).
-- Written when the store is opened and closed.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The services that ever had an invocation, and how many of their invocations have not ended (a counter).
-- Written with each accepted and each ended invocation.
CREATE TABLE service (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    open INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Invocations, from their acceptance until they are purged.
CREATE TABLE invocation (
    id                 INTEGER PRIMARY KEY,
    cid                BLOB NOT NULL UNIQUE,
    -- Groups have a service with an empty name.
    service            INTEGER NOT NULL REFERENCES service (id),
    -- 0 pending, never started; 1 pending again; 2 succeeded; 3 failed; 4 cancelled; 5 expired. A running invocation
    -- is stored as pending, which is what it is after a crash.
    state              INTEGER NOT NULL,
    due                INTEGER NOT NULL,
    -- When it has to be claimed next: when it is due, or when it expires (`next_wakeup`).
    wake               INTEGER NOT NULL,
    -- Whether its cancellation was requested while its handler ran.
    cancel_requested   INTEGER NOT NULL DEFAULT 0,
    -- Identifies the invocation to callers that repeat a request.
    idempotency_key    TEXT,
    -- At most one invocation of a service with the same key runs.
    concurrency_key    TEXT,
    accept_time        INTEGER NOT NULL,
    -- The CID of the invocation whose handler invoked it, or whose outcome it gets as a callback.
    parent             BLOB,
    -- The CID of the first invocation of the call chain; NULL if it is that one itself.
    root               BLOB,
    -- The generation of the last write.
    generation         INTEGER NOT NULL,
    -- How often the node or a worker was lost during an attempt, since one ended by itself (`crash_count`).
    losses             INTEGER NOT NULL DEFAULT 0,
    attempts           INTEGER NOT NULL DEFAULT 0,
    -- The sequence of the event `accepted`.
    sequence           INTEGER NOT NULL,
    -- The request; never changes.
    request            BLOB NOT NULL,
    -- All further events in order, the outcome included. NULL before the first attempt has ended.
    events             BLOB,
    progress           BLOB,
    last_failure       BLOB,
    -- The reason of the last failure, of an attempt or of the invocation.
    failure_reason     TEXT,
    first_attempt_time INTEGER,
    end_time           INTEGER,
    purge_time         INTEGER,
    tombstone_until    INTEGER,
    -- Whether it comes first among the pending invocations with its concurrency key (`is_head`); 1 without a key. Only
    -- these can be claimed. Since format 2.
    leads              INTEGER NOT NULL DEFAULT 1,
    -- When it expires (`expires_at`): its expiration until the first attempt, or its deadline. Since format 2.
    over               INTEGER,
    -- The SHA-256 of the completion token, if its handler deferred the outcome (`completion`). Since format 3.
    later              BLOB,
    -- Whether it waits for that outcome or, as a group, for its members. Since format 3.
    awaited            INTEGER NOT NULL DEFAULT 0,
    -- The CID of the group of which it is a member. Since format 4.
    group_cid          BLOB,
    -- Its position among the members, from 0. Since format 4.
    position           INTEGER,
    -- Whether it is kept until its group has ended, whatever its purge time. Since format 4.
    held               INTEGER NOT NULL DEFAULT 0,
    -- A group: how many of its members have not ended. Since format 4.
    open_members       INTEGER
) STRICT;

-- Invocations that can be claimed, by service and time. Does not grow with ended invocations, nor with those that wait
-- for their concurrency key.
CREATE INDEX pending ON invocation (service, wake) WHERE state < 2 AND leads = 1;

-- Pending invocations with a concurrency key, in order: one that waits for an outcome from outside comes first. Since
-- format 3.
CREATE INDEX alone ON invocation (service, concurrency_key, awaited DESC, wake, id)
    WHERE state < 2 AND concurrency_key IS NOT NULL;

-- Invocations that wait for an outcome from outside, and groups that wait for their members. Since format 3.
CREATE INDEX awaited ON invocation (id) WHERE awaited = 1;

-- Pending invocations by the time at which they expire.
CREATE INDEX overdue ON invocation (over) WHERE state < 2 AND over IS NOT NULL;

-- Idempotency keys, until their invocations are removed. A key identifies one invocation, whatever its service; a file
-- that had format 1 may contain one for each service.
CREATE INDEX idempotency ON invocation (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The children of an invocation, in the order of their ids.
CREATE INDEX children ON invocation (parent) WHERE parent IS NOT NULL;

-- The descendants of an invocation.
CREATE INDEX descendants ON invocation (root) WHERE root IS NOT NULL;

-- All invocations of a service, for lists. Since format 3.
CREATE INDEX of_service ON invocation (service);

-- Invocations that ended without a response: few, and most often asked for in lists. Since format 3.
CREATE INDEX failures ON invocation (state) WHERE state > 2;

-- The members of a group. Since format 4.
CREATE INDEX members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;

-- Ended invocations by purge time, except those that are kept for their group. Since format 4.
CREATE INDEX purge ON invocation (purge_time) WHERE purge_time IS NOT NULL AND held = 0;

-- The declarations of services by workers, until the service is forgotten. Since format 2.
CREATE TABLE announced (
    service     TEXT NOT NULL,
    -- The hash of the declaration.
    hash        TEXT NOT NULL,
    first_time  INTEGER NOT NULL,
    last_time   INTEGER NOT NULL,
    -- A `cidery.v1.ServiceDeclaration`.
    declaration BLOB NOT NULL,
    PRIMARY KEY (service, hash)
) STRICT, WITHOUT ROWID;

-- Tombstones of removed invocations, until they expire as well. Written by each purge.
CREATE TABLE tombstone (
    cid      BLOB PRIMARY KEY,
    state    INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX forget ON tombstone (until);
