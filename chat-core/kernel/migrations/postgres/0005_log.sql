-- A date is found by halving the primary key, for times never fall within a log; so nothing needs to be kept sorted by time.
DROP INDEX events_time;

-- A client_id begins with the time that it was made at (UUIDv7): with it in front, what is new stands side by side at the end of
-- the index, and a batch of posts to a hundred conversations writes one page of it instead of a hundred.
DROP INDEX events_once;
CREATE UNIQUE INDEX events_once ON events (client_id, conversation, author);
