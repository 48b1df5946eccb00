-- What the object store knows of its blobs without asking the storage. The storage is the truth, this is its index.
-- Hashes are in base32, whose order is that of the keys in the storage. Times are milliseconds since 1970.

CREATE TABLE blobs (
  hash         TEXT PRIMARY KEY CHECK (length(hash) = 52),
  size         INTEGER NOT NULL CHECK (size BETWEEN 0 AND 9007199254740991),
  state        TEXT NOT NULL CHECK (state IN ('complete', 'partial')),
  has_outboard INTEGER NOT NULL CHECK (has_outboard IN (0, 1)),
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The objects that hold what is there of a partial blob. What each holds follows from its name.
CREATE TABLE fragments (
  hash TEXT NOT NULL REFERENCES blobs (hash) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (length(name) > 0),
  PRIMARY KEY (hash, name)
) STRICT, WITHOUT ROWID;

-- Names are kept as bytes of UTF-8, because tags are listed in the order of these.
CREATE TABLE tags (
  name       BLOB PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 1024),
  hash       TEXT NOT NULL CHECK (length(hash) = 52),
  format     TEXT NOT NULL CHECK (format IN ('raw', 'hash_seq')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Blobs that are gone, and whose objects are still to be deleted from the storage: by the open store that is the owner, which
-- says now and then that it still is.
CREATE TABLE deletions (
  hash       TEXT PRIMARY KEY CHECK (length(hash) = 52),
  owner      TEXT NOT NULL,
  is_begun   INTEGER NOT NULL CHECK (is_begun IN (0, 1)),
  created_at INTEGER NOT NULL,
  renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is known of the index itself, such as how far a recovery has come.
CREATE TABLE facts (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
