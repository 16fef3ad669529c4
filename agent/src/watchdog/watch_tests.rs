use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    restart: true,
    max_restarts: 2,
    cooldown: Duration::from_secs(60),
};
const ALERT: Rules = Rules {
    restart: false,
    ..RULES
};

/// Looks once and answers what is to be told, in words, and `RESTART`.
fn look(watch: &mut Watch, seen: &Seen, seconds: u64, rules: &Rules) -> Vec<&'static str> {
    words(&watch.look(seen, Duration::from_secs(seconds), rules))
}

fn words(steps: &[Step]) -> Vec<&'static str> {
    let word = |step: &Step| match step {
        Step::Tell(happened, _) => happened.word(),
        Step::Restart => "RESTART",
    };
    steps.iter().map(word).collect()
}

fn down() -> Seen {
    Seen::Down("failed".to_owned())
}

fn passing() -> Seen {
    Seen::Passing("starting".to_owned())
}

#[test]
fn a_service_that_has_ended_is_restarted_at_once_and_told_as_restarted_when_it_runs() {
    let mut watch = Watch::default();
    assert_eq!(look(&mut watch, &Seen::Up, 0, &RULES), ["running"]);
    assert_eq!(look(&mut watch, &Seen::Up, 30, &RULES), [""; 0]);
    assert_eq!(
        look(&mut watch, &down(), 60, &RULES),
        ["stopped", "RESTART"]
    );
    assert_eq!(look(&mut watch, &down(), 61, &RULES), [""; 0], "restarting");
    assert!(watch.restarted(Ok(())).is_empty());
    assert_eq!(look(&mut watch, &Seen::Up, 90, &RULES), ["restarted"]);
    assert_eq!(look(&mut watch, &Seen::Up, 120, &RULES), [""; 0]);
}

#[test]
fn restarts_keep_to_the_cool_down_and_end_with_giving_up() {
    let mut watch = Watch::default();
    assert_eq!(look(&mut watch, &down(), 0, &RULES), ["stopped", "RESTART"]);
    assert_eq!(
        words(&watch.restarted(Err("no".to_owned()))),
        ["restart_failed"]
    );
    assert_eq!(look(&mut watch, &down(), 30, &RULES), [""; 0], "cool-down");
    assert_eq!(look(&mut watch, &down(), 60, &RULES), ["RESTART"]);
    assert!(watch.restarted(Ok(())).is_empty());
    assert_eq!(look(&mut watch, &down(), 90, &RULES), ["restart_failed"]);
    assert_eq!(look(&mut watch, &down(), 120, &RULES), ["gave_up"]);
    for seconds in [150, 10_000] {
        assert_eq!(look(&mut watch, &down(), seconds, &RULES), [""; 0]);
    }
    assert_eq!(look(&mut watch, &Seen::Up, 10_030, &RULES), ["running"]);
    assert_eq!(
        look(&mut watch, &down(), 10_060, &RULES),
        ["stopped", "RESTART"],
        "who has helped it up has given it new restarts"
    );
}

#[test]
fn a_service_that_comes_and_goes_is_given_up_and_one_that_was_steady_has_all_its_restarts() {
    let mut watch = Watch::default();
    let mut told = Vec::new();
    for round in 0..3 {
        told.extend(look(&mut watch, &down(), round * 100, &RULES));
        assert!(watch.restarted(Ok(())).is_empty());
        told.extend(look(&mut watch, &Seen::Up, round * 100 + 30, &RULES));
    }
    let wanted = [
        "stopped",
        "RESTART",
        "restarted",
        "stopped",
        "RESTART",
        "restarted",
        "stopped",
        "gave_up",
        "running",
    ];
    assert_eq!(told, wanted);

    let mut watch = Watch::default();
    assert_eq!(look(&mut watch, &down(), 0, &RULES), ["stopped", "RESTART"]);
    assert!(watch.restarted(Ok(())).is_empty());
    assert_eq!(look(&mut watch, &Seen::Up, 30, &RULES), ["restarted"]);
    assert_eq!(look(&mut watch, &Seen::Up, 700, &RULES), [""; 0]);
    assert_eq!(watch.restarts, 0);
}

#[test]
fn what_is_only_to_be_told_or_is_missing_is_not_restarted() {
    for (seen, rules) in [(down(), ALERT), (Seen::Missing, RULES)] {
        let mut watch = Watch::default();
        assert_eq!(look(&mut watch, &seen, 0, &rules), ["stopped"]);
        assert_eq!(look(&mut watch, &seen, 1000, &rules), [""; 0]);
        assert_eq!(look(&mut watch, &Seen::Up, 1030, &rules), ["running"]);
    }
}

#[test]
fn a_start_has_its_time_and_one_that_never_ends_is_an_end() {
    let mut watch = Watch::default();
    assert_eq!(look(&mut watch, &passing(), 0, &RULES), [""; 0]);
    assert_eq!(look(&mut watch, &passing(), 119, &RULES), [""; 0]);
    assert_eq!(
        look(&mut watch, &passing(), 120, &RULES),
        ["stopped", "RESTART"]
    );
    assert!(watch.restarted(Ok(())).is_empty());
    assert_eq!(look(&mut watch, &passing(), 150, &RULES), [""; 0]);
    assert_eq!(look(&mut watch, &Seen::Up, 180, &RULES), ["restarted"]);
}

#[test]
fn what_cannot_be_looked_at_changes_nothing() {
    let mut watch = Watch::default();
    assert_eq!(look(&mut watch, &Seen::Up, 0, &RULES), ["running"]);
    let before = watch.clone();
    assert_eq!(look(&mut watch, &Seen::Unknown, 1000, &RULES), [""; 0]);
    assert_eq!(watch, before);
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => Just(Seen::Up),
        4 => Just(down()),
        1 => Just(passing()),
        1 => Just(Seen::Missing),
        1 => Just(Seen::Unknown),
    ]
}

proptest! {
    #[test]
    fn whatever_is_seen_restarts_keep_their_distance_and_ups_and_downs_alternate(
        looks in prop::collection::vec((any_seen(), 0_u64..200, any::<bool>()), 1..200),
        max_restarts in 0_u32..4,
    ) {
        let rules = Rules { max_restarts, ..RULES };
        let (mut watch, mut now) = (Watch::default(), 0);
        let (mut last_restart, mut is_up, mut given_up) = (None, None, false);
        for (seen, wait, works) in looks {
            now += wait;
            for step in watch.look(&seen, Duration::from_secs(now), &rules) {
                match step {
                    Step::Restart => {
                        prop_assert!(!given_up);
                        prop_assert!(last_restart.is_none_or(|last| now - last >= 60));
                        last_restart = Some(now);
                    }
                    Step::Tell(Happened::Stopped, _) => {
                        prop_assert_ne!(is_up, Some(false));
                        is_up = Some(false);
                    }
                    Step::Tell(Happened::Running | Happened::Restarted, _) => {
                        prop_assert_ne!(is_up, Some(true));
                        is_up = Some(true);
                        given_up = false;
                    }
                    Step::Tell(Happened::GaveUp, _) => {
                        prop_assert!(!given_up && is_up == Some(false));
                        given_up = true;
                    }
                    Step::Tell(Happened::RestartFailed, _) => prop_assert!(is_up == Some(false)),
                }
            }
            prop_assert!(watch.restarts <= max_restarts);
            if watch.is_restarting() {
                watch.restarted(if works { Ok(()) } else { Err("no".to_owned()) });
            }
        }
    }
}
