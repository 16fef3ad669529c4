//! Many transfers in one session, next to a command and a terminal that go on.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use gururmm_cli::client::{
    Client, NewTerminal, Output, SessionClient, Terminal, Trust, Viewer, ViewerOptions,
};
use gururmm_tests::files::{noise, text};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Machine, on_both_databases};
use reqwest::Method;
use tokio::task::JoinSet;

/// How long a keystroke may take on a shared builder; without a lane of its own it waits for the bulk for good.
const QUICK: Duration = Duration::from_secs(5);

on_both_databases! {
    async fn transfers_side_by_side_arrive_whole_while_a_terminal_and_a_command_answer(world: World) {
        let machine = Machine::start(&world).await;
        let (mut terminal, _viewer) = terminal(&machine).await;
        // Neither of the two can end: the one is not read, of the other the end is missing.
        let unread = machine.path("unread");
        std::fs::File::create(&unread).unwrap().set_len(64 << 20).unwrap();
        let request = machine.files.request(Method::GET, "files/content", &[("path", text(&unread))]);
        let mut stalled = request.send().await.unwrap().bytes_stream();
        stalled.next().await.unwrap().unwrap();
        let bytes = noise(4 << 20);
        let held_to = machine.path("held");
        let mut held = machine.files.begin_upload((&held_to, "held"), &bytes, 0).await;
        held.send(&bytes[1..]).await;
        let mut transfers = JoinSet::new();
        for number in 0..8 {
            let (files, bytes) = (machine.files.clone(), bytes.clone());
            let from = machine.file(&format!("down-{number}"), &bytes);
            let to = machine.path(&format!("up-{number}"));
            transfers.spawn(async move {
                let (down, up) = tokio::join!(files.download(&from, &[]), files.upload((&to, "u"), &bytes, 0, &[]));
                down.check(200);
                up.check(200);
                assert!(down.body == bytes && std::fs::read(&to).unwrap() == bytes);
            });
        }
        let mut rounds = 0;
        while !transfers.is_empty() || rounds == 0 {
            let start = Instant::now();
            let word = format!("round-{rounds}");
            terminal.input().write(format!("echo {word} | tr a-z A-Z\n").as_bytes()).await.unwrap();
            read_until(&mut terminal, &word.to_uppercase()).await;
            assert!(start.elapsed() < QUICK, "the terminal took {:?}", start.elapsed());
            let output = machine.rmm.run(machine.session, &format!("echo {word}")).await;
            assert_eq!(output.stdout, format!("{word}\n"));
            while let Some(done) = transfers.try_join_next() {
                done.unwrap();
            }
            rounds += 1;
        }
        let status = machine.rmm.session(machine.session).await;
        assert!(status["status"] == "ready", "{status}");
        assert!(!held_to.exists());
        held.send(&bytes[..1]).await;
        let (status, body) = held.answer().await.expect("an answer");
        assert_eq!((status, &body["code"]), (422, &serde_json::json!("bad_checksum")), "its bytes came in another order");
    }
}

/// Opens a terminal with the technician's tool's own client.
async fn terminal(machine: &Machine) -> (Terminal, Viewer) {
    let address = machine.rmm.server.url().parse().expect("an address");
    let client = Client::new(address, Trust::new(None).unwrap()).unwrap();
    let client = client.with_token(machine.rmm.technician.token());
    let session = SessionClient::of(&client, machine.session);
    let viewer = Viewer::open(&session, ViewerOptions::default())
        .await
        .unwrap();
    let wanted = NewTerminal {
        shell: Some("sh".to_owned()),
        ..NewTerminal::default()
    };
    (viewer.terminal(&wanted).await.unwrap(), viewer)
}

async fn read_until(terminal: &mut Terminal, wanted: &str) {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let next = tokio::time::timeout(SOON, terminal.read()).await;
        let next = next.unwrap_or_else(|_| panic!("no {wanted:?} in {seen:?}"));
        match next.expect("the terminal lives") {
            Some(Output::Bytes(bytes) | Output::Screen { bytes, .. }) => {
                seen += &String::from_utf8_lossy(&bytes);
            }
            None => panic!("the terminal ended: {seen:?}"),
        }
    }
}
