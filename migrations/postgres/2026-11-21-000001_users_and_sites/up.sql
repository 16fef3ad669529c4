-- Who works here, and for whom: users, client organisations and their sites.

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    name          text NOT NULL CHECK (length(name) <= 200),
    password_hash text NOT NULL CHECK (length(password_hash) <= 255),
    role          text NOT NULL CHECK (role IN ('administrator', 'technician', 'read_only')),
    disabled      boolean NOT NULL DEFAULT false,
    token_version bigint NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    last_login_at timestamptz
);

CREATE TABLE clients (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX clients_name_key ON clients (lower(name));

CREATE TABLE sites (
    id           uuid PRIMARY KEY,
    client_id    uuid NOT NULL REFERENCES clients (id) ON DELETE RESTRICT,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    site_code    text NOT NULL UNIQUE CHECK (length(site_code) BETWEEN 1 AND 64),
    api_key_hash bytea NOT NULL UNIQUE CHECK (octet_length(api_key_hash) = 32),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (client_id, name)
);
