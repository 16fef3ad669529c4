//! Has the program built again when the dashboard was: its files become a part of it. While there are none
//! nothing is watched, for a path that is missing would have the program built every time.
#![allow(clippy::print_stdout, reason = "this is how Cargo is told")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::path::Path::new("../web/dist/index.html").exists() {
        println!("cargo::rerun-if-changed=../web/dist");
    }
}
