//! Which agents a rollout is for: what they run, what they follow by their policy, what they can.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use gururmm_release::Manifest;
use gururmm_shared::{AgentId, CAPABILITY_SIGNED_UPDATE, ServerMessage, Update};
use semver::Version;

use crate::db::agents::{self, AgentBuild};
use crate::db::policies::Policy;
use crate::db::releases::{self, Release, ReleaseFilter};
use crate::db::rollouts::Rollout;
use crate::db::{Db, DbError, agent_updates, policies};
use crate::domain::policy::UpdateChannel;
use crate::domain::rollout::{Plan, Tally};
use crate::domain::scope::Place;
use crate::services::policies::{merged, touches};

/// An agent, as far as updates are concerned.
#[derive(Debug, Clone)]
pub struct Member {
    /// Which agent.
    pub id: AgentId,
    /// What it runs, as it says it.
    pub version: Option<String>,
    /// What it runs on.
    pub platform: String,
    /// Whose releases it follows.
    pub channel: UpdateChannel,
    /// Whether it installs what is signed.
    pub capable: bool,
}

/// Whether an agent is given a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is, this one of those that there are.
    Eligible(usize),
    /// It follows another channel, or none.
    OtherChannel,
    /// It cannot check signatures: somebody has to install the agent anew there.
    NoCapability,
    /// There is none for what it runs on.
    NoRelease,
    /// It has it, or is newer, or its version is none.
    NotNewer,
}

impl Member {
    /// Whether it is given one of these releases.
    #[must_use]
    pub fn standing(&self, offers: &Offers, now: DateTime<Utc>) -> Standing {
        if self.channel.name() != offers.channel {
            return Standing::OtherChannel;
        }
        let found = offers.releases.iter().position(|(release, manifest)| {
            release.platform == self.platform && now < manifest.expires_at
        });
        let Some(index) = found else {
            return Standing::NoRelease;
        };
        let version = self.version.as_deref().unwrap_or_default();
        let (Ok(own), Some((_, manifest))) = (Version::parse(version), offers.releases.get(index))
        else {
            return Standing::NotNewer;
        };
        if manifest.fits(&own, &self.platform, now).is_err() {
            return Standing::NotNewer;
        }
        if !self.capable {
            return Standing::NoCapability;
        }
        Standing::Eligible(index)
    }
}

/// The releases that a rollout brings: one a platform.
#[derive(Debug, Clone)]
pub struct Offers {
    /// To which channel.
    pub channel: String,
    /// Each with what it says.
    pub releases: Vec<(Release, Manifest)>,
}

impl Offers {
    /// What there is of a rollout's version.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(db: &Db, rollout: &Rollout) -> Result<Self, DbError> {
        let filter = ReleaseFilter {
            channel: Some(rollout.channel.clone()),
            platform: rollout.platform.clone(),
            version: Some(rollout.version.clone()),
        };
        let found = releases::all(db, filter).await?.into_iter();
        Ok(Self {
            channel: rollout.channel.clone(),
            releases: found
                .filter_map(|release| manifest_of(&release).map(|manifest| (release, manifest)))
                .collect(),
        })
    }

    /// Whether one of them can be installed still.
    #[must_use]
    pub fn alive(&self, now: DateTime<Utc>) -> bool {
        self.releases
            .iter()
            .any(|(_, manifest)| now < manifest.expires_at)
    }
}

/// What the manifest of a stored release says; its signature was checked when it was added, and agents check it again.
#[must_use]
pub fn manifest_of(release: &Release) -> Option<Manifest> {
    let read = serde_json::from_str(&release.manifest);
    read.inspect_err(|error| {
        tracing::error!(%error, release.id = %release.id, "the manifest of a stored release cannot be read");
    })
    .ok()
}

/// What an agent is told.
#[must_use]
pub fn message(release: &Release) -> ServerMessage {
    ServerMessage::Update(Update {
        download_url: format!("/api/agent/releases/{}", release.sha256),
        checksum: release.sha256.clone(),
        version: release.version.clone(),
        manifest: Some(release.manifest.clone()),
        signature: Some(release.signature.clone()),
    })
}

