-- How people were shown at a time: an event names its author's card. Append-only; `people.card` is the present one.
CREATE TABLE cards (
    id bigint PRIMARY KEY,
    person bigint NOT NULL REFERENCES people (id),
    name text NOT NULL,
    organisation bigint NOT NULL,
    organisation_name text NOT NULL,
    roles bigint NOT NULL,
    since_ms bigint NOT NULL
);
CREATE INDEX cards_person ON cards (person);

INSERT INTO cards (id, person, name, organisation, organisation_name, roles, since_ms)
    SELECT p.id, p.id, p.name, p.organisation, o.name, p.roles, p.created_ms FROM people p JOIN organisations o ON o.id = p.organisation;
ALTER TABLE people ADD COLUMN card bigint NOT NULL DEFAULT 0;
UPDATE people SET card = id;
