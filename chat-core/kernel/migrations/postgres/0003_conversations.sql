CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    kind bigint NOT NULL,
    title text NOT NULL,
    created_by bigint NOT NULL,
    -- What its maker called it: the same request again gives the same conversation.
    client_id text,
    -- Of a direct one: both people, the lower first.
    direct_low bigint,
    direct_high bigint,
    created_ms bigint NOT NULL,
    UNIQUE (created_by, client_id),
    UNIQUE (direct_low, direct_high)
);

CREATE TABLE members (
    conversation uuid NOT NULL REFERENCES conversations (id),
    person bigint NOT NULL REFERENCES people (id),
    joined_ms bigint NOT NULL,
    PRIMARY KEY (conversation, person)
);
CREATE INDEX members_person ON members (person);

CREATE TABLE consultations (
    id uuid PRIMARY KEY REFERENCES conversations (id),
    organisation bigint NOT NULL REFERENCES organisations (id),
    description text NOT NULL,
    state bigint NOT NULL,
    opens_ms bigint NOT NULL,
    closes_ms bigint NOT NULL,
    -- Encoded audiences of the contract.
    watch bytea NOT NULL,
    post bytea NOT NULL,
    moderate bytea NOT NULL,
    slow_mode_s bigint NOT NULL,
    version bigint NOT NULL,
    changed_ms bigint NOT NULL
);
CREATE INDEX consultations_due ON consultations (state) WHERE state IN (2, 3, 4);

CREATE TABLE mutes (
    conversation uuid NOT NULL REFERENCES conversations (id),
    person bigint NOT NULL REFERENCES people (id),
    until_ms bigint NOT NULL,
    muted_by bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (conversation, person)
);

-- How far each person has read; only ever moves forward.
CREATE TABLE read_marks (
    conversation uuid NOT NULL,
    person bigint NOT NULL,
    mseq bigint NOT NULL,
    PRIMARY KEY (conversation, person)
) PARTITION BY HASH (conversation);

DO $$
BEGIN
    FOR part IN 0..63 LOOP
        EXECUTE format('CREATE TABLE read_marks_%s PARTITION OF read_marks FOR VALUES WITH (MODULUS 64, REMAINDER %s)', part, part);
    END LOOP;
END $$;