/// What a stored rollout was asked to be.
#[must_use]
pub fn plan_of(rollout: &Rollout) -> Plan {
    Plan {
        waves: serde_json::from_value(rollout.waves.clone()).unwrap_or_else(|_| vec![100]),
        soak_seconds: u32::try_from(rollout.soak_seconds).unwrap_or(0),
        max_failed_percent: u8::try_from(rollout.max_failed_percent).unwrap_or(0),
    }
}

/// All agents that are let in.
///
/// # Errors
/// The database's, and a policy that cannot be read: then nobody is updated by guess.
pub async fn fleet(db: &Db) -> Result<Vec<Member>, DbError> {
    members(db, None).await
}

/// One agent; nothing where there is none that is let in.
///
/// # Errors
/// As [`fleet`].
pub async fn member(db: &Db, id: AgentId) -> Result<Option<Member>, DbError> {
    Ok(members(db, Some(id)).await?.pop())
}

async fn members(db: &Db, id: Option<AgentId>) -> Result<Vec<Member>, DbError> {
    let builds = agents::builds(db, id).await?;
    let all = policies::all(db).await?;
    // Most agents have the same policies, so each set of them is merged once.
    let mut known: HashMap<Vec<usize>, UpdateChannel> = HashMap::new();
    let mut members = Vec::with_capacity(builds.len());
    for build in builds {
        let channel = channel_of(&build, &all, &mut known)?;
        let capable = build.capabilities.as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one.as_str() == Some(CAPABILITY_SIGNED_UPDATE))
        });
        members.push(Member {
            id: build.id,
            version: build.agent_version,
            platform: format!("{}-{}", build.os_family, build.os_arch),
            channel,
            capable,
        });
    }
    Ok(members)
}

fn channel_of(
    build: &AgentBuild,
    all: &[Policy],
    known: &mut HashMap<Vec<usize>, UpdateChannel>,
) -> Result<UpdateChannel, DbError> {
    let place = Place {
        client_id: build.client_id,
        site_id: build.site_id,
    };
    let own: Vec<usize> = all
        .iter()
        .enumerate()
        .filter(|(_, policy)| touches(policy, build.id, place))
        .map(|(index, _)| index)
        .collect();
    if let Some(channel) = known.get(&own) {
        return Ok(*channel);
    }
    let touching = own.iter().filter_map(|index| all.get(*index));
    let channel = merged(touching)?.settings.update.channel;
    let channel = channel.unwrap_or(UpdateChannel::Stable);
    known.insert(own, channel);
    Ok(channel)
}

/// How far a rollout is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// One for each wave.
    pub waves: Vec<Tally>,
    /// Why updates failed, and how many of each.
    pub failures: BTreeMap<String, u64>,
    /// Agents of the channel that cannot check signatures.
    pub without_capability: u64,
    /// Agents of the channel for whose platform there is no release.
    pub without_release: u64,
    /// Who is still to be sent it, with its wave and the release for it.
    pub pending: Vec<(AgentId, usize, usize)>,
}

