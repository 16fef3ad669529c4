//! The signed text of a release.

use chrono::{DateTime, Utc};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::{TrustedKeys, Untrusted};

/// The longest text of a manifest.
pub const MAX_MANIFEST_BYTES: usize = 4096;
/// The largest program of a release.
pub const MAX_PROGRAM_BYTES: u64 = 64 * 1024 * 1024;
const FORMAT: u32 = 1;

/// What was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this text: 1.
    pub format: u32,
    /// Which version the program is.
    pub version: Version,
    /// What it runs on, as [`crate::own_platform`] says.
    pub platform: String,
    /// The program's size in bytes.
    pub size: u64,
    /// The program's SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// When it was signed.
    pub released_at: DateTime<Utc>,
    /// From then on nobody installs it any more.
    pub expires_at: DateTime<Utc>,
    /// Whether it may take the place of a newer version.
    #[serde(default)]
    pub downgrade: bool,
}

/// Why a release is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not signed by somebody who may.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Signed, but no manifest.
    #[error("the manifest cannot be used: {0}")]
    Malformed(String),
    /// Of another system or architecture.
    #[error("the release is for {theirs} and this is {own}")]
    WrongPlatform {
        /// The manifest's.
        theirs: String,
        /// This machine's.
        own: String,
    },
    /// Not newer, and not signed as a downgrade.
    #[error("version {theirs} is not newer than {own}, and not signed as a downgrade")]
    NotNewer {
        /// The manifest's.
        theirs: Version,
        /// What runs.
        own: Version,
    },
    /// Too old.
    #[error("the release has expired at {0}; sign it anew, and look at this machine's clock")]
    Expired(DateTime<Utc>),
}

impl Refusal {
    /// A stable word for it, as `update_result` carries it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Untrusted(Untrusted::NoKeys) => "no_keys",
            Self::Untrusted(_) => "bad_signature",
            Self::Malformed(_) => "bad_manifest",
            Self::WrongPlatform { .. } => "wrong_platform",
            Self::NotNewer { .. } => "not_newer",
            Self::Expired(_) => "expired",
        }
    }
}

