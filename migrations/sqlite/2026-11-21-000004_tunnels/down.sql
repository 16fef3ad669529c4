DROP TABLE tunnel_audit;
DROP TABLE tech_sessions;
