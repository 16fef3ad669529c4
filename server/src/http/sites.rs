//! Sites of clients, with the codes and keys by which agents enrol.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{ClientId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::whole;
use super::clients;
use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::removal::{Take, drop_agents, end_sessions_of};
use super::schemas::{IfMatch, IfNoneMatch, Name};
use super::state::AppState;
use crate::db::DbError;
use crate::db::removal::{Removal, agents_of_site, remove_site};
use crate::db::sites::{self, NewSite, Site, SiteSort};
use crate::domain::credentials::{digest, generate_key};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::domain::site_code;
use crate::error::AppError;

/// How often another code is tried when one is taken.
const CODE_TRIES: usize = 8;

/// A site as the API shows it; the key only when it was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = Site)]
struct SiteView {
    id: SiteId,
    client_id: ClientId,
    name: String,
    /// Told to who may enrol devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    site_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl SiteView {
    fn new(site: Site, api_key: Option<String>, who: &Authenticated) -> Self {
        let enrols = who.require(Capability::ManageAgents).is_ok();
        Self {
            id: site.id,
            client_id: site.client_id,
            name: site.name,
            site_code: enrols.then_some(site.site_code),
            api_key,
            created_at: site.created_at,
            updated_at: site.updated_at,
        }
    }
}

/// Body of a new site.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewSite)]
pub struct NewSiteBody {
    #[garde(skip)]
    client_id: uuid::Uuid,
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
}

/// Body of a site that is named anew.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = SiteRename)]
pub struct Rename {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
}

/// What is made anew.
#[derive(Deserialize, IntoParams)]
pub struct Regeneration {
    /// The site code as well: installers that hold the old one stop working.
    #[serde(default)]
    #[param(default = false)]
    site_code: bool,
}

fn version(site: &Site) -> Version {
    Version::of(site.id.0, site.updated_at, None)
}

fn stamped(mut response: HttpResponse, version: &Version) -> HttpResponse {
    version.stamp(&mut response);
    response
}

fn name_taken() -> AppError {
    AppError {
        field: Some("name".to_owned()),
        ..AppError::conflict("site_exists", "this client has a site of that name")
    }
}

/// Finds a site that the caller may do this to.
///
/// # Errors
/// 404, 403.
async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: SiteId,
) -> Result<Site, AppError> {
    who.require(capability)?;
    let site = sites::by_id(&state.db, id).await?;
    let site = site.ok_or_else(|| AppError::not_found("site"))?;
    who.require_at(capability, site.place())?;
    Ok(site)
}

async fn listed(
    state: &AppState,
    who: Authenticated,
    asked: &Listing<SiteSort>,
    client_id: Option<ClientId>,
) -> Result<HttpResponse, AppError> {
    let words = asked.text("q")?;
    let rows = sites::list(&state.db, who.scope.clone(), client_id, words, asked.page()).await?;
    let page = asked
        .cut(rows, Site::position)
        .map(|site| SiteView::new(site, None, &who));
    Ok(HttpResponse::Ok().json(page))
}

/// Lists sites.
#[utoipa::path(
    tag = "sites",
    params(list_parameters::Sites),
    responses(
        (status = 200, description = "a page", body = Page<SiteView>),
    ),
)]
#[get("/api/sites")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Sites>(&request)?;
    let client_id = asked.id("client_id", ClientId)?;
    listed(&state, who, &asked, client_id).await
}

/// Lists the sites of a client.
#[utoipa::path(
    tag = "sites",
    params(list_parameters::SitesOfClient),
    responses(
        (status = 200, description = "a page", body = Page<SiteView>),
        (status = 404, description = "no such client"),
    ),
)]
#[get("/api/clients/{id}/sites")]
pub async fn of_client(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let id = ClientId(id.into_inner());
    clients::find(&state, &who, Capability::ReadFleet, id).await?;
    let asked = Listing::read::<list_parameters::SitesOfClient>(&request)?;
    listed(&state, who, &asked, Some(id)).await
}

/// Makes a site.
#[utoipa::path(
    tag = "sites",
    request_body = NewSiteBody,
    responses(
        (status = 201, description = "the site with its key, shown this once", body = SiteView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client"),
        (status = 409, description = "`site_exists`"),
    ),
)]
#[post("/api/sites")]
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewSiteBody>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let NewSiteBody { client_id, name } = body;
    let client_id = ClientId(client_id);
    clients::find(&state, &who, Capability::ManagePlaces, client_id).await?;
    let api_key = generate_key(&mut rand::rng());
    for _ in 0..CODE_TRIES {
        let new = NewSite {
            client_id,
            name: name.trim().to_owned(),
            site_code: site_code::generate(&mut rand::rng()),
            api_key_hash: digest(&api_key),
        };
        match sites::insert(&state.db, new).await {
            Ok(site) => {
                let version = version(&site);
                let body = SiteView::new(site, Some(api_key), &who);
                return Ok(stamped(HttpResponse::Created().json(body), &version));
            }
            Err(error) if error.is_duplicate_of("sites_site_code_key") => {}
            Err(DbError::Duplicate { .. }) => return Err(name_taken()),
            Err(DbError::ForeignKey) => return Err(AppError::not_found("client")),
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppError::internal(&"no free site code was found"))
}

