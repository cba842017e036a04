-- Rules of every conversation in one form, as JSON (audiences: their bytes in hexadecimal digits), whatever subject it is of.
CREATE TABLE rules (
    conversation uuid PRIMARY KEY,
    body text NOT NULL
);

INSERT INTO rules (conversation, body)
    SELECT id, json_build_object('kind', 1, 'organisation', organisation, 'watch', encode(watch, 'hex'), 'post', encode(post, 'hex'),
        'moderate', encode(moderate, 'hex'), 'phase', state, 'closes_ms', closes_ms, 'slow_mode_s', slow_mode_s)::text
    FROM consultations;
INSERT INTO rules (conversation, body)
    SELECT id, json_build_object('kind', kind, 'keeper', CASE kind WHEN 3 THEN created_by ELSE 0 END, 'members', true, 'phase', 3)::text
    FROM conversations WHERE kind IN (2, 3);

-- What later events left on an event: its kind of mark, whose it is (0: nobody's), and the event that set it.
CREATE TABLE marks (
    conversation uuid NOT NULL,
    target bigint NOT NULL,
    mark bigint NOT NULL,
    person bigint NOT NULL,
    value text NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (conversation, target, mark, person)
) PARTITION BY HASH (conversation);

DO $$
BEGIN
    FOR part IN 0..63 LOOP
        EXECUTE format('CREATE TABLE marks_%s PARTITION OF marks FOR VALUES WITH (MODULUS 64, REMAINDER %s)', part, part);
    END LOOP;
END $$;

-- A page reads what changed the texts on it, and not the thousands of votes on a poll: those it counts in `marks`.
DROP INDEX events_target;
CREATE INDEX events_rewrites ON events (conversation, target) WHERE kind IN (2,3,4,5);
-- Acts of those who run a room, for the list of them.
CREATE INDEX events_acts ON events (conversation, seq) WHERE kind IN (4,5,8,20,21);
