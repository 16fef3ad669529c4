//! What viewers of terminals get, how the agent is held back, and who comes back to what.

use std::time::Duration;

use bytes::Bytes;
use gururmm_shared::{
    AuditId, CommandId, KeptTerminal, StreamPosition, TerminalOpened, TerminalSize, UserId,
};
use uuid::Uuid;

use super::onlookers::{REMEMBERED_FOR, REMEMBERED_VIEWERS};
use super::*;
use crate::terminal::OUTPUT_WINDOW_BYTES;
use crate::terminal_input::INPUT_WINDOW_BYTES;

const REPLAY: u64 = 1024 * 1024;
const WINDOW: u64 = 256 * 1024;
const STREAM: StreamId = StreamId(1);
const SIZE: TerminalSize = TerminalSize { cols: 80, rows: 24 };
const PATIENCE: Duration = Duration::from_secs(30);

fn new(number: u32) -> NewTerminal {
    NewTerminal {
        channel_id: ChannelId::terminal(number.into()),
        stream: StreamId(number),
        command_id: CommandId::generate(),
        audit_id: AuditId::generate(),
        program: "/bin/sh".to_owned(),
        size: SIZE,
        window: WINDOW,
        input_window: INPUT_WINDOW_BYTES,
        keep_input: 0,
        is_recorded: false,
    }
}

fn one_terminal() -> Terminals {
    let mut terminals = Terminals::new(REPLAY);
    terminals.opened(new(1));
    terminals
}

fn channel() -> ChannelId {
    ChannelId::terminal(1)
}

fn watch() -> Watch {
    Watch::default()
}

fn from(offset: u64) -> Watch {
    Watch {
        from: Some(offset),
        ..Watch::default()
    }
}

fn byte(offset: u64) -> u8 {
    b'a' + u8::try_from(offset % 23).unwrap()
}

fn bytes(offset: u64, length: u64) -> Bytes {
    (offset..offset + length)
        .map(byte)
        .collect::<Vec<_>>()
        .into()
}

fn data(offset: u64, length: u64) -> Frame {
    Frame::Data {
        stream: STREAM,
        offset,
        bytes: bytes(offset, length),
    }
}

fn typed(offset: u64, text: &'static str) -> Frame {
    Frame::Data {
        stream: STREAM,
        offset,
        bytes: Bytes::from_static(text.as_bytes()),
    }
}

fn window(limit: u64) -> Frame {
    Frame::Window {
        stream: STREAM,
        limit,
    }
}

/// A viewer as a client keeps it.
#[derive(Default)]
struct Client {
    number: ViewerNumber,
    opened: Vec<TerminalOpened>,
    screens: usize,
    next: u64,
    received: u64,
    owed: u64,
    input_limit: u64,
    resets: Vec<ResetCode>,
    errors: Vec<String>,
    sizes: Vec<(TerminalSize, Option<ViewerNumber>)>,
    eof: bool,
    closed: Option<gururmm_shared::TerminalClosed>,
}

impl Client {
    fn new(number: ViewerNumber) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// Takes what is for it, and checks that no byte is missing, double or another one.
    fn hear(&mut self, step: &TerminalStep) {
        for delivery in step
            .deliveries
            .iter()
            .filter(|one| one.viewer == self.number)
        {
            self.owed += delivery.bytes;
            match &delivery.word {
                Word::Frame(frame) => match Frame::decode(frame.clone()).unwrap() {
                    Frame::Data {
                        offset, bytes: got, ..
                    } => {
                        assert_eq!(offset, self.next);
                        assert_eq!(got, bytes(offset, got.len() as u64));
                        assert!(self.closed.is_none() && !self.eof);
                        self.next += got.len() as u64;
                        self.received += got.len() as u64;
                    }
                    Frame::Window { limit, .. } => self.input_limit = limit,
                    Frame::Eof { offset, .. } => {
                        assert_eq!(offset, self.next);
                        self.eof = true;
                    }
                    Frame::Reset { code, .. } => self.resets.push(code),
                },
                Word::Message(message) => match message.as_ref() {
                    StreamMessage::TerminalOpened(opened) => {
                        self.next = opened.offset;
                        self.opened.push(opened.clone());
                    }
                    StreamMessage::TerminalScreen(screen) => {
                        assert_eq!(screen.offset, self.next);
                        self.screens += 1;
                    }
                    StreamMessage::TerminalResized(now) => self.sizes.push((now.size, now.holder)),
                    StreamMessage::TerminalClosed(closed) => self.closed = Some(closed.clone()),
                    StreamMessage::Error(error) => self.errors.push(error.code.clone()),
                    other => panic!("unexpected {other:?}"),
                },
            }
        }
    }

