-- What was asked for under an Idempotency-Key, and its answer, for a day.

CREATE TABLE idempotency_keys (
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- The id of what the request makes: a second try after a crash makes the same or finds it.
    subject     uuid NOT NULL,
    -- The run of the server that has it in hand.
    run         uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    status      integer CHECK (status BETWEEN 200 AND 299),
    body        text CHECK (length(body) <= 65536),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
