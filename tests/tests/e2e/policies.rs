//! Policies: inherited, pushed to live agents, and kept by what tunnels may do.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gururmm_shared::{AgentId, ConfigUpdate, ServerMessage};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::api::{items, text};
use gururmm_tests::{
    Api, Deployment, PreparedAgent, RawAgent, Surroundings, TestAgent, World, eventually,
    on_both_databases,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

on_both_databases! {
    async fn a_policy_is_inherited_field_by_field_and_its_sources_are_told(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.raw_agent().await;
        let all = policy(&rmm, json!({}), json!({"metrics": {"interval_seconds": 300, "collect_cpu": false},
            "update": {"channel": "beta"}})).await;
        let client = policy(&rmm, json!({"client_id": rmm.site.client_id}), json!({"metrics": {"interval_seconds": 120}})).await;
        let site = policy(&rmm, json!({"site_id": rmm.site.id}), json!({"tunnel": {"idle_timeout_seconds": 60}})).await;
        let own = policy(&rmm, json!({"agent_id": id}), json!({"metrics": {"interval_seconds": 30}})).await;
        let body = effective(&rmm.technician, id).await;
        assert_eq!(body["effective"]["metrics"], json!({"interval_seconds": 30, "collect_cpu": false}));
        assert_eq!(body["effective"]["tunnel"], json!({"idle_timeout_seconds": 60}));
        let source = |path: &str| body["sources"][path].clone();
        assert_eq!(source("metrics.interval_seconds")["policy_id"], own);
        assert_eq!(source("metrics.interval_seconds")["level"], "agent");
        assert_eq!(source("metrics.collect_cpu")["policy_id"], all);
        assert_eq!(source("tunnel.idle_timeout_seconds")["policy_id"], site);
        rmm.admin.delete(&format!("/api/policies/{own}")).await.check(204);
        let body = effective(&rmm.technician, id).await;
        assert_eq!(body["effective"]["metrics"]["interval_seconds"], 120);
        assert_eq!(body["sources"]["metrics.interval_seconds"]["policy_id"], client);
        assert_eq!(items(&rmm.technician.get("/api/policies").await.expect(200)).len(), 3);
    }

    async fn a_second_policy_for_the_same_target_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.raw_agent().await;
        let targets = [json!({}), json!({"client_id": rmm.site.client_id}), json!({"site_id": rmm.site.id}), json!({"agent_id": id})];
        for target in targets {
            policy(&rmm, target.clone(), json!({})).await;
            let again = rmm.admin.post("/api/policies", policy_body(target, json!({}))).await;
            again.problem(409, "policy_exists");
        }
    }

    async fn a_policy_that_makes_no_sense_is_refused_with_its_field(world: World) {
        let rmm = world.deploy(&[]).await;
        for (settings, field) in [
            (json!({"metrics": {"interval_seconds": 1}}), "settings.metrics.interval_seconds"),
            (json!({"commands": {"deny": [{"regex": "("}]}}), "settings.commands.deny[0]"),
        ] {
            let answer = rmm.admin.post("/api/policies", policy_body(json!({}), settings)).await;
            assert_eq!(answer.problem(400, "invalid_field")["field"], field);
        }
        let answer = rmm.admin.post("/api/policies", policy_body(json!({}), json!({"metric": {}}))).await;
        assert!(text(&answer.refusal(400), "detail").contains("metric"));
        let both = json!({"client_id": rmm.site.client_id, "site_id": rmm.site.id});
        rmm.admin.post("/api/policies", policy_body(both, json!({}))).await.refusal(400);
        let nobody = json!({"site_id": "00000000-0000-4000-8000-000000000000"});
        rmm.admin.post("/api/policies", policy_body(nobody, json!({}))).await.problem(404, "not_found");
        rmm.technician.post("/api/policies", policy_body(json!({}), json!({}))).await.problem(403, "not_allowed");
    }

    async fn a_changed_policy_reaches_connected_agents_and_only_those_it_touches(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut touched, id) = rmm.raw_agent().await;
        let (mut other, _) = rmm.raw_agent().await;
        let own = policy(&rmm, json!({"agent_id": id}), json!({"metrics": {"interval_seconds": 30}})).await;
        assert_eq!(interval(&config(&mut touched).await), Some(30));
        let change = json!({"name": "p", "settings": {"metrics": {"interval_seconds": 40}}});
        rmm.admin.put(&format!("/api/policies/{own}"), change).await.check(200);
        assert_eq!(interval(&config(&mut touched).await), Some(40));
        rmm.admin.delete(&format!("/api/policies/{own}")).await.check(204);
        assert!(config(&mut touched).await.is_empty());
        // The other one hears of the common policy first.
        policy(&rmm, json!({}), json!({"metrics": {"interval_seconds": 50}})).await;
        assert_eq!(interval(&config(&mut other).await), Some(50));
        assert_eq!(interval(&config(&mut touched).await), Some(50));
    }

    async fn an_agent_is_told_its_policy_when_it_connects(world: World) {
        let rmm = world.deploy(&[]).await;
        policy(&rmm, json!({"site_id": rmm.site.id}), json!({"metrics": {"interval_seconds": 77}})).await;
        let (mut agent, _) = rmm.raw_agent().await;
        assert_eq!(interval(&config(&mut agent).await), Some(77));
    }

    async fn the_agent_applies_a_policy_without_a_restart(world: World) {
        let rmm = world.deploy(&[]).await;
        let settings = AgentSettings { more: "[watchdog]\ncheck_interval_seconds = 9".to_owned(), ..AgentSettings::default() };
        let agent = TestAgent::start(&rmm.server.agents_url(), &rmm.site.code, settings);
        let id = agent.wait_online(&rmm.admin).await;
        let metrics = || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            state["metrics"].is_object().then(|| state["metrics"].clone())
        };
        let first = eventually("a first sample", SOON, metrics).await;
        assert!(first["cpu_percent"].is_number(), "{first}");
        policy(&rmm, json!({"agent_id": id}), json!({"metrics": {"interval_seconds": 10, "collect_cpu": false}})).await;
        eventually("a sample without the CPU", SOON, || async {
            metrics().await.filter(|m| m["cpu_percent"].is_null() && m["memory_used_bytes"].is_number())
        })
        .await;
        assert!(agent.log().contains("the server's policy is applied"));
    }

    async fn a_denied_command_is_refused_audited_and_never_reaches_the_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        policy(&rmm, json!({"site_id": rmm.site.id}), json!({"commands": {
            "allow": [{"glob": "echo *"}], "deny": [{"regex": "secret"}]}})).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        for command in ["echo secret", "uptime", "echo a; uptime"] {
            let answer = rmm.technician.post(&path, json!({"command": command})).await;
            answer.problem(403, "command_not_allowed");
        }
        rmm.command(session, "echo fine").await;
        assert_eq!(agent.terminal().await.1.command, "echo fine");
        let refused: Vec<_> = rmm.audit(session).await.into_iter()
            .filter(|row| row["outcome"] == "command_not_allowed").collect();
        assert_eq!(refused.len(), 3);
        assert_eq!(refused[1]["detail"], "uptime");
        assert_eq!(refused[1]["user_email"], "tech@example.com");
    }

    async fn who_may_open_a_tunnel_and_how_long_it_lies_still_is_a_matter_of_policy(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let own = policy(&rmm, json!({"agent_id": id}), json!({"tunnel": {"roles": ["administrator"]}})).await;
        let open = rmm.technician.post("/api/v1/tunnel/open", json!({"agent_id": id})).await;
        open.problem(403, "tunnel_not_allowed");
        let change = json!({"name": "p", "settings": {"tunnel": {"idle_timeout_seconds": 1}}});
        rmm.admin.put(&format!("/api/policies/{own}"), change).await.check(200);
        let session = rmm.open(id).await;
        rmm.wait_session(session, "closed", "idle_timeout", SOON).await;
    }

    async fn who_sits_at_the_machine_is_told_where_the_policy_says_so(world: World) {
        let (log, said) = with_wall(&world, "0").await;
        assert!(log.contains("was told of the tunnel"), "{log}");
        assert!(said.contains("remote session"), "the line itself: {said:?}");
    }

    async fn nobody_was_told_where_wall_fails(world: World) {
        let (log, _) = with_wall(&world, "1").await;
        assert!(log.contains("wall could not tell"), "{log}");
        assert!(!log.contains("was told of the tunnel"), "{log}");
    }

    async fn a_moved_agent_gets_the_policy_of_its_new_place(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let site = gururmm_tests::deployment::add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        policy(&rmm, json!({"site_id": site.id}), json!({"metrics": {"interval_seconds": 66}})).await;
        rmm.admin.post(&format!("/api/agents/{id}/move"), json!({"site_id": site.id})).await.check(200);
        assert_eq!(interval(&config(&mut agent).await), Some(66));
    }
}

