-- The call to all invited, and the links by which a screen in a hall shows one consultation.

ALTER TABLE consultations ADD COLUMN called_ms INTEGER NOT NULL DEFAULT 0;

CREATE TABLE display_links (
    id BLOB PRIMARY KEY NOT NULL,
    conversation BLOB NOT NULL REFERENCES conversations (id),
    -- SHA-256 of what stands in the address.
    secret BLOB NOT NULL UNIQUE,
    label TEXT NOT NULL,
    created_by INTEGER NOT NULL REFERENCES people (id),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL DEFAULT 0,
    ended_ms INTEGER,
    ended_by INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX display_links_conversation ON display_links (conversation, created_ms);

-- Sessions of screens. They are nobody's, so they do not stand among those of people.
CREATE TABLE display_sessions (
    id BLOB PRIMARY KEY NOT NULL,
    link BLOB NOT NULL REFERENCES display_links (id),
    token BLOB NOT NULL UNIQUE,
    client TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE INDEX display_sessions_link ON display_sessions (link) WHERE ended_ms IS NULL;
