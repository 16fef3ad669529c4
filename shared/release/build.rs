//! Builds the public keys of releases in: those of the file that `GURURMM_RELEASE_KEYS` names, one minisign public key a
//! line; without it those of the tests in a debug build, and none in one for release.

use std::path::PathBuf;
use std::{env, fs};

const VARIABLE: &str = "GURURMM_RELEASE_KEYS";
const MOST: usize = 2;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let named = env::var_os(VARIABLE).filter(|name| !name.is_empty());
    let debug = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let file = match named {
        Some(name) => Some(PathBuf::from(name)),
        None if debug => Some(PathBuf::from("keys/test.pub")),
        None => None,
    };
    let keys = match &file {
        Some(file) => {
            println!("cargo::rerun-if-changed={}", file.display());
            read(file)?
        }
        None => Vec::new(),
    };
    let out = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::write(PathBuf::from(out).join("keys.rs"), format!("&{keys:?}"))
        .map_err(|error| format!("cannot write the keys: {error}"))
}

/// Of the two lines of a `.pub` file the comment is passed over.
fn read(file: &PathBuf) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{VARIABLE}: {}: {error}", file.display()))?;
    let keys: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| {
            !line.is_empty() && !line.starts_with("untrusted comment:") && !line.starts_with('#')
        })
        .map(str::to_owned)
        .collect();
    if keys.is_empty() || keys.len() > MOST {
        return Err(format!(
            "{VARIABLE}: {} must hold one or two minisign public keys, one a line",
            file.display()
        ));
    }
    Ok(keys)
}
