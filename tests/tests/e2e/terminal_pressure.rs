//! Terminals whose viewers take less than the program writes: the program waits, the server keeps little, and others
//! notice nothing.

use std::time::{Duration, Instant};

use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{EndReason, StreamMessage};
use gururmm_tests::processes::running;
use gururmm_tests::terminal_viewer::{OpenedTerminal, TerminalViewer};
use gururmm_tests::wait::{SOON, eventually_trying};
use gururmm_tests::{eventually, hold, on_both_databases};
use uuid::Uuid;

const RAW_CAT: &str = "stty raw -echo; echo ready; exec cat";
/// What the server may keep for the session: less than 1 MiB, of which the replay is a part.
const KEPT_KIB: u64 = 1024;
/// What a shared machine may add to the time of a keystroke.
const NOISE: Duration = Duration::from_millis(20);
/// Promised are 200 ms; the machines of tests are shared.
const CTRL_C: Duration = Duration::from_secs(2);

on_both_databases! {
    async fn a_flood_that_nobody_reads_blocks_its_program_and_costs_the_server_little(world: World) {
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "600")]).await;
        let (_agent, id) = rmm.agent().await;
        let (_other_agent, other_id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let other_session = rmm.open(other_id).await;
        let mut quick = TerminalViewer::open(&rmm.technician, other_session).await;
        let cat = quick.run(&rmm.technician, RAW_CAT).await;
        quick.reads(&cat, "ready\n").await;
        // What every first flood costs is not this one's.
        let mut warm = TerminalViewer::open(&rmm.technician, session).await;
        let flood = Flood::start(&mut warm, &rmm.technician).await;
        warm.has(&flood.terminal, 8 * 1024 * 1024).await;
        flood.ends(&mut warm).await;
        drop(warm);
        let before = anonymous_kib(rmm.server.pid());
        let alone = keystroke(&mut quick, &cat).await;

        let mut stalled = TerminalViewer::open(&rmm.technician, session).await;
        let flood = Flood::start(&mut stalled, &rmm.technician).await;
        // From here on it takes nothing more from its socket.
        flood.is_blocked().await;
        let grown = anonymous_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < KEPT_KIB, "the server grew by {grown} KiB");
        // In another session a keystroke comes back, and in the same one, on a socket that is read.
        let beside_a_flood = keystroke(&mut quick, &cat).await;
        println!("a keystroke: {alone:?} alone, {beside_a_flood:?} beside a flood; the server grew by {grown} KiB");
        assert!(beside_a_flood < alone * 3 + NOISE, "{beside_a_flood:?}, alone {alone:?}");
        let mut beside = TerminalViewer::open(&rmm.technician, session).await;
        let own = beside.run(&rmm.technician, RAW_CAT).await;
        beside.reads(&own, "ready\n").await;
        beside.types(&own, b"beside").await;
        beside.reads(&own, "beside").await;
        // It watches the flood, too, and would be waited for.
        drop(beside);
        hold("the program waits", Duration::from_secs(1), || async { flood.is_still().await }).await;
        // It reads on, and nothing is missing.
        stalled.has(&flood.terminal, 4 * 1024 * 1024).await;
        assert!(stalled.of(&flood.terminal).bytes.chunks(flood.line.len()).all(|line| flood.line.starts_with(line)));
        flood.ends(&mut stalled).await;
    }

    async fn a_viewer_that_grants_nothing_gets_its_window_and_not_a_byte_more(world: World) {
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "600")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        viewer.grants = false;
        let flood = Flood::start(&mut viewer, &rmm.technician).await;
        let window = usize::try_from(INITIAL_WINDOW_BYTES).unwrap();
        viewer.has(&flood.terminal, window).await;
        flood.is_blocked().await;
        // Another terminal of the same viewer goes on.
        let cat = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&cat, "ready\n").await;
        viewer.types(&cat, b"typed").await;
        viewer.reads(&cat, "typed").await;
        assert_eq!(viewer.of(&flood.terminal).bytes.len(), window);
        // A second viewer does not get more than the first, and reads on when it leaves.
        let mut second = TerminalViewer::open(&rmm.technician, session).await;
        second.shown(&flood.terminal).await;
        flood.is_blocked().await;
        drop(viewer);
        second.has(&flood.terminal, 2 * 1024 * 1024).await;
        flood.ends(&mut second).await;
    }

    async fn ctrl_c_in_a_flood_takes_effect_though_nobody_reads(world: World) {
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "600")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        for reads in [true, false] {
            let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
            viewer.grants = reads;
            let flood = Flood::start(&mut viewer, &rmm.technician).await;
            if reads {
                viewer.has(&flood.terminal, 2 * 1024 * 1024).await;
            } else {
                viewer.has(&flood.terminal, usize::try_from(INITIAL_WINDOW_BYTES).unwrap()).await;
                flood.is_blocked().await;
            }
            viewer.types(&flood.terminal, b"\x03").await;
            let pressed = Instant::now();
            if reads {
                let ended = viewer.ended(&flood.terminal).await;
                assert_eq!((ended.exit_code, ended.reason), (Some(130), Some(EndReason::Signalled)));
            } else {
                flood.is_gone().await;
            }
            let took = pressed.elapsed();
            assert!(took < CTRL_C, "it took {took:?}, though the viewer reads: {reads}");
        }
    }

    async fn a_viewer_that_stalls_is_closed_with_4008_and_its_session_lives(world: World) {
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut witness = TerminalViewer::open(&rmm.technician, session).await;
        let cat = witness.run(&rmm.technician, RAW_CAT).await;
        witness.reads(&cat, "ready\n").await;
        // One whose terminal takes nothing, though its socket is read.
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        viewer.grants = false;
        viewer.shown(&cat).await;
        let flood = Flood::start(&mut witness, &rmm.technician).await;
        let first = async { assert_eq!(viewer.close_code().await, Some(4008)) };
        let second = async {
            witness.has(&flood.terminal, 3 * 1024 * 1024).await;
        };
        tokio::join!(first, second);
        flood.ends(&mut witness).await;
        // One whose socket takes nothing.
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        viewer.shown(&cat).await;
        let number = viewer.number();
        let flood = Flood::start(&mut witness, &rmm.technician).await;
        witness.expect("who watches, without the one that stalled", |message| match message {
            StreamMessage::Viewers(list) => {
                list.viewers.iter().all(|one| one.viewer != number).then_some(())
            }
            _ => None,
        })
        .await;
        let behind = witness.of(&flood.terminal).bytes.len();
        witness.has(&flood.terminal, behind + 1024 * 1024).await;
        // The session lives, and who was closed may come back.
        witness.types(&cat, b"alive").await;
        witness.reads(&cat, "alive").await;
        flood.ends(&mut witness).await;
        // The close frame waits behind what it did not take, so it may not get it; the server says what it did.
        let code = viewer.close_code().await;
        assert!(code.is_none_or(|code| code == 4008), "{code:?}");
        let log = rmm.server.log();
        assert_eq!(log.matches("a viewer took nothing for too long and is closed").count(), 2, "{log}");
        let mut again = TerminalViewer::open(&rmm.technician, session).await;
        again.shown(&cat).await;
        again.types(&cat, b"and again").await;
        again.reads(&cat, "and again").await;
    }

    async fn without_a_viewer_a_program_runs_freely(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = world.file("done");
        let script = format!("seq 1 3000000; touch {}; read line", marker.display());
        let terminal = viewer.run(&rmm.technician, &script).await;
        drop(viewer);
        eventually("the program gets to its end", SOON * 3, || async { marker.exists().then_some(()) }).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        viewer.until("its screen", |viewer| {
            viewer.watched.get(&terminal.stream).is_some_and(|it| it.screen.is_some())
        }).await;
        eventually_trying("all of it was written", SOON, async || {
            viewer.caught_up().await;
            viewer.of(&terminal).shows().contains("3000000").then_some(())
        }).await;
    }
}

