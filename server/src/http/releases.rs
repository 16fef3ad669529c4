//! Releases of the agent. They are added on the command line, where their files are.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get};
use chrono::{DateTime, Utc};
use gururmm_shared::{ReleaseId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Authenticated;
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::releases::{self, Release, ReleaseFilter, Removal};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;
use crate::services::audit::now;

/// A release as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Release)]
struct ReleaseView {
    id: ReleaseId,
    version: String,
    platform: String,
    channel: String,
    sha256: String,
    size_bytes: i64,
    /// Whether it may take the place of a newer version.
    downgrade: bool,
    released_at: DateTime<Utc>,
    /// From when on no agent installs it.
    expires_at: DateTime<Utc>,
    expired: bool,
    /// Nobody where it was the command line.
    added_by: Option<UserId>,
    added_at: DateTime<Utc>,
}

fn view(release: Release) -> ReleaseView {
    ReleaseView {
        id: release.id,
        version: release.version,
        platform: release.platform,
        channel: release.channel,
        sha256: release.sha256,
        size_bytes: release.size_bytes,
        downgrade: release.downgrade,
        released_at: release.released_at,
        expires_at: release.expires_at,
        expired: release.expires_at <= now(),
        added_by: release.added_by,
        added_at: release.added_at,
    }
}

/// Lists releases of the agent, those that were added last first.
#[utoipa::path(
    tag = "releases",
    params(list_parameters::Releases),
    responses(
        (status = 200, description = "a page", body = Page<ReleaseView>),
    ),
)]
#[get("/api/releases")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Releases>(&request)?;
    let filter = ReleaseFilter {
        channel: asked.choice("channel", list_parameters::CHANNELS)?,
        platform: asked.text("platform")?,
        version: asked.text("version")?,
    };
    let rows = releases::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Release::position);
    Ok(HttpResponse::Ok().json(page.map(view)))
}

/// Removes a release, and its program where no other release has it.
#[utoipa::path(
    tag = "releases",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such release"),
        (status = 409, description = "`release_in_use`: a rollout brings it"),
    ),
)]
#[delete("/api/releases/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require_at(Capability::ManageUpdates, Place::default())?;
    match releases::remove(&state.db, ReleaseId(*id)).await? {
        Removal::Missing => Err(AppError::not_found("release")),
        Removal::InUse => Err(AppError::conflict(
            "release_in_use",
            "a rollout brings this release; stop that first",
        )),
        Removal::Removed {
            release,
            program_in_use,
        } => {
            tracing::info!(release.id = %release.id, version = release.version, user.id = %who.user.id, "release removed");
            if !program_in_use {
                let programs = state.programs.clone();
                let removed = actix_web::web::block(move || programs.remove(&release.sha256)).await;
                // A file without a row is in nobody's way.
                if let Ok(Err(error)) = removed {
                    tracing::warn!(%error, "the program of a release cannot be removed");
                }
            }
            Ok(HttpResponse::NoContent().finish())
        }
    }
}