impl Manifest {
    /// Reads a manifest whose signature is good. The signature comes first: nothing else looks at a text that is not
    /// trusted.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn verified(text: &str, signature: &str, keys: &TrustedKeys) -> Result<Self, Refusal> {
        if text.len() > MAX_MANIFEST_BYTES {
            return Err(Refusal::Malformed(format!(
                "it is longer than {MAX_MANIFEST_BYTES} bytes"
            )));
        }
        keys.verify(text.as_bytes(), signature)?;
        let manifest: Self =
            serde_json::from_str(text).map_err(|error| Refusal::Malformed(error.to_string()))?;
        manifest.check().map_err(Refusal::Malformed)?;
        Ok(manifest)
    }

    /// Whether the values can be used.
    ///
    /// # Errors
    /// Which one cannot.
    pub fn check(&self) -> Result<(), String> {
        let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.format != FORMAT {
            Err(format!("format must be {FORMAT}"))
        } else if self.sha256.len() != 64 || !self.sha256.chars().all(hexadecimal) {
            Err("sha256 must have 64 hexadecimal digits in lower case".to_owned())
        } else if self.size == 0 || self.size > MAX_PROGRAM_BYTES {
            Err(format!("size must be 1 to {MAX_PROGRAM_BYTES}"))
        } else if !(1..=40).contains(&self.platform.len()) || !self.platform.chars().all(word) {
            Err("platform must be a word as linux-x86_64".to_owned())
        } else if self.expires_at <= self.released_at {
            Err("expires_at must come after released_at".to_owned())
        } else {
            Ok(())
        }
    }

    /// Whether a program of version `own` on `platform` installs this at `now`.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn fits(&self, own: &Version, platform: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.platform != platform {
            let (theirs, own) = (self.platform.clone(), platform.to_owned());
            return Err(Refusal::WrongPlatform { theirs, own });
        }
        if now >= self.expires_at {
            return Err(Refusal::Expired(self.expires_at));
        }
        // Build metadata is no order (semver 10), so the same version built anew is not newer.
        let newer = self.version.cmp_precedence(own).is_gt();
        let older = self.version.cmp_precedence(own).is_lt();
        if newer || (older && self.downgrade) {
            return Ok(());
        }
        Err(Refusal::NotNewer {
            theirs: self.version.clone(),
            own: own.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use minisign::KeyPair;

    use super::*;

    fn manifest() -> Manifest {
        let now = Utc::now();
        Manifest {
            format: 1,
            version: Version::new(0, 2, 0),
            platform: "linux-x86_64".to_owned(),
            size: 10,
            sha256: "0a".repeat(32),
            released_at: now,
            expires_at: now + TimeDelta::days(1),
            downgrade: false,
        }
    }

    fn signed(text: &str) -> (String, TrustedKeys) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let signature = minisign::sign(None, &pair.sk, text.as_bytes(), None, None).unwrap();
        (
            signature.into_string(),
            TrustedKeys::of(&[&pair.pk.to_base64()]).unwrap(),
        )
    }

    #[test]
    fn a_signed_manifest_is_read_and_a_flipped_bit_anywhere_is_found() {
        let text = serde_json::to_string(&manifest()).unwrap();
        let (signature, keys) = signed(&text);
        assert_eq!(
            Manifest::verified(&text, &signature, &keys).unwrap(),
            manifest_of(&text)
        );
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let refused = Manifest::verified(&changed, &signature, &keys).unwrap_err();
            assert_eq!(refused.code(), "bad_signature");
        }
        for at in 0..signature.len() {
            let mut bytes = signature.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            // The untrusted comment is just that; all the rest counts.
            let comment = changed.lines().next() != signature.lines().next();
            if comment || at == signature.len() - 1 {
                continue;
            }
            let refused = Manifest::verified(&text, &changed, &keys).unwrap_err();
            assert_eq!(refused.code(), "bad_signature", "at {at}");
        }
    }

    fn manifest_of(text: &str) -> Manifest {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn somebody_elses_signature_and_none_are_refused() {
        let text = serde_json::to_string(&manifest()).unwrap();
        let (signature, _) = signed(&text);
        let (_, others) = signed("x");
        assert_eq!(
            others.verify(text.as_bytes(), &signature),
            Err(Untrusted::Wrong)
        );
        assert_eq!(
            others.verify(text.as_bytes(), ""),
            Err(Untrusted::Malformed)
        );
        let none = TrustedKeys::of(&[]).unwrap();
        assert_eq!(
            Manifest::verified(&text, &signature, &none)
                .unwrap_err()
                .code(),
            "no_keys"
        );
    }

    #[test]
    fn either_of_two_keys_is_good() {
        let text = serde_json::to_string(&manifest()).unwrap();
        let pairs = [(); 2].map(|()| KeyPair::generate_unencrypted_keypair().unwrap());
        let [first, second] = &pairs;
        let keys = TrustedKeys::of(&[&first.pk.to_base64(), &second.pk.to_base64()]).unwrap();
        for pair in &pairs {
            let signature = minisign::sign(None, &pair.sk, text.as_bytes(), None, None).unwrap();
            assert!(
                keys.verify(text.as_bytes(), &signature.into_string())
                    .is_ok()
            );
        }
    }

    #[test]
    fn what_is_signed_but_no_manifest_is_refused() {
        for (text, why) in [
            ("{}", "missing field"),
            (
                &serde_json::to_string(&Manifest {
                    size: 0,
                    ..manifest()
                })
                .unwrap(),
                "size",
            ),
            (
                &serde_json::to_string(&Manifest {
                    size: MAX_PROGRAM_BYTES + 1,
                    ..manifest()
                })
                .unwrap(),
                "size",
            ),
            (
                &serde_json::to_string(&Manifest {
                    sha256: "00".into(),
                    ..manifest()
                })
                .unwrap(),
                "sha256",
            ),
            (
                &serde_json::to_string(&Manifest {
                    format: 2,
                    ..manifest()
                })
                .unwrap(),
                "format",
            ),
            (
                &serde_json::to_string(&Manifest {
                    platform: "../x".into(),
                    ..manifest()
                })
                .unwrap(),
                "platform",
            ),
            (&" ".repeat(MAX_MANIFEST_BYTES + 1), "longer"),
        ] {
            let (signature, keys) = signed(text);
            let refused = Manifest::verified(text, &signature, &keys).unwrap_err();
            assert_eq!(refused.code(), "bad_manifest");
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }

    #[test]
    fn only_what_is_newer_of_this_platform_and_in_its_time_fits() {
        let manifest = manifest();
        let (now, own) = (Utc::now(), Version::new(0, 1, 9));
        let fits = |manifest: &Manifest, own: &Version, platform: &str, now| {
            manifest
                .fits(own, platform, now)
                .map_err(|refusal| refusal.code())
        };
        assert_eq!(fits(&manifest, &own, "linux-x86_64", now), Ok(()));
        assert_eq!(
            fits(&manifest, &own, "windows-x86_64", now),
            Err("wrong_platform")
        );
        assert_eq!(
            fits(&manifest, &own, "linux-x86_64", manifest.expires_at),
            Err("expired")
        );
        assert_eq!(
            fits(&manifest, &manifest.version, "linux-x86_64", now),
            Err("not_newer")
        );
        let newer = Version::new(0, 3, 0);
        assert_eq!(
            fits(&manifest, &newer, "linux-x86_64", now),
            Err("not_newer")
        );
        let down = Manifest {
            downgrade: true,
            ..manifest.clone()
        };
        assert_eq!(fits(&down, &newer, "linux-x86_64", now), Ok(()));
        assert_eq!(
            fits(&down, &manifest.version, "linux-x86_64", now),
            Err("not_newer")
        );
        let pre = Version::parse("0.2.0-rc.1").unwrap();
        assert_eq!(fits(&manifest, &pre, "linux-x86_64", now), Ok(()));
    }

    #[test]
    fn a_debug_build_trusts_the_key_of_the_tests() {
        assert_eq!(TrustedKeys::built_in_base64().len(), 1);
        assert_eq!(TrustedKeys::built_in().0.len(), 1);
    }
}
