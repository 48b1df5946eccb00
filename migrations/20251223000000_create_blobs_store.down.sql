DROP TABLE facts;
DROP TABLE deletions;
DROP TABLE tags;
DROP TABLE fragments;
DROP TABLE blobs;
