-- Every time that somebody was muted or let post again: `mutes` holds only those in force.
CREATE TABLE mute_acts (
    conversation uuid NOT NULL REFERENCES conversations (id),
    id bigint NOT NULL,
    time_ms bigint NOT NULL,
    done_by bigint NOT NULL,
    person bigint NOT NULL,
    until_ms bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (conversation, id)
);
