-- The call to all invited, and the links by which a screen in a hall shows one consultation.

ALTER TABLE consultations ADD COLUMN called_ms bigint NOT NULL DEFAULT 0;

CREATE TABLE display_links (
    id uuid PRIMARY KEY,
    conversation uuid NOT NULL REFERENCES conversations (id),
    -- SHA-256 of what stands in the address.
    secret bytea NOT NULL UNIQUE,
    label text NOT NULL,
    created_by bigint NOT NULL REFERENCES people (id),
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    seen_ms bigint NOT NULL DEFAULT 0,
    ended_ms bigint,
    ended_by bigint NOT NULL DEFAULT 0
);
CREATE INDEX display_links_conversation ON display_links (conversation, created_ms);

-- Sessions of screens. They are nobody's, so they do not stand among those of people.
CREATE TABLE display_sessions (
    id uuid PRIMARY KEY,
    link uuid NOT NULL REFERENCES display_links (id),
    token bytea NOT NULL UNIQUE,
    client text NOT NULL,
    created_ms bigint NOT NULL,
    ended_ms bigint
);
CREATE INDEX display_sessions_link ON display_sessions (link) WHERE ended_ms IS NULL;
