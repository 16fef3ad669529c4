//! Which machine a first message comes from, and whether it gets a key of its own.
//!
//! ```text
//!   own key ───────────────────────────────▶ Known
//!   site code or site key + device id
//!     device not known in the site ────────▶ Enroll       (its own key is told once)
//!     known, its enrolment's answer lost ──▶ Reissue      (same nonce, key never used)
//!     known, first generation ─────────────▶ Known        (site key, or allowed by configuration)
//!     known otherwise ─────────────────────▶ AlreadyEnrolled
//! ```

/// What came in place of a key of the agent's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteCredential {
    /// A WORD-WORD-NUMBER code: short, known to many.
    Code,
    /// A `grmm_` key of the site: 256 random bits.
    Key,
    /// A `grmt_` registration token: 256 random bits, for a while, so many times.
    Token,
}

/// What is known of a device that presents a site's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDevice {
    /// It has a key of its own.
    pub has_key: bool,
    /// It has authenticated with that key.
    pub key_used: bool,
    /// It enrolled without telling a protocol.
    pub first_generation: bool,
    /// The nonce it brings is the one it enrolled with.
    pub nonce_matches: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Make the device and tell it a key.
    Enroll,
    /// Tell the device a new key in place of the one it never got.
    Reissue,
    /// Let it in as what it is.
    Known,
    /// Refuse: it has a key and must use it.
    AlreadyEnrolled,
}

/// Decides on a site's credential with a device id.
#[must_use]
pub fn decide(
    credential: SiteCredential,
    device: Option<KnownDevice>,
    speaks_first_generation: bool,
    accept_first_generation_codes: bool,
) -> Decision {
    let Some(device) = device else {
        return Decision::Enroll;
    };
    if !device.has_key {
        return Decision::Reissue;
    }
    if device.key_used {
        return Decision::AlreadyEnrolled;
    }
    if device.nonce_matches {
        return Decision::Reissue;
    }
    let trusted = credential == SiteCredential::Key || accept_first_generation_codes;
    if device.first_generation && speaks_first_generation && trusted {
        return Decision::Known;
    }
    Decision::AlreadyEnrolled
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENROLLED: KnownDevice = KnownDevice {
        has_key: true,
        key_used: false,
        first_generation: false,
        nonce_matches: false,
    };

    #[test]
    fn an_unknown_device_is_enrolled() {
        assert_eq!(
            decide(SiteCredential::Code, None, false, false),
            Decision::Enroll
        );
        assert_eq!(
            decide(SiteCredential::Key, None, true, false),
            Decision::Enroll
        );
    }

    #[test]
    fn a_site_code_on_an_enrolled_device_is_refused() {
        for key_used in [false, true] {
            let device = KnownDevice {
                key_used,
                ..ENROLLED
            };
            for first_generation in [false, true] {
                assert_eq!(
                    decide(SiteCredential::Code, Some(device), first_generation, false),
                    Decision::AlreadyEnrolled
                );
            }
        }
    }

    #[test]
    fn a_lost_answer_is_repeated_only_for_the_same_nonce_and_an_unused_key() {
        let lost = KnownDevice {
            nonce_matches: true,
            ..ENROLLED
        };
        assert_eq!(
            decide(SiteCredential::Code, Some(lost), false, false),
            Decision::Reissue
        );
        let used = KnownDevice {
            key_used: true,
            ..lost
        };
        assert_eq!(
            decide(SiteCredential::Code, Some(used), false, true),
            Decision::AlreadyEnrolled
        );
    }

    #[test]
    fn a_first_generation_agent_comes_back_with_the_site_key_or_where_the_configuration_says_so() {
        let old = KnownDevice {
            first_generation: true,
            ..ENROLLED
        };
        assert_eq!(
            decide(SiteCredential::Key, Some(old), true, false),
            Decision::Known
        );
        assert_eq!(
            decide(SiteCredential::Code, Some(old), true, true),
            Decision::Known
        );
        assert_eq!(
            decide(SiteCredential::Code, Some(old), true, false),
            Decision::AlreadyEnrolled
        );
        let upgraded = KnownDevice {
            key_used: true,
            ..old
        };
        assert_eq!(
            decide(SiteCredential::Key, Some(upgraded), true, true),
            Decision::AlreadyEnrolled
        );
    }
}