    fn take(&mut self, terminals: &mut Terminals) -> TerminalStep {
        terminals.taken(self.number, std::mem::take(&mut self.owed))
    }
}

fn granted(step: &TerminalStep) -> Option<u64> {
    step.to_agent.iter().rev().find_map(|word| match word {
        ToAgent::Frame(Frame::Window { limit, .. }) => Some(*limit),
        _ => None,
    })
}

fn input(step: &TerminalStep) -> String {
    let mut all = Vec::new();
    for word in &step.to_agent {
        if let ToAgent::Frame(Frame::Data { bytes, .. }) = word {
            all.extend_from_slice(bytes);
        }
    }
    String::from_utf8(all).unwrap()
}

/// Lets the agent write `total` bytes in pieces, with viewers that take and parse at different speeds.
fn flood(piece: u64, speeds: &[u64], total: u64) {
    let mut terminals = one_terminal();
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..speeds.len() as u64 {
        let mut client = Client::new(number + 1);
        client.hear(&terminals.attach(number + 1, watch(), 0));
        clients.push(client);
    }
    let (mut sent, mut limit, mut rounds) = (0, WINDOW, 0_u64);
    while clients.iter().any(|client| client.received < total) {
        let mut steps = Vec::new();
        while sent < total && sent < limit {
            let length = piece.min(total - sent).min(limit - sent);
            steps.push(terminals.from_agent(data(sent, length)));
            sent += length;
        }
        for client in &mut clients {
            let every = speeds[usize::try_from(client.number - 1).unwrap()];
            for step in &steps {
                client.hear(step);
            }
            if rounds % every == 0 {
                let taken = client.take(&mut terminals);
                let raise = window(client.next + OUTPUT_WINDOW_BYTES);
                let parsed = terminals.from_viewer(client.number, raise);
                client.hear(&taken);
                client.hear(&parsed);
                steps.extend([taken, parsed]);
            }
        }
        // Each heard its own above; the others' steps hold nothing for it.
        for step in &steps {
            limit = limit.max(granted(step).unwrap_or(0));
        }
        let kept = terminals.terminals[&STREAM].kept();
        assert!(
            kept <= REPLAY + WINDOW + 2 * 32 * 1024,
            "{kept} bytes are kept"
        );
        assert!(limit <= sent + WINDOW);
        rounds += 1;
        assert!(rounds < 1_000_000, "nothing moves any more");
    }
    for client in clients {
        assert_eq!(client.next, total);
    }
}

#[test]
fn any_pieces_and_speeds_give_every_viewer_every_byte_once() {
    for piece in [1000, 32 * 1024, 65_536] {
        for speeds in [&[1][..], &[1, 1], &[1, 7], &[3, 11, 2]] {
            flood(piece, speeds, 1024 * 1024);
        }
    }
    flood(7, &[1, 3], 100_000);
}

#[test]
fn a_viewer_that_parses_nothing_holds_the_program_back_within_a_window_each() {
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    let (mut sent, mut limit) = (0, WINDOW);
    // Its socket takes everything, its terminal nothing.
    loop {
        let step = if sent < limit {
            let step = terminals.from_agent(data(sent, 1024));
            sent += 1024;
            step
        } else {
            client.take(&mut terminals)
        };
        client.hear(&step);
        match granted(&step) {
            Some(more) => limit = more,
            None if sent == limit && client.owed == 0 => break,
            None => {}
        }
    }
    assert_eq!(client.received, OUTPUT_WINDOW_BYTES);
    assert!(sent <= OUTPUT_WINDOW_BYTES + WINDOW);
    assert!(terminals.terminals[&STREAM].kept() <= OUTPUT_WINDOW_BYTES + WINDOW);
    // It parses: the program goes on.
    let step = terminals.from_viewer(1, window(2 * OUTPUT_WINDOW_BYTES));
    assert!(granted(&step).is_some());
}

