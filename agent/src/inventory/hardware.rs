//! What the kernel knows of the machine: CPU, memory, board, file systems, interfaces.

use gururmm_shared::{DiskInfo, HardwareInfo, InterfaceInfo, SystemInfo};
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, RefreshKind, System,
};

use crate::platform;

/// Entries of a list that are told.
const MOST: usize = 500;

/// The machine itself.
pub fn machine() -> HardwareInfo {
    let kind = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kind).ok();
    let cpus = system.as_ref().map(System::cpus).unwrap_or_default();
    let [vendor, model, serial] = platform::board().map(told);
    HardwareInfo {
        cpu_model: cpus
            .first()
            .map(|cpu| cpu.brand().trim().to_owned())
            .filter(|brand| !brand.is_empty()),
        cpu_cores: Some(cpus.len() as u64).filter(|cores| *cores > 0),
        memory_bytes: system.as_ref().map(System::total_memory),
        vendor,
        model,
        serial,
    }
}

/// What the firmware says, where it says something.
fn told(text: Option<String>) -> Option<String> {
    let text = text?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(200).collect())
}

/// The operating system.
pub fn system() -> SystemInfo {
    SystemInfo {
        name: System::long_os_version().ok(),
        version: System::os_version().ok(),
        kernel: System::kernel_version().ok(),
        arch: Some(std::env::consts::ARCH.to_owned()),
        hostname: hostname::get()
            .ok()
            .map(|name| name.to_string_lossy().into_owned()),
    }
}

/// The file systems, without what changes by the minute.
pub fn disks() -> Option<Vec<DiskInfo>> {
    let kind = DiskRefreshKind::nothing().with_storage();
    let disks = Disks::new_with_refreshed_list_specifics(kind).ok()?;
    let mut disks: Vec<DiskInfo> = disks
        .iter()
        .map(|disk| DiskInfo {
            mount: disk.mount_point().to_string_lossy().into_owned(),
            device: disk.name().to_string_lossy().into_owned(),
            file_system: disk.file_system().to_string_lossy().into_owned(),
            total_bytes: disk.total_space(),
        })
        .collect();
    disks.sort_by(|a, b| a.mount.cmp(&b.mount));
    disks.dedup_by(|a, b| a.mount == b.mount);
    disks.truncate(MOST);
    Some(disks)
}

/// The network interfaces.
pub fn interfaces() -> Option<Vec<InterfaceInfo>> {
    let networks = Networks::new_with_refreshed_list().ok()?;
    let mut interfaces: Vec<InterfaceInfo> = networks
        .iter()
        .map(|(name, data)| {
            let mut addresses: Vec<String> =
                data.ip_networks().iter().map(ToString::to_string).collect();
            addresses.sort();
            InterfaceInfo {
                name: name.to_string_lossy().into_owned(),
                mac: data.mac_address().to_string(),
                addresses,
            }
        })
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces.truncate(MOST);
    Some(interfaces)
}
