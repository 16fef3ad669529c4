//! What raises an alert and what does not.

use serde_json::json;

use super::*;

fn rules(rules: serde_json::Value) -> AlertsPolicy {
    serde_json::from_value(rules).unwrap()
}

fn cpu(percent: f64) -> Event {
    Event::Sampled(Sample {
        cpu: Some(percent),
        ..Sample::default()
    })
}

fn told(transitions: &[Transition]) -> Vec<String> {
    let word = |transition: &Transition| match transition {
        Transition::Open { kind, .. } => format!("+{kind}"),
        Transition::Resolve { kind } => format!("-{kind}"),
    };
    transitions.iter().map(word).collect()
}

/// Feeds one value a minute; answers what happened in which minute.
fn minutes_of(rules: &AlertsPolicy, values: &[f64]) -> Vec<(usize, String)> {
    let mut watch = AgentWatch::default();
    let mut happened = Vec::new();
    for (minute, value) in values.iter().enumerate() {
        let now = i64::try_from(minute).unwrap() * 60;
        let transitions = watch.on_event(rules, cpu(*value), now);
        happened.extend(told(&transitions).into_iter().map(|word| (minute, word)));
    }
    happened
}

const RULE: &str = r#"{"cpu": {"above_percent": 90, "margin_percent": 10, "for_minutes": 2,
    "resolve_minutes": 2}}"#;

#[test]
fn a_load_raises_only_when_it_lasts_and_is_over_only_when_that_lasts() {
    let rules = rules(serde_json::from_str(RULE).unwrap());
    let peak = [95.0, 50.0, 95.0, 95.0, 50.0];
    assert_eq!(minutes_of(&rules, &peak), []);
    let lasting = [95.0, 96.0, 97.0, 98.0, 50.0, 95.0, 50.0, 50.0, 50.0, 50.0];
    let wanted = [(2, "+cpu".to_owned()), (8, "-cpu".to_owned())];
    assert_eq!(minutes_of(&rules, &lasting), wanted);
}

#[test]
fn a_load_that_swings_around_its_threshold_raises_one_alert() {
    let rules = rules(serde_json::from_str(RULE).unwrap());
    let mut values = vec![95.0; 3];
    for _ in 0..50 {
        values.extend([85.0, 95.0, 89.0]);
    }
    assert_eq!(minutes_of(&rules, &values), [(2, "+cpu".to_owned())]);
}

#[test]
fn an_agent_is_offline_only_after_its_time_and_back_at_once() {
    let rules = rules(json!({"offline": {"for_minutes": 5}}));
    let mut watch = AgentWatch::default();
    assert!(watch.on_event(&rules, Event::Offline, 0).is_empty());
    assert!(watch.on_event(&rules, Event::Tick, 299).is_empty());
    assert_eq!(
        told(&watch.on_event(&rules, Event::Tick, 300)),
        ["+offline"]
    );
    assert!(watch.on_event(&rules, Event::Tick, 900).is_empty());
    assert_eq!(
        told(&watch.on_event(&rules, Event::Online, 901)),
        ["-offline"]
    );
    watch.on_event(&rules, Event::Offline, 1000);
    watch.on_event(&rules, Event::Online, 1100);
    assert!(watch.on_event(&rules, Event::Tick, 5000).is_empty());
}

#[test]
fn services_and_updates_raise_by_what_happens_to_them() {
    let rules = rules(
        json!({"service_down": {}, "watchdog_gave_up": {"severity": "critical"},
        "update_failed": {}}),
    );
    let mut watch = AgentWatch::default();
    let see = |event: &str, watch: &mut AgentWatch| {
        let event = Event::Service {
            service: "nginx".to_owned(),
            event: event.to_owned(),
        };
        told(&watch.on_event(&rules, event, 0))
    };
    assert_eq!(see("stopped", &mut watch), ["+service_down:nginx"]);
    assert_eq!(see("gave_up", &mut watch), ["+watchdog_gave_up:nginx"]);
    assert_eq!(see("gave_up", &mut watch), Vec::<String>::new());
    assert_eq!(
        see("restarted", &mut watch),
        ["-service_down:nginx", "-watchdog_gave_up:nginx"]
    );
    let failed = watch.on_event(&rules, Event::Updated { success: false }, 0);
    assert_eq!(told(&failed), ["+update_failed"]);
    let done = watch.on_event(&rules, Event::Updated { success: true }, 0);
    assert_eq!(told(&done), ["-update_failed"]);
}

#[test]
fn a_clock_counts_either_way() {
    let rules = rules(json!({"clock": {"off_by_seconds": 60}}));
    for off in [-61, 61, i64::MIN] {
        let sample = Sample {
            clock_off_seconds: Some(off),
            ..Sample::default()
        };
        let mut watch = AgentWatch::default();
        let raised = watch.on_event(&rules, Event::Sampled(sample), 0);
        assert_eq!(told(&raised), ["+clock"], "{off}");
    }
}

#[test]
fn an_alert_whose_rule_is_gone_is_over() {
    let mut watch = AgentWatch::with_raised(["cpu".to_owned(), "offline".to_owned()]);
    let rules = rules(json!({"offline": {}}));
    assert_eq!(told(&watch.on_event(&rules, Event::Offline, 0)), ["-cpu"]);
}

#[test]
fn after_a_restart_a_raised_alert_is_not_raised_again() {
    let rules = rules(serde_json::from_str(RULE).unwrap());
    let mut watch = AgentWatch::with_raised(["cpu".to_owned()]);
    for minute in 0..10 {
        assert!(watch.on_event(&rules, cpu(99.0), minute * 60).is_empty());
    }
}

#[test]
fn numbers_that_no_machine_has_raise_nothing() {
    let rules = rules(json!({"cpu": {"for_minutes": 0}}));
    let mut watch = AgentWatch::default();
    for value in [f64::NAN, f64::INFINITY, -5.0] {
        assert!(watch.on_event(&rules, cpu(value), 0).is_empty());
    }
}
