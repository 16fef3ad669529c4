//! What machines are made of: told by real agents, kept with what changes, searched over the fleet.

use std::time::Duration;

use gururmm_shared::{
    AgentId, AgentMessage, DiskInfo, HardwareInfo, InterfaceInfo, Inventory, InventorySections,
    ServiceInfo, SoftwareInfo, SystemInfo, UserInfo,
};
use gururmm_tests::api::items;
use gururmm_tests::{Deployment, RawAgent, eventually, on_both_databases};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

on_both_databases! {
    async fn the_real_agent_tells_what_its_machine_is_made_of(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let body = inventory_of(&rmm, id, |_| true).await;
        let sections = &body["sections"];
        assert!(sections["hardware"]["cpu_cores"].as_u64() > Some(0), "{body}");
        assert!(sections["hardware"]["memory_bytes"].as_u64() > Some(0), "{body}");
        assert_eq!(sections["os"]["arch"], std::env::consts::ARCH);
        assert!(sections["network"].is_array() && sections["disks"].is_array(), "{body}");
        let software = sections["software"].as_array().expect("this machine has packages");
        let name = software[0]["name"].as_str().unwrap();
        let found = search(&rmm, name).await;
        assert_eq!(found[0]["agents"][0]["id"], id.to_string());
        assert_eq!(found[0]["count"], 1);
    }

    async fn what_changes_is_kept_with_before_and_after(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        tell(&mut agent, "one", &[("openssl", "3.0"), ("telnet", "1")]).await;
        inventory_of(&rmm, id, |body| body["hash"] == "one").await;
        let path = format!("/api/agents/{id}/inventory/changes");
        assert_eq!(items(&rmm.technician.get(&path).await.expect(200)), Vec::<Value>::new());
        // The next one comes with a connection of its own: one in ten seconds is taken.
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        agent.enrol(&key).await;
        tell(&mut agent, "two", &[("openssl", "3.1"), ("nginx", "1")]).await;
        let body = inventory_of(&rmm, id, |body| body["hash"] == "two").await;
        assert_eq!(body["sections"]["software"][0]["version"], "3.1");
        let changes = items(&rmm.technician.get(&path).await.expect(200));
        let told = |name: &str| {
            let change = changes.iter().find(|change| change["key"] == name);
            change.unwrap_or_else(|| panic!("{name}: {changes:?}")).clone()
        };
        assert_eq!(changes.len(), 3);
        assert_eq!(told("openssl")["change"], "changed");
        assert_eq!(told("openssl")["before"]["version"], "3.0");
        assert_eq!(told("openssl")["after"]["version"], "3.1");
        assert_eq!(told("nginx")["change"], "added");
        assert_eq!(told("telnet")["change"], "removed");
        let page = rmm.technician.get(&format!("{path}?limit=2")).await.expect(200);
        let next = page["next_cursor"].as_str().unwrap();
        let rest = rmm.technician.get(&format!("{path}?limit=2&cursor={next}")).await.expect(200);
        assert_eq!((items(&page).len(), items(&rest).len()), (2, 1));
    }

    async fn software_is_searched_over_the_fleet_with_counts_and_agents(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut one, first) = rmm.raw_agent().await;
        let (mut two, second) = rmm.raw_agent().await;
        tell(&mut one, "a", &[("OpenSSL", "3.0"), ("100%_real", "1")]).await;
        tell(&mut two, "b", &[("OpenSSL", "3.0"), ("openssl-doc", "3.0")]).await;
        inventory_of(&rmm, first, |_| true).await;
        inventory_of(&rmm, second, |_| true).await;
        let found = search(&rmm, "openssl").await;
        assert_eq!(found.len(), 2, "{found:?}");
        let both = found.iter().find(|package| package["name"] == "OpenSSL").unwrap();
        assert_eq!(both["count"], 2);
        assert_eq!(both["agents"].as_array().unwrap().len(), 2);
        assert_eq!(search(&rmm, "100%25_r").await.len(), 1);
        assert_eq!(search(&rmm, "100_").await.len(), 0, "an underscore is no pattern");
        let page = rmm.technician.get("/api/inventory/software?limit=1").await.expect(200);
        let next = page["next_cursor"].as_str().unwrap();
        let rest = rmm.technician.get(&format!("/api/inventory/software?cursor={next}")).await.expect(200);
        assert_eq!((items(&page).len(), items(&rest).len()), (1, 2));
        rmm.technician.get("/api/inventory/software?cursor=x").await.problem(400, "invalid_field");
    }

    async fn everything_that_machines_are_made_of_is_searched_over_the_fleet(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut one, first) = rmm.raw_agent().await;
        let (mut two, second) = rmm.raw_agent().await;
        let whole = InventorySections {
            hardware: Some(HardwareInfo { cpu_model: Some("Xeon 100%".to_owned()), ..HardwareInfo::default() }),
            os: Some(SystemInfo { name: Some("Debian GNU/Linux 12".to_owned()), ..SystemInfo::default() }),
            disks: Some(vec![DiskInfo { mount: "/srv".to_owned(), device: "/dev/sda1".to_owned(), ..DiskInfo::default() }]),
            network: Some(vec![InterfaceInfo { name: "eth0".to_owned(), addresses: vec!["10.1.2.3".to_owned()], ..InterfaceInfo::default() }]),
            services: Some(vec![ServiceInfo { name: "nginx".to_owned(), ..ServiceInfo::default() }]),
            ..sections(&[("nginx-common", "1.22")])
        };
        one.send(&AgentMessage::Inventory(Inventory { hash: "a".to_owned(), sections: whole })).await;
        tell(&mut two, "b", &[("bash", "5")]).await;
        inventory_of(&rmm, first, |_| true).await;
        inventory_of(&rmm, second, |_| true).await;
        let found = async |query: &str| {
            let list = items(&rmm.technician.get(&format!("/api/inventory/search?{query}")).await.expect(200));
            let rows = list.iter().map(|row| format!("{} {}", row["section"].as_str().unwrap(), row["name"].as_str().unwrap()));
            rows.collect::<Vec<_>>()
        };
        for (query, wanted) in [("q=XEON", "hardware cpu_model"), ("q=100%25", "hardware cpu_model"), ("q=debian", "os name"),
            ("q=sda1", "disks /srv"), ("q=10.1.2", "network eth0"), ("q=nginx&section=services", "services nginx"),
            ("q=nginx&section=software", "software nginx-common")] {
            assert_eq!(found(query).await, [wanted], "{query}");
        }
        assert_eq!(found("q=nginx").await, ["services nginx", "software nginx-common"], "software comes last");
        assert_eq!(found("q=ada").await.len(), 2, "a user of both");
        assert_eq!(found(&format!("q=ada&agent_id={second}")).await.len(), 1);
        assert!(found("q=c_u").await.is_empty(), "an underscore is no pattern");
        let mut seen = Vec::new();
        let mut path = "/api/inventory/search?q=n&limit=1".to_owned();
        loop {
            let page = rmm.technician.get(&path).await.expect(200);
            seen.extend(items(&page).iter().map(ToString::to_string));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/api/inventory/search?q=n&limit=1&cursor={cursor}");
        }
        let all = items(&rmm.technician.get("/api/inventory/search?q=n").await.expect(200));
        assert_eq!(seen, all.iter().map(ToString::to_string).collect::<Vec<_>>());
        rmm.technician.get("/api/inventory/search").await.refusal(400);
        rmm.technician.get("/api/inventory/search?q=x&section=colour").await.refusal(400);
        let body = serde_json::json!({"email": "elsewhere@example.com", "password": "a long password 3", "role": "technician",
            "scope": {"client_ids": []}});
        rmm.admin.post("/api/users", body).await.check(201);
        let elsewhere = rmm.server.anonymous().log_in("elsewhere@example.com", "a long password 3").await;
        assert!(items(&elsewhere.get("/api/inventory/search?q=n").await.expect(200)).is_empty());
    }

    async fn inventories_that_came_before_are_searched_after_a_start(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        tell(&mut agent, "a", &[]).await;
        inventory_of(&rmm, id, |_| true).await;
        // As a server left it that knew of no entries.
        let unset = match rmm.database.engine() {
            gururmm_tests::database::Engine::Sqlite => "0",
            gururmm_tests::database::Engine::Postgres => "false",
        };
        rmm.database.execute("DELETE FROM inventory_entries").await.unwrap();
        rmm.database.execute(&format!("UPDATE inventory SET indexed = {unset}")).await.unwrap();
        let found = async |rmm: &Deployment| items(&rmm.technician.get("/api/inventory/search?q=ada").await.expect(200));
        assert!(found(&rmm).await.is_empty());
        rmm.server.stop().await;
        rmm.server.restart().await;
        let rows = eventually("it is found", SOON, || async { Some(found(&rmm).await).filter(|rows| !rows.is_empty()) }).await;
        assert_eq!(rows[0]["agent_id"], id.to_string());
    }

    async fn an_inventory_that_is_too_large_or_too_soon_is_refused_and_the_agent_stays(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let long = "v".repeat(1024);
        let many: Vec<(&str, &str)> = (0..1100).map(|_| ("p", long.as_str())).collect();
        tell(&mut agent, "large", &many).await;
        assert_eq!(agent.expect_error().await.code, "too_large");
        tell(&mut agent, "first", &[("a\0b", "1"), ("a\0b", "1")]).await;
        let body = inventory_of(&rmm, id, |body| body["hash"] == "first").await;
        assert_eq!(body["sections"]["software"][0]["name"], "a\u{fffd}b");
        // A few at once are taken, for an agent may have been started again.
        for number in 0..8 {
            tell(&mut agent, &format!("again {number}"), &[]).await;
        }
        assert_eq!(agent.expect_error().await.code, "inventory_too_soon");
        rmm.wait_status(id, "online", SOON).await;
    }

    async fn an_agent_without_an_inventory_has_none(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.raw_agent().await;
        rmm.technician.get(&format!("/api/agents/{id}/inventory")).await.problem(404, "not_found");
    }
}

