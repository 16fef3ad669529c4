ALTER TABLE commands DROP COLUMN key_id;
