-- How a fleet is kept: one policy a target.

CREATE UNIQUE INDEX policies_one_default ON policies ((client_id IS NULL))
    WHERE client_id IS NULL AND site_id IS NULL AND agent_id IS NULL;
CREATE UNIQUE INDEX policies_one_per_client ON policies (client_id) WHERE client_id IS NOT NULL;
CREATE UNIQUE INDEX policies_one_per_site ON policies (site_id) WHERE site_id IS NOT NULL;
CREATE UNIQUE INDEX policies_one_per_agent ON policies (agent_id) WHERE agent_id IS NOT NULL;
