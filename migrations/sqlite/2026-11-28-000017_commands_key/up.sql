-- The API key that a command was given with: the command is not sent once the key is gone. No foreign key, for
-- that has to be seen.

ALTER TABLE commands ADD COLUMN key_id BLOB CHECK (length(key_id) = 16);
