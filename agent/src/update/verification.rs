//! Whether an update that the server asks for may be made: decided before anything is fetched.

use chrono::{DateTime, Utc};
use gururmm_release::{Manifest, Refusal, TrustedKeys};
use gururmm_shared::Update;
use semver::Version;

use super::failure::Failure;

/// The longest address of a program.
const MAX_URL_BYTES: usize = 2048;

/// What the program that is updated knows of itself.
#[derive(Debug, Clone)]
pub struct Own {
    /// Whose signatures count.
    pub keys: TrustedKeys,
    /// Which version runs.
    pub version: String,
    /// What it runs on.
    pub platform: String,
}

impl Own {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self {
            keys: TrustedKeys::built_in(),
            version: super::own_version().to_owned(),
            platform: gururmm_release::own_platform(),
        }
    }
}

/// The manifest of what is asked for, where it may be installed at `now`.
///
/// # Errors
/// Why not.
pub fn manifest_of(order: &Update, own: &Own, now: DateTime<Utc>) -> Result<Manifest, Failure> {
    let (Some(text), Some(signature)) = (&order.manifest, &order.signature) else {
        let reason = "the server sent no signed manifest; this agent installs signed releases only";
        return Err(Failure::new("unsigned", reason));
    };
    let manifest = Manifest::verified(text, signature, &own.keys)?;
    let runs = Version::parse(&own.version).map_err(|error| {
        let problem = format!("the agent's own version {:?} is none: {error}", own.version);
        Failure::from(Refusal::Malformed(problem))
    })?;
    manifest.fits(&runs, &own.platform, now)?;
    if order.version != manifest.version.to_string() {
        let problem = format!(
            "it is of version {}, not {:?}",
            manifest.version, order.version
        );
        return Err(Refusal::Malformed(problem).into());
    }
    if !order.checksum.eq_ignore_ascii_case(&manifest.sha256) {
        let reason = "the checksum of the order is not that of the signed manifest";
        return Err(Failure::new("bad_checksum", reason));
    }
    if order.download_url.is_empty() || order.download_url.len() > MAX_URL_BYTES {
        let reason = format!("the address of the program must have 1 to {MAX_URL_BYTES} bytes");
        return Err(Failure::new("download_failed", reason));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use minisign::KeyPair;

    use super::*;

    struct Bench {
        pair: KeyPair,
        own: Own,
        manifest: Manifest,
    }

    fn bench() -> Bench {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let own = Own {
            keys: TrustedKeys::of(&[&pair.pk.to_base64()]).unwrap(),
            version: "0.1.0".to_owned(),
            platform: "linux-x86_64".to_owned(),
        };
        let now = Utc::now();
        let manifest = Manifest {
            format: 1,
            version: Version::new(0, 2, 0),
            platform: "linux-x86_64".to_owned(),
            size: 10,
            sha256: "0a".repeat(32),
            released_at: now,
            expires_at: now + TimeDelta::days(1),
            downgrade: false,
        };
        Bench {
            pair,
            own,
            manifest,
        }
    }

    impl Bench {
        fn order(&self) -> Update {
            let text = serde_json::to_string(&self.manifest).unwrap();
            let signature = minisign::sign(None, &self.pair.sk, text.as_bytes(), None, None);
            Update {
                download_url: "/api/agent/releases/x".to_owned(),
                checksum: self.manifest.sha256.to_uppercase(),
                version: self.manifest.version.to_string(),
                manifest: Some(text),
                signature: Some(signature.unwrap().into_string()),
            }
        }

        fn refused(&self, order: &Update) -> &'static str {
            manifest_of(order, &self.own, Utc::now()).unwrap_err().code
        }
    }

    #[test]
    fn a_newer_signed_release_for_this_platform_is_taken() {
        let bench = bench();
        let taken = manifest_of(&bench.order(), &bench.own, Utc::now()).unwrap();
        assert_eq!(taken, bench.manifest);
    }

    #[test]
    fn an_order_without_manifest_or_signature_is_unsigned() {
        let bench = bench();
        let mut order = bench.order();
        order.signature = None;
        assert_eq!(bench.refused(&order), "unsigned");
        order = bench.order();
        order.manifest = None;
        assert_eq!(bench.refused(&order), "unsigned");
    }

    #[test]
    fn what_the_order_says_has_to_be_what_was_signed() {
        let bench = bench();
        let mut order = bench.order();
        order.checksum = "0b".repeat(32);
        assert_eq!(bench.refused(&order), "bad_checksum");
        order = bench.order();
        order.version = "0.3.0".to_owned();
        assert_eq!(bench.refused(&order), "bad_manifest");
        order = bench.order();
        order.download_url = "x".repeat(MAX_URL_BYTES + 1);
        assert_eq!(bench.refused(&order), "download_failed");
        order = bench.order();
        order.manifest = order.manifest.map(|text| text.replace("0.2.0", "0.3.0"));
        assert_eq!(bench.refused(&order), "bad_signature");
    }

    #[test]
    fn an_older_version_is_installed_only_where_it_was_signed_as_a_downgrade() {
        let mut bench = bench();
        bench.own.version = "0.3.0".to_owned();
        assert_eq!(bench.refused(&bench.order()), "not_newer");
        bench.manifest.downgrade = true;
        assert!(manifest_of(&bench.order(), &bench.own, Utc::now()).is_ok());
    }

    #[test]
    fn an_agent_that_knows_no_key_installs_nothing() {
        let mut bench = bench();
        bench.own.keys = TrustedKeys::of(&[]).unwrap();
        assert_eq!(bench.refused(&bench.order()), "no_keys");
    }
}
