DROP INDEX policies_one_per_agent;
DROP INDEX policies_one_per_site;
DROP INDEX policies_one_per_client;
DROP INDEX policies_one_default;
