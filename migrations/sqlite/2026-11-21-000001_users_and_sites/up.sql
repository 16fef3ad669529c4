-- Who works here, and for whom: users, client organisations and their sites.
--
-- Ids are the 16 bytes of a UUID, times are microseconds since 1970 in UTC, booleans are 0 or 1.
-- length() counts up to the first NUL character, so text may not hold one (PostgreSQL refuses it
-- by itself).

CREATE TABLE users (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    email         TEXT NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    name          TEXT NOT NULL CHECK (length(name) <= 200),
    password_hash TEXT NOT NULL CHECK (length(password_hash) <= 255),
    role          TEXT NOT NULL CHECK (role IN ('administrator', 'technician', 'read_only')),
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    token_version INTEGER NOT NULL DEFAULT 1,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_login_at INTEGER,
    CONSTRAINT users_text_without_nul CHECK (instr(coalesce(email, '') || coalesce(name, '') || coalesce(password_hash, ''), char(0)) = 0)
) STRICT;

CREATE TABLE clients (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT clients_text_without_nul CHECK (instr(name, char(0)) = 0)
) STRICT;
CREATE UNIQUE INDEX clients_name_key ON clients (lower(name));

CREATE TABLE sites (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    client_id    BLOB NOT NULL REFERENCES clients (id) ON DELETE RESTRICT,
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    site_code    TEXT NOT NULL UNIQUE CHECK (length(site_code) BETWEEN 1 AND 64),
    api_key_hash BLOB NOT NULL UNIQUE CHECK (length(api_key_hash) = 32),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (client_id, name),
    CONSTRAINT sites_text_without_nul CHECK (instr(coalesce(name, '') || coalesce(site_code, ''), char(0)) = 0)
) STRICT;