/// Opens a tunnel to a machine whose policy has people told, with a `wall` that ends so; answers the agent's log
/// and what `wall` was told to say.
async fn with_wall(world: &World, exit_code: &str) -> (String, String) {
    let rmm = world.deploy(&[]).await;
    let folder = world.file(&format!("programs-{exit_code}"));
    std::fs::create_dir_all(&folder).unwrap();
    let (wall, said) = (folder.join("wall"), folder.join("said"));
    let script = format!(
        "#!/bin/sh\nprintf '%s' \"$*\" > '{}'\nexit {exit_code}\n",
        said.display()
    );
    std::fs::write(&wall, script).unwrap();
    std::fs::set_permissions(&wall, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let (agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(&path)).await;
    policy(&rmm, json!({}), json!({"tunnel": {"tell_person": true}})).await;
    eventually("the policy is applied", SOON, || async {
        agent
            .log()
            .contains("the server's policy is applied")
            .then_some(())
    })
    .await;
    rmm.open(id).await;
    let log = eventually("wall has ended", SOON, || async {
        let log = agent.log();
        (log.contains("was told of the tunnel") || log.contains("wall could not tell"))
            .then_some(log)
    })
    .await;
    (log, std::fs::read_to_string(&said).unwrap_or_default())
}

fn policy_body(target: Value, settings: Value) -> Value {
    let mut body = target;
    body["name"] = json!("p");
    body["settings"] = settings;
    body
}

/// Makes a policy; answers its id.
async fn policy(rmm: &Deployment, target: Value, settings: Value) -> String {
    let made = rmm
        .admin
        .post("/api/policies", policy_body(target, settings))
        .await;
    text(&made.expect(201), "id").to_owned()
}

async fn effective(api: &Api, id: AgentId) -> Value {
    api.get(&format!("/api/agents/{id}/policy"))
        .await
        .expect(200)
}

async fn config(agent: &mut RawAgent) -> ConfigUpdate {
    agent
        .expect("config_update", |message| match message {
            ServerMessage::ConfigUpdate(update) => Some(update.clone()),
            _ => None,
        })
        .await
}

fn interval(update: &ConfigUpdate) -> Option<u64> {
    update.metrics?.interval_seconds
}
