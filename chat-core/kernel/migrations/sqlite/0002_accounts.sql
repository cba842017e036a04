CREATE TABLE organisations (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    parent INTEGER REFERENCES organisations (id),
    level INTEGER NOT NULL
);

CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    -- Bit n is set for role n of the contract.
    roles INTEGER NOT NULL,
    password TEXT,
    -- Of the demonstration: may sign in from this machine only.
    demo INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
);

CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL,
    person INTEGER NOT NULL REFERENCES people (id),
    token BLOB NOT NULL UNIQUE,
    client TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE INDEX sessions_person ON sessions (person) WHERE ended_ms IS NULL;

CREATE TABLE tickets (
    ticket BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL,
    origin TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
);
CREATE INDEX tickets_expiry ON tickets (expires_ms);

CREATE TABLE sign_in_links (
    link BLOB PRIMARY KEY NOT NULL,
    person INTEGER NOT NULL REFERENCES people (id),
    expires_ms INTEGER NOT NULL
);