#[test]
fn with_nobody_watching_the_program_is_never_held_back() {
    let mut terminals = one_terminal();
    let (mut sent, mut limit) = (0, WINDOW);
    while sent < 20 * WINDOW {
        assert!(sent + 4096 <= limit);
        let step = terminals.from_agent(data(sent, 4096));
        sent += 4096;
        limit = granted(&step).unwrap_or(limit);
    }
    assert!(terminals.terminals[&STREAM].kept() <= REPLAY + 64 * 1024);
}

#[test]
fn a_viewer_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    for away_at in [0, 1, 999, 1000, 40_000, 80_000] {
        let mut terminals = one_terminal();
        let mut client = Client::new(1);
        client.hear(&terminals.attach(1, watch(), 0));
        client.hear(&terminals.from_agent(data(0, 1000)));
        let at = client.next.min(away_at);
        terminals.detach(1, Instant::now());
        terminals.from_agent(data(1000, 99_000));
        let mut again = Client::new(2);
        again.hear(&terminals.attach(2, from(at), 0));
        assert_eq!(again.opened[0].offset, at);
        assert_eq!(
            (again.screens, again.next, again.received),
            (0, 100_000, 100_000 - at)
        );
    }
}

#[test]
fn what_is_no_longer_kept_is_drawn_instead() {
    let mut terminals = one_terminal();
    let mut sent = 0;
    while sent < 3 * REPLAY {
        terminals.from_agent(data(sent, 16 * 1024));
        sent += 16 * 1024;
    }
    for offset in [0, REPLAY, sent + 1] {
        let mut client = Client::new(1);
        client.hear(&terminals.attach(1, from(offset), 0));
        assert_eq!((client.screens, client.next, client.received), (1, sent, 0));
        terminals.detach(1, Instant::now());
    }
    let named = Watch {
        from_channel: BTreeMap::from([(channel(), sent - 5)]),
        ..from(0)
    };
    let mut client = Client::new(2);
    client.hear(&terminals.attach(2, named, 0));
    assert_eq!((client.screens, client.received), (0, 5));
}

#[test]
fn the_end_comes_after_the_last_byte() {
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    let mut sent = 0;
    while sent < OUTPUT_WINDOW_BYTES + 1000 {
        let length = 1000.min(OUTPUT_WINDOW_BYTES + 1000 - sent);
        client.hear(&terminals.from_agent(data(sent, length)));
        let step = client.take(&mut terminals);
        client.hear(&step);
        sent += length;
    }
    let eof = Frame::Eof {
        stream: STREAM,
        offset: sent,
    };
    client.hear(&terminals.from_agent(eof));
    let closed = Closed {
        exit_code: Some(3),
        ..Closed::default()
    };
    let step = terminals.closed(&channel(), closed).unwrap();
    assert_eq!(
        (step.ended[0].outcome, step.ended[0].exit_code),
        ("failed", Some(3))
    );
    client.hear(&step);
    assert!(client.closed.is_none());
    assert_eq!(terminals.open(), 1);
    client.hear(&terminals.from_viewer(1, window(2 * OUTPUT_WINDOW_BYTES)));
    assert_eq!(client.next, sent);
    assert_eq!(client.closed.and_then(|closed| closed.exit_code), Some(3));
    assert!(client.eof);
    assert_eq!(terminals.open(), 0);
}

#[test]
fn a_stopped_viewer_is_found_and_one_that_only_has_nothing_to_take_is_not() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    client.take(&mut terminals);
    for seconds in 0..100 {
        assert!(terminals.tick(at(seconds), PATIENCE).is_empty());
    }
    // Its socket takes, its terminal does not.
    let mut sent = 0;
    while sent < OUTPUT_WINDOW_BYTES + WINDOW {
        client.hear(&terminals.from_agent(data(sent, 1024)));
        let step = client.take(&mut terminals);
        client.hear(&step);
        sent += 1024;
    }
    for seconds in 100..130 {
        assert!(terminals.tick(at(seconds), PATIENCE).is_empty());
    }
    assert_eq!(terminals.tick(at(130), PATIENCE), [1]);
    let step = terminals.detach(1, at(130));
    assert!(granted(&step).is_some(), "the program goes on");
    // Its socket takes nothing, though there is little to take.
    terminals.attach(2, from(sent), 0);
    terminals.from_agent(data(sent, 1));
    assert!(terminals.tick(at(131), PATIENCE).is_empty());
    assert_eq!(terminals.tick(at(161), PATIENCE), [2]);
}

