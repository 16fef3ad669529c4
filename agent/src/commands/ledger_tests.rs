//! What the book promises, without a file, a program or a clock.

use gururmm_shared::{CommandType, EndReason};

use super::*;

const ROOM: Room = Room {
    running: 2,
    queued: 2,
};

fn order(id: CommandId) -> Event {
    Event::Ordered(Box::new(command(id)))
}

fn command(id: CommandId) -> Command {
    Command {
        id,
        command_type: CommandType::Shell,
        command: "true".to_owned(),
        timeout_seconds: None,
        elevated: false,
        environment: Default::default(),
    }
}

fn result(id: CommandId, bytes: usize) -> CommandResult {
    CommandResult {
        id,
        exit_code: Some(3),
        stdout: "x".repeat(bytes),
        stderr: String::new(),
        duration_ms: 1,
        reason: None,
    }
}

fn ids<const N: usize>() -> [CommandId; N] {
    std::array::from_fn(|_| CommandId::generate())
}

fn started(effects: &[Effect]) -> Vec<CommandId> {
    let commands = effects.iter().filter_map(|effect| match effect {
        Effect::Start(command) => Some(command.id),
        _ => None,
    });
    commands.collect()
}

/// What is written and what is sent.
fn kept(effects: &[Effect]) -> &CommandResult {
    match effects {
        [Effect::Keep(Record::Ended { result, .. }, sent), ..] if result == sent => result,
        other => panic!("nothing kept: {other:?}"),
    }
}

fn sent(effects: &[Effect]) -> &CommandResult {
    match effects {
        [Effect::Send(result)] => result,
        other => panic!("not one answer: {other:?}"),
    }
}

#[test]
fn a_repeated_order_is_answered_and_never_run_again() {
    let mut ledger = Ledger::new(ROOM);
    let [id] = ids();
    assert_eq!(started(&ledger.on_event(order(id), 0)), [id]);
    assert_eq!(ledger.on_event(order(id), 0), []);
    assert_eq!(
        *kept(&ledger.on_event(Event::Ended(result(id, 3)), 0)),
        result(id, 3)
    );
    assert_eq!(*sent(&ledger.on_event(order(id), 0)), result(id, 3));
    ledger.on_event(Event::Acknowledged(id), 0);
    let answer = ledger.on_event(order(id), 0);
    assert_eq!(
        sent(&answer).exit_code,
        Some(3),
        "it is remembered, without its output"
    );
    assert_eq!(sent(&answer).stdout, "");
}

#[test]
fn a_result_waits_until_it_is_acknowledged() {
    let mut ledger = Ledger::new(ROOM);
    let [first, second] = ids();
    ledger.on_event(order(first), 0);
    assert_eq!(ledger.in_flight(), [first]);
    ledger.on_event(Event::Ended(result(first, 1)), 0);
    ledger.on_event(order(second), 0);
    assert_eq!(ledger.in_flight(), [second, first]);
    assert_eq!(
        ledger.on_event(Event::Acknowledged(second), 0),
        [],
        "it still runs"
    );
    let noted = ledger.on_event(Event::Acknowledged(first), 0);
    assert!(matches!(noted[..], [Effect::Note(Record::Acknowledged { id, .. })] if id == first));
    assert_eq!(ledger.on_event(Event::Acknowledged(first), 0), []);
    assert_eq!((ledger.waiting().count(), ledger.waiting_bytes), (0, 0));
    assert_eq!(ledger.in_flight(), [second]);
}

#[test]
fn commands_start_in_the_order_they_came_as_soon_as_there_is_room() {
    let mut ledger = Ledger::new(ROOM);
    let ids: [_; 4] = ids();
    let first: Vec<_> = ids
        .iter()
        .flat_map(|id| started(&ledger.on_event(order(*id), 0)))
        .collect();
    assert_eq!(first, ids[..2]);
    assert_eq!(ledger.in_flight(), ids);
    assert_eq!(
        ledger.on_event(order(ids[3]), 0),
        [],
        "a queued one is known"
    );
    let next = ledger.on_event(Event::Ended(result(ids[1], 1)), 0);
    assert_eq!(started(&next), [ids[2]]);
    let next = ledger.on_event(Event::Ended(result(ids[0], 1)), 0);
    assert_eq!(started(&next), [ids[3]]);
}

