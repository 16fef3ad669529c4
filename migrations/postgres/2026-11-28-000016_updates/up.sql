-- Releases of the agent, and how they come to the fleet.

CREATE TABLE releases (
    id          uuid PRIMARY KEY,
    version     text NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    platform    text NOT NULL CHECK (length(platform) BETWEEN 1 AND 40),
    channel     text NOT NULL CHECK (channel IN ('stable', 'beta')),
    -- In hexadecimal: the name of its file.
    sha256      text NOT NULL CHECK (length(sha256) = 64),
    size_bytes  bigint NOT NULL CHECK (size_bytes > 0),
    downgrade   boolean NOT NULL,
    -- As they were signed.
    manifest    text NOT NULL CHECK (length(manifest) BETWEEN 1 AND 4096),
    signature   text NOT NULL CHECK (length(signature) BETWEEN 1 AND 4096),
    released_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    -- Nobody where it was the command line.
    added_by    uuid REFERENCES users (id) ON DELETE SET NULL,
    added_at    timestamptz NOT NULL,
    UNIQUE (version, platform, channel)
);
CREATE INDEX releases_added_at ON releases (added_at, id);
CREATE INDEX releases_sha256 ON releases (sha256);

-- No foreign key to releases: it is told what was rolled out when the release is gone.
CREATE TABLE rollouts (
    id                 uuid PRIMARY KEY,
    version            text NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    channel            text NOT NULL CHECK (channel IN ('stable', 'beta')),
    -- All that there are, where there is none.
    platform           text CHECK (length(platform) BETWEEN 1 AND 40),
    -- In percent, each with those before it.
    waves              jsonb NOT NULL,
    wave               integer NOT NULL CHECK (wave >= 0),
    wave_began_at      timestamptz NOT NULL,
    soak_seconds       integer NOT NULL CHECK (soak_seconds >= 0),
    max_failed_percent integer NOT NULL CHECK (max_failed_percent BETWEEN 0 AND 100),
    state              text NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'failed', 'completed')),
    reason             text CHECK (length(reason) <= 500),
    created_by         uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    CONSTRAINT rollouts_ended_at CHECK ((state IN ('running', 'paused')) = (ended_at IS NULL))
);
CREATE INDEX rollouts_created_at ON rollouts (created_at, id);
CREATE UNIQUE INDEX rollouts_one_open ON rollouts (channel) WHERE state IN ('running', 'paused');

ALTER TABLE agent_updates ADD COLUMN rollout_id uuid;
ALTER TABLE agent_updates ADD COLUMN release_id uuid;
ALTER TABLE agent_updates ADD COLUMN wave integer CHECK (wave >= 0);
ALTER TABLE agent_updates ADD COLUMN sent_at timestamptz;
ALTER TABLE agent_updates ADD COLUMN code text CHECK (length(code) <= 64);
ALTER TABLE agent_updates ADD COLUMN attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0);
-- Of one that waits: not before then.
ALTER TABLE agent_updates ADD COLUMN not_before timestamptz;
CREATE UNIQUE INDEX agent_updates_one_under_way ON agent_updates (agent_id) WHERE status IN ('pending', 'sent');
CREATE UNIQUE INDEX agent_updates_one_a_rollout ON agent_updates (rollout_id, agent_id) WHERE rollout_id IS NOT NULL;
