//! Updates of one agent: what was, and one that is asked for by hand.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, ReleaseId, RolloutId};
use semver::Version;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Authenticated, MaybeSigned};
use super::page::{Page, cut, limit_of};
use super::state::AppState;
use crate::actors::update_messages::LookAtUpdates;
use crate::db::DbError;
use crate::db::agent_updates::{self, AgentUpdate, NewUpdate};
use crate::db::places;
use crate::db::releases::{self, Release, ReleaseFilter};
use crate::domain::policy::UpdateChannel;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::releases::newest;
use crate::services::updates::{Member, manifest_of, member};

/// An update as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentUpdate)]
struct UpdateView {
    id: i64,
    agent_id: AgentId,
    from_version: Option<String>,
    to_version: String,
    /// `pending`, `sent`, `completed` or `failed`.
    status: String,
    /// A stable word for why it failed, or waits once more: `bad_signature`, `rolled_back`, `no_answer`, `busy` …
    code: Option<String>,
    error: Option<String>,
    /// None where somebody asked for it.
    rollout_id: Option<RolloutId>,
    release_id: Option<ReleaseId>,
    attempts: i32,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    /// It is not sent again before.
    not_before: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<AgentUpdate> for UpdateView {
    fn from(update: AgentUpdate) -> Self {
        Self {
            id: update.id,
            agent_id: update.agent_id,
            from_version: update.from_version,
            to_version: update.to_version,
            status: update.status,
            code: update.code,
            error: update.error,
            rollout_id: update.rollout_id,
            release_id: update.release_id,
            attempts: update.attempts,
            created_at: update.created_at,
            sent_at: update.sent_at,
            not_before: update.not_before,
            finished_at: update.finished_at,
        }
    }
}

/// Which updates.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(minimum = 1)]
    cursor: Option<i64>,
}

/// Lists an agent's updates, the newest first.
#[utoipa::path(
    tag = "agents",
    operation_id = "updates",
    params(Filter),
    responses(
        (status = 200, description = "a page", body = Page<UpdateView>),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}/updates")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    let id = find(&state, &who, Capability::ReadFleet, *id).await?;
    let limit = limit_of(filter.limit)?;
    let mut rows = agent_updates::of_agent(&state.db, id, filter.cursor, limit + 1).await?;
    let more = cut(&mut rows, limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let items: Vec<UpdateView> = rows.into_iter().map(UpdateView::from).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

/// Finds an agent in whose place the caller may do this.
async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: uuid::Uuid,
) -> Result<AgentId, AppError> {
    who.require(capability)?;
    let id = AgentId(id);
    let place = places::of_agent(&state.db, id).await?;
    let place = place.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(capability, place)?;
    Ok(id)
}

/// Body of an update.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[schema(as = UpdateAgent)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// A version of either channel; the newest of the agent's own channel where nothing is said.
    #[garde(inner(length(chars, min = 1, max = 64)))]
    #[schema(min_length = 1, max_length = 64, examples("0.2.0"))]
    version: Option<String>,
}

/// The release that an agent is given.
async fn wanted(
    state: &AppState,
    member: &Member,
    version: Option<String>,
) -> Result<Release, AppError> {
    let own = (version.is_none()).then_some(member.channel);
    if own == Some(UpdateChannel::Off) {
        return Err(AppError::conflict(
            "updates_off",
            "the policy of this agent gives it no updates; name a version, or change the policy",
        ));
    }
    let filter = ReleaseFilter {
        channel: own.map(|channel| channel.name().to_owned()),
        platform: Some(member.platform.clone()),
        version,
    };
    let found = releases::all(&state.db, filter).await?;
    newest(found, now()).ok_or_else(|| {
        let detail = format!(
            "there is no such release for {} that has not expired; GET /api/releases lists what there is",
            member.platform
        );
        AppError::conflict("no_release", detail)
    })
}

/// Updates one agent now, or as soon as it is there.
#[utoipa::path(
    tag = "agents",
    operation_id = "update",
    request_body = Option<Body>,
    responses(
        (status = 202, description = "the update", body = UpdateView),
        (status = 404, description = "no such agent"),
        (status = 409, description = "`no_signed_update`: the agent cannot check signatures; `no_release`, `not_newer`, `updates_off`, `update_under_way`, `not_admitted`"),
    ),
)]
#[post("/api/agents/{id}/update")]
pub async fn ask(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: MaybeSigned<Body>,
) -> Result<HttpResponse, AppError> {
    let MaybeSigned(who, body) = signed;
    let id = find(&state, &who, Capability::ManageUpdates, *id).await?;
    let member = member(&state.db, id).await?.ok_or_else(|| {
        AppError::conflict(
            "not_admitted",
            "the agent waits for approval; approve it first",
        )
    })?;
    if !member.capable {
        return Err(AppError::conflict(
            "no_signed_update",
            "this agent cannot check signatures; install the agent anew on its machine",
        ));
    }
    let release = wanted(&state, &member, body.version).await?;
    fits(&member, &release)?;
    let new = NewUpdate {
        agent_id: id,
        from_version: member.version,
        to_version: release.version,
        release_id: release.id,
        rollout: None,
    };
    let asked = agent_updates::ask(&state.db, new, now()).await;
    let update = asked.map_err(|error| match error {
        DbError::Duplicate { .. } => AppError::conflict(
            "update_under_way",
            "an update of this agent is under way; wait for its end",
        ),
        DbError::ForeignKey => AppError::not_found("agent"),
        other => other.into(),
    })?;
    tracing::info!(agent.id = %id, version = update.to_version, user.id = %who.user.id, "an update is asked for");
    state.updates.do_send(LookAtUpdates);
    Ok(HttpResponse::Accepted().json(UpdateView::from(update)))
}

/// Refuses what the agent would.
fn fits(member: &Member, release: &Release) -> Result<(), AppError> {
    let version = member.version.as_deref().unwrap_or_default();
    let own = Version::parse(version).map_err(|_| {
        let detail = format!(
            "the agent's version {version:?} is none; install the agent anew on its machine"
        );
        AppError::conflict("not_newer", detail)
    })?;
    let manifest = manifest_of(release)
        .ok_or_else(|| AppError::internal(&"the manifest of a stored release cannot be read"))?;
    manifest
        .fits(&own, &member.platform, now())
        .map_err(|refusal| AppError::conflict(refusal.code(), refusal.to_string()))
}
