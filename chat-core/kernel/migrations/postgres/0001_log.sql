-- The log of every conversation. Everything hot is keyed by the conversation and spread over 64 partitions by it, so
-- that growth never asks for another layout; a unique index of PostgreSQL must hold the partition key, and all do.

CREATE TABLE heads (
    conversation uuid PRIMARY KEY,
    epoch bigint NOT NULL,
    kind bigint NOT NULL,
    partition bigint NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    mseq bigint NOT NULL DEFAULT 0,
    gate bigint NOT NULL DEFAULT 1,
    time_ms bigint NOT NULL DEFAULT 0,
    spoke bigint NOT NULL DEFAULT 0,
    comments bigint NOT NULL DEFAULT 0,
    changed_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX heads_changed ON heads (changed_ms);

CREATE TABLE events (
    conversation uuid NOT NULL,
    seq bigint NOT NULL,
    mseq bigint NOT NULL,
    time_ms bigint NOT NULL,
    author bigint NOT NULL,
    client_id uuid,
    digest bytea,
    kind bigint NOT NULL,
    target bigint,
    -- What later events made of it: the newest version of its text, and 1 recalled, 2 hidden.
    version bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    body bytea NOT NULL,
    PRIMARY KEY (conversation, seq)
) PARTITION BY HASH (conversation);
CREATE UNIQUE INDEX events_once ON events (conversation, author, client_id);
CREATE INDEX events_target ON events (conversation, target) WHERE target IS NOT NULL;
CREATE INDEX events_time ON events (conversation, time_ms);

CREATE TABLE speakers (
    conversation uuid NOT NULL,
    person bigint NOT NULL,
    last_ms bigint NOT NULL,
    posts bigint NOT NULL,
    PRIMARY KEY (conversation, person)
) PARTITION BY HASH (conversation);

DO $$
BEGIN
    FOR part IN 0..63 LOOP
        EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES WITH (MODULUS 64, REMAINDER %s)', part, part);
        EXECUTE format('CREATE TABLE speakers_%s PARTITION OF speakers FOR VALUES WITH (MODULUS 64, REMAINDER %s)', part, part);
    END LOOP;
END $$;
