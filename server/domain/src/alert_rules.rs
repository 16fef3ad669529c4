//! When an alert opens and when it is over, as a pure step: rules, samples and events in,
//! transitions out. No clock of its own: the caller brings the time in seconds.
//!
//! ```text
//!             above for N minutes                 below (threshold - margin) for M minutes
//!   quiet ───────────────────────────▶ raised ─────────────────────────────────────────▶ quiet
//! ```
//!
//! Between threshold and margin nothing changes, so that a value that swings around its threshold
//! raises one alert and not many.

use std::collections::BTreeMap;

use super::policy::alerts::{AlertsPolicy, EventRule, Severity, ThresholdRule};

/// Services of one agent that are remembered as failed.
const MOST_SERVICES: usize = 100;
/// Characters of a service's name that go into the kind of its alert.
const SERVICE_CHARS: usize = 40;

/// What is known of an agent at one moment; shares are in percent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Load of the CPUs.
    pub cpu: Option<f64>,
    /// Memory in use.
    pub memory: Option<f64>,
    /// Disk space in use.
    pub disk: Option<f64>,
    /// The agent's clock less the server's.
    pub clock_off_seconds: Option<i64>,
}

/// Something that happened to an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It connected, or was heard of.
    Online,
    /// It is not connected.
    Offline,
    /// It told its load.
    Sampled(Sample),
    /// Its watchdog saw something: `stopped`, `restarted`, `running`, `gave_up`.
    Service {
        /// The service.
        service: String,
        /// What was seen.
        event: String,
    },
    /// An update ended.
    Updated {
        /// Whether it succeeded.
        success: bool,
    },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Open an alert of this kind.
    Open {
        /// As `cpu` or `service_down:nginx`.
        kind: String,
        /// How bad it is.
        severity: Severity,
        /// For a person.
        message: String,
    },
    /// The cause of an alert of this kind is gone.
    Resolve {
        /// As it was opened.
        kind: String,
    },
}

/// One condition that lasts or does not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Watch {
    raised: bool,
    /// Since when it is bad (quiet) or good (raised).
    since: Option<i64>,
    value: f64,
}

/// What is remembered of an agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgentWatch {
    watches: BTreeMap<String, Watch>,
    offline: bool,
}

/// Whether a condition is bad, good, or neither, which changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Bad,
    Between,
    Good,
}

/// How long a condition must last to raise, and to be over.
#[derive(Debug, Clone, Copy)]
struct Patience {
    raise_seconds: i64,
    resolve_seconds: i64,
}

const AT_ONCE: Patience = Patience {
    raise_seconds: 0,
    resolve_seconds: 0,
};

fn minutes(minutes: u32) -> i64 {
    i64::from(minutes) * 60
}

impl AgentWatch {
    /// An agent with these alerts unresolved, as after a restart of the server.
    #[must_use]
    pub fn with_raised(kinds: impl IntoIterator<Item = String>) -> Self {
        let raised = Watch {
            raised: true,
            ..Watch::default()
        };
        Self {
            watches: kinds.into_iter().map(|kind| (kind, raised)).collect(),
            offline: false,
        }
    }

    /// Forgets an alert that somebody resolved; what is still bad raises a new one in its time.
    pub fn forget(&mut self, kind: &str) {
        self.watches.remove(kind);
    }

    /// Takes an event.
    pub fn on_event(&mut self, rules: &AlertsPolicy, event: Event, now: i64) -> Vec<Transition> {
        let mut out = Vec::new();
        match event {
            Event::Online => self.offline = false,
            Event::Offline => self.offline = true,
            Event::Sampled(sample) => self.sampled(rules, sample, now, &mut out),
            Event::Service { service, event } => {
                self.service(rules, &service, &event, now, &mut out)
            }
            Event::Updated { success } => {
                self.event(
                    "update_failed",
                    rules.update_failed,
                    !success,
                    now,
                    &mut out,
                    || "an update of the agent has failed".to_owned(),
                );
            }
            Event::Tick => {}
        }
        self.look_at_connection(rules, now, &mut out);
        self.drop_without_rule(rules, &mut out);
        out
    }

    fn look_at_connection(&mut self, rules: &AlertsPolicy, now: i64, out: &mut Vec<Transition>) {
        let Some(rule) = rules.offline.filter(|rule| rule.enabled) else {
            return;
        };
        let state = if self.offline {
            State::Bad
        } else {
            State::Good
        };
        let patience = Patience {
            raise_seconds: minutes(rule.for_minutes),
            ..AT_ONCE
        };
        self.watch(
            "offline",
            state,
            0.0,
            patience,
            now,
            out,
            rule.severity,
            |_| format!("the agent is offline for {} minutes", rule.for_minutes),
        );
    }

    fn sampled(
        &mut self,
        rules: &AlertsPolicy,
        sample: Sample,
        now: i64,
        out: &mut Vec<Transition>,
    ) {
        let shares = [
            ("cpu", rules.cpu, sample.cpu),
            ("memory", rules.memory, sample.memory),
            ("disk", rules.disk, sample.disk),
        ];
        for (kind, rule, value) in shares {
            if let (Some(rule), Some(value)) = (rule.filter(|rule| rule.enabled), value)
                && value.is_finite()
            {
                self.share(kind, rule, value, now, out);
            }
        }
        if let (Some(rule), Some(off)) = (rules.clock, sample.clock_off_seconds)
            && rule.enabled
        {
            let most = u64::from(rule.off_by_seconds);
            let state = match off.unsigned_abs() {
                off if off > most => State::Bad,
                off if off > most / 2 => State::Between,
                _ => State::Good,
            };
            self.watch(
                "clock",
                state,
                0.0,
                AT_ONCE,
                now,
                out,
                rule.severity,
                |_| format!("the agent's clock is off by {off} s"),
            );
        }
    }

