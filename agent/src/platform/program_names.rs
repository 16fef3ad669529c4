//! Names beside the agent's program.

use std::path::{Path, PathBuf};

/// Of a new program in the moment in which it gets its name, where that takes more than one step.
pub const ENTERING: &str = "entering";

/// The file beside a program that is `what` to it; an extension stays the last one, so that it can be run.
#[must_use]
pub fn beside_program(program: &Path, what: &str) -> PathBuf {
    let mut name = program.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    if let Some(extension) = program.extension() {
        name.push(".");
        name.push(extension);
    }
    program.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_stays_the_last_one() {
        let name = |path: &str| beside_program(Path::new(path), "new");
        assert_eq!(name("/a/gururmm-agent"), Path::new("/a/gururmm-agent.new"));
        assert_eq!(name("/a/agent.exe"), Path::new("/a/agent.new.exe"));
    }
}
