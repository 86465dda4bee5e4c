-- The store of several nodes, format 1. `docs/store.md` describes who writes what.
--
-- Times are nanoseconds since 1970 (UTC). Blobs are the messages in src/store/blob/. Text of callers is `bytea`: a
-- NUL in a `text` fails a whole batch; keys are SHA-256. Everything is in one schema, by default `cidery`.

-- Values of the whole store: `format` and `claim_base` (the claim of new invocations; a copy of another store begins
-- above the claims of that).
CREATE TABLE meta (
    key   text PRIMARY KEY,
    value bigint NOT NULL
);

-- The nodes, each since it was started. A node that sees another one's `beat` unchanged for long enough declares it
-- dead; a dead session claims nothing any more, and what it had claimed is released.
CREATE TABLE session (
    id   bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    beat bigint  NOT NULL DEFAULT 0,
    dead boolean NOT NULL DEFAULT false
);

-- The services that ever had an invocation; groups have one with an empty name.
CREATE TABLE service (
    id   integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE
);

-- The order of acceptance. Not cached: a list before an id has all that was accepted before.
CREATE SEQUENCE acceptance AS bigint CACHE 1;

-- Each CID from its acceptance until its tombstone expires: what makes it unique. A removed invocation is a tombstone:
-- it has `until`.
CREATE TABLE registry (
    cid         uuid PRIMARY KEY,
    id          bigint NOT NULL,
    -- Of the acceptance, random: whether a repeated one was this one.
    accept_id   bigint NOT NULL,
    state       smallint,
    end_time    bigint,
    until       bigint,
    owner       bytea,
    owner_group bytea
) WITH (fillfactor = 90);

CREATE INDEX registry_until ON registry (until) WHERE until IS NOT NULL;

-- Idempotency keys, until their invocations are removed: the SHA-256 of owner and key.
CREATE TABLE idempotency (
    key bytea PRIMARY KEY,
    cid uuid NOT NULL
);

-- What was asked, from the acceptance of an invocation until it is purged. Never changes.
CREATE TABLE invocation (
    id              bigint PRIMARY KEY,
    cid             uuid     NOT NULL,
    service         integer  NOT NULL,
    accept_time     bigint   NOT NULL,
    -- The sequence of the event `accepted`.
    sequence        bigint   NOT NULL,
    request         bytea    NOT NULL,
    idempotency_key bytea,
    parent          uuid,
    root            uuid,
    group_cid       uuid,
    position        integer,
    -- Who asked, who acts (to whom it belongs), and the group of the latter.
    principal       bytea,
    owner           bytea,
    owner_group     bytea
);