#[test]
fn a_slow_viewer_that_goes_on_taking_is_never_stalled() {
    let start = Instant::now();
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    let mut sent = 0;
    for seconds in 0..200 {
        if sent < OUTPUT_WINDOW_BYTES + 200 * 1024 {
            client.hear(&terminals.from_agent(data(sent, 2048)));
            sent += 2048;
        }
        let step = terminals.from_viewer(1, window(OUTPUT_WINDOW_BYTES + seconds));
        client.hear(&step);
        let step = client.take(&mut terminals);
        client.hear(&step);
        let now = start + Duration::from_secs(seconds);
        assert!(terminals.tick(now, Duration::from_secs(5)).is_empty());
    }
}

#[test]
fn one_terminal_that_is_not_parsed_holds_up_no_other() {
    let mut terminals = one_terminal();
    terminals.opened(new(2));
    let mut client = Client::new(1);
    terminals.attach(1, watch(), 0);
    let mut sent = 0;
    while sent < OUTPUT_WINDOW_BYTES + 4096 {
        let step = terminals.from_agent(data(sent, 4096));
        sent += 4096;
        let owed: u64 = step.deliveries.iter().map(|one| one.bytes).sum();
        terminals.taken(1, owed);
    }
    let echo = Frame::Data {
        stream: StreamId(2),
        offset: 0,
        bytes: bytes(0, 1),
    };
    client.hear(&terminals.from_agent(echo));
    assert_eq!(client.received, 1);
}

#[test]
fn input_of_several_viewers_is_merged_and_frames_that_do_not_fit_end_only_theirs() {
    let mut terminals = one_terminal();
    terminals.opened(new(2));
    let (mut one, mut two) = (Client::new(1), Client::new(2));
    terminals.attach(1, watch(), 0);
    terminals.attach(2, watch(), 0);
    assert_eq!(input(&terminals.from_viewer(1, typed(0, "ls"))), "ls");
    assert_eq!(input(&terminals.from_viewer(2, typed(0, "x"))), "x");
    assert_eq!(input(&terminals.from_viewer(1, typed(2, "\n"))), "\n");
    two.hear(&terminals.from_viewer(2, typed(5, "gap")));
    assert_eq!(two.resets, [ResetCode::Gap]);
    // What it has of that terminal is over, and of the other it is not.
    two.hear(&terminals.from_viewer(2, typed(1, "late")));
    assert_eq!(two.resets, [ResetCode::Gap, ResetCode::UnknownStream]);
    let other = Frame::Data {
        stream: StreamId(2),
        offset: 0,
        bytes: Bytes::from_static(b"ok"),
    };
    assert_eq!(input(&terminals.from_viewer(2, other)), "ok");
    one.hear(&terminals.from_agent(data(0, 3)));
    assert_eq!(one.received, 3);
    let unknown = Frame::Window {
        stream: StreamId(9),
        limit: 5,
    };
    one.hear(&terminals.from_viewer(1, unknown));
    assert_eq!(one.resets, [ResetCode::UnknownStream]);
    let long = Frame::Data {
        stream: STREAM,
        offset: 3,
        bytes: vec![b'x'; usize::try_from(INPUT_WINDOW_BYTES).unwrap() + 1].into(),
    };
    one.hear(&terminals.from_viewer(1, long));
    assert_eq!(one.resets, [ResetCode::UnknownStream, ResetCode::Overrun]);
}

#[test]
fn a_keystroke_is_neither_lost_nor_doubled_over_a_new_socket() {
    let key = ViewerKey {
        user_id: UserId::generate(),
        id: Uuid::now_v7(),
    };
    let named = || Watch {
        key: Some(key),
        ..from(0)
    };
    let text = "echo hello\n";
    for cut in 0..=text.len() {
        let mut terminals = one_terminal();
        let mut arrived = String::new();
        terminals.attach(1, named(), 0);
        arrived += &input(&terminals.from_viewer(1, typed(0, &text[..cut.max(1)])));
        assert_eq!(terminals.by_key(key), Some(1));
        terminals.detach(1, Instant::now());
        let mut client = Client::new(2);
        client.hear(&terminals.attach(2, named(), 0));
        let received = client.opened[0].input_received;
        assert_eq!(received, cut.max(1) as u64);
        let rest = &text[usize::try_from(received).unwrap()..];
        if !rest.is_empty() {
            arrived += &input(&terminals.from_viewer(2, typed(received, rest)));
        }
        assert_eq!(arrived, text);
    }
}

