//! What the figures were measured on.

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The machine, the build and the day, one a line.
pub fn describe() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let profile = if cfg!(debug_assertions) {
        "debug (figures mean nothing)"
    } else {
        "release"
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "- {}, {cores} cores, Linux {}\n- {profile} build of GuruRMM {}, SQLite\n- {}, load at the start {}\n",
        cpu_model()?,
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        load()?,
    ))
}

/// The load of the last minute.
pub fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let first = text.split(' ').next().context("/proc/loadavg is empty")?;
    Ok(first.to_owned())
}

/// Lets this process and its children open as many files as the machine allows.
pub fn raise_open_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}

/// How many files a process may open.
pub fn open_files() -> Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

fn cpu_model() -> Result<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = line.map_or("unknown CPU", |rest| {
        rest.trim_start_matches([' ', '\t', ':'])
    });
    Ok(name.to_owned())
}
