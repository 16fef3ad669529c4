-- Releases of the agent, and how they come to the fleet.

CREATE TABLE releases (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    version     TEXT NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    platform    TEXT NOT NULL CHECK (length(platform) BETWEEN 1 AND 40),
    channel     TEXT NOT NULL CHECK (channel IN ('stable', 'beta')),
    -- In hexadecimal: the name of its file.
    sha256      TEXT NOT NULL CHECK (length(sha256) = 64),
    size_bytes  INTEGER NOT NULL CHECK (size_bytes > 0),
    downgrade   INTEGER NOT NULL CHECK (downgrade IN (0, 1)),
    -- As they were signed.
    manifest    TEXT NOT NULL CHECK (length(manifest) BETWEEN 1 AND 4096),
    signature   TEXT NOT NULL CHECK (length(signature) BETWEEN 1 AND 4096),
    released_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    -- Nobody where it was the command line.
    added_by    BLOB REFERENCES users (id) ON DELETE SET NULL,
    added_at    INTEGER NOT NULL,
    UNIQUE (version, platform, channel),
    CONSTRAINT releases_text_without_nul CHECK (
        instr(version || platform || sha256 || manifest || signature, char(0)) = 0)
) STRICT;
CREATE INDEX releases_added_at ON releases (added_at, id);
CREATE INDEX releases_sha256 ON releases (sha256);

-- No foreign key to releases: it is told what was rolled out when the release is gone.
CREATE TABLE rollouts (
    id                 BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    version            TEXT NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    channel            TEXT NOT NULL CHECK (channel IN ('stable', 'beta')),
    -- All that there are, where there is none.
    platform           TEXT CHECK (length(platform) BETWEEN 1 AND 40),
    -- In percent, each with those before it.
    waves              TEXT NOT NULL,
    wave               INTEGER NOT NULL CHECK (wave >= 0),
    wave_began_at      INTEGER NOT NULL,
    soak_seconds       INTEGER NOT NULL CHECK (soak_seconds >= 0),
    max_failed_percent INTEGER NOT NULL CHECK (max_failed_percent BETWEEN 0 AND 100),
    state              TEXT NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'failed', 'completed')),
    reason             TEXT CHECK (length(reason) <= 500),
    created_by         BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    ended_at           INTEGER,
    CONSTRAINT rollouts_ended_at CHECK ((state IN ('running', 'paused')) = (ended_at IS NULL)),
    CONSTRAINT rollouts_text_without_nul CHECK (
        instr(version || coalesce(platform, '') || coalesce(reason, ''), char(0)) = 0)
) STRICT;
CREATE INDEX rollouts_created_at ON rollouts (created_at, id);
CREATE UNIQUE INDEX rollouts_one_open ON rollouts (channel) WHERE state IN ('running', 'paused');

ALTER TABLE agent_updates ADD COLUMN rollout_id BLOB CHECK (length(rollout_id) = 16);
ALTER TABLE agent_updates ADD COLUMN release_id BLOB CHECK (length(release_id) = 16);
ALTER TABLE agent_updates ADD COLUMN wave INTEGER CHECK (wave >= 0);
ALTER TABLE agent_updates ADD COLUMN sent_at INTEGER;
ALTER TABLE agent_updates ADD COLUMN code TEXT CHECK (length(code) <= 64 AND instr(code, char(0)) = 0);
ALTER TABLE agent_updates ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0);
-- Of one that waits: not before then.
ALTER TABLE agent_updates ADD COLUMN not_before INTEGER;
CREATE UNIQUE INDEX agent_updates_one_under_way ON agent_updates (agent_id) WHERE status IN ('pending', 'sent');
CREATE UNIQUE INDEX agent_updates_one_a_rollout ON agent_updates (rollout_id, agent_id) WHERE rollout_id IS NOT NULL;
