//! The machine's inventory: what it is made of and what is installed. Blocks its thread for as long
//! as the package manager takes: callers move it off the runtime.

mod hardware;

use gururmm_shared::{Inventory, InventorySections};
use sha2::{Digest, Sha256};

use crate::device::hex;
use crate::platform::listing;

/// Bytes left for the message around the sections.
const ENVELOPE_BYTES: usize = 1024;

/// Looks at the machine.
#[must_use]
pub fn look() -> Inventory {
    seal(InventorySections {
        hardware: Some(hardware::machine()),
        os: Some(hardware::system()),
        disks: hardware::disks(),
        network: hardware::interfaces(),
        software: listing::software(),
        services: listing::services(),
        users: listing::users(),
    })
}

/// Sees to it that the inventory fits into its message, and hashes it.
fn seal(mut sections: InventorySections) -> Inventory {
    let most = Inventory::MAX_BYTES - ENVELOPE_BYTES;
    let mut text = encode(&sections);
    // The longest lists give way, by halves; the rest of the inventory is worth more.
    while text.len() > most {
        let software = sections.software.as_ref().map_or(0, Vec::len);
        let services = sections.services.as_ref().map_or(0, Vec::len);
        tracing::warn!(software, services, "the inventory is too long and is cut");
        if software > 0 && software >= services {
            if let Some(list) = &mut sections.software {
                list.truncate(software / 2);
            }
        } else if let Some(list) = sections.services.as_mut().filter(|_| services > 0) {
            list.truncate(services / 2);
        } else {
            sections = InventorySections {
                hardware: sections.hardware,
                os: sections.os,
                ..InventorySections::default()
            };
        }
        text = encode(&sections);
    }
    Inventory {
        hash: hex(&Sha256::digest(text)),
        sections,
    }
}

fn encode(sections: &InventorySections) -> String {
    serde_json::to_string(sections).expect("sections hold only maps with string keys")
}

#[cfg(test)]
mod tests {
    use gururmm_shared::{AgentMessage, SoftwareInfo};

    use super::*;

    #[test]
    fn a_machine_that_has_not_changed_has_the_same_hash() {
        let (one, two) = (look(), look());
        assert_eq!(one.sections, two.sections);
        assert_eq!(one.hash, two.hash);
        assert!(one.sections.hardware.unwrap().cpu_cores > Some(0));
    }

    #[test]
    fn an_inventory_always_fits_into_its_message() {
        let software = |n: usize| SoftwareInfo {
            name: format!("package-{n}"),
            version: "v".repeat(200),
        };
        let sections = InventorySections {
            software: Some((0..20_000).map(software).collect()),
            ..InventorySections::default()
        };
        let inventory = seal(sections);
        assert!(inventory.sections.software.as_ref().unwrap().len() > 1000);
        let message = AgentMessage::Inventory(inventory).encode();
        assert!(message.len() <= Inventory::MAX_BYTES, "{}", message.len());
    }
}
