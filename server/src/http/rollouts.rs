//! Rollouts: a release on its way to the fleet. They are of all clients, so only who may act everywhere sees them.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use gururmm_shared::{ReleaseId, RolloutId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::once::Once;
use super::page::Page;
use super::rollout_view::{RolloutView, RolloutWithProgress};
use super::state::AppState;
use crate::actors::update_messages::LookAtUpdates;
use crate::db::releases::{self, Release, ReleaseFilter};
use crate::db::rollouts::{self, Change, NewRollout, Rollout, RolloutFilter};
use crate::domain::policy::UpdateChannel;
use crate::domain::role::Capability;
use crate::domain::rollout::Plan;
use crate::domain::scope::Place;
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::updates::{Offers, fleet, plan_of, progress};

/// Body of a new rollout: `release_id`, or `version` and `channel`.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewRollout)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// This release alone: the agents of its platform.
    #[garde(skip)]
    release_id: Option<uuid::Uuid>,
    /// All releases of this version in the channel, whatever their platform.
    #[garde(inner(length(chars, min = 1, max = 64)))]
    #[schema(min_length = 1, max_length = 64, examples("0.2.0"))]
    version: Option<String>,
    /// The channel; stable where nothing is said.
    #[garde(skip)]
    channel: Option<UpdateChannel>,
    /// Percentages that rise to 100; 1, 10 and 100 where nothing is said.
    #[garde(inner(length(max = 20)))]
    #[schema(min_items = 1, max_items = 20)]
    waves: Option<Vec<u8>>,
    /// How long a wave lasts at least; an hour where nothing is said.
    #[garde(inner(range(max = 2_592_000)))]
    #[schema(maximum = 2_592_000)]
    soak_seconds: Option<u32>,
    /// How many of those that have ended may fail; 5 where nothing is said.
    #[garde(inner(range(max = 100)))]
    #[schema(maximum = 100)]
    max_failed_percent: Option<u8>,
}

/// What a body asks for: version, channel, and one platform or all.
async fn offered(
    state: &AppState,
    body: &Body,
) -> Result<(String, String, Option<String>), AppError> {
    let found: Vec<Release> = match (body.release_id, &body.version) {
        (Some(id), None) => {
            if body.channel.is_some() {
                let detail = "the release says which channel it is of; leave it out";
                return Err(AppError::invalid_field("channel", detail));
            }
            let found = releases::by_id(&state.db, ReleaseId(id)).await?;
            found.into_iter().collect()
        }
        (None, Some(version)) => {
            let channel = body.channel.unwrap_or(UpdateChannel::Stable);
            if channel == UpdateChannel::Off {
                let detail = "channel is stable or beta";
                return Err(AppError::invalid_field("channel", detail));
            }
            let filter = ReleaseFilter {
                channel: Some(channel.name().to_owned()),
                platform: None,
                version: Some(version.clone()),
            };
            releases::all(&state.db, filter).await?
        }
        _ => {
            let detail = "name either release_id, or version";
            return Err(AppError::invalid_field("release_id", detail));
        }
    };
    let first = found
        .first()
        .ok_or_else(|| AppError::not_found("release"))?;
    if found.iter().all(|release| release.expires_at <= now()) {
        return Err(AppError::conflict(
            "release_expired",
            "this release has expired, and no agent would install it; sign and add it anew",
        ));
    }
    let platform = body.release_id.map(|_| first.platform.clone());
    Ok((first.version.clone(), first.channel.clone(), platform))
}

/// Begins a rollout: agents of the channel that run something older are sent the release, wave by wave.
#[utoipa::path(
    tag = "releases",
    operation_id = "begin_rollout",
    request_body = Body,
    responses(
        (status = 201, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such release"),
        (status = 409, description = "`rollout_open`: the channel has one that is not over; `release_expired`"),
    ),
)]
#[post("/api/rollouts")]
pub async fn create(
    state: Data<AppState>,
    once: Once,
    signed: Signed<Body>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require_at(Capability::ManageUpdates, Place::default())?;
    let plan = Plan {
        waves: body.waves.clone().unwrap_or_else(|| vec![1, 10, 100]),
        soak_seconds: body.soak_seconds.unwrap_or(3600),
        max_failed_percent: body.max_failed_percent.unwrap_or(5),
    };
    plan.check()
        .map_err(|why| AppError::invalid_field("waves", format!("waves {why}")))?;
    let id = RolloutId(once.id);
    if once.again
        && let Some(made) = rollouts::by_id(&state.db, id).await?
    {
        return Ok(HttpResponse::Created().json(RolloutView::from(made)));
    }
    let (version, channel, platform) = offered(&state, &body).await?;
    let new = NewRollout {
        id,
        version,
        channel,
        platform,
        waves: json!(plan.waves),
        soak_seconds: i32::try_from(plan.soak_seconds).unwrap_or(i32::MAX),
        max_failed_percent: plan.max_failed_percent.into(),
        created_by: who.user.id,
    };
    let inserted = rollouts::insert(&state.db, new).await;
    let rollout = inserted.map_err(|error| {
        if error.is_duplicate_of("rollouts_one_open") {
            let detail = "this channel has a rollout that is not over; stop that first";
            return AppError::conflict("rollout_open", detail);
        }
        error.into()
    })?;
    tracing::info!(rollout.id = %rollout.id, version = rollout.version, user.id = %who.user.id, "a rollout begins");
    state.updates.do_send(LookAtUpdates);
    Ok(HttpResponse::Created().json(RolloutView::from(rollout)))
}