#[test]
fn who_does_not_come_back_is_forgotten() {
    let key = || ViewerKey {
        user_id: UserId::generate(),
        id: Uuid::now_v7(),
    };
    let (mut terminals, start) = (one_terminal(), Instant::now());
    let first = key();
    let mut number = 0;
    let mut visit = |terminals: &mut Terminals, key: ViewerKey| {
        number += 1;
        let mut client = Client::new(number);
        let watch = Watch {
            key: Some(key),
            ..from(0)
        };
        client.hear(&terminals.attach(number, watch, 0));
        let received = client.opened[0].input_received;
        terminals.from_viewer(number, typed(received, "x"));
        terminals.detach(number, start);
        received
    };
    assert_eq!(visit(&mut terminals, first), 0);
    assert_eq!(visit(&mut terminals, first), 1);
    terminals.tick(start + REMEMBERED_FOR, PATIENCE);
    assert_eq!(visit(&mut terminals, first), 0);
    for _ in 0..REMEMBERED_VIEWERS {
        visit(&mut terminals, key());
    }
    assert_eq!(visit(&mut terminals, first), 0);
}

#[test]
fn the_first_holds_the_size_until_another_takes_it_or_it_leaves() {
    let mut terminals = one_terminal();
    let (mut one, mut two) = (Client::new(1), Client::new(2));
    one.hear(&terminals.attach(1, watch(), 0));
    two.hear(&terminals.attach(2, watch(), 0));
    assert_eq!(two.opened[0].holder, Some(1));
    let size = |cols| TerminalSize { cols, rows: 30 };
    let to_agent = |step: &TerminalStep| match step.to_agent.first() {
        Some(ToAgent::Data(TunnelData {
            data: TunnelPayload::Resize(size),
            ..
        })) => Some(*size),
        _ => None,
    };
    assert_eq!(
        to_agent(&terminals.resize(1, &channel(), size(100), false)),
        Some(size(100))
    );
    // Another's does not count; it is told how large the terminal is.
    let step = terminals.resize(2, &channel(), size(50), false);
    assert_eq!(to_agent(&step), None);
    two.hear(&step);
    assert_eq!(two.sizes, [(size(100), Some(1))]);
    let step = terminals.resize(2, &channel(), size(50), true);
    assert_eq!(to_agent(&step), Some(size(50)));
    one.hear(&step);
    assert_eq!(one.sizes, [(size(50), Some(2))]);
    one.hear(&terminals.detach(2, Instant::now()));
    assert_eq!(one.sizes.last(), Some(&(size(50), None)));
    assert_eq!(
        to_agent(&terminals.resize(1, &channel(), size(60), false)),
        Some(size(60))
    );
    one.hear(&terminals.resize(
        1,
        &channel(),
        TerminalSize {
            cols: 1000,
            rows: 1000,
        },
        false,
    ));
    assert_eq!(one.errors, ["bad_size"]);
}

#[test]
fn who_only_watches_is_refused_whatever_would_change_something() {
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    let observer = Watch {
        read_only: true,
        ..watch()
    };
    client.hear(&terminals.attach(1, observer, 0));
    assert_eq!(client.opened[0].holder, None);
    let close = TunnelData {
        channel_id: channel(),
        data: TunnelPayload::Close,
    };
    let steps = [
        terminals.from_viewer(1, typed(0, "rm -rf /\n")),
        terminals.resize(1, &channel(), SIZE, false),
        terminals.resize(1, &channel(), SIZE, true),
        terminals.order(1, close.clone()),
    ];
    for step in steps {
        assert_eq!(step.to_agent, []);
        client.hear(&step);
    }
    assert_eq!(client.errors, ["read_only"; 4]);
    client.hear(&terminals.from_agent(data(0, 5)));
    assert_eq!(client.received, 5);
    terminals.attach(2, watch(), 0);
    let closing = terminals.order(2, close.clone());
    assert_eq!(closing.to_agent, [ToAgent::Data(close.clone())]);
    assert_eq!(terminals.order(2, close).to_agent, []);
}

