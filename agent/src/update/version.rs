//! Which version this program is.

use std::sync::OnceLock;

use super::rehearsal;

/// What a build for release was given, or the version of the sources.
const BUILT: &str = match option_env!("GURURMM_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// The version that this program says it is.
#[must_use]
pub fn own_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| rehearsal::version().unwrap_or_else(|| BUILT.to_owned()))
}
