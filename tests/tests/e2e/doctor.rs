//! `gururmm-server doctor`: what is wrong is told with what to do, and what is well is not complained of.

use std::os::unix::fs::PermissionsExt;

use gururmm_tests::server::run_server;
use gururmm_tests::{World, on_both_databases};

on_both_databases! {
    async fn a_server_that_runs_is_well(world: World) {
        let server = world.server(&[]).await;
        let listen = server.address().to_string();
        let (code, said) = doctor(&world, &[("listen", &listen)]);
        assert_eq!(code, Some(0), "{said}");
        for what in ["data directory", "disk", "secrets", "open files", "database", "clock", "certificate", "port"] {
            assert!(said.lines().any(|line| line.contains(&format!("{what}: "))), "{what}: {said}");
        }
        assert!(said.contains(&format!("{listen} is served")), "{said}");
        assert!(!said.contains("fault "), "{said}");
    }

    async fn each_fault_is_told_with_its_way_out_and_the_exit_code_is_1(world: World) {
        let mut server = world.server(&[]).await;
        server.stop().await;
        let key = world.data_dir().join("signing-key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        let settings = [("listen", listen.as_str()), ("tls.mode", "file"),
            ("tls.certificate", "/no/such/server.pem"), ("tls.key", "/no/such/server.key")];
        let (code, said) = doctor(&world, &settings);
        assert_eq!(code, Some(1), "{said}");
        for (what, fix) in [("secrets", "chmod 600"), ("port", "ss -ltnp"), ("certificate", "tls.certificate")] {
            let fault = said.lines().find(|line| line.starts_with("fault") && line.contains(&format!(" {what}: ")));
            let fault = fault.unwrap_or_else(|| panic!("no fault of {what}: {said}"));
            assert!(fault.contains(". To mend it: ") && fault.contains(fix), "{fault}");
        }
        assert!(said.contains("3 faults"), "{said}");
    }

    async fn a_database_that_cannot_be_reached_is_a_fault_without_its_password(world: World) {
        let url = "postgres://rmm:s3cret@127.0.0.1:1/gururmm";
        let (code, said) = doctor(&world, &[("database.url", url), ("listen", "127.0.0.1:0")]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.lines().any(|line| line.starts_with("fault") && line.contains(" database: ")), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

fn doctor(world: &World, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run_server(
        &world.data_dir(),
        &world.database,
        settings,
        &["doctor"],
        "",
    );
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), said.concat())
}
