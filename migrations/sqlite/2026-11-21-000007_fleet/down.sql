DROP TABLE inventory_changes;
DROP TABLE inventory_users;
DROP TABLE inventory_software;
DROP TABLE inventory;
DROP INDEX policies_one_per_agent;
DROP INDEX policies_one_per_site;
DROP INDEX policies_one_per_client;
DROP INDEX policies_one_default;
