-- The log of every conversation; the same tables as on PostgreSQL, which also partitions them.

CREATE TABLE heads (
    conversation BLOB PRIMARY KEY NOT NULL,
    epoch INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0,
    mseq INTEGER NOT NULL DEFAULT 0,
    gate INTEGER NOT NULL DEFAULT 1,
    time_ms INTEGER NOT NULL DEFAULT 0,
    spoke INTEGER NOT NULL DEFAULT 0,
    comments INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX heads_changed ON heads (changed_ms);

CREATE TABLE events (
    conversation BLOB NOT NULL,
    seq INTEGER NOT NULL,
    mseq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    author INTEGER NOT NULL,
    client_id BLOB,
    digest BLOB,
    kind INTEGER NOT NULL,
    target INTEGER,
    version INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX events_once ON events (conversation, author, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX events_target ON events (conversation, target) WHERE target IS NOT NULL;
CREATE INDEX events_time ON events (conversation, time_ms);

CREATE TABLE speakers (
    conversation BLOB NOT NULL,
    person INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    PRIMARY KEY (conversation, person)
) WITHOUT ROWID;
