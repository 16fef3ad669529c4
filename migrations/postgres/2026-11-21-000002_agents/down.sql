DROP TABLE agent_updates;
DROP TABLE watchdog_events;
DROP TABLE metrics;
DROP TABLE agent_state;
DROP TABLE agents;
