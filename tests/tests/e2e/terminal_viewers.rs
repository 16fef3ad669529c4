//! Viewers of terminals: they come back and have missed nothing, see the screen when they are new, share a terminal,
//! only look where they may not write, and are cut off from what they break and nothing else.

use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{
    Frame, ResetCode, SignalName, StreamId, StreamMessage, TerminalSize, TunnelPayload,
};
use gururmm_tests::api::text;
use gururmm_tests::terminal_viewer::{TerminalViewer, ask_for_ticket, data};
use gururmm_tests::{Api, Viewer, on_both_databases};
use serde_json::json;
use uuid::Uuid;

const RAW_CAT: &str = "stty raw -echo; echo ready; exec cat";

on_both_databases! {
    async fn a_viewer_that_drops_comes_back_and_has_every_line_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let key = Uuid::new_v4();
        let mut viewer = TerminalViewer::open_with(&rmm.technician, session, &format!("&viewer={key}")).await;
        let terminal = viewer.run(&rmm.technician, "stty -opost; seq 1 100000; read line; exit 6").await;
        let mut came = Vec::new();
        for drop_after in [1, 5_000, 70_000, 150_000, 150_001] {
            viewer.has(&terminal, drop_after).await;
            came.extend_from_slice(&viewer.of(&terminal).bytes);
            // Without a word.
            drop(viewer);
            let more = format!("&viewer={key}&from={}", came.len());
            viewer = TerminalViewer::open_with(&rmm.technician, session, &more).await;
            viewer.shown(&terminal).await;
            let watched = viewer.of(&terminal);
            assert_eq!((watched.offset, watched.screen.is_none()), (came.len() as u64, true));
        }
        let rest = numbers(100_000).len() - came.len();
        viewer.has(&terminal, rest).await;
        came.extend_from_slice(&viewer.of(&terminal).bytes);
        assert!(came == numbers(100_000).as_bytes(), "{} bytes came", came.len());
        viewer.types(&terminal, b"go\n").await;
        assert_eq!(viewer.ended(&terminal).await.exit_code, Some(6));
    }

    async fn output_is_there_from_every_offset_while_it_runs_and_after_its_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "stty -opost -echo; seq 1 100000; read line; exit 6").await;
        let all = numbers(100_000);
        viewer.has(&terminal, all.len()).await;
        let (window, size) = (INITIAL_WINDOW_BYTES, all.len() as u64);
        let offsets = [0, 1, window - 1, window, window + 1, size - 1, size];
        for ended in [false, true] {
            if ended {
                viewer.types(&terminal, b"go\n").await;
                viewer.ended(&terminal).await;
            }
            for offset in offsets {
                // For this terminal, for all, and the one before the other.
                let channel = &terminal.channel;
                for more in [format!("&from={offset}"), format!("&from.{channel}={offset}"),
                    format!("&from=7&from.{channel}={offset}")] {
                    let mut other = TerminalViewer::open_with(&rmm.technician, session, &more).await;
                    other.shown(&terminal).await;
                    let at = usize::try_from(offset).unwrap();
                    other.has(&terminal, all.len() - at).await;
                    assert!(other.of(&terminal).bytes == all.as_bytes()[at..], "from {offset}");
                    assert!(other.of(&terminal).screen.is_none());
                    if ended {
                        assert_eq!(other.ended(&terminal).await.exit_code, Some(6));
                    }
                }
            }
            // What does not exist yet is no place to go on from.
            let more = format!("&from={}", size + 1_000_000);
            let mut other = TerminalViewer::open_with(&rmm.technician, session, &more).await;
            other.shown(&terminal).await;
            other.until("its screen", |viewer| viewer.of(&terminal).screen.is_some()).await;
            assert_eq!(other.of(&terminal).offset, size);
        }
        let ticket = ask_for_ticket(&rmm.technician, session, json!({})).await.expect(201);
        let path = format!("/api/v1/tunnel/{session}/stream?ticket={}&protocol=2&from.x%2Fy=0", text(&ticket, "ticket"));
        assert_eq!(rmm.technician.get(&path).await.status, 400);
    }

    async fn what_is_no_longer_kept_is_not_sent_in_pieces_but_as_the_screen(world: World) {
        let rmm = world.deploy(&[("tunnel.replay_bytes", "65536")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "seq 1 100000; read line").await;
        viewer.reads(&terminal, "\n100000\r\n").await;
        let size = viewer.of(&terminal).offset;
        let mut late = TerminalViewer::open_with(&rmm.technician, session, "&from=1000").await;
        late.until("its screen", |viewer| {
            viewer.watched.get(&terminal.stream).is_some_and(|it| it.screen.is_some())
        }).await;
        assert_eq!(late.of(&terminal).offset, size);
        let shows = late.of(&terminal).shows();
        let lines: String = (99_978..=100_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(shows.trim_end(), lines.trim_end());
        // From within what is kept it goes on byte by byte.
        let more = format!("&from={}", size - 60_000);
        let mut kept = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        kept.shown(&terminal).await;
        kept.has(&terminal, 60_000).await;
        assert!(viewer.of(&terminal).bytes.ends_with(&kept.of(&terminal).bytes));
    }

    async fn input_that_a_lost_connection_took_along_is_sent_again_and_taken_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let key = Uuid::new_v4();
        let more = format!("&viewer={key}");
        let mut viewer = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        let terminal = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&terminal, "ready\n").await;
        let begins = viewer.of(&terminal).offset;
        let typed: Vec<u8> = numbers(40_000).into_bytes();
        let mut sent = 0;
        while sent < typed.len() {
            // Never more than the window, so that all of it may be on its way when the line breaks.
            let piece = &typed[sent..typed.len().min(sent + 50_000)];
            viewer.types(&terminal, piece).await;
            drop(viewer);
            viewer = TerminalViewer::open_with(&rmm.technician, session, &more).await;
            viewer.shown(&terminal).await;
            let received = viewer.of(&terminal).opened.input_received;
            assert!(received >= sent as u64 && received <= (sent + piece.len()) as u64);
            // Some of what it has comes again and is dropped.
            let again = received.saturating_sub(100);
            let at = usize::try_from(again).unwrap();
            let to = usize::try_from(received).unwrap();
            if to > at {
                viewer.send_frame(&data(terminal.stream, again, &typed[at..to])).await;
            }
            sent = to;
        }
        let more = format!("&viewer={}&from={begins}", Uuid::new_v4());
        let mut reader = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        reader.shown(&terminal).await;
        reader.has(&terminal, typed.len()).await;
        assert!(reader.of(&terminal).bytes == typed, "what was typed is not what came");
    }

    async fn a_viewer_that_comes_back_takes_the_place_of_its_old_socket(world: World) {
        let rmm = world.deploy(&[("tunnel.max_viewers", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let more = format!("&viewer={}", Uuid::new_v4());
        let mut old = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        let terminal = old.run(&rmm.technician, RAW_CAT).await;
        old.types(&terminal, b"abc").await;
        old.reads(&terminal, "abc").await;
        let ticket = ask_for_ticket(&rmm.admin, session, json!({"read_only": true})).await.expect(201);
        // Another user's of the same name is another viewer.
        let mut other = TerminalViewer::connect(&rmm.admin, session, text(&ticket, "ticket"), &more).await;
        other.shown(&terminal).await;
        old.types(&terminal, b"def").await;
        old.reads(&terminal, "def").await;
        let mut new = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        assert_eq!(old.close_code().await, Some(4001));
        new.shown(&terminal).await;
        assert_eq!(new.of(&terminal).opened.input_received, 6);
        assert_eq!(new.of(&terminal).size.1, Some(new.number()), "it holds the size as before");
        new.types(&terminal, b"ghi").await;
        new.reads(&terminal, "ghi").await;
        other.reads(&terminal, "ghi").await;
    }

    async fn a_new_viewer_is_drawn_the_screen_and_asked_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut first = TerminalViewer::open(&rmm.technician, session).await;
        let script = r"stty raw -echo; printf 'plain\r\n\033[1;31mred and bold\033[0m\r\n\033[6n\033[c\033[>c\033[5n\033]11;?\007';
            printf '\033[?2004h\033[10;20Hhere \342\230\202\033[4;7H'; printf done; while read -r line; do printf '%s' more; done";
        let terminal = first.run(&rmm.technician, script).await;
        first.reads(&terminal, "done").await;
        let mut new = TerminalViewer::open(&rmm.technician, session).await;
        new.until("its screen", |viewer| {
            viewer.watched.get(&terminal.stream).is_some_and(|it| it.screen.is_some())
        }).await;
        assert_eq!(new.of(&terminal).offset, first.of(&terminal).offset, "nothing old is sent");
        let drawing = String::from_utf8_lossy(&new.of(&terminal).drawing()).into_owned();
        for query in ["\u{1b}[6n", "\u{1b}[c", "\u{1b}[>c", "\u{1b}[5n", "\u{1b}]11;?"] {
            assert!(first.of(&terminal).text().contains(query), "{query:?} was asked once");
            assert!(!drawing.contains(query), "{query:?} is asked again: {drawing:?}");
        }
        let (one, other) = (first.of(&terminal).terminal(), new.of(&terminal).terminal());
        assert_eq!(one.screen().state_formatted(), other.screen().state_formatted());
        assert!(other.screen().bracketed_paste());
        // And both go on from there.
        first.types(&terminal, b"go\n").await;
        first.reads(&terminal, "more").await;
        new.reads(&terminal, "more").await;
        assert_eq!(first.of(&terminal).shows(), new.of(&terminal).shows());
    }

    async fn a_new_viewer_sees_the_alternate_screen_and_what_is_below_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut first = TerminalViewer::open(&rmm.technician, session).await;
        let script = r"stty raw -echo; printf 'a shell below\r\n$ vi'; printf '\033[?1049h\033[2J\033[Han editor\033[3;5H\033[7minverse'; printf done;
            read -r line; printf '\033[?1049l'; printf over; exec sleep 1000";
        let terminal = first.run(&rmm.technician, script).await;
        first.reads(&terminal, "done").await;
        let mut new = TerminalViewer::open(&rmm.technician, session).await;
        new.until("its screen", |viewer| {
            viewer.watched.get(&terminal.stream).is_some_and(|it| it.screen.is_some())
        }).await;
        let shows = |viewer: &TerminalViewer| {
            let shown = viewer.of(&terminal).terminal();
            let screen = shown.screen();
            (screen.alternate_screen(), screen.contents(), screen.state_formatted())
        };
        assert_eq!(shows(&new), shows(&first));
        assert!(shows(&new).0 && shows(&new).1.contains("an editor"));
        first.types(&terminal, b"q\n").await;
        first.reads(&terminal, "over").await;
        new.reads(&terminal, "over").await;
        assert!(!shows(&new).0 && shows(&new).1.contains("a shell below"), "{:?}", shows(&new).1);
        assert_eq!(shows(&new).1, shows(&first).1);
    }

    async fn viewers_see_the_same_and_one_of_them_holds_the_size(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut one = TerminalViewer::open(&rmm.technician, session).await;
        let mut two = TerminalViewer::open(&rmm.technician, session).await;
        let script = "stty -echo; trap 'stty size' WINCH; echo ready; while :; do read line && echo \"read $line\"; done";
        let terminal = one.run(&rmm.technician, script).await;
        one.reads(&terminal, "ready").await;
        two.reads(&terminal, "ready").await;
        one.types(&terminal, b"from one\n").await;
        two.reads(&terminal, "read from one\r\n").await;
        two.types(&terminal, b"from two\n").await;
        one.reads(&terminal, "read from two\r\n").await;
        two.reads(&terminal, "read from two\r\n").await;
        assert!(one.of(&terminal).bytes == two.of(&terminal).bytes);
        let holder = Some(one.number());
        assert_eq!((one.of(&terminal).size.1, two.of(&terminal).size.1), (holder, holder));

        // Who does not hold the size is told what it is.
        two.resizes(&terminal, 60, 20).await;
        let told = two.expect("its size", resized).await;
        assert_eq!(told, (TerminalSize { cols: 80, rows: 24 }, holder));
        one.resizes(&terminal, 100, 30).await;
        assert_eq!(one.expect("its size", resized).await.0.cols, 100);
        assert_eq!(two.expect("its size", resized).await, (TerminalSize { cols: 100, rows: 30 }, holder));
        two.reads(&terminal, "30 100\r\n").await;
        // Taking it over is a wish of its own.
        two.takes_size(&terminal, 60, 20).await;
        let holder = Some(two.number());
        for viewer in [&mut one, &mut two] {
            assert_eq!(viewer.expect("its size", resized).await, (TerminalSize { cols: 60, rows: 20 }, holder));
            viewer.reads(&terminal, "20 60\r\n").await;
        }
        one.resizes(&terminal, 90, 25).await;
        assert_eq!(one.expect("its size", resized).await, (TerminalSize { cols: 60, rows: 20 }, holder));
        // When the holder leaves, the next who wishes for a size has it.
        drop(two);
        assert_eq!(one.expect("nobody holds it", resized).await.1, None);
        one.resizes(&terminal, 90, 25).await;
        assert_eq!(one.expect("its size", resized).await, (TerminalSize { cols: 90, rows: 25 }, Some(one.number())));
        one.reads(&terminal, "25 90\r\n").await;
    }

    async fn who_watches_is_told_to_everybody_who_watches(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut one = TerminalViewer::open(&rmm.technician, session).await;
        let told = one.expect("viewers", viewers).await;
        assert_eq!(told, [(one.number(), "technician".to_owned(), false)]);
        let two = observer(&rmm.admin, session).await;
        let told = one.expect("viewers", viewers).await;
        assert_eq!(told, [(one.number(), "technician".to_owned(), false), (two.number(), "Ada".to_owned(), true)]);
        drop(two);
        assert_eq!(one.expect("viewers", viewers).await.len(), 1);
    }

    async fn who_only_watches_sees_all_and_changes_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut owner = TerminalViewer::open(&rmm.technician, session).await;
        let script = "stty -echo; for one in INT HUP TERM; do trap \"echo got-$one\" $one; done; echo ready; \
            while :; do read line && echo \"read $line\"; done";
        let terminal = owner.run(&rmm.technician, script).await;
        owner.reads(&terminal, "ready").await;
        let own = ask_for_ticket(&rmm.technician, session, json!({"read_only": true})).await.expect(201);
        let own = TerminalViewer::connect(&rmm.technician, session, text(&own, "ticket"), "").await;
        for mut observer in [observer(&rmm.admin, session).await, own] {
            assert!(observer.session.read_only);
            observer.shown(&terminal).await;
            observer.until("its screen", |viewer| viewer.of(&terminal).screen.is_some()).await;
            assert!(observer.of(&terminal).shows().contains("ready"));
            observer.caught_up().await;
            assert_eq!(observer.of(&terminal).input_limit, 0, "it is given no window to write");
            observer.send_frame(&data(terminal.stream, 0, b"from an observer\n")).await;
            assert_eq!(observer.expect("error", error).await, "read_only");
            observer.resizes(&terminal, 40, 10).await;
            assert_eq!(observer.expect("error", error).await, "read_only");
            observer.takes_size(&terminal, 40, 10).await;
            assert_eq!(observer.expect("error", error).await, "read_only");
            for signal in [SignalName::Interrupt, SignalName::Kill] {
                observer.signals(&terminal, signal).await;
                assert_eq!(observer.expect("error", error).await, "read_only");
            }
            observer.say_of(&terminal, TunnelPayload::Close).await;
            assert_eq!(observer.expect("error", error).await, "read_only");
            owner.types(&terminal, b"from the owner\n").await;
            owner.reads(&terminal, "read from the owner\r\n").await;
            observer.reads(&terminal, "read from the owner\r\n").await;
            assert!(observer.of(&terminal).reset.is_none());
        }
        let wrote = owner.of(&terminal).text();
        assert!(!wrote.contains("observer") && !wrote.contains("got-"), "{wrote:?}");
        assert_eq!(owner.of(&terminal).size.0, TerminalSize { cols: 80, rows: 24 });
        assert!(owner.of(&terminal).ended.is_none());
    }

    async fn others_sessions_are_watched_only_by_administrators_and_on_record(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        for api in [&other, &reader] {
            for wish in [json!({}), json!({"read_only": true}), json!({"read_only": false})] {
                ask_for_ticket(api, session, wish).await.refusal(403);
            }
        }
        for wish in [json!({}), json!({"read_only": false})] {
            ask_for_ticket(&rmm.admin, session, wish).await.problem(403, "not_your_session");
        }
        let watches = || async {
            let rows = rmm.audit(session).await;
            rows.into_iter().filter(|row| row["action"] == "watch").collect::<Vec<_>>()
        };
        assert!(watches().await.is_empty());
        observer(&rmm.admin, session).await;
        let rows = watches().await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["user_email"], "admin@example.com");
        assert_eq!(rows[0]["agent_id"], id.to_string());
        // Who only looks at the own session is no matter for it.
        ask_for_ticket(&rmm.technician, session, json!({"read_only": true})).await.check(201);
        assert_eq!(watches().await.len(), 1);
    }

    async fn a_frame_that_does_not_fit_costs_its_viewer_that_terminal_and_nobody_anything_else(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut witness = TerminalViewer::open(&rmm.technician, session).await;
        let broken = witness.run(&rmm.technician, RAW_CAT).await;
        let deaf = witness.run(&rmm.technician, "stty raw -echo; echo ready; exec sleep 1000").await;
        let whole = witness.run(&rmm.technician, RAW_CAT).await;
        for terminal in [&broken, &deaf, &whole] {
            witness.reads(terminal, "ready\n").await;
        }
        let nothing = StreamId(4_000_000_000);
        let far = vec![b'x'; 65_536];
        type Case = (&'static str, ResetCode, StreamId, Vec<Frame>);
        let cases: Vec<Case> = vec![
            ("a gap", ResetCode::Gap, broken.stream, vec![data(broken.stream, 1, b"x")]),
            ("a gap after some", ResetCode::Gap, broken.stream,
                vec![data(broken.stream, 0, b"ab"), data(broken.stream, 3, b"x")]),
            ("more than the window", ResetCode::Overrun, deaf.stream,
                (0..20_u64).map(|piece| data(deaf.stream, piece * 65_536, &far)).collect()),
            ("far beyond the window", ResetCode::Overrun, broken.stream,
                vec![data(broken.stream, 0, &far), data(broken.stream, 65_536, &far), data(broken.stream, 131_072, &far),
                    data(broken.stream, 196_608, &far), data(broken.stream, 262_144, &far)]),
            ("no such stream", ResetCode::UnknownStream, nothing, vec![data(nothing, 0, b"x")]),
            ("a window of no such stream", ResetCode::UnknownStream, nothing,
                vec![Frame::Window { stream: nothing, limit: 5 }]),
            ("the end of no such stream", ResetCode::UnknownStream, nothing,
                vec![Frame::Eof { stream: nothing, offset: 0 }]),
        ];
        for (number, (what, code, stream, frames)) in cases.into_iter().enumerate() {
            let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
            viewer.shown(&whole).await;
            // A fast agent takes what is too much for the window before it is.
            agent.freeze();
            for frame in &frames {
                viewer.send_frame(frame).await;
            }
            assert_eq!(viewer.reset(stream).await, code, "{what}");
            agent.thaw();
            // The others go on, for this viewer and for that.
            let word = format!("<after {number}>");
            viewer.types(&whole, word.as_bytes()).await;
            viewer.reads(&whole, &word).await;
            witness.reads(&whole, &word).await;
            witness.types(&broken, word.as_bytes()).await;
            witness.reads(&broken, &word).await;
            // And it may come back to what it lost.
            drop(viewer);
            let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
            viewer.shown(&broken).await;
            let word = format!("<back {number}>");
            viewer.types(&broken, word.as_bytes()).await;
            viewer.reads(&broken, &word).await;
        }
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn what_is_no_frame_is_answered_and_too_long_a_one_ends_the_viewer_alone(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&terminal, "ready\n").await;
        let empty_data = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        for nonsense in [&b""[..], &b"\x00"[..], &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], &empty_data[..]] {
            viewer.send_binary(bytes::Bytes::copy_from_slice(nonsense)).await;
            assert_eq!(viewer.expect("error", error).await, "bad_frame", "{nonsense:?}");
        }
        viewer.types(&terminal, b"still here").await;
        viewer.reads(&terminal, "still here").await;
        let mut large = TerminalViewer::open(&rmm.technician, session).await;
        large.shown(&terminal).await;
        large.send_frame(&data(terminal.stream, 0, &vec![b'x'; 65_537])).await;
        assert_eq!(large.close_code().await, Some(1009));
        viewer.types(&terminal, b"and here").await;
        viewer.reads(&terminal, "and here").await;
    }

    async fn a_viewer_of_the_first_protocol_works_beside_terminals(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&terminal, "ready\n").await;
        let mut old = Viewer::open(&rmm.technician, session).await;
        let snapshot = old.session().await;
        assert!(snapshot.channels.is_empty(), "{snapshot:?}");
        assert_eq!(snapshot.viewer, None);
        let (_, channel) = rmm.command(session, "echo out; echo err >&2; exit 3").await;
        viewer.types(&terminal, b"typed").await;
        viewer.reads(&terminal, "typed").await;
        let output = old.output(&channel).await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.exit_code), ("out\n", "err\n", Some(3)));
        // Every word that it does not know stays away from it, and those of terminals it may not say.
        old.send_data(terminal.channel.as_str(), TunnelPayload::Close).await;
        assert_eq!(old.next().await.ok().as_ref().and_then(error).as_deref(), Some("unknown_channel"));
        old.send_text("{\"type\":\"take_size\",\"payload\":{\"channel_id\":\"x\",\"size\":{\"cols\":1,\"rows\":1}}}").await;
        assert_eq!(old.next().await.ok().as_ref().and_then(error).as_deref(), Some("unknown_type"));
        viewer.types(&terminal, b"and again").await;
        viewer.reads(&terminal, "and again").await;
        // One of both kinds sees the command, too.
        let told = viewer.session.channels.len();
        let late = TerminalViewer::open(&rmm.technician, session).await;
        assert_eq!((told, late.session.channels.len()), (0, 2), "{:?}", late.session.channels);
    }
}

fn numbers(to: u32) -> String {
    (1..=to).map(|number| format!("{number}\n")).collect()
}

/// An administrator's viewer of somebody else's session.
async fn observer(api: &Api, session: gururmm_shared::SessionId) -> TerminalViewer {
    let ticket = ask_for_ticket(api, session, json!({"read_only": true}))
        .await
        .expect(201);
    TerminalViewer::connect(api, session, text(&ticket, "ticket"), "").await
}

fn resized(message: &StreamMessage) -> Option<(TerminalSize, Option<u64>)> {
    match message {
        StreamMessage::TerminalResized(resized) => Some((resized.size, resized.holder)),
        _ => None,
    }
}

fn viewers(message: &StreamMessage) -> Option<Vec<(u64, String, bool)>> {
    match message {
        StreamMessage::Viewers(list) => {
            let viewers = list.viewers.iter();
            Some(
                viewers
                    .map(|one| (one.viewer, one.name.clone(), one.read_only))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn error(message: &StreamMessage) -> Option<String> {
    match message {
        StreamMessage::Error(error) => Some(error.code.clone()),
        _ => None,
    }
}
