//! Sites of clients, with the codes and keys by which agents enrol.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{ClientId, SiteId};
use serde::{Deserialize, Serialize};

use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use crate::db::DbError;
use crate::db::sites::{self, NewSite, Site};
use crate::domain::credentials::{digest, generate_key};
use crate::domain::role::Capability;
use crate::domain::site_code;
use crate::error::AppError;

/// How often another code is tried when one is taken.
const CODE_TRIES: usize = 8;

/// A site as the API shows it; the key only when it was just made.
#[derive(Serialize)]
struct SiteView {
    id: SiteId,
    client_id: ClientId,
    name: String,
    site_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl SiteView {
    fn new(site: Site, api_key: Option<String>) -> Self {
        Self {
            id: site.id,
            client_id: site.client_id,
            name: site.name,
            site_code: site.site_code,
            api_key,
            created_at: site.created_at,
            updated_at: site.updated_at,
        }
    }
}

/// Body of a new site.
#[derive(Deserialize, Validate)]
pub struct NewSiteBody {
    #[garde(skip)]
    client_id: uuid::Uuid,
    #[garde(custom(super::extract::name))]
    name: String,
}

/// Which sites.
#[derive(Deserialize)]
pub struct Filter {
    client_id: Option<uuid::Uuid>,
}

/// GET /api/sites
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let sites = sites::list(&state.db, filter.client_id.map(ClientId)).await?;
    let items = sites
        .into_iter()
        .map(|site| SiteView::new(site, None))
        .collect();
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}

/// POST /api/sites
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewSiteBody>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManagePlaces)?;
    let NewSiteBody { client_id, name } = body;
    let api_key = generate_key(&mut rand::rng());
    for _ in 0..CODE_TRIES {
        let new = NewSite {
            client_id: ClientId(client_id),
            name: name.trim().to_owned(),
            site_code: site_code::generate(&mut rand::rng()),
            api_key_hash: digest(&api_key),
        };
        match sites::insert(&state.db, new).await {
            Ok(site) => {
                return Ok(HttpResponse::Created().json(SiteView::new(site, Some(api_key))));
            }
            Err(error) if error.is_duplicate_of("sites_site_code_key") => {}
            Err(DbError::Duplicate { .. }) => {
                return Err(AppError {
                    field: Some("name".to_owned()),
                    ..AppError::conflict("site_exists", "this client has a site of that name")
                });
            }
            Err(DbError::ForeignKey) => return Err(AppError::not_found("client")),
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppError::internal(&"no free site code was found"))
}
