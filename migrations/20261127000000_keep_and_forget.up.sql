-- What must not be taken for garbage, and how much there is.

-- Each change of what is protected, by tags or by leases, gets a number of its own, greater than all before: who has read what
-- is protected up to a number has to read only what came later.
CREATE TABLE protection_clock (
  id  INTEGER PRIMARY KEY CHECK (id = 1),
  seq INTEGER NOT NULL
) STRICT;
INSERT INTO protection_clock (id, seq) VALUES (1, 0);

ALTER TABLE tags ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET seq = numbered.n
  FROM (SELECT name, row_number() OVER (ORDER BY name) AS n FROM tags) AS numbered
  WHERE tags.name = numbered.name;
UPDATE protection_clock SET seq = (SELECT count(*) FROM tags);
CREATE UNIQUE INDEX tags_by_seq ON tags (seq);

-- Protection for a time. A lease belongs to an open store, which says now and then that it still is.
CREATE TABLE leases (
  id         TEXT PRIMARY KEY,
  owner      TEXT NOT NULL,
  renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_owner ON leases (owner);

CREATE TABLE leased_blobs (
  seq    INTEGER PRIMARY KEY,
  lease  TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
  hash   TEXT NOT NULL CHECK (length(hash) = 52),
  format TEXT NOT NULL CHECK (format IN ('raw', 'hash_seq'))
) STRICT;
CREATE INDEX leased_blobs_by_lease ON leased_blobs (lease);

-- There are few of them, among maybe millions.
CREATE INDEX partial_blobs ON blobs (hash) WHERE state = 'partial';

-- Bytes of all complete blobs, kept up to date by triggers: adding them up takes too long where there are millions.
CREATE TABLE totals (
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  complete_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO totals (id, complete_bytes)
  SELECT 1, coalesce(sum(size), 0) FROM blobs WHERE state = 'complete';

CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs WHEN new.state = 'complete' BEGIN
  UPDATE totals SET complete_bytes = complete_bytes + new.size;
END;
CREATE TRIGGER blobs_deleted AFTER DELETE ON blobs WHEN old.state = 'complete' BEGIN
  UPDATE totals SET complete_bytes = complete_bytes - old.size;
END;
CREATE TRIGGER blobs_updated AFTER UPDATE OF size, state ON blobs BEGIN
  UPDATE totals SET complete_bytes = complete_bytes
    - CASE old.state WHEN 'complete' THEN old.size ELSE 0 END
    + CASE new.state WHEN 'complete' THEN new.size ELSE 0 END;
END;
