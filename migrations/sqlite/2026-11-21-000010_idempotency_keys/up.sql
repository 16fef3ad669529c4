-- What was asked for under an Idempotency-Key, and its answer, for a day.

CREATE TABLE idempotency_keys (
    user_id     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key         TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    -- The id of what the request makes: a second try after a crash makes the same or finds it.
    subject     BLOB NOT NULL CHECK (length(subject) = 16),
    -- The run of the server that has it in hand.
    run         BLOB NOT NULL CHECK (length(run) = 16),
    created_at  INTEGER NOT NULL,
    status      INTEGER CHECK (status BETWEEN 200 AND 299),
    body        TEXT CHECK (length(body) <= 65536),
    PRIMARY KEY (user_id, key),
    CONSTRAINT idempotency_keys_text_without_nul CHECK (instr(key, char(0)) = 0)
) STRICT;
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
