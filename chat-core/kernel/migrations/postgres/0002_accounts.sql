CREATE TABLE organisations (
    id bigint PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    parent bigint REFERENCES organisations (id),
    level bigint NOT NULL
);

CREATE TABLE people (
    id bigint PRIMARY KEY,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    organisation bigint NOT NULL REFERENCES organisations (id),
    -- Bit n is set for role n of the contract.
    roles bigint NOT NULL,
    password text,
    -- Of the demonstration: may sign in from this machine only.
    demo bigint NOT NULL DEFAULT 0,
    disabled bigint NOT NULL DEFAULT 0,
    created_ms bigint NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    person bigint NOT NULL REFERENCES people (id),
    token bytea NOT NULL UNIQUE,
    client text NOT NULL,
    created_ms bigint NOT NULL,
    seen_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    ended_ms bigint
);
CREATE INDEX sessions_person ON sessions (person) WHERE ended_ms IS NULL;

CREATE TABLE tickets (
    ticket bytea PRIMARY KEY,
    session uuid NOT NULL,
    origin text NOT NULL,
    expires_ms bigint NOT NULL
);
CREATE INDEX tickets_expiry ON tickets (expires_ms);

CREATE TABLE sign_in_links (
    link bytea PRIMARY KEY,
    person bigint NOT NULL REFERENCES people (id),
    expires_ms bigint NOT NULL
);