/// Shows a site.
#[utoipa::path(
    tag = "sites",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the site", body = SiteView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such site"),
    ),
)]
#[get("/api/sites/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let id = SiteId(id.into_inner());
    let site = find(&state, &who, Capability::ReadFleet, id).await?;
    Ok(version(&site).answer(&request, SiteView::new(site, None, &who)))
}

/// Names a site anew.
#[utoipa::path(
    tag = "sites",
    request_body = Rename,
    params(IfMatch),
    responses(
        (status = 200, description = "the site", body = SiteView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such site"),
        (status = 409, description = "`site_exists`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/sites/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Rename>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let id = SiteId(id.into_inner());
    let before = find(&state, &who, Capability::ManagePlaces, id).await?;
    let conditional = version(&before).check(&request)?;
    let unchanged = conditional.then_some(before.updated_at);
    let name = body.name.trim().to_owned();
    let site = match sites::rename(&state.db, id, name, unchanged).await {
        Ok(Some(site)) => site,
        Ok(None) if conditional => return Err(AppError::changed()),
        Ok(None) => return Err(AppError::not_found("site")),
        Err(DbError::Duplicate { .. }) => return Err(name_taken()),
        Err(error) => return Err(error.into()),
    };
    let version = version(&site);
    let body = SiteView::new(site, None, &who);
    Ok(stamped(HttpResponse::Ok().json(body), &version))
}

/// Gives a site another key.
#[utoipa::path(
    tag = "sites",
    params(Regeneration),
    responses(
        (status = 200, description = "the site with its key, shown this once", body = SiteView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such site"),
    ),
)]
#[post("/api/sites/{id}/regenerate-key")]
pub async fn regenerate_key(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    wish: Query<Regeneration>,
) -> Result<HttpResponse, AppError> {
    let id = SiteId(id.into_inner());
    find(&state, &who, Capability::ManagePlaces, id).await?;
    let api_key = generate_key(&mut rand::rng());
    let code = wish
        .site_code
        .then(|| site_code::generate(&mut rand::rng()));
    let site = sites::replace_key(&state.db, id, digest(&api_key), code).await?;
    let site = site.ok_or_else(|| AppError::not_found("site"))?;
    tracing::info!(site.id = %id, user.id = %who.user.id, "a site has another key");
    let version = version(&site);
    let body = SiteView::new(site, Some(api_key), &who);
    Ok(stamped(HttpResponse::Ok().json(body), &version))
}

/// Deletes a site.
#[utoipa::path(
    tag = "sites",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such site"),
        (status = 409, description = "`site_not_empty`, unless `cascade`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/sites/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    take: Query<Take>,
) -> Result<HttpResponse, AppError> {
    let id = SiteId(id.into_inner());
    let site = find(&state, &who, Capability::ManagePlaces, id).await?;
    let conditional = version(&site).check(&request)?;
    let unchanged = conditional.then_some(site.updated_at);
    let cascade = take.cascade;
    // Who may delete a site with its agents may delete these.
    if cascade {
        who.require_at(Capability::ManageAgents, Place::site(site.client_id, id))?;
    }
    whole(async move {
        if cascade {
            let inside = agents_of_site(&state.db, id).await?;
            end_sessions_of(&state, &inside).await?;
        }
        match remove_site(&state.db, id, cascade, unchanged).await {
            Ok(Removal::Removed(agents)) => {
                drop_agents(&state, &agents).await?;
                tracing::info!(site.id = %id, agents = agents.len(), user.id = %who.user.id, "site deleted");
                Ok(HttpResponse::NoContent().finish())
            }
            Ok(Removal::NotEmpty(agents)) => Err(not_empty(&agents.to_string())),
            Ok(Removal::Missing) => Err(AppError::not_found("site")),
            Ok(Removal::Changed) => Err(AppError::changed()),
            Err(DbError::ForeignKey) => Err(not_empty("a new one")),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn not_empty(what: &str) -> AppError {
    AppError::conflict(
        "site_not_empty",
        format!(
            "the site is not empty (agents: {what}); delete or move them first, or delete all with ?cascade=true"
        ),
    )
}