#[test]
fn an_agent_that_breaks_the_protocol_loses_that_terminal_only() {
    for (frame, code) in [
        (data(5, 1), ResetCode::Gap),
        (data(0, WINDOW + 1), ResetCode::Overrun),
        (
            Frame::Eof {
                stream: STREAM,
                offset: 7,
            },
            ResetCode::Gap,
        ),
    ] {
        let mut terminals = one_terminal();
        terminals.opened(new(2));
        let mut client = Client::new(1);
        client.hear(&terminals.attach(1, watch(), 0));
        let step = terminals.from_agent(frame);
        let told = step.to_agent.iter().any(
            |word| matches!(word, ToAgent::Frame(Frame::Reset { code: got, .. }) if *got == code),
        );
        assert!(told, "{step:?}");
        assert_eq!(step.ended.len(), 1);
        client.hear(&step);
        assert!(client.closed.is_some_and(|closed| closed.error.is_some()));
        assert!(terminals.are_running());
        let late = terminals.from_agent(data(0, 1));
        assert_eq!(late, TerminalStep::default());
    }
}

#[test]
fn the_end_of_the_session_ends_every_terminal_even_for_slow_viewers() {
    let mut terminals = one_terminal();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    let mut sent = 0;
    while sent < OUTPUT_WINDOW_BYTES + 1000 {
        client.hear(&terminals.from_agent(data(sent, 1000)));
        sent += 1000;
    }
    let step = terminals.end_all("lost");
    assert_eq!(step.ended[0].outcome, "lost");
    client.hear(&step);
    assert_eq!(client.resets, [ResetCode::Gone]);
    assert!(client.closed.is_some());
    assert_eq!(terminals.end_all("lost").ended, []);
}

fn kept(terminals: &Terminals, sent: u64, received: u64) -> KeptTerminal {
    let summary = &terminals.summaries()[0];
    KeptTerminal {
        channel_id: summary.channel_id.clone(),
        program: "/bin/sh".to_owned(),
        size: SIZE,
        position: StreamPosition {
            stream: STREAM,
            received,
            limit: received + INPUT_WINDOW_BYTES,
            sent,
            first: sent.saturating_sub(1000),
        },
    }
}

#[test]
fn a_lost_line_is_outlived_without_a_byte_lost_or_doubled() {
    let mut terminals = Terminals::new(REPLAY);
    terminals.opened(NewTerminal {
        keep_input: 4096,
        ..new(1)
    });
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    client.hear(&terminals.from_agent(data(0, 100)));
    assert_eq!(input(&terminals.from_viewer(1, typed(0, "abc"))), "abc");
    terminals.suspend();
    assert_eq!(input(&terminals.from_viewer(1, typed(3, "de"))), "");
    // The agent has sent 150 bytes, of which 100 came, and has got one of those that were typed.
    let (positions, step) = terminals.resume(&[kept(&terminals, 150, 1)]);
    assert_eq!(positions.len(), 1);
    assert_eq!((positions[0].received, positions[0].sent), (100, 3));
    assert_eq!(input(&step), "bcde");
    client.hear(&terminals.from_agent(data(100, 50)));
    assert_eq!(client.next, 150);
    assert_eq!(input(&terminals.from_viewer(1, typed(5, "f"))), "f");
}

#[test]
fn a_terminal_that_was_not_kept_or_has_a_hole_ends() {
    for place in ["missing", "hole", "behind"] {
        let mut terminals = one_terminal();
        terminals.from_agent(data(0, 100));
        terminals.suspend();
        let kept = match place {
            "missing" => vec![],
            "hole" => vec![kept(&terminals, 5000, 0)],
            _ => vec![kept(&terminals, 99, 0)],
        };
        let (positions, step) = terminals.resume(&kept);
        assert_eq!(positions, [], "{place}");
        assert_eq!(step.ended[0].outcome, "lost");
        assert!(!terminals.are_running());
    }
}

#[test]
fn ended_terminals_are_remembered_up_to_a_number() {
    let mut terminals = Terminals::new(REPLAY);
    for number in 1..=40 {
        terminals.opened(new(number));
        let channel = ChannelId::terminal(number.into());
        terminals.closed(&channel, Closed::default());
    }
    assert_eq!(terminals.summaries().len(), REMEMBERED_TERMINALS);
    assert_eq!(terminals.open(), 0);
}

