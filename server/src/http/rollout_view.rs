//! Rollouts as the API shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gururmm_shared::{RolloutId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::rollouts::Rollout;
use crate::services::updates::{Progress, plan_of};

/// A rollout as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollout)]
pub(super) struct RolloutView {
    id: RolloutId,
    version: String,
    channel: String,
    /// All platforms where there is none.
    platform: Option<String>,
    /// Percentages, each with those of the waves before in it.
    waves: Vec<u8>,
    /// The wave it is at, counted from 1.
    wave: i32,
    wave_began_at: DateTime<Utc>,
    soak_seconds: i32,
    max_failed_percent: i32,
    /// `running`, `paused`, `stopped` by a person, `failed` by itself or `completed`.
    state: String,
    reason: Option<String>,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<Rollout> for RolloutView {
    fn from(rollout: Rollout) -> Self {
        Self {
            waves: plan_of(&rollout).waves,
            id: rollout.id,
            version: rollout.version,
            channel: rollout.channel,
            platform: rollout.platform,
            wave: rollout.wave.saturating_add(1),
            wave_began_at: rollout.wave_began_at,
            soak_seconds: rollout.soak_seconds,
            max_failed_percent: rollout.max_failed_percent,
            state: rollout.state,
            reason: rollout.reason,
            created_by: rollout.created_by,
            created_at: rollout.created_at,
            updated_at: rollout.updated_at,
            ended_at: rollout.ended_at,
        }
    }
}

/// How far one wave is.
#[derive(Serialize, ToSchema)]
#[schema(as = RolloutWave)]
struct WaveView {
    percent: u8,
    /// Still to be sent: away, waiting for their wave, or for a place.
    pending: u64,
    /// Sent, with no word of how it ended.
    sent: u64,
    completed: u64,
    failed: u64,
}

/// A rollout with how far it is.
#[derive(Serialize, ToSchema)]
#[schema(as = RolloutWithProgress)]
pub(super) struct RolloutWithProgress {
    #[serde(flatten)]
    rollout: RolloutView,
    /// Each wave without those before.
    progress: Vec<WaveView>,
    /// Why updates failed, and how many of each.
    failures: BTreeMap<String, u64>,
    /// Agents of the channel that are left out, for they cannot check signatures: install the agent anew there.
    without_capability: u64,
    /// Agents of the channel that are left out, for there is no release for what they run on.
    without_release: u64,
}

impl RolloutWithProgress {
    pub(super) fn new(rollout: Rollout, progress: Progress) -> Self {
        let percents = plan_of(&rollout).waves;
        let waves = percents.into_iter().zip(progress.waves);
        Self {
            rollout: rollout.into(),
            progress: waves
                .map(|(percent, tally)| WaveView {
                    percent,
                    pending: tally.pending,
                    sent: tally.sent,
                    completed: tally.completed,
                    failed: tally.failed,
                })
                .collect(),
            failures: progress.failures,
            without_capability: progress.without_capability,
            without_release: progress.without_release,
        }
    }
}
