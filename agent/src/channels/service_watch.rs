//! Changes of services as they happen: looked at again and again, and what is other than before is told, one line of
//! JSON each. Who reads slowly is told less often: a look waits until the last one was taken.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{
    Closed, ErrorCode, Feature, Opened, Operation, OperationError, Reply, ServiceChange,
    ServiceChangeKind, ServiceState, ServiceWatch, TunnelRules,
};
use tokio::time::{MissedTickBehavior, interval};

use super::stream::Stream;
use crate::platform::services;

/// Time between looks where nobody says.
const INTERVAL_SECONDS: u32 = 2;
/// Looks in a row that may fail.
const MOST_FAILURES: u32 = 3;
/// Services that are looked at one by one, with their processes; more are looked at in the list of all.
const ONE_BY_ONE: usize = 16;

/// Watches until the stream is cut off; answers the channel's last word.
pub async fn run(stream: &Stream, watch: ServiceWatch, rules: &TunnelRules, window: u64) -> Closed {
    match follow(stream, watch, rules, window).await {
        Ok(()) => Closed::default(),
        Err(error) => Closed::failed(error),
    }
}

type Known = BTreeMap<String, ServiceState>;

async fn follow(
    stream: &Stream,
    watch: ServiceWatch,
    rules: &TunnelRules,
    window: u64,
) -> Result<(), OperationError> {
    if !rules.allows(Feature::Services) {
        return Err(OperationError::new(
            ErrorCode::NotAllowed,
            "the policy does not allow services",
        ));
    }
    let names = watch.names.iter().map(|name| services::checked(name));
    let names = names.collect::<Result<Vec<String>, _>>()?;
    let mut known = look(&names).await?;
    let opened = Opened {
        window,
        ..Opened::default()
    };
    stream.opened(opened).await.map_err(gone)?;
    for service in known.values() {
        tell(stream, ServiceChangeKind::Present, service).await?;
    }
    let seconds = watch.interval_seconds.unwrap_or(INTERVAL_SECONDS).max(1);
    let mut looks = interval(Duration::from_secs(seconds.into()));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let mut failures = 0;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            reset = stream.until_cut_off() => return Err(gone(reset)),
        }
        let now = match look(&names).await {
            Ok(now) => now,
            Err(_) if failures < MOST_FAILURES => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        failures = 0;
        for (change, service) in changes(&known, &now) {
            tell(stream, change, service).await?;
        }
        known = now;
    }
}

async fn look(names: &[String]) -> Result<Known, OperationError> {
    let mut found = Vec::new();
    if names.is_empty() || names.len() > ONE_BY_ONE {
        found = ask(Operation::ServiceList).await?;
        found.retain(|service| names.is_empty() || names.contains(&service.name));
    } else {
        for name in names {
            let question = Operation::ServiceStat { name: name.clone() };
            match ask(question).await {
                Ok(service) => found.extend(service),
                Err(error) if error.code == ErrorCode::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    let named = found.into_iter();
    Ok(named
        .map(|service| (service.name.clone(), service))
        .collect())
}

async fn ask(question: Operation) -> Result<Vec<ServiceState>, OperationError> {
    match services::perform(question).await? {
        Reply::Services { services } => Ok(services),
        _ => Ok(Vec::new()),
    }
}

/// What is other than before, by name.
fn changes<'a>(
    before: &'a Known,
    now: &'a Known,
) -> impl Iterator<Item = (ServiceChangeKind, &'a ServiceState)> {
    let gone = before
        .iter()
        .filter(|(name, _)| !now.contains_key(*name))
        .map(|(_, service)| (ServiceChangeKind::Removed, service));
    let other = now
        .iter()
        .filter_map(|(name, service)| match before.get(name) {
            None => Some((ServiceChangeKind::Added, service)),
            Some(known) if known != service => Some((ServiceChangeKind::Changed, service)),
            Some(_) => None,
        });
    gone.chain(other)
}

async fn tell(
    stream: &Stream,
    change: ServiceChangeKind,
    service: &ServiceState,
) -> Result<(), OperationError> {
    let change = ServiceChange {
        change,
        service: service.clone(),
    };
    let line = serde_json::to_string(&change).map_err(|error| {
        OperationError::new(
            ErrorCode::Failed,
            format!("a change cannot be told: {error}"),
        )
    })?;
    stream.send(Bytes::from(line + "\n")).await.map_err(gone)
}

fn gone(reset: Reset) -> OperationError {
    OperationError::new(ErrorCode::Gone, reset.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, state: &str) -> (String, ServiceState) {
        let service = ServiceState {
            name: name.to_owned(),
            description: String::new(),
            state: state.to_owned(),
            start_type: None,
            pid: None,
        };
        (name.to_owned(), service)
    }

    #[test]
    fn what_came_went_and_changed_is_told_and_nothing_else() {
        let before = Known::from([
            service("a", "running"),
            service("b", "running"),
            service("c", "stopped"),
        ]);
        let now = Known::from([
            service("b", "failed"),
            service("c", "stopped"),
            service("d", "running"),
        ]);
        let told: Vec<(ServiceChangeKind, &str)> = changes(&before, &now)
            .map(|(change, service)| (change, service.name.as_str()))
            .collect();
        let wanted = [
            (ServiceChangeKind::Removed, "a"),
            (ServiceChangeKind::Changed, "b"),
            (ServiceChangeKind::Added, "d"),
        ];
        assert_eq!(told, wanted);
        assert_eq!(changes(&now, &now).count(), 0);
    }
}
