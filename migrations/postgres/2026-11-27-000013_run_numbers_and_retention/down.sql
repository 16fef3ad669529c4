DROP INDEX notification_deliveries_alert_id;
DROP INDEX tech_sessions_closed_at;
DROP INDEX watchdog_events_recorded_at;
DROP INDEX schedule_runs_number_key;
ALTER TABLE schedule_runs DROP COLUMN number;
ALTER TABLE schedules DROP COLUMN runs_written;
