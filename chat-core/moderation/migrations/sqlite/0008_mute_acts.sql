-- Every time that somebody was muted or let post again: `mutes` holds only those in force.
CREATE TABLE mute_acts (
    conversation BLOB NOT NULL REFERENCES conversations (id),
    id INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    done_by INTEGER NOT NULL,
    person INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (conversation, id)
) WITHOUT ROWID;