#[test]
fn only_what_is_over_the_queues_bound_is_refused() {
    let mut ledger = Ledger::new(ROOM);
    for id in ids::<4>() {
        assert!(!matches!(
            ledger.on_event(order(id), 0)[..],
            [Effect::Keep(..)]
        ));
    }
    let effects = ledger.on_event(order(CommandId::generate()), 0);
    let refused = kept(&effects);
    assert_eq!(
        (refused.exit_code, refused.reason),
        (Some(-1), Some(EndReason::Refused))
    );
    assert!(
        refused.stderr.contains("2 wait already"),
        "{}",
        refused.stderr
    );
}

#[test]
fn queued_text_is_bounded_too() {
    let mut ledger = Ledger::new(Room {
        running: 1,
        queued: 1000,
    });
    ledger.on_event(order(CommandId::generate()), 0);
    let mut refusals = 0;
    for _ in 0..20 {
        let mut big = command(CommandId::generate());
        big.command = "x".repeat(1 << 20);
        let effects = ledger.on_event(Event::Ordered(Box::new(big)), 0);
        refusals += usize::from(matches!(effects[..], [Effect::Keep(..)]));
    }
    assert_eq!(refusals, 4);
    ledger.on_event(Event::Stopping, 0);
    assert_eq!(ledger.queued_bytes, 0);
}

#[test]
fn a_cancel_ends_what_runs_and_what_comes_later_is_not_run() {
    let mut ledger = Ledger::new(Room {
        running: 1,
        queued: 9,
    });
    let [runs, queued, unknown, ended] = ids();
    ledger.on_event(order(ended), 0);
    ledger.on_event(Event::Ended(result(ended, 1)), 0);
    ledger.on_event(order(runs), 0);
    ledger.on_event(order(queued), 0);
    assert_eq!(
        ledger.on_event(Event::Cancelled(runs), 0),
        [Effect::Cancel(runs)]
    );
    assert_eq!(
        *sent(&ledger.on_event(Event::Cancelled(ended), 0)),
        result(ended, 1)
    );
    for id in [queued, unknown] {
        let effects = ledger.on_event(Event::Cancelled(id), 0);
        let cancelled = kept(&effects).clone();
        assert_eq!(
            (cancelled.exit_code, cancelled.reason),
            (Some(-1), Some(EndReason::Cancelled))
        );
        assert_eq!(*sent(&ledger.on_event(order(id), 0)), cancelled);
    }
    assert_eq!(ledger.queued_bytes, 0);
    assert_eq!(
        started(&ledger.on_event(Event::Ended(result(runs, 1)), 0)),
        []
    );
}

#[test]
fn everything_but_the_queue_is_found_again_by_the_next_agent() {
    let mut ledger = Ledger::new(Room {
        running: 1,
        queued: 9,
    });
    let [acknowledged, waits, runs, queued] = ids();
    let mut records = Vec::new();
    for event in [
        order(acknowledged),
        Event::Ended(result(acknowledged, 5)),
        Event::Acknowledged(acknowledged),
        order(waits),
        Event::Ended(result(waits, 5)),
        order(runs),
        Event::Begun(runs, Leader { pid: 7, started: 8 }),
        order(queued),
    ] {
        for effect in ledger.on_event(event, 1) {
            match effect {
                Effect::Start(command) => records.push(Record::Started { id: command.id }),
                Effect::Keep(record, _) | Effect::Note(record) => records.push(record),
                other => panic!("{other:?}"),
            }
        }
    }
    for records in [records, ledger.records()] {
        let mut next = Ledger::recover(ROOM, records, 2);
        assert_eq!(next.records(), ledger.records());
        assert_eq!(
            next.in_flight(),
            [runs, waits],
            "a queued one was never started"
        );
        assert_eq!(
            next.running(),
            [(runs, Some(Leader { pid: 7, started: 8 }))]
        );
        let interrupted = next.on_event(Event::Ended(verdict::interrupted(runs)), 3);
        assert_eq!(kept(&interrupted).reason, Some(EndReason::Interrupted));
        assert_eq!(
            sent(&next.on_event(order(runs), 4)).stderr,
            verdict::INTERRUPTED
        );
        assert_eq!(
            sent(&next.on_event(order(acknowledged), 4)).exit_code,
            Some(3)
        );
        assert_eq!(started(&next.on_event(order(queued), 4)), [queued]);
    }
}