/// Finds out how far a rollout is.
///
/// # Errors
/// The database's.
pub async fn progress(
    db: &Db,
    rollout: &Rollout,
    fleet: &[Member],
    offers: &Offers,
    now: DateTime<Utc>,
) -> Result<Progress, DbError> {
    let plan = plan_of(rollout);
    let mut progress = Progress {
        waves: vec![Tally::default(); plan.waves.len()],
        ..Progress::default()
    };
    // Before the tallies: who is sent it in between counts twice for a moment, and not for nobody.
    let had: HashSet<AgentId> = agent_updates::members(db, rollout.id)
        .await?
        .into_iter()
        .collect();
    for (wave, status, count) in agent_updates::tallies(db, rollout.id).await? {
        let wave = usize::try_from(wave).unwrap_or(usize::MAX);
        let count = u64::try_from(count).unwrap_or(0);
        if let Some(tally) = progress.waves.get_mut(wave) {
            match status.as_str() {
                "pending" => tally.pending += count,
                "sent" => tally.sent += count,
                "completed" => tally.completed += count,
                _ => tally.failed += count,
            }
        }
    }
    for (code, count) in agent_updates::failures(db, rollout.id).await? {
        let code = code.unwrap_or_else(|| "unknown".to_owned());
        *progress.failures.entry(code).or_default() += u64::try_from(count).unwrap_or(0);
    }
    if rollout.ended_at.is_some() {
        return Ok(progress);
    }
    for member in fleet.iter().filter(|member| !had.contains(&member.id)) {
        match member.standing(offers, now) {
            Standing::Eligible(index) => {
                let wave = plan.wave_of(rollout.id, member.id);
                if let Some(tally) = progress.waves.get_mut(wave) {
                    tally.pending += 1;
                }
                progress.pending.push((member.id, wave, index));
            }
            Standing::NoCapability => progress.without_capability += 1,
            Standing::NoRelease => progress.without_release += 1,
            Standing::OtherChannel | Standing::NotNewer => {}
        }
    }
    Ok(progress)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use gururmm_shared::ReleaseId;

    use super::*;

    fn offer(version: &str, platform: &str, now: DateTime<Utc>) -> (Release, Manifest) {
        let manifest = Manifest {
            format: 1,
            version: version.parse().unwrap(),
            platform: platform.to_owned(),
            size: 1,
            sha256: "00".repeat(32),
            released_at: now,
            expires_at: now + TimeDelta::days(1),
            downgrade: false,
        };
        let release = Release {
            id: ReleaseId::generate(),
            version: version.to_owned(),
            platform: platform.to_owned(),
            channel: "stable".to_owned(),
            sha256: manifest.sha256.clone(),
            size_bytes: 1,
            downgrade: false,
            manifest: serde_json::to_string(&manifest).unwrap(),
            signature: "s".to_owned(),
            released_at: now,
            expires_at: manifest.expires_at,
            added_by: None,
            added_at: now,
        };
        (release, manifest)
    }

    #[test]
    fn only_a_capable_agent_of_the_channel_with_an_older_version_is_given_a_release() {
        let now = Utc::now();
        let offers = Offers {
            channel: "stable".to_owned(),
            releases: vec![
                offer("0.2.0", "windows-x86_64", now),
                offer("0.2.0", "linux-x86_64", now),
            ],
        };
        let member = Member {
            id: AgentId::generate(),
            version: Some("0.1.0".to_owned()),
            platform: "linux-x86_64".to_owned(),
            channel: UpdateChannel::Stable,
            capable: true,
        };
        let standing = |member: &Member| member.standing(&offers, now);
        assert_eq!(standing(&member), Standing::Eligible(1));
        for (change, wanted) in [
            (
                Member {
                    channel: UpdateChannel::Beta,
                    ..member.clone()
                },
                Standing::OtherChannel,
            ),
            (
                Member {
                    channel: UpdateChannel::Off,
                    ..member.clone()
                },
                Standing::OtherChannel,
            ),
            (
                Member {
                    capable: false,
                    ..member.clone()
                },
                Standing::NoCapability,
            ),
            (
                Member {
                    platform: "linux-aarch64".to_owned(),
                    ..member.clone()
                },
                Standing::NoRelease,
            ),
            (
                Member {
                    version: Some("0.2.0".to_owned()),
                    ..member.clone()
                },
                Standing::NotNewer,
            ),
            (
                Member {
                    version: None,
                    ..member.clone()
                },
                Standing::NotNewer,
            ),
        ] {
            assert_eq!(standing(&change), wanted, "{change:?}");
        }
        let late = now + TimeDelta::days(1);
        assert_eq!(member.standing(&offers, late), Standing::NoRelease);
        assert!(offers.alive(now) && !offers.alive(late));
    }
}