CREATE INDEX invocation_service ON invocation (service, id);
CREATE INDEX invocation_children ON invocation (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX invocation_descendants ON invocation (root, id) WHERE root IS NOT NULL;
CREATE INDEX invocation_members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;
CREATE INDEX invocation_owned ON invocation (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX invocation_owned_by_group ON invocation (owner_group, id) WHERE owner_group IS NOT NULL;

-- Invocations that have not ended.
CREATE TABLE pending (
    id                 bigint PRIMARY KEY,
    cid                uuid     NOT NULL,
    service            integer  NOT NULL,
    -- The session that has claimed it; 0: none.
    session            bigint   NOT NULL DEFAULT 0,
    -- How often it was claimed, or changed without a claim: the generation of its events.
    claim              bigint   NOT NULL,
    -- Of the last record: whether a repeated one was this one.
    record_id          bigint,
    started            smallint NOT NULL DEFAULT 0,
    due                bigint   NOT NULL,
    -- When it has to be claimed next: when it is due, or when it expires.
    wake               bigint   NOT NULL,
    -- When it expires.
    over               bigint,
    -- The SHA-256 of its concurrency key.
    key                bytea,
    -- Whether it comes first among those with its key; true without a key. Only these can be claimed.
    leads              boolean  NOT NULL,
    -- Whether its session was lost since the last record.
    recovered          boolean  NOT NULL DEFAULT false,
    attempts           integer  NOT NULL DEFAULT 0,
    losses             integer  NOT NULL DEFAULT 0,
    cancel_requested   boolean  NOT NULL DEFAULT false,
    -- Whether it waits for an outcome from outside or, as a group, for its members.
    awaited            boolean  NOT NULL DEFAULT false,
    -- The SHA-256 of the completion token, if its handler deferred the outcome.
    later              bytea,
    -- The group of which it is a member, while that has not ended.
    group_cid          uuid,
    -- A group: how many of its members have not ended.
    open_members       integer,
    first_attempt_time bigint,
    -- How many callbacks it promises.
    promised           integer  NOT NULL,
    -- The bytes of its request and its events.
    bytes              bigint   NOT NULL,
    -- All events after `accepted`, in order.
    events             bytea,
    progress           bytea,
    last_failure       bytea,
    failure_reason     text
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

CREATE UNIQUE INDEX pending_cid ON pending (cid);
-- What can be claimed, by service and time.
CREATE INDEX pending_claimable ON pending (service, wake, id) WHERE leads AND session = 0;
-- The order of each concurrency key: what is claimed, or waits for an outcome from outside, stays first.
CREATE INDEX pending_alone ON pending (service, key, (session <> 0) DESC, awaited DESC, wake, id)
    WHERE key IS NOT NULL;
CREATE INDEX pending_heads ON pending (service, key) WHERE key IS NOT NULL AND leads;
CREATE INDEX pending_claimed ON pending (session) WHERE session <> 0;
CREATE INDEX pending_overdue ON pending (over, id) WHERE over IS NOT NULL;
CREATE INDEX pending_awaited ON pending (id) WHERE awaited;
CREATE INDEX pending_held ON pending (id) WHERE due >= 9223372036854775807;

-- The concurrency keys with pending invocations. A transaction that changes what a key has locks its row first, and
-- computes the head in a later statement: computed in one statement by two transactions, a key can be left without a head.
CREATE TABLE queue_key (
    service integer NOT NULL,
    key     bytea   NOT NULL,
    PRIMARY KEY (service, key)
);

-- What came of an invocation, from its end until it is purged.
CREATE TABLE outcome (
    id                 bigint   NOT NULL,
    -- 2 succeeded; 3 failed; 4 cancelled; 5 expired.
    state              smallint NOT NULL,
    claim              bigint   NOT NULL,
    record_id          bigint   NOT NULL,
    attempts           integer  NOT NULL,
    end_time           bigint   NOT NULL,
    purge_time         bigint,
    tombstone_until    bigint,
    due                bigint   NOT NULL,
    first_attempt_time bigint,
    losses             integer  NOT NULL,
    cancel_requested   boolean  NOT NULL,
    later              bytea,
    -- Whether it is a member of a group that has not ended: it is then kept, whatever its purge time.
    held               boolean  NOT NULL,
    open_members       integer,
    bytes              bigint   NOT NULL,
    events             bytea    NOT NULL,
    progress           bytea,
    failure_reason     text,
    -- With the bytes, which are summed every few seconds.
    PRIMARY KEY (id) INCLUDE (bytes)
);

CREATE INDEX outcome_purge ON outcome (purge_time, id) WHERE purge_time IS NOT NULL AND NOT held;
CREATE INDEX outcome_failures ON outcome (id) WHERE state > 2;
CREATE INDEX outcome_failed_at ON outcome (end_time) WHERE state = 3;

-- Invocations that were retried, with the CID of the last retry.
CREATE TABLE retry (
    id         bigint PRIMARY KEY,
    retried_as uuid NOT NULL
);

-- The declarations of services by workers.
CREATE TABLE announced (
    service     text   NOT NULL,
    hash        text   NOT NULL,
    first_time  bigint NOT NULL,
    last_time   bigint NOT NULL,
    declaration bytea  NOT NULL,
    -- The principal whose worker declared it first; NULL if it had none.
    principal   text,
    PRIMARY KEY (service, hash)
);

-- The services that an operator has paused or disabled.
CREATE TABLE service_control (
    service           text PRIMARY KEY,
    pause_time        bigint,
    pause_reason      bytea   NOT NULL,
    pause_principal   bytea   NOT NULL,
    background_only   boolean NOT NULL,
    disable_time      bigint,
    disable_reason    bytea   NOT NULL,
    disable_principal bytea   NOT NULL
);

-- Operations over many invocations.
CREATE TABLE operation (
    id          uuid PRIMARY KEY,
    -- The session that works on it.
    session     bigint   NOT NULL,
    state       smallint NOT NULL,
    create_time bigint   NOT NULL,
    end_time    bigint,
    request     bytea    NOT NULL,
    position    bigint   NOT NULL,
    progress    bytea    NOT NULL
);

-- API keys, revoked ones included.
CREATE TABLE api_key (
    id              text PRIMARY KEY,
    secret_hash     bytea  NOT NULL,
    principal       text   NOT NULL,
    principal_group text,
    rights          bytea  NOT NULL,
    create_time     bigint NOT NULL,
    created_by      text,
    expire_time     bigint,
    revoke_time     bigint,
    quota           bytea
);
