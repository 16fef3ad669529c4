//! The machine's network interfaces and their hash. Blocks its thread for a moment.

use gururmm_shared::NetworkState;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sysinfo::Networks;

use crate::device::hex;

/// Looks at the interfaces: name, hardware address and addresses, in a stable order; no counters.
#[must_use]
pub fn look() -> NetworkState {
    let mut interfaces: Vec<(String, String, Vec<String>)> = Vec::new();
    if let Ok(networks) = Networks::new_with_refreshed_list() {
        for (name, data) in &networks {
            let mut addresses: Vec<String> =
                data.ip_networks().iter().map(ToString::to_string).collect();
            addresses.sort();
            interfaces.push((
                name.to_string_lossy().into_owned(),
                data.mac_address().to_string(),
                addresses,
            ));
        }
    }
    interfaces.sort();
    state(interfaces)
}

fn state(interfaces: Vec<(String, String, Vec<String>)>) -> NetworkState {
    let interfaces: Vec<Value> = interfaces
        .into_iter()
        .map(|(name, mac, addresses)| json!({ "name": name, "mac": mac, "addresses": addresses }))
        .collect();
    let hash = hex(&Sha256::digest(Value::from(interfaces.clone()).to_string()));
    NetworkState {
        interfaces,
        hash: Some(hash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_changes_with_an_address_and_with_nothing_else() {
        let with = |address: &str| {
            state(vec![(
                "eth0".to_owned(),
                "00:00:5e:00:53:01".to_owned(),
                vec![address.to_owned()],
            )])
        };
        assert_eq!(with("192.0.2.1/24"), with("192.0.2.1/24"));
        assert_ne!(with("192.0.2.1/24").hash, with("192.0.2.2/24").hash);
        assert_eq!(look().hash, look().hash);
    }
}