fn sections(software: &[(&str, &str)]) -> InventorySections {
    let software = software.iter().map(|(name, version)| SoftwareInfo {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
    });
    InventorySections {
        hardware: Some(HardwareInfo {
            cpu_cores: Some(4),
            ..HardwareInfo::default()
        }),
        software: Some(software.collect()),
        users: Some(vec![UserInfo {
            name: "ada".to_owned(),
            terminal: "tty1".to_owned(),
        }]),
        ..InventorySections::default()
    }
}

async fn tell(agent: &mut RawAgent, hash: &str, software: &[(&str, &str)]) {
    let told = Inventory {
        hash: hash.to_owned(),
        sections: sections(software),
    };
    agent.send(&AgentMessage::Inventory(told)).await;
}

async fn inventory_of(rmm: &Deployment, id: AgentId, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually("the inventory is kept", SOON, || async {
        let answer = rmm
            .technician
            .get(&format!("/api/agents/{id}/inventory"))
            .await;
        if answer.status != 200 {
            return None;
        }
        Some(answer.json()).filter(|body| wanted(body))
    })
    .await
}

async fn search(rmm: &Deployment, text: &str) -> Vec<Value> {
    let path = format!("/api/inventory/software?q={text}");
    items(&rmm.technician.get(&path).await.expect(200))
}
