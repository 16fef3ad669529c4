//! Reading the layers: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Value, ValueKind};

use super::settings::Settings;

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file to read.
    pub config: Option<PathBuf>,
    /// Key and value, as `listen` and `127.0.0.1:0`.
    pub values: Vec<(&'static str, String)>,
}

/// Settings, and where each came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Key and origin of every value that is not a default.
    pub origins: BTreeMap<String, String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A layer cannot be read or holds what does not belong there.
    #[error("configuration: {0}")]
    Invalid(String),
    /// The file of a secret cannot be read.
    #[error("configuration: {variable}: cannot read {path}: {source}")]
    Secret {
        /// The variable that names the file.
        variable: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

const PREFIX: &str = "GURURMM";
/// Keys that may be given as `…_FILE`, the name of a file that holds the value.
const SECRETS: [&str; 2] = ["database.url", "auth.signing_key"];

/// Reads all layers.
///
/// # Errors
/// [`ConfigError`]: one line that names the key and what to do.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let invalid = |error: config::ConfigError| ConfigError::Invalid(one_line(&error));
    let (variables, mut origins) = environment_layer(environment)?;
    let mut builder = Config::builder();
    if let Some(file) = &flags.config {
        check_file(file)?;
        builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
    }
    builder = builder.add_source(
        Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator("__")
            .list_separator(",")
            .with_list_parse_key("http.allowed_origins")
            .with_list_parse_key("server.trusted_proxies")
            .with_list_parse_key("tls.names")
            .try_parsing(true)
            .source(Some(variables.into_iter().collect())),
    );
    for (key, value) in &flags.values {
        builder = builder.set_override(*key, value.clone()).map_err(invalid)?;
    }
    let merged = builder.build().map_err(invalid)?;
    collect_origins("", &merged.cache, &mut origins);
    for (key, _) in &flags.values {
        origins.insert((*key).to_owned(), format!("flag --{}", flag_name(key)));
    }
    let settings: Settings = merged.try_deserialize().map_err(invalid)?;
    settings.check().map_err(ConfigError::Invalid)?;
    Ok(Loaded { settings, origins })
}

fn flag_name(key: &str) -> String {
    key.replace(['.', '_'], "-")
}

fn check_file(file: &Path) -> Result<(), ConfigError> {
    std::fs::metadata(file)
        .map(|_| ())
        .map_err(|error| ConfigError::Invalid(format!("cannot read {}: {error}", file.display())))
}

fn one_line(error: &config::ConfigError) -> String {
    error
        .to_string()
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

type Variables = Vec<(String, String)>;

/// Picks our variables, and puts the content of `…_FILE` in place of its name.
fn environment_layer(
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(Variables, BTreeMap<String, String>), ConfigError> {
    let mut variables = Vec::new();
    let mut origins = BTreeMap::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix("GURURMM_") else {
            continue;
        };
        if rest == "CONFIG" || rest.starts_with("TEST_") {
            continue;
        }
        if let Some(base) = rest.strip_suffix("_FILE") {
            let key = base.to_lowercase().replace("__", ".");
            if SECRETS.contains(&key.as_str()) {
                let content =
                    std::fs::read_to_string(&value).map_err(|source| ConfigError::Secret {
                        variable: name.clone(),
                        path: value.clone(),
                        source,
                    })?;
                origins.insert(key, format!("file {value} (environment {name})"));
                variables.push((format!("{PREFIX}_{base}"), content.trim().to_owned()));
                continue;
            }
        }
        origins.insert(
            rest.to_lowercase().replace("__", "."),
            format!("environment {name}"),
        );
        variables.push((name, value));
    }
    Ok((variables, origins))
}

/// Notes the file for every value that came from one; the environment is noted already.
fn collect_origins(path: &str, value: &Value, origins: &mut BTreeMap<String, String>) {
    if let ValueKind::Table(table) = &value.kind {
        for (key, value) in table {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            collect_origins(&path, value, origins);
        }
    } else if let Some(origin) = value.origin() {
        let from_environment = origins.contains_key(path);
        if !from_environment {
            origins.insert(path.to_owned(), format!("file {origin}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> std::iter::Empty<(String, String)> {
        std::iter::empty()
    }

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gururmm.toml");
        std::fs::write(&path, text).unwrap();
        (
            dir,
            Flags {
                config: Some(path),
                values: Vec::new(),
            },
        )
    }

    #[test]
    fn with_nothing_set_the_defaults_hold() {
        let loaded = load(&Flags::default(), none()).unwrap();
        assert_eq!(loaded.settings.listen.port(), 3001);
        assert!(loaded.origins.is_empty());
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file_and_each_origin_is_known() {
        let (_dir, mut flags) =
            file("listen = '127.0.0.1:1'\ndata_dir = '/a'\n[tunnel]\nticket_seconds = 7\n");
        let environment = [
            ("GURURMM_LISTEN", "127.0.0.1:2"),
            ("GURURMM_DATA_DIR", "/b"),
        ];
        let environment = environment
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter();
        flags.values.push(("listen", "127.0.0.1:3".into()));
        let loaded = load(&flags, environment).unwrap();
        assert_eq!(loaded.settings.listen.port(), 3);
        assert_eq!(loaded.settings.data_dir, PathBuf::from("/b"));
        assert_eq!(loaded.settings.tunnel.ticket_seconds, 7);
        assert_eq!(loaded.origins["listen"], "flag --listen");
        assert_eq!(loaded.origins["data_dir"], "environment GURURMM_DATA_DIR");
        assert!(loaded.origins["tunnel.ticket_seconds"].starts_with("file "));
    }

    #[test]
    fn an_unknown_key_is_refused_and_named() {
        let (_dir, flags) = file("[tunnel]\nidle = 3\n");
        let error = load(&flags, none()).unwrap_err().to_string();
        assert!(error.contains("idle") && !error.contains('\n'), "{error}");
        let environment = [("GURURMM_TUNNEL__NOPE".to_owned(), "1".to_owned())].into_iter();
        let error = load(&Flags::default(), environment)
            .unwrap_err()
            .to_string();
        assert!(error.contains("nope"), "{error}");
    }

    #[test]
    fn a_value_outside_its_limits_is_refused_with_the_limits() {
        let environment = [("GURURMM_TUNNEL__TICKET_SECONDS".to_owned(), "0".to_owned())];
        let error = load(&Flags::default(), environment.into_iter())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("tunnel.ticket_seconds") && error.contains("3600"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        std::fs::write(&path, "postgres://u:secret@h/db\n").unwrap();
        let variable = (
            "GURURMM_DATABASE__URL_FILE".to_owned(),
            path.to_str().unwrap().to_owned(),
        );
        let loaded = load(&Flags::default(), [variable].into_iter()).unwrap();
        let url = secrecy::ExposeSecret::expose_secret(&loaded.settings.database.url);
        assert_eq!(url, "postgres://u:secret@h/db");
        assert!(!loaded.report().contains("secret@"), "{}", loaded.report());
    }
}