#[test]
fn a_terminal_is_taken_over_from_an_agent_that_kept_it_over_a_restart() {
    let position = StreamPosition {
        stream: STREAM,
        received: 40,
        limit: 100,
        sent: 5000,
        first: 2000,
    };
    let kept = KeptTerminal {
        channel_id: channel(),
        program: "/bin/sh".to_owned(),
        size: SIZE,
        position,
    };
    let mut terminals = Terminals::new(REPLAY);
    let (mut back, mut fresh) = (Client::new(1), Client::new(2));
    back.hear(&terminals.attach(1, from(4000), 0));
    fresh.hear(&terminals.attach(2, watch(), 0));
    let (here, step) = terminals.adopt(new(1), &kept);
    assert_eq!((here.received, here.sent, here.first), (2000, 40, 40));
    assert!(here.limit >= 5000);
    back.hear(&step);
    fresh.hear(&step);
    assert_eq!(back.opened[0].offset, 4000);
    assert!(fresh.opened.is_empty());
    for offset in (2000..5000).step_by(500) {
        let step = terminals.from_agent(data(offset, 500));
        back.hear(&step);
        fresh.hear(&step);
    }
    // One goes on where it was, the other gets the screen once all is there.
    assert_eq!((back.received, back.next), (1000, 5000));
    assert_eq!((fresh.screens, fresh.received, fresh.next), (1, 0, 5000));
    let step = terminals.from_agent(data(5000, 10));
    back.hear(&step);
    fresh.hear(&step);
    assert_eq!((back.next, fresh.next), (5010, 5010));
    assert_eq!(input(&terminals.from_viewer(2, typed(0, "ls"))), "ls");
}

fn recorded() -> NewTerminal {
    NewTerminal {
        keep_input: 4096,
        is_recorded: true,
        ..new(1)
    }
}

fn one_recorded() -> Terminals {
    let mut terminals = Terminals::new(REPLAY);
    terminals.opened(recorded());
    terminals
}

fn seen_output(step: &TerminalStep) -> u64 {
    let length = |(stream, seen): &(StreamId, Seen)| match seen {
        Seen::Output(bytes) if *stream == STREAM => bytes.len() as u64,
        _ => 0,
    };
    step.seen.iter().map(length).sum()
}

