-- Events stand in the order that they were written in, and an index finds those of a conversation: a batch of posts to a hundred
-- conversations fills a few pages from end to end, instead of splitting pages in a hundred places (ADR 0013).

CREATE TABLE events_as_written (
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
);
INSERT INTO events_as_written (conversation, seq, mseq, time_ms, author, client_id, digest, kind, target, version, gone, body)
    SELECT conversation, seq, mseq, time_ms, author, client_id, digest, kind, target, version, gone, body FROM events
    ORDER BY conversation, seq;
DROP TABLE events;
ALTER TABLE events_as_written RENAME TO events;
CREATE UNIQUE INDEX events_once ON events (client_id, conversation, author) WHERE client_id IS NOT NULL;
CREATE INDEX events_target ON events (conversation, target) WHERE target IS NOT NULL;
