//! A search over everything that machines are made of.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gururmm_shared::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::page::{Page, cut, limit_of};
use super::state::AppState;
use crate::db::inventory::{self, EntrySearch, FoundEntry};
use crate::domain::inventory::SECTION_NAMES;
use crate::domain::role::Capability;
use crate::domain::text::check_name;
use crate::error::AppError;

/// Characters to look for.
const SEARCH_CHARS: usize = 200;
/// The section that has a table of its own, and comes last.
const SOFTWARE: &str = "software";

/// A section of an inventory.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = InventorySection)]
pub enum Section {
    Disks,
    Hardware,
    Network,
    Os,
    Services,
    Users,
    Software,
}

impl Section {
    fn name(self) -> &'static str {
        SECTION_NAMES[self as usize]
    }
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// A part of the name or the detail, whatever its case.
    #[param(min_length = 1, max_length = 200)]
    q: String,
    /// Only there.
    #[param(inline)]
    section: Option<Section>,
    /// Only on this machine.
    agent_id: Option<uuid::Uuid>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Something that a machine has.
#[derive(Serialize, ToSchema)]
#[schema(as = InventoryEntry)]
struct EntryView {
    agent_id: AgentId,
    hostname: String,
    /// As `disks`.
    section: String,
    /// Of hardware and system the field.
    name: String,
    /// What else is known of it, in one text; of software its version.
    detail: String,
}

/// Where a page begins.
#[derive(Serialize, Deserialize)]
struct Cursor {
    section: String,
    name: String,
    agent_id: AgentId,
    detail: String,
}

fn cursor_of(text: &str) -> Result<FoundEntry, AppError> {
    let parsed = URL_SAFE_NO_PAD.decode(text).ok();
    let parsed = parsed.and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
    let plain = |cursor: &Cursor| {
        let texts = [&cursor.section, &cursor.name, &cursor.detail];
        texts.iter().all(|text| !text.contains('\0'))
    };
    let cursor = parsed.filter(plain).ok_or_else(|| {
        AppError::invalid_field("cursor", "cursor is the next_cursor of the page before")
    })?;
    Ok(FoundEntry {
        agent_id: cursor.agent_id,
        hostname: String::new(),
        section: cursor.section,
        name: cursor.name,
        detail: cursor.detail,
    })
}

fn next(entry: &FoundEntry) -> Option<String> {
    let cursor = Cursor {
        section: entry.section.clone(),
        name: entry.name.clone(),
        agent_id: entry.agent_id,
        detail: entry.detail.clone(),
    };
    let text = serde_json::to_string(&cursor).ok()?;
    Some(URL_SAFE_NO_PAD.encode(text))
}

/// Searches for anything that machines are made of.
///
/// By section, name and machine; software comes last.
#[utoipa::path(
    tag = "inventory",
    params(Search),
    responses(
        (status = 200, description = "a page", body = Page<EntryView>),
    ),
)]
#[get("/api/inventory/search")]
pub async fn search(
    who: Authenticated,
    state: Data<AppState>,
    search: Query<Search>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let limit = limit_of(search.limit)?;
    check_name(&search.q, SEARCH_CHARS)
        .map_err(|why| AppError::invalid_field("q", format!("q {why}")))?;
    let after = search.cursor.as_deref().map(cursor_of).transpose()?;
    let section = search.section.map(Section::name);
    let wanted = EntrySearch {
        scope: who.scope,
        words: search.q.trim().to_owned(),
        section: section.map(ToOwned::to_owned),
        agent_id: search.agent_id.map(AgentId),
        after: None,
        limit: limit + 1,
    };
    let in_software = after
        .as_ref()
        .is_some_and(|after| after.section == SOFTWARE);
    let mut rows = Vec::new();
    if section != Some(SOFTWARE) && !in_software {
        let search = EntrySearch {
            after: after.clone(),
            ..wanted.clone()
        };
        rows = inventory::entries(&state.db, search).await?;
    }
    let missing = limit + 1 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if section.is_none_or(|section| section == SOFTWARE) && missing > 0 {
        let search = EntrySearch {
            after: after.filter(|_| in_software),
            limit: missing,
            ..wanted
        };
        rows.extend(inventory::installed(&state.db, search).await?);
    }
    let more = cut(&mut rows, limit);
    let next_cursor = rows.last().filter(|_| more).and_then(next);
    let items = rows.into_iter().map(|entry| EntryView {
        agent_id: entry.agent_id,
        hostname: entry.hostname,
        section: entry.section,
        name: entry.name,
        detail: entry.detail,
    });
    Ok(HttpResponse::Ok().json(Page {
        items: items.collect(),
        next_cursor,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_a_forged_one_is_refused() {
        let entry = FoundEntry {
            agent_id: AgentId::generate(),
            hostname: String::new(),
            section: "disks".to_owned(),
            name: "/".to_owned(),
            detail: "ext4".to_owned(),
        };
        assert_eq!(cursor_of(&next(&entry).unwrap()).unwrap(), entry);
        assert!(cursor_of("x").is_err());
        let nul = FoundEntry {
            name: "\0".to_owned(),
            ..entry
        };
        assert!(cursor_of(&next(&nul).unwrap()).is_err());
    }

    #[test]
    fn every_section_has_its_name() {
        let names = [
            Section::Disks,
            Section::Hardware,
            Section::Network,
            Section::Os,
            Section::Services,
            Section::Users,
            Section::Software,
        ];
        assert_eq!(names.map(Section::name), SECTION_NAMES);
        assert_eq!(Section::Software.name(), SOFTWARE);
    }
}
