-- The embedded store of a node, format 4. `docs/store.md` says who writes what, and what a crash leaves.
--
-- Times are nanoseconds since 1970 (UTC). Blobs are the messages of src/store/sqlite/disk.rs. Anyone may read this
-- file; only the node that holds the lock beside it writes.

-- What there is once: `generation` (how often the store was opened), `clean` (whether it was closed in order),
-- `recovering` (the generation that was opened last after an end that was not in order).
-- Written at opening and closing.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The services that ever had an invocation, and how many of theirs have not ended: kept, so that it is not counted.
-- Written with each accept and each end.
CREATE TABLE service (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    open INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Invocations, from their acceptance until the end of their retention.
CREATE TABLE invocation (
    id                 INTEGER PRIMARY KEY,
    cid                BLOB NOT NULL UNIQUE,
    -- That of groups has no name.
    service            INTEGER NOT NULL REFERENCES service (id),
    -- 0 pending, never started; 1 pending again; 2 succeeded; 3 failed; 4 cancelled; 5 expired. What runs is pending
    -- here: a crash makes it so.
    state              INTEGER NOT NULL,
    due                INTEGER NOT NULL,
    -- When somebody has to look at it: when it is due, or when its expiration or deadline passes.
    wake               INTEGER NOT NULL,
    -- Somebody wants it cancelled, and its handler had not ended yet.
    cancel_requested   INTEGER NOT NULL DEFAULT 0,
    -- Accepts it once.
    idempotency_key    TEXT,
    -- Runs alone among those of its service that have it.
    concurrency_key    TEXT,
    accept_time        INTEGER NOT NULL,
    -- The CID of the invocation whose handler asked for it, or whose outcome it got.
    parent             BLOB,
    -- The CID of the invocation that all this began with; NULL where that is itself.
    root               BLOB,
    -- The generation of the last write.
    generation         INTEGER NOT NULL,
    -- Attempts that began after an unclean end and that nothing was recorded of since.
    losses             INTEGER NOT NULL DEFAULT 0,
    attempts           INTEGER NOT NULL DEFAULT 0,
    -- The sequence of the event `accepted`.
    sequence           INTEGER NOT NULL,
    -- What was asked for; never changes.
    request            BLOB NOT NULL,
    -- All further events, the outcome included, one after another. NULL before the first attempt has ended.
    events             BLOB,
    progress           BLOB,
    last_failure       BLOB,
    -- Why the last attempt failed, or the invocation.
    failure_reason     TEXT,
    first_attempt_time INTEGER,
    end_time           INTEGER,
    purge_time         INTEGER,
    tombstone_until    INTEGER,
    -- No pending one with the same concurrency key comes before it: 1 for those without a key. Only these are looked at
    -- when something is claimed. Since format 2.
    leads              INTEGER NOT NULL DEFAULT 1,
    -- When its expiration or deadline passes, while that still counts. Since format 2.
    over               INTEGER,
    -- A SHA-256 of the token that gives the outcome, where a handler answered "later". Since format 3.
    later              BLOB,
    -- Whether that outcome is awaited, or, of a group, its members. Since format 3.
    awaited            INTEGER NOT NULL DEFAULT 0,
    -- The group that it is a member of. Since format 4.
    group_cid          BLOB,
    -- Its place among the members, from 0. Since format 4.
    position           INTEGER,
    -- Kept for its group, whatever its purge time is: until that has ended. Since format 4.
    held               INTEGER NOT NULL DEFAULT 0,
    -- Of a group: how many of its members have not ended. Since format 4.
    open_members       INTEGER
) STRICT;

-- Pending work by service and time: small, whatever has ended, and whatever waits for its key.
CREATE INDEX pending ON invocation (service, wake) WHERE state < 2 AND leads = 1;

-- Of pending work with a concurrency key, the first of each; what is awaited comes before all others. Since format 3.
CREATE INDEX alone ON invocation (service, concurrency_key, awaited DESC, wake, id)
    WHERE state < 2 AND concurrency_key IS NOT NULL;

-- What waits for an outcome from outside, and groups that wait for their members. Since format 3.
CREATE INDEX awaited ON invocation (id) WHERE awaited = 1;

-- Pending work whose time will be over.
CREATE INDEX overdue ON invocation (over) WHERE state < 2 AND over IS NOT NULL;

-- Idempotency keys, as long as their invocations are kept. One accepts one invocation, whatever its service; in a file
-- that was of format 1 there may be one for each service.
CREATE INDEX idempotency ON invocation (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The children of an invocation.
CREATE INDEX children ON invocation (parent) WHERE parent IS NOT NULL;

-- All that followed from an invocation.
CREATE INDEX descendants ON invocation (root) WHERE root IS NOT NULL;

-- All invocations of a service, for lists. Since format 3.
CREATE INDEX of_service ON invocation (service);

-- What ended without a response: few, and what lists ask for most. Since format 3.
CREATE INDEX failures ON invocation (state) WHERE state > 2;

-- The members of a group. Since format 4.
CREATE INDEX members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;

-- What has ended, by when it is removed; not what is kept for its group. Since format 4.
CREATE INDEX purge ON invocation (purge_time) WHERE purge_time IS NOT NULL AND held = 0;

-- What workers declared of services, until somebody forgets the service. Since format 2.
CREATE TABLE announced (
    service     TEXT NOT NULL,
    -- Names the declaration.
    hash        TEXT NOT NULL,
    first_time  INTEGER NOT NULL,
    last_time   INTEGER NOT NULL,
    -- A `cidery.v1.ServiceDeclaration`.
    declaration BLOB NOT NULL,
    PRIMARY KEY (service, hash)
) STRICT, WITHOUT ROWID;

-- What is left of removed invocations, until it is forgotten as well. Written by the sweeper.
CREATE TABLE tombstone (
    cid      BLOB PRIMARY KEY,
    state    INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX forget ON tombstone (until);
