//! What a release of the agent is, and whether it may be trusted: docs/decisions/0017-updates.md.
//!
//! The manifest of a release is a JSON text that is signed as it stands; everything else about the
//! program (its size, its SHA-256) follows from it.

mod keys;
mod manifest;

pub use keys::{TrustedKeys, Untrusted};
pub use manifest::{MAX_MANIFEST_BYTES, MAX_PROGRAM_BYTES, Manifest, Refusal};

/// The platform that this program was built for, as manifests name it: `linux-x86_64`, `windows-x86_64`.
#[must_use]
pub fn own_platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}