fn seen_input(step: &TerminalStep) -> String {
    let mut all = Vec::new();
    for (_, seen) in &step.seen {
        if let Seen::Input(bytes) = seen {
            all.extend_from_slice(bytes);
        }
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn a_slow_recording_holds_the_program_back_though_nobody_watches() {
    let mut terminals = one_recorded();
    let step = terminals.from_agent(data(0, WINDOW));
    assert_eq!(seen_output(&step), WINDOW);
    assert_eq!(granted(&step), None, "nothing is in the file yet");
    assert_eq!(granted(&terminals.recorded(STREAM, WINDOW / 2 - 1)), None);
    let step = terminals.recorded(STREAM, WINDOW / 2);
    assert_eq!(granted(&step), Some(WINDOW + WINDOW / 2));
    // An older word changes nothing.
    assert_eq!(granted(&terminals.recorded(STREAM, 10)), None);
    let step = terminals.recorded(STREAM, WINDOW);
    assert_eq!(granted(&step), Some(2 * WINDOW));
}

#[test]
fn the_program_waits_for_the_slower_of_the_viewer_and_the_recording() {
    let mut terminals = one_recorded();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    for offset in (0..WINDOW).step_by(32 * 1024) {
        client.hear(&terminals.from_agent(data(offset, 32 * 1024)));
    }
    let seen = client.next;
    assert!(seen < WINDOW, "its credit is not without end");
    // The recording has all, the viewer has not.
    let step = terminals.recorded(STREAM, WINDOW);
    assert_eq!(granted(&step), Some(seen + WINDOW));
    client.hear(&terminals.from_agent(data(WINDOW, seen)));
    // The viewer gets all, the recording has not.
    while client.next < WINDOW + seen {
        let raised = terminals.from_viewer(1, window(client.next + OUTPUT_WINDOW_BYTES));
        client.hear(&raised);
        let taken = client.take(&mut terminals);
        client.hear(&taken);
        assert_eq!((granted(&raised), granted(&taken)), (None, None));
    }
    let step = terminals.recorded(STREAM, WINDOW + seen);
    assert_eq!(granted(&step), Some(2 * WINDOW + seen));
}

#[test]
fn a_terminal_that_goes_on_without_its_recording_is_held_back_no_more() {
    let mut terminals = one_recorded();
    terminals.from_agent(data(0, WINDOW));
    assert_eq!(granted(&terminals.unrecorded(STREAM)), Some(2 * WINDOW));
    assert!(terminals.from_agent(data(WINDOW, 100)).seen.is_empty());
}

#[test]
fn what_is_sent_again_over_a_new_line_is_recorded_once() {
    let mut terminals = one_recorded();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    assert_eq!(seen_output(&terminals.from_agent(data(0, 100))), 100);
    assert_eq!(
        seen_input(&terminals.from_viewer(1, typed(0, "abc"))),
        "abc"
    );
    terminals.suspend();
    assert_eq!(seen_input(&terminals.from_viewer(1, typed(3, "de"))), "");
    let (_, step) = terminals.resume(&[kept(&terminals, 150, 1)]);
    assert_eq!(
        (input(&step), seen_input(&step)),
        ("bcde".to_owned(), "de".to_owned())
    );
    assert_eq!(seen_output(&terminals.from_agent(data(0, 100))), 0);
    assert_eq!(seen_output(&terminals.from_agent(data(100, 50))), 50);
}

#[test]
fn a_recording_after_a_restart_begins_with_what_the_agent_sends_again() {
    let position = StreamPosition {
        stream: STREAM,
        received: 40,
        limit: 100,
        sent: 5000,
        first: 2000,
    };
    let kept = KeptTerminal {
        channel_id: channel(),
        program: "/bin/sh".to_owned(),
        size: SIZE,
        position,
    };
    let mut terminals = Terminals::new(REPLAY);
    let (here, _) = terminals.adopt(recorded(), &kept);
    assert_eq!(here.limit, 5000 + WINDOW);
    let step = terminals.from_agent(data(2000, 3000));
    assert_eq!(seen_output(&step), 3000);
    terminals.from_agent(data(5000, WINDOW));
    let end = 5000 + WINDOW;
    assert_eq!(granted(&terminals.recorded(STREAM, 5000)), None);
    assert_eq!(
        granted(&terminals.recorded(STREAM, end)),
        Some(end + WINDOW)
    );
}

#[test]
fn sizes_are_recorded_and_a_screen_is_drawn_only_between_sequences() {
    let mut terminals = one_recorded();
    terminals.attach(1, watch(), 0);
    let size = TerminalSize { cols: 90, rows: 30 };
    let step = terminals.resize(1, &channel(), size, false);
    assert_eq!(step.seen, [(STREAM, Seen::Resize(size))]);
    assert_eq!(terminals.resize(1, &channel(), size, false).seen, []);
    // The sequence is split over two pieces, of which the second looks whole.
    terminals.from_agent(typed(0, "a\x1b]0;ti"));
    assert_eq!(terminals.key_frame(STREAM), None);
    terminals.from_agent(typed(7, "tle"));
    assert_eq!(terminals.key_frame(STREAM), None);
    terminals.from_agent(typed(10, "\x07b"));
    assert!(terminals.key_frame(STREAM).is_some());
    assert_eq!(terminals.key_frame(StreamId(9)), None);
}

#[test]
fn a_terminal_that_must_not_go_on_is_ended_with_the_reason_once() {
    let mut terminals = one_recorded();
    let mut client = Client::new(1);
    client.hear(&terminals.attach(1, watch(), 0));
    let step = terminals.cut_off(STREAM, "the disk is full");
    client.hear(&step);
    let error = client.closed.unwrap().error.unwrap();
    assert!(error.message.ends_with("the disk is full"), "{error:?}");
    assert_eq!(step.ended[0].outcome, "failed");
    let is_reset = |word: &ToAgent| matches!(word, ToAgent::Frame(Frame::Reset { .. }));
    assert!(step.to_agent.iter().any(is_reset));
    assert!(step.to_agent.contains(&ToAgent::Over(STREAM)));
    assert_eq!(terminals.cut_off(STREAM, "again"), TerminalStep::default());
}
