//! Migrations that have landed are never edited: a database that has run one does not run it again.

use std::collections::BTreeMap;
use std::path::Path;

use gururmm_tests::files::sha256;

/// As `sha256sum */*/*.sql` writes it in the folder of migrations; lines are added for new ones, none is changed.
const LANDED: &str = include_str!("migrations.sha256");

/// Every file of every migration, with its hash.
fn there() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut found = BTreeMap::new();
    for engine in ["sqlite", "postgres"] {
        for migration in std::fs::read_dir(root.join(engine)).unwrap() {
            let folder = migration.unwrap().path();
            for name in ["up.sql", "down.sql"] {
                let bytes = std::fs::read(folder.join(name)).unwrap();
                let version = folder.file_name().unwrap().to_string_lossy();
                found.insert(format!("{engine}/{version}/{name}"), sha256(&bytes));
            }
        }
    }
    found
}

fn landed() -> BTreeMap<String, String> {
    let lines = LANDED
        .lines()
        .map(|line| line.split_once("  ").expect("a hash and a path"));
    lines
        .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
        .collect()
}

#[test]
fn a_migration_that_has_landed_is_not_edited() {
    let there = there();
    for (path, hash) in landed() {
        assert_eq!(
            there.get(&path),
            Some(&hash),
            "migrations/{path}: add a migration instead"
        );
    }
}

#[test]
fn no_migration_comes_before_one_that_has_landed_and_both_databases_have_all() {
    let (there, landed) = (there(), landed());
    let version = |path: &str| path.split('/').nth(1).unwrap().to_owned();
    let last = landed.keys().map(|path| version(path)).max().unwrap();
    for path in there.keys() {
        assert!(
            landed.contains_key(path) || version(path) > last,
            "migrations/{path} comes too early"
        );
        let other = match path.strip_prefix("sqlite/") {
            Some(rest) => format!("postgres/{rest}"),
            None => path.replacen("postgres/", "sqlite/", 1),
        };
        assert!(there.contains_key(&other), "migrations/{other} is missing");
    }
}
