//! A process group of its own for every command, so that a signal reaches all of it at once.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// The process group that a child leads.
///
/// The kernel gives a group's number to nobody else while the leader is not reaped or a member lives;
/// signals behind the leader's end are therefore sent at once or to a group that still has members.
#[derive(Debug, Clone, Copy)]
pub struct ProcessGroup(Pid);

impl ProcessGroup {
    /// The group of a child that was started as its leader; none if it has ended already.
    #[must_use]
    pub fn of(child: &Child) -> Option<Self> {
        let pid = i32::try_from(child.id()?).ok()?;
        Some(Self(Pid::from_raw(pid)))
    }

    /// The group that `pid` leads.
    pub(super) fn led_by(pid: i32) -> Self {
        Self(Pid::from_raw(pid))
    }

    /// Asks all members to end (SIGTERM).
    pub fn terminate(self) {
        self.signal(Signal::SIGTERM);
    }

    /// Tells all members that their terminal is gone (SIGHUP).
    pub fn hang_up(self) {
        self.signal(Signal::SIGHUP);
    }

    /// Ends all members (SIGKILL).
    pub fn kill(self) {
        self.signal(Signal::SIGKILL);
    }

    /// Signals all members; that there are none is no error.
    pub(super) fn signal(self, signal: Signal) {
        // No such group: it has ended by itself, which is what was wanted.
        if let Err(error) = killpg(self.0, signal)
            && error != nix::errno::Errno::ESRCH
        {
            tracing::warn!(group = self.0.as_raw(), %signal, %error, "a process group cannot be signalled");
        }
    }
}
