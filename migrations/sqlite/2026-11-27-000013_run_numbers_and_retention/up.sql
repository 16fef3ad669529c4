-- Runs are numbered in the order in which they are written: their ids come from those who ask for them,
-- and may be older than others.

ALTER TABLE schedules ADD COLUMN runs_written INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedule_runs ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

UPDATE schedule_runs SET number = (
    SELECT count(*) FROM schedule_runs AS other
    WHERE other.schedule_id = schedule_runs.schedule_id AND other.id <= schedule_runs.id);
UPDATE schedules SET runs_written = (
    SELECT count(*) FROM schedule_runs WHERE schedule_runs.schedule_id = schedules.id);

CREATE UNIQUE INDEX schedule_runs_number_key ON schedule_runs (schedule_id, number);

-- What is old is found by its time.
CREATE INDEX watchdog_events_recorded_at ON watchdog_events (recorded_at);
CREATE INDEX tech_sessions_closed_at ON tech_sessions (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX notification_deliveries_alert_id ON notification_deliveries (alert_id) WHERE alert_id IS NOT NULL;
