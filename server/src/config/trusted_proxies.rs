//! Whose word on where a request came from is believed.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Hops of one request that are looked at.
const MOST_HOPS: usize = 32;
/// Networks that can be named.
const MOST_NETWORKS: usize = 256;

/// The networks of `server.trusted_proxies`.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks and single addresses, as `10.0.0.0/8`, `192.0.2.7`, `fd00::/8`.
    ///
    /// # Errors
    /// The first that is neither, with what to write.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        if list.len() > MOST_NETWORKS {
            return Err(format!(
                "server.trusted_proxies names more than {MOST_NETWORKS} networks; join some"
            ));
        }
        let network = |text: &String| {
            let text = text.trim();
            let single = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| single()).map_err(|_| {
                format!(
                    "server.trusted_proxies: {text:?} is no network; write it as 10.0.0.0/8, 192.0.2.7 or fd00::/8"
                )
            })
        };
        list.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request came from: the socket's other end, or, where that is a trusted proxy, the right-most
    /// hop of `X-Forwarded-For` that is none. What stands left of that, anybody may have written; a hop that is no
    /// address ends the way, too, and the proxy that wrote it down stands for it.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut at = peer.to_canonical();
        let hops = forwarded.rev().flat_map(|value| value.rsplit(','));
        for hop in hops.take(MOST_HOPS) {
            if !self.trusts(at) {
                break;
            }
            match address(hop) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let found = bare
        .unwrap_or(hop)
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    found.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> Result<TrustedProxies, String> {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        TrustedProxies::parse(&list)
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let peer = peer.parse().unwrap();
        let client = proxies(trusted)
            .unwrap()
            .client(peer, forwarded.iter().copied());
        client.to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_header_means_nothing() {
        assert_eq!(client(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        let other = client(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"]);
        assert_eq!(other, "192.0.2.1");
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_is_the_client() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (forwarded, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7, 10.2.2.2"], "198.51.100.7"),
            // Several headers are one list.
            (&["203.0.113.9", "198.51.100.7,10.2.2.2"], "198.51.100.7"),
            (&["2001:db8::7, fd00::2"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["198.51.100.7:80"], "198.51.100.7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            // All of them proxies: the first.
            (&["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
            (&[], "10.1.1.1"),
        ] {
            let found = client(&trusted, "10.1.1.1", forwarded);
            assert_eq!(found, expected, "{forwarded:?}");
        }
        assert_eq!(
            client(&trusted, "::ffff:10.1.1.1", &["192.0.2.3"]),
            "192.0.2.3"
        );
    }

    #[test]
    fn what_is_no_address_hides_nothing_behind_it() {
        for rubbish in ["unknown", "_hidden", "", "1.2.3.4.5", "203.0.113.9 x", "é"] {
            let forwarded = format!("203.0.113.9, {rubbish}");
            let found = client(&["10.0.0.0/8"], "10.1.1.1", &[&forwarded]);
            assert_eq!(found, "10.1.1.1", "{rubbish:?}");
        }
        let long = "10.0.0.1,".repeat(100_000);
        client(&["10.0.0.0/8"], "10.1.1.1", &[&long]);
    }

    #[test]
    fn a_network_that_is_none_is_named() {
        for bad in ["10.0.0.0/33", "proxy.example.com", "", "*"] {
            let error = proxies(&["::1", bad]).unwrap_err();
            assert!(
                error.contains("server.trusted_proxies") && error.contains(&format!("{bad:?}")),
                "{error}"
            );
        }
        assert!(proxies(&["::1", " 127.0.0.1 ", "10.0.0.0/8"]).is_ok());
    }
}
