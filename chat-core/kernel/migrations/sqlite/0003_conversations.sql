CREATE TABLE conversations (
    id BLOB PRIMARY KEY NOT NULL,
    kind INTEGER NOT NULL,
    title TEXT NOT NULL,
    created_by INTEGER NOT NULL,
    -- What its maker called it: the same request again gives the same conversation.
    client_id TEXT,
    -- Of a direct one: both people, the lower first.
    direct_low INTEGER,
    direct_high INTEGER,
    created_ms INTEGER NOT NULL,
    UNIQUE (created_by, client_id),
    UNIQUE (direct_low, direct_high)
);

CREATE TABLE members (
    conversation BLOB NOT NULL REFERENCES conversations (id),
    person INTEGER NOT NULL REFERENCES people (id),
    joined_ms INTEGER NOT NULL,
    PRIMARY KEY (conversation, person)
);
CREATE INDEX members_person ON members (person);

CREATE TABLE consultations (
    id BLOB PRIMARY KEY NOT NULL REFERENCES conversations (id),
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    description TEXT NOT NULL,
    state INTEGER NOT NULL,
    opens_ms INTEGER NOT NULL,
    closes_ms INTEGER NOT NULL,
    -- Encoded audiences of the contract.
    watch BLOB NOT NULL,
    post BLOB NOT NULL,
    moderate BLOB NOT NULL,
    slow_mode_s INTEGER NOT NULL,
    version INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
);
CREATE INDEX consultations_due ON consultations (state) WHERE state IN (2, 3, 4);

CREATE TABLE mutes (
    conversation BLOB NOT NULL REFERENCES conversations (id),
    person INTEGER NOT NULL REFERENCES people (id),
    until_ms INTEGER NOT NULL,
    muted_by INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (conversation, person)
);

-- How far each person has read; only ever moves forward.
CREATE TABLE read_marks (
    conversation BLOB NOT NULL,
    person INTEGER NOT NULL,
    mseq INTEGER NOT NULL,
    PRIMARY KEY (conversation, person)
) WITHOUT ROWID;
