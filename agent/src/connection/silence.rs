//! How long the server may say nothing before the connection counts as lost; a pure rule.

use std::time::Duration;

/// While a tunnel is open. It is promised to be over 45 s after the network has failed, on both sides, and to end
/// what runs in it takes some of them.
const IN_TUNNEL: Duration = Duration::from_secs(40);

/// The longest silence: `configured`, and less while a tunnel is open.
#[must_use]
pub fn limit(configured: Duration, tunnel_open: bool) -> Duration {
    if tunnel_open {
        configured.min(IN_TUNNEL)
    } else {
        configured
    }
}

/// After how much of a silence of at most `limit` the agent itself asks whether the server is there: one that pings
/// seldom is not to be taken for lost.
#[must_use]
pub fn ask_after(limit: Duration) -> Duration {
    limit / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_over_in_less_than_45_seconds_however_patient_the_agent_is() {
        for seconds in [41, 90, 3600] {
            let configured = Duration::from_secs(seconds);
            assert_eq!(limit(configured, true), Duration::from_secs(40));
            assert_eq!(limit(configured, false), configured);
        }
    }

    #[test]
    fn a_tunnel_makes_no_agent_more_patient() {
        for seconds in [1, 39, 40] {
            let configured = Duration::from_secs(seconds);
            assert_eq!(limit(configured, true), configured);
        }
    }

    #[test]
    fn there_is_time_for_an_answer() {
        let limit = limit(Duration::from_secs(90), true);
        assert!(limit - ask_after(limit) >= Duration::from_secs(15));
    }
}
