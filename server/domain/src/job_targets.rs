//! Which agents a job or a schedule is for.

use std::collections::BTreeSet;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which agents: all that fit every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JobFilter)]
pub struct Targets {
    /// These.
    #[garde(inner(length(min = 1, max = 1000)))]
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ids: Option<BTreeSet<uuid::Uuid>>,
    /// Those of a client.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<uuid::Uuid>,
    /// Those of a site.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<uuid::Uuid>,
    /// Those of a family of operating systems.
    #[garde(inner(custom(word)))]
    #[schema(min_length = 1, max_length = 64)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_family: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
fn word(text: &str, (): &()) -> garde::Result {
    super::text::check_name(text, 64).map_err(garde::Error::new)
}
