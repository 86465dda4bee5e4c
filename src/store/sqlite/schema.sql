-- The embedded store of a node, format 5. `docs/store.md` describes who writes what, and what a crash leaves.
--
-- What was asked and what came of it are each written once, in the order of acceptance. Most invocations run as soon as
-- they are accepted: these take two rows, and nothing else. Only those that wait longer have a row among the pending
-- ones. The tables that find an invocation by its CID, its service or its purge time are written later, for many
-- invocations at once: the value `indexed` says up to which id.
--
-- Times are nanoseconds since 1970 (UTC). Blobs are the messages in src/store/blob/. Any process may read this
-- file; only the node that holds the lock file beside it writes. Some columns have another name in the code, which is
-- given in brackets. With a key, the blobs of requests, events, progress, failures and operations are sealed
-- (src/store/cipher/sealed.rs).

-- Values of the whole store: `generation` (how often it was opened), `clean` (1 if it was closed cleanly),
-- `recovering` (the generation that was opened after the last crash), `indexed` (the invocations up to this id are in
-- `cid_index`, `service_index` and, once they have ended, `purge_queue`; those of them that have not ended are in
-- `pending`), `copied` (in a copy that was not opened yet: the generation that it is of), `restored_from` and `restored`
-- (in a store that began as a copy: the generation that was copied, and the first one since).
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The principals, and their groups, that ever had an invocation. None while authentication is off.
CREATE TABLE principal (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The services that ever had an invocation.
CREATE TABLE service (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What was asked, from the acceptance of an invocation until it is purged. Never changes.
CREATE TABLE invocation (
    -- In the order of acceptance.
    id              INTEGER PRIMARY KEY,
    cid             BLOB NOT NULL,
    -- Groups have a service with an empty name.
    service         INTEGER NOT NULL REFERENCES service (id),
    accept_time     INTEGER NOT NULL,
    -- The sequence of the event `accepted`.
    sequence        INTEGER NOT NULL,
    request         BLOB NOT NULL,
    -- Identifies the invocation to callers that repeat a request.
    idempotency_key TEXT,
    -- The CID of the invocation whose handler invoked it, or whose outcome it gets as a callback.
    parent          BLOB,
    -- The CID of the first invocation of the call chain; NULL if it is that one itself.
    root            BLOB,
    -- The CID of the group of which it is a member, and its position among the members, from 0.
    group_cid       BLOB,
    position        INTEGER,
    -- Who asked, who acts (to whom it belongs), and the group of the latter: as in `request`. NULL while authentication
    -- is off.
    principal       INTEGER REFERENCES principal (id),
    owner           INTEGER REFERENCES principal (id),
    owner_group     INTEGER REFERENCES principal (id)
) STRICT;

-- Idempotency keys, until their invocations are removed. A key identifies one invocation of its owner, whatever its
-- service; a file that had format 1 may contain one for each service.
CREATE INDEX idempotency ON invocation (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The children of an invocation, in the order of their ids.
CREATE INDEX children ON invocation (parent) WHERE parent IS NOT NULL;

-- The descendants of an invocation.
CREATE INDEX descendants ON invocation (root) WHERE root IS NOT NULL;

-- The members of a group.
CREATE INDEX members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;

-- The invocations that a principal asked for, that belong to it, and that belong to its group.
CREATE INDEX asked ON invocation (principal) WHERE principal IS NOT NULL;
CREATE INDEX owned ON invocation (owner) WHERE owner IS NOT NULL;
CREATE INDEX owned_by_group ON invocation (owner_group) WHERE owner_group IS NOT NULL;

-- Invocations that have not ended. One that is due at once and has no concurrency key has no row here until it was
-- attempted, or `indexed` has passed it: as long as it has neither this row nor an outcome, it is as it was accepted. A
-- running invocation is pending, which is what it is after a crash.
CREATE TABLE pending (
    id                 INTEGER PRIMARY KEY,
    service            INTEGER NOT NULL,
    -- Whether it was attempted before.
    started            INTEGER NOT NULL DEFAULT 0,
    due                INTEGER NOT NULL,
    -- When it has to be claimed next: when it is due, or when it expires (`next_wakeup`).
    wake               INTEGER NOT NULL,
    -- When it expires (`expires_at`): its expiration until the first attempt, or its deadline.
    over               INTEGER,
    -- At most one invocation of a service with the same key runs.
    concurrency_key    TEXT,
    -- Whether it comes first among the pending invocations with its concurrency key (`is_head`); 1 without a key. Only
    -- these can be claimed.
    leads              INTEGER NOT NULL DEFAULT 1,
    -- The generation of the last write.
    generation         INTEGER NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    -- How often the node or a worker was lost during an attempt, since one ended by itself (`crash_count`).
    losses             INTEGER NOT NULL DEFAULT 0,
    -- Whether its cancellation was requested while its handler ran.
    cancel_requested   INTEGER NOT NULL DEFAULT 0,
    -- Whether it waits for an outcome from outside or, as a group, for its members.
    awaited            INTEGER NOT NULL DEFAULT 0,
    -- The SHA-256 of the completion token, if its handler deferred the outcome (`completion`).
    later              BLOB,
    -- Whether it is a member of a group that has not ended: it is then kept, whatever its purge time.
    held               INTEGER NOT NULL DEFAULT 0,
    -- A group: how many of its members have not ended.
    open_members       INTEGER,
    first_attempt_time INTEGER,
    -- All events after `accepted`, in order.
    events             BLOB,
    progress           BLOB,
    last_failure       BLOB,
    -- The reason of the last failure.
    failure_reason     TEXT
) STRICT;

-- Invocations that can be claimed, by service and time. Does not grow with those that wait for their concurrency key.
CREATE INDEX claimable ON pending (service, wake) WHERE leads = 1;

-- Invocations with a concurrency key, in order: one that waits for an outcome from outside comes first.
CREATE INDEX alone ON pending (service, concurrency_key, awaited DESC, wake, id) WHERE concurrency_key IS NOT NULL;

-- Invocations that wait for an outcome from outside, and groups that wait for their members.
CREATE INDEX awaited ON pending (id) WHERE awaited = 1;

-- Invocations by the time at which they expire.
CREATE INDEX overdue ON pending (over) WHERE over IS NOT NULL;

-- Held invocations, which are the dead-letter queue with the failed ones: due at the last instant there is (`HELD`).
CREATE INDEX dead_letters ON pending (id, due) WHERE due >= 9223372036854775807 AND awaited = 0;

-- What came of an invocation, from its end until it is purged.
CREATE TABLE outcome (
    id                 INTEGER PRIMARY KEY,
    -- 2 succeeded; 3 failed; 4 cancelled; 5 expired.
    state              INTEGER NOT NULL,
    attempts           INTEGER NOT NULL,
    end_time           INTEGER NOT NULL,
    purge_time         INTEGER,
    -- When its tombstone expires; NULL: it is kept as long as the outcome was.
    tombstone_until    INTEGER,
    -- When it was due; NULL: when it was accepted.
    due                INTEGER,
    first_attempt_time INTEGER,
    losses             INTEGER NOT NULL,
    cancel_requested   INTEGER NOT NULL,
    later              BLOB,
    held               INTEGER NOT NULL,
    open_members       INTEGER,
    -- All events after `accepted` in order, the outcome included.
    events             BLOB NOT NULL,
    progress           BLOB,
    failure_reason     TEXT
) STRICT;

-- Invocations that ended without a response: few, and most often asked for in lists.
CREATE INDEX failures ON outcome (id, state) WHERE state > 2;

-- Failed invocations by the time at which they did, with the reason.
CREATE INDEX failed_at ON outcome (end_time, failure_reason) WHERE state = 3;

-- Ended invocations that were retried, until they are purged. Written when the retry is accepted.
CREATE TABLE retry (
    id         INTEGER PRIMARY KEY,
    -- The CID of the last retry.
    retried_as BLOB NOT NULL
) STRICT;

-- CIDs. See `indexed`.
CREATE TABLE cid_index (
    cid BLOB PRIMARY KEY,
    id  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The invocations of each service, for lists. See `indexed`.
CREATE TABLE service_index (
    service INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    PRIMARY KEY (service, id)
) STRICT, WITHOUT ROWID;

-- Ended invocations by purge time, except those that are held for their group. See `indexed`.
CREATE TABLE purge_queue (
    purge_time INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    PRIMARY KEY (purge_time, id)
) STRICT, WITHOUT ROWID;

-- The declarations of services by workers, until the service is forgotten.
CREATE TABLE announced (
    service     TEXT NOT NULL,
    -- The hash of the declaration.
    hash        TEXT NOT NULL,
    first_time  INTEGER NOT NULL,
    last_time   INTEGER NOT NULL,
    -- A `cidery.v1.ServiceDeclaration`.
    declaration BLOB NOT NULL,
    -- The name of the principal whose worker declared it first; NULL if it had none, or it is not known.
    principal   TEXT,
    PRIMARY KEY (service, hash)
) STRICT, WITHOUT ROWID;

-- The services that an operator has paused or disabled, until they are resumed and enabled, or forgotten.
CREATE TABLE service_control (
    service           TEXT PRIMARY KEY,
    -- When it was paused; NULL if it is not.
    pause_time        INTEGER,
    -- The reason that the operator gave, and who that was; empty if it is not known.
    pause_reason      TEXT NOT NULL,
    pause_principal   TEXT NOT NULL,
    -- Whether the pause leaves synchronous calls alone.
    background_only   INTEGER NOT NULL,
    -- The same of a service that is disabled.
    disable_time      INTEGER,
    disable_reason    TEXT NOT NULL,
    disable_principal TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys that blobs are encrypted with (docs/encryption.md); none where nothing ever was. Written when the store is
-- opened, or reads its keys again, before the first blob of a key.
CREATE TABLE store_key (
    id         TEXT PRIMARY KEY,
    -- When it was the first one for the first time.
    first_time INTEGER NOT NULL,
    -- Invocations above this id have no blobs of it; NULL: it encrypts, or has until the store was closed.
    last_id    INTEGER,
    -- No bytes, encrypted with it: shows whether a key with this id is the one.
    sample     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The API keys that were ever made: the node asks who calls as long as there is one, so none is removed. Written by
-- operators.
CREATE TABLE api_key (
    id              TEXT PRIMARY KEY,
    -- SHA-256 of the secret, which is stored nowhere.
    secret_hash     BLOB NOT NULL,
    principal       TEXT NOT NULL,
    principal_group TEXT,
    -- An encoded cidery.v1.Rights.
    rights          BLOB NOT NULL,
    create_time     INTEGER NOT NULL,
    -- Null where it was made on the data directory.
    created_by      TEXT,
    -- Null: never.
    expire_time     INTEGER,
    -- Null: not revoked.
    revoke_time     INTEGER,
    -- An encoded cidery.v1.Quota. Null: what the node allows each principal.
    quota           BLOB
) STRICT, WITHOUT ROWID;

-- Tombstones of removed invocations, until they expire as well. Written by each purge.
CREATE TABLE tombstone (
    cid         BLOB PRIMARY KEY,
    state       INTEGER NOT NULL,
    end_time    INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    -- To whom it belonged, and the group.
    owner       INTEGER REFERENCES principal (id),
    owner_group INTEGER REFERENCES principal (id)
) STRICT, WITHOUT ROWID;

CREATE INDEX forget ON tombstone (until);

-- Operations over many invocations, until they are removed: at most about a thousand. Written after each page.
CREATE TABLE operation (
    id          BLOB PRIMARY KEY,
    -- 1 running; 2 succeeded; 3 cancelled; 4 failed.
    state       INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    end_time    INTEGER,
    -- What was asked: a `cidery.v1.Operation`.
    request     BLOB NOT NULL,
    -- The invocations below this id are still to be seen.
    position    INTEGER NOT NULL,
    -- What it has done so far.
    progress    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
