//! Where the built programs are: beside the running test.

use std::path::PathBuf;

/// The path of a program of this workspace, built with the same profile as the caller.
///
/// # Panics
/// When it is not there: `cargo build --workspace` makes it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let mut directory = own.parent().expect("a program lies in a directory");
    if directory.ends_with("deps") {
        directory = directory.parent().expect("deps lies in a directory");
    }
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build --workspace` first",
        path.display()
    );
    path
}