    fn share(
        &mut self,
        kind: &str,
        rule: ThresholdRule,
        value: f64,
        now: i64,
        out: &mut Vec<Transition>,
    ) {
        let above = f64::from(rule.above_percent);
        let below = above - f64::from(rule.margin_percent);
        let state = if value > above {
            State::Bad
        } else if value > below {
            State::Between
        } else {
            State::Good
        };
        let patience = Patience {
            raise_seconds: minutes(rule.for_minutes),
            resolve_seconds: minutes(rule.resolve_minutes),
        };
        self.watch(
            kind,
            state,
            value,
            patience,
            now,
            out,
            rule.severity,
            |value| {
                let above = rule.above_percent;
                format!(
                    "{kind} is at {value:.0} %, above {above} % for {} minutes",
                    rule.for_minutes
                )
            },
        );
    }

    fn service(
        &mut self,
        rules: &AlertsPolicy,
        service: &str,
        event: &str,
        now: i64,
        out: &mut Vec<Transition>,
    ) {
        let name: String = service.chars().take(SERVICE_CHARS).collect();
        let bad = match event {
            "stopped" | "failed" | "gave_up" => true,
            "restarted" | "running" | "started" => false,
            _ => return,
        };
        let down = format!("service_down:{name}");
        if self.watches.len() >= MOST_SERVICES && !self.watches.contains_key(&down) {
            return;
        }
        self.event(&down, rules.service_down, bad, now, out, || {
            format!("the service {name} does not run")
        });
        if event == "gave_up" || !bad {
            let kind = format!("watchdog_gave_up:{name}");
            self.event(&kind, rules.watchdog_gave_up, bad, now, out, || {
                format!("the watchdog has given the service {name} up")
            });
        }
    }

    fn event(
        &mut self,
        kind: &str,
        rule: Option<EventRule>,
        bad: bool,
        now: i64,
        out: &mut Vec<Transition>,
        message: impl Fn() -> String,
    ) {
        if let Some(rule) = rule.filter(|rule| rule.enabled) {
            let state = if bad { State::Bad } else { State::Good };
            self.watch(kind, state, 0.0, AT_ONCE, now, out, rule.severity, |_| {
                message()
            });
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one step of the machine, with all that it needs"
    )]
    fn watch(
        &mut self,
        kind: &str,
        state: State,
        value: f64,
        patience: Patience,
        now: i64,
        out: &mut Vec<Transition>,
        severity: Severity,
        message: impl Fn(f64) -> String,
    ) {
        if state == State::Good && !self.watches.contains_key(kind) {
            return;
        }
        let watch = self.watches.entry(kind.to_owned()).or_default();
        watch.value = value;
        let turning = match (watch.raised, state) {
            (false, State::Bad) | (true, State::Good) => true,
            (_, State::Between) | (true, State::Bad) | (false, State::Good) => false,
        };
        if !turning {
            watch.since = None;
            if !watch.raised && state == State::Good {
                self.watches.remove(kind);
            }
            return;
        }
        let since = *watch.since.get_or_insert(now);
        let wait = if watch.raised {
            patience.resolve_seconds
        } else {
            patience.raise_seconds
        };
        if now - since < wait {
            return;
        }
        let kind = kind.to_owned();
        if watch.raised {
            self.watches.remove(&kind);
            out.push(Transition::Resolve { kind });
        } else {
            watch.raised = true;
            watch.since = None;
            out.push(Transition::Open {
                severity,
                message: message(value),
                kind,
            });
        }
    }

    /// What is raised by a rule that is no more is over.
    fn drop_without_rule(&mut self, rules: &AlertsPolicy, out: &mut Vec<Transition>) {
        self.watches.retain(|kind, watch| {
            let kept = has_rule(rules, kind);
            if !kept && watch.raised {
                out.push(Transition::Resolve { kind: kind.clone() });
            }
            kept
        });
    }
}

fn has_rule(rules: &AlertsPolicy, kind: &str) -> bool {
    let threshold = |rule: Option<ThresholdRule>| rule.is_some_and(|rule| rule.enabled);
    let event = |rule: Option<EventRule>| rule.is_some_and(|rule| rule.enabled);
    match kind.split(':').next().unwrap_or_default() {
        "offline" => rules.offline.is_some_and(|rule| rule.enabled),
        "cpu" => threshold(rules.cpu),
        "memory" => threshold(rules.memory),
        "disk" => threshold(rules.disk),
        "clock" => rules.clock.is_some_and(|rule| rule.enabled),
        "service_down" => event(rules.service_down),
        "watchdog_gave_up" => event(rules.watchdog_gave_up),
        "update_failed" => event(rules.update_failed),
        // Raised without a rule, for a person to resolve.
        "copied_machine" => true,
        _ => false,
    }
}

#[cfg(test)]
#[path = "alert_rules_tests.rs"]
mod tests;