#[test]
fn records_that_come_twice_or_out_of_order_change_nothing() {
    let [id] = ids();
    let ended = Record::Ended {
        at: 1,
        result: Arc::new(result(id, 1)),
    };
    let acknowledged = Record::Acknowledged {
        id,
        summary: Summary::of(&result(id, 1)),
    };
    let started = Record::Started { id };
    for records in [
        vec![started.clone(), ended.clone(), ended.clone()],
        vec![ended.clone(), started.clone()],
    ] {
        let ledger = Ledger::recover(ROOM, records, 1);
        assert_eq!((ledger.running().len(), ledger.waiting().count()), (0, 1));
    }
    let ledger = Ledger::recover(ROOM, vec![acknowledged, ended, started], 1);
    assert_eq!(ledger.in_flight(), []);
    assert_eq!((ledger.waiting_bytes, ledger.records().len()), (0, 1));
}

#[test]
fn the_oldest_output_is_given_up_and_no_result_is() {
    let mut ledger = Ledger::new(ROOM);
    let ids: [_; 40] = ids();
    for id in ids {
        ledger.on_event(Event::Ended(result(id, 1 << 20)), 0);
    }
    assert!(ledger.waiting_bytes <= WAITING_BYTES);
    assert_eq!(ledger.waiting().count(), 40);
    let oldest = ledger.waiting().next().unwrap();
    assert_eq!((oldest.exit_code, oldest.stdout.as_str()), (Some(3), ""));
    assert!(oldest.stderr.contains("not kept"), "{}", oldest.stderr);
    assert_eq!(ledger.waiting().last().unwrap().stdout.len(), 1 << 20);
    let next = Ledger::recover(ROOM, ledger.records(), 1);
    assert_eq!(next.waiting_bytes, ledger.waiting_bytes);
}

#[test]
fn output_that_waited_for_a_month_is_given_up_at_the_start() {
    let [old, young] = ids();
    let record = |id, at| Record::Ended {
        at,
        result: Arc::new(result(id, 1000)),
    };
    let records = vec![record(old, 0), record(young, 2)];
    let ledger = Ledger::recover(ROOM, records, OUTPUT_AGE_SECONDS + 1);
    let lengths: Vec<_> = ledger.waiting().map(|one| one.stdout.len()).collect();
    assert_eq!(lengths, [0, 1000]);
}

#[test]
fn ten_thousand_ids_are_remembered_and_no_more_than_that() {
    let mut ledger = Ledger::new(ROOM);
    let first = CommandId::generate();
    for number in 0..=REMEMBERED {
        let id = if number == 0 {
            first
        } else {
            CommandId::generate()
        };
        ledger.on_event(Event::Ended(result(id, 0)), 0);
        ledger.on_event(Event::Acknowledged(id), 0);
        assert_eq!(ledger.knows(first), number < REMEMBERED);
    }
    assert_eq!(ledger.remembered.len(), REMEMBERED);
    let mut lines = Vec::new();
    for record in ledger.records() {
        record.encode(&mut lines).unwrap();
    }
    assert!(lines.len() < 2 << 20, "{} bytes", lines.len());
}

#[test]
fn results_that_nobody_acknowledges_are_answered_when_they_are_asked_for() {
    let mut ledger = Ledger::new(ROOM);
    let first = CommandId::generate();
    ledger.on_event(Event::Ended(result(first, 0)), 0);
    for _ in 0..WAITING {
        ledger.on_event(Event::Ended(result(CommandId::generate(), 0)), 0);
    }
    assert_eq!(ledger.waiting().count(), WAITING);
    assert_eq!(sent(&ledger.on_event(order(first), 0)).exit_code, Some(3));
}

#[test]
fn a_stop_interrupts_what_runs_and_starts_nothing_more() {
    let mut ledger = Ledger::new(Room {
        running: 1,
        queued: 9,
    });
    let [runs, queued, later] = ids();
    ledger.on_event(order(runs), 0);
    ledger.on_event(order(queued), 0);
    assert_eq!(
        ledger.on_event(Event::Stopping, 0),
        [Effect::Interrupt(runs)]
    );
    assert_eq!(ledger.on_event(order(later), 0), []);
    let effects = ledger.on_event(Event::Ended(verdict::interrupted(runs)), 0);
    assert_eq!(effects.len(), 1, "only kept: {effects:?}");
}
