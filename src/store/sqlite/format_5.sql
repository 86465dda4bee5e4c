-- 5: what was asked and what came of it in tables of their own, which are written once; pending invocations apart from
-- them; the indexes of all invocations are tables.
DROP INDEX pending;
DROP INDEX alone;
DROP INDEX awaited;
DROP INDEX overdue;
DROP INDEX idempotency;
DROP INDEX children;
DROP INDEX descendants;
DROP INDEX of_service;
DROP INDEX failures;
DROP INDEX members;
DROP INDEX purge;
ALTER TABLE invocation RENAME TO earlier;
CREATE TABLE invocation (
    id              INTEGER PRIMARY KEY,
    cid             BLOB NOT NULL,
    service         INTEGER NOT NULL REFERENCES service (id),
    accept_time     INTEGER NOT NULL,
    sequence        INTEGER NOT NULL,
    request         BLOB NOT NULL,
    idempotency_key TEXT,
    parent          BLOB,
    root            BLOB,
    group_cid       BLOB,
    position        INTEGER
) STRICT;
CREATE TABLE pending (
    id                 INTEGER PRIMARY KEY,
    service            INTEGER NOT NULL,
    started            INTEGER NOT NULL DEFAULT 0,
    due                INTEGER NOT NULL,
    wake               INTEGER NOT NULL,
    over               INTEGER,
    concurrency_key    TEXT,
    leads              INTEGER NOT NULL DEFAULT 1,
    generation         INTEGER NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    losses             INTEGER NOT NULL DEFAULT 0,
    cancel_requested   INTEGER NOT NULL DEFAULT 0,
    awaited            INTEGER NOT NULL DEFAULT 0,
    later              BLOB,
    held               INTEGER NOT NULL DEFAULT 0,
    open_members       INTEGER,
    first_attempt_time INTEGER,
    events             BLOB,
    progress           BLOB,
    last_failure       BLOB,
    failure_reason     TEXT
) STRICT;
CREATE TABLE outcome (
    id                 INTEGER PRIMARY KEY,
    state              INTEGER NOT NULL,
    attempts           INTEGER NOT NULL,
    end_time           INTEGER NOT NULL,
    purge_time         INTEGER,
    tombstone_until    INTEGER,
    due                INTEGER,
    first_attempt_time INTEGER,
    losses             INTEGER NOT NULL,
    cancel_requested   INTEGER NOT NULL,
    later              BLOB,
    held               INTEGER NOT NULL,
    open_members       INTEGER,
    events             BLOB NOT NULL,
    progress           BLOB,
    failure_reason     TEXT
) STRICT;
CREATE TABLE cid_index (
    cid BLOB PRIMARY KEY,
    id  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE service_index (
    service INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    PRIMARY KEY (service, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE purge_queue (
    purge_time INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    PRIMARY KEY (purge_time, id)
) STRICT, WITHOUT ROWID;
INSERT INTO invocation (id, cid, service, accept_time, sequence, request, idempotency_key, parent, root, group_cid, position)
    SELECT id, cid, service, accept_time, sequence, request, idempotency_key, parent, root, group_cid, position
    FROM earlier ORDER BY id;
INSERT INTO pending (id, service, started, due, wake, over, concurrency_key, leads, generation, attempts, losses,
        cancel_requested, awaited, later, held, open_members, first_attempt_time, events, progress, last_failure,
        failure_reason)
    SELECT id, service, state, due, wake, over, concurrency_key, leads, generation, attempts, losses,
        cancel_requested, awaited, later, held, open_members, first_attempt_time, events, progress, last_failure,
        failure_reason
    FROM earlier WHERE state < 2 ORDER BY id;
INSERT INTO outcome (id, state, attempts, end_time, purge_time, tombstone_until, due, first_attempt_time, losses,
        cancel_requested, later, held, open_members, events, progress, failure_reason)
    SELECT id, state, attempts, coalesce(end_time, accept_time), purge_time, coalesce(tombstone_until, purge_time), due,
        first_attempt_time, losses, cancel_requested, later, held, open_members, coalesce(events, x''), progress,
        failure_reason
    FROM earlier WHERE state >= 2 ORDER BY id;
INSERT INTO cid_index SELECT cid, id FROM earlier ORDER BY cid;
INSERT INTO service_index SELECT service, id FROM earlier ORDER BY service, id;
INSERT INTO purge_queue SELECT purge_time, id FROM outcome WHERE purge_time IS NOT NULL AND held = 0
    ORDER BY purge_time, id;
INSERT INTO meta (key, value) SELECT 'indexed', coalesce(max(id), 0) FROM earlier;
DROP TABLE earlier;
ALTER TABLE service DROP COLUMN open;
CREATE INDEX idempotency ON invocation (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX children ON invocation (parent) WHERE parent IS NOT NULL;
CREATE INDEX descendants ON invocation (root) WHERE root IS NOT NULL;
CREATE INDEX members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;
CREATE INDEX claimable ON pending (service, wake) WHERE leads = 1;
CREATE INDEX alone ON pending (service, concurrency_key, awaited DESC, wake, id) WHERE concurrency_key IS NOT NULL;
CREATE INDEX awaited ON pending (id) WHERE awaited = 1;
CREATE INDEX overdue ON pending (over) WHERE over IS NOT NULL;
CREATE INDEX failures ON outcome (id, state) WHERE state > 2;