/// How long a keystroke takes there and back: the middle of many.
async fn keystroke(viewer: &mut TerminalViewer, cat: &OpenedTerminal) -> Duration {
    let mut times = Vec::new();
    for number in 0..41 {
        let word = format!("<{number}>");
        let begun = Instant::now();
        viewer.types(cat, word.as_bytes()).await;
        viewer.reads(cat, &word).await;
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// A `yes` that nobody else runs.
struct Flood {
    terminal: OpenedTerminal,
    line: Vec<u8>,
    word: String,
    pid: u32,
}

impl Flood {
    async fn start(viewer: &mut TerminalViewer, api: &gururmm_tests::Api) -> Self {
        let word = Uuid::new_v4().simple().to_string();
        let script = format!("stty -opost; exec yes {word}");
        let terminal = viewer.run(api, &script).await;
        let pid = eventually("the flood begins", SOON, || async { flooding(&word) }).await;
        let line = format!("{word}\n").into_bytes();
        Self {
            terminal,
            line,
            word,
            pid,
        }
    }

    /// Waits until its program uses no time any more.
    async fn is_blocked(&self) {
        eventually("the program waits", SOON, || async {
            self.is_still().await.then_some(())
        })
        .await;
    }

    /// Whether its program uses no time for a moment.
    async fn is_still(&self) -> bool {
        let before = processor_ticks(self.pid);
        let mut same = true;
        hold("looking", Duration::from_millis(400), || {
            same &= processor_ticks(self.pid) == before;
            async { true }
        })
        .await;
        same
    }

    async fn is_gone(&self) {
        eventually("the program is gone", SOON, || async {
            flooding(&self.word).is_none().then_some(())
        })
        .await;
    }

    /// Ends it with Ctrl-C and reads to its end.
    async fn ends(self, viewer: &mut TerminalViewer) {
        viewer.types(&self.terminal, b"\x03").await;
        let ended = viewer.ended(&self.terminal).await;
        assert_eq!(ended.exit_code, Some(130));
        self.is_gone().await;
    }
}

fn flooding(word: &str) -> Option<u32> {
    let found = running(|arguments| {
        arguments.first().is_some_and(|name| name.ends_with("yes"))
            && arguments.get(1).is_some_and(|it| it == word)
    });
    found.first().copied()
}

/// The processor's time that a process has used, in ticks (proc(5), fields 14 and 15 of `stat`).
fn processor_ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = text.rsplit_once(')').expect("the name in brackets");
    let numbers: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|number| number.parse().expect("a number"))
        .collect();
    numbers.iter().sum()
}

/// Resident memory of a process that is no file's, in KiB: what it keeps, not what it runs.
fn anonymous_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}