/// Lists rollouts, the newest first.
#[utoipa::path(
    tag = "releases",
    operation_id = "rollouts",
    params(list_parameters::Rollouts),
    responses(
        (status = 200, description = "a page", body = Page<RolloutView>),
    ),
)]
#[get("/api/rollouts")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require_at(Capability::ReadFleet, Place::default())?;
    let asked = Listing::read::<list_parameters::Rollouts>(&request)?;
    let filter = RolloutFilter {
        channel: asked.choice("channel", list_parameters::CHANNELS)?,
        state: asked.choice("state", list_parameters::ROLLOUT_STATES)?,
    };
    let rows = rollouts::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Rollout::position);
    Ok(HttpResponse::Ok().json(page.map(RolloutView::from)))
}

/// Shows a rollout and how far each wave of it is.
#[utoipa::path(
    tag = "releases",
    operation_id = "rollout",
    responses(
        (status = 200, description = "the rollout", body = RolloutWithProgress),
        (status = 404, description = "no such rollout"),
    ),
)]
#[get("/api/rollouts/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require_at(Capability::ReadFleet, Place::default())?;
    let rollout = find(&state, *id).await?;
    // What is over has nobody left whom it could be for.
    let members = match rollout.ended_at {
        None => fleet(&state.db).await?,
        Some(_) => Vec::new(),
    };
    let offers = Offers::of(&state.db, &rollout).await?;
    let progress = progress(&state.db, &rollout, &members, &offers, now()).await?;
    Ok(HttpResponse::Ok().json(RolloutWithProgress::new(rollout, progress)))
}

async fn find(state: &AppState, id: uuid::Uuid) -> Result<Rollout, AppError> {
    let found = rollouts::by_id(&state.db, RolloutId(id)).await?;
    found.ok_or_else(|| AppError::not_found("rollout"))
}

/// Changes a rollout, where it is in one of these states.
async fn change(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
    (from, to): (&'static [&'static str], &'static str),
    next_wave: bool,
) -> Result<HttpResponse, AppError> {
    who.require_at(Capability::ManageUpdates, Place::default())?;
    let before = find(state, id).await?;
    if !from.contains(&before.state.as_str()) {
        let detail = format!(
            "the rollout is {}; this needs one that is {}",
            before.state,
            from.join(" or ")
        );
        return Err(AppError::conflict("wrong_state", detail));
    }
    let waves = i32::try_from(plan_of(&before).waves.len()).unwrap_or(i32::MAX);
    let wave = before.wave.saturating_add(next_wave.into());
    if wave >= waves {
        let detail = "the last wave is under way; there is no next one";
        return Err(AppError::conflict("last_wave", detail));
    }
    let change = Change {
        from,
        at_wave: before.wave,
        state: to,
        reason: (to != "running").then(|| format!("{to} by {}", who.user.email)),
        wave,
        at: now(),
    };
    let changed = rollouts::change(&state.db, before.id, change).await?;
    let rollout = changed.ok_or_else(AppError::changed)?;
    tracing::info!(rollout.id = %rollout.id, state = rollout.state, wave = rollout.wave, user.id = %who.user.id, "rollout changed");
    state
        .events
        .do_send(crate::actors::event_messages::Happened::Rollouts(vec![
            rollout.id,
        ]));
    state.updates.do_send(LookAtUpdates);
    Ok(HttpResponse::Ok().json(RolloutView::from(rollout)))
}

/// Pauses a rollout: nothing more is sent, and what was sent ends.
#[utoipa::path(
    tag = "releases",
    operation_id = "pause_rollout",
    responses(
        (status = 200, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "`wrong_state`: it does not run"),
        (status = 412, description = "`precondition_failed`: it was changed meanwhile"),
    ),
)]
#[post("/api/rollouts/{id}/pause")]
pub async fn pause(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    change(&state, &who, *id, (&["running"], "paused"), false).await
}

/// Goes on with a rollout that was paused.
#[utoipa::path(
    tag = "releases",
    operation_id = "resume_rollout",
    responses(
        (status = 200, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "`wrong_state`: it is not paused"),
        (status = 412, description = "`precondition_failed`: it was changed meanwhile"),
    ),
)]
#[post("/api/rollouts/{id}/resume")]
pub async fn resume(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    change(&state, &who, *id, (&["paused"], "running"), false).await
}

/// Stops a rollout for good.
#[utoipa::path(
    tag = "releases",
    operation_id = "stop_rollout",
    responses(
        (status = 200, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "`wrong_state`: it is over"),
        (status = 412, description = "`precondition_failed`: it was changed meanwhile"),
    ),
)]
#[post("/api/rollouts/{id}/stop")]
pub async fn stop(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    change(
        &state,
        &who,
        *id,
        (&["running", "paused"], "stopped"),
        false,
    )
    .await
}

/// Begins the next wave of a rollout at once.
#[utoipa::path(
    tag = "releases",
    operation_id = "advance_rollout",
    responses(
        (status = 200, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "`wrong_state`: it does not run; `last_wave`"),
        (status = 412, description = "`precondition_failed`: it was changed meanwhile"),
    ),
)]
#[post("/api/rollouts/{id}/advance")]
pub async fn advance(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    change(&state, &who, *id, (&["running"], "running"), true).await
}
