//! How many files and sockets the process may have open: one an agent, one a viewer.

/// Raises the soft limit, often 1,024, to the hard one.
pub fn raise_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
            tracing::debug!(soft, hard, "limit of open files");
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit of open files could not be raised; set LimitNOFILE");
        }
    }
}
