//! Whose figures are kept how long: as the configuration says, or as the policies do.

use std::collections::HashMap;

use chrono::Duration;
use gururmm_shared::AgentId;

use super::policies::{merged, touches};
use crate::db::metrics_rollups::{Keep, KeepOf};
use crate::db::{Db, DbError, places, policies};
use crate::domain::policy::RetentionPolicy;

/// Agents that one statement names.
const AT_ONCE: usize = 500;

fn kept(usual: Keep, policy: &RetentionPolicy) -> Keep {
    let days = |said: Option<u32>, usual| said.map_or(usual, |days| Duration::days(days.into()));
    Keep {
        samples: days(policy.raw_days, usual.samples),
        minutes: days(policy.minute_days, usual.minutes),
        hours: days(policy.hour_days, usual.hours),
    }
}

/// What is to be deleted: first what nobody keeps, then of some what they keep less long than others.
///
/// # Errors
/// The policies cannot be read.
pub async fn whose(db: &Db, usual: Keep) -> Result<Vec<KeepOf>, DbError> {
    let stored = policies::all(db).await?;
    let mut longest = usual;
    let mut sets: HashMap<Keep, Vec<AgentId>> = HashMap::new();
    let said = stored.iter().any(|policy| {
        policy
            .settings
            .get("retention")
            .is_some_and(|said| !said.is_null())
    });
    if said {
        let mut known: HashMap<Vec<usize>, Keep> = HashMap::new();
        for (agent_id, place) in places::of_all(db).await? {
            let own: Vec<usize> = stored
                .iter()
                .enumerate()
                .filter(|(_, policy)| touches(policy, agent_id, place))
                .map(|(index, _)| index)
                .collect();
            let keep = match known.get(&own) {
                Some(keep) => *keep,
                None => {
                    let effective = merged(own.iter().filter_map(|index| stored.get(*index)))?;
                    let keep = kept(usual, &effective.settings.retention);
                    known.insert(own, keep);
                    keep
                }
            };
            longest.samples = longest.samples.max(keep.samples);
            longest.minutes = longest.minutes.max(keep.minutes);
            longest.hours = longest.hours.max(keep.hours);
            sets.entry(keep).or_default().push(agent_id);
        }
    }
    let mut all = vec![KeepOf {
        keep: longest,
        agents: None,
    }];
    for (keep, agents) in sets {
        if keep == longest {
            continue;
        }
        all.extend(agents.chunks(AT_ONCE).map(|agents| KeepOf {
            keep,
            agents: Some(agents.to_vec()),
        }));
    }
    Ok(all)
}
