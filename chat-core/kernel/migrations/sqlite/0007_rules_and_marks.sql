-- Rules of every conversation in one form, as JSON (audiences: their bytes in hexadecimal digits), whatever subject it is of.
CREATE TABLE rules (
    conversation BLOB PRIMARY KEY NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;

INSERT INTO rules (conversation, body)
    SELECT id, json_object('kind', 1, 'organisation', organisation, 'watch', lower(hex(watch)), 'post', lower(hex(post)),
        'moderate', lower(hex(moderate)), 'phase', state, 'closes_ms', closes_ms, 'slow_mode_s', slow_mode_s)
    FROM consultations;
INSERT INTO rules (conversation, body)
    SELECT id, json_object('kind', kind, 'keeper', CASE kind WHEN 3 THEN created_by ELSE 0 END, 'members', json('true'), 'phase', 3)
    FROM conversations WHERE kind IN (2, 3);

-- What later events left on an event: its kind of mark, whose it is (0: nobody's), and the event that set it.
CREATE TABLE marks (
    conversation BLOB NOT NULL,
    target INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    person INTEGER NOT NULL,
    value TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (conversation, target, mark, person)
) WITHOUT ROWID;

-- A page reads what changed the texts on it, and not the thousands of votes on a poll: those it counts in `marks`.
DROP INDEX events_target;
CREATE INDEX events_rewrites ON events (conversation, target) WHERE kind IN (2,3,4,5);
-- Acts of those who run a room, for the list of them.
CREATE INDEX events_acts ON events (conversation, seq) WHERE kind IN (4,5,8,20,21);
