//! How deliveries are tried again, and where webhooks may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long a delivery is tried.
const GIVE_UP_SECONDS: i64 = 24 * 3600;
/// The longest pause between two attempts.
const PAUSE_SECONDS: i64 = 3600;

/// How long to wait after an attempt in vain, or `None` to give up; the first pause is given and
/// each is twice the one before, up to an hour.
#[must_use]
pub fn pause(first_seconds: u32, attempts: u32, age_seconds: i64) -> Option<i64> {
    let pause = i64::from(first_seconds.max(1))
        .saturating_mul(1_i64 << attempts.min(20))
        .min(PAUSE_SECONDS);
    (age_seconds.saturating_add(pause) <= GIVE_UP_SECONDS).then_some(pause)
}

/// Whether an address belongs to the public internet, and not to this machine or its networks.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [first, second, ..] = address.segments();
    let octets = address.octets();
    let inner =
        |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match (first, second) {
        // Translated (RFC 6052) and tunnelled (RFC 3056): the address within is what is reached.
        (0x64, 0xff9b) => is_public_v4(inner(12)),
        (0x2002, _) => is_public_v4(inner(2)),
        // Teredo, documentation.
        (0x2001, 0 | 0xdb8) => false,
        // Global unicast is all that is given out (RFC 4291 section 2.4).
        _ => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_end_after_a_day() {
        assert_eq!(pause(30, 0, 0), Some(30));
        assert_eq!(pause(30, 3, 0), Some(240));
        assert_eq!(pause(30, 40, 0), Some(3600));
        assert_eq!(pause(30, 40, 24 * 3600), None);
        let (mut age, mut attempts) = (0, 0);
        while let Some(wait) = pause(30, attempts, age) {
            age += wait;
            attempts += 1;
        }
        assert!(
            (20..40).contains(&attempts) && age <= 24 * 3600,
            "{attempts} {age}"
        );
    }

    #[test]
    fn addresses_within_are_told_from_those_outside() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "::127.0.0.1",
            "192.0.0.8",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }
}
