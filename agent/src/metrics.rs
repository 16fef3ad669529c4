//! Samples of the machine's load. Blocks its thread for a moment: callers move it off the runtime.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::Utc;
use gururmm_shared::Metrics;
use sysinfo::{
    Disk, DiskRefreshKind, Disks, MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, Networks, System,
};

use crate::config::MetricsSettings;

/// File systems that hold no disk space of their own.
const NO_DISKS: [&str; 8] = [
    "tmpfs",
    "devtmpfs",
    "ramfs",
    "overlay",
    "squashfs",
    "iso9660",
    "efivarfs",
    "fuse.lxcfs",
];

/// Takes samples; CPU and network are what happened since the sample before.
pub struct Sampler {
    settings: MetricsSettings,
    system: Option<System>,
    networks: Option<Networks>,
    cpu_refreshed: Instant,
}

impl Sampler {
    /// A sampler whose first sample tells of the time since now.
    #[must_use]
    pub fn new(settings: MetricsSettings) -> Self {
        let mut system = System::new().ok();
        if let Some(system) = system.as_mut().filter(|_| settings.collect_cpu) {
            system.refresh_cpu_usage();
        }
        let networks = if settings.collect_network {
            Networks::new_with_refreshed_list().ok()
        } else {
            None
        };
        Self {
            settings,
            system,
            networks,
            cpu_refreshed: Instant::now(),
        }
    }

    /// Measures this from now on.
    pub fn measure(&mut self, settings: MetricsSettings) {
        let parts = |settings: &MetricsSettings| {
            let &MetricsSettings {
                collect_cpu,
                collect_network,
                ..
            } = settings;
            (collect_cpu, collect_network)
        };
        // Only what counts from a beginning needs a new one.
        if parts(&settings) == parts(&self.settings) {
            self.settings = settings;
        } else {
            *self = Self::new(settings);
        }
    }

    /// How long to wait before a sample of the CPU means anything.
    #[must_use]
    pub fn too_early(&self) -> Duration {
        if !self.settings.collect_cpu {
            return Duration::ZERO;
        }
        MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(self.cpu_refreshed.elapsed())
    }

    /// Takes a sample; what is switched off or cannot be measured is missing in it.
    pub fn sample(&mut self) -> Metrics {
        let mut metrics = Metrics {
            timestamp: Some(Utc::now()),
            uptime_seconds: System::uptime().ok(),
            ..Metrics::default()
        };
        self.sample_system(&mut metrics);
        self.sample_network(&mut metrics);
        if self.settings.collect_disk {
            sample_disks(&mut metrics);
        }
        metrics
    }

    fn sample_system(&mut self, metrics: &mut Metrics) {
        let Some(system) = &mut self.system else {
            return;
        };
        if self.settings.collect_cpu {
            system.refresh_cpu_usage();
            self.cpu_refreshed = Instant::now();
            metrics.cpu_percent = Some(f64::from(system.global_cpu_usage()).clamp(0.0, 100.0));
        }
        if self.settings.collect_memory {
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            metrics.memory_used_bytes = Some(system.used_memory());
            metrics.memory_total_bytes = Some(system.total_memory());
        }
    }

    fn sample_network(&mut self, metrics: &mut Metrics) {
        let Some(networks) = &mut self.networks else {
            return;
        };
        networks.refresh(true);
        let outside = || {
            networks
                .iter()
                .filter(|(name, _)| *name != "lo")
                .map(|(_, data)| data)
        };
        metrics.network_rx_bytes = Some(outside().map(|data| data.received()).sum());
        metrics.network_tx_bytes = Some(outside().map(|data| data.transmitted()).sum());
    }
}

fn sample_disks(metrics: &mut Metrics) {
    let kind = DiskRefreshKind::nothing().with_storage();
    let Ok(disks) = Disks::new_with_refreshed_list_specifics(kind) else {
        return;
    };
    let counted = counted(&disks);
    let total: u64 = counted.iter().map(|disk| disk.total_space()).sum();
    let free: u64 = counted.iter().map(|disk| disk.available_space()).sum();
    metrics.disk_total_bytes = Some(total);
    metrics.disk_used_bytes = Some(total.saturating_sub(free));
}

/// Each device once, however often it is mounted; in a container without any, its root.
fn counted(disks: &[Disk]) -> Vec<&Disk> {
    let mut seen = HashSet::new();
    let real: Vec<&Disk> = disks
        .iter()
        .filter(|disk| {
            disk.file_system()
                .to_str()
                .is_none_or(|name| !NO_DISKS.contains(&name))
        })
        .filter(|disk| seen.insert(disk.name()))
        .collect();
    if real.is_empty() {
        return disks
            .iter()
            .filter(|disk| disk.mount_point() == "/")
            .take(1)
            .collect();
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_what_is_switched_on_and_nothing_else() {
        let mut sampler = Sampler::new(MetricsSettings::default());
        std::thread::sleep(sampler.too_early());
        let sample = sampler.sample();
        assert!(
            sample
                .cpu_percent
                .is_some_and(|percent| (0.0..=100.0).contains(&percent))
        );
        assert!(sample.memory_used_bytes.unwrap() <= sample.memory_total_bytes.unwrap());
        assert!(sample.disk_used_bytes.unwrap() <= sample.disk_total_bytes.unwrap());
        assert!(sample.network_rx_bytes.is_some() && sample.uptime_seconds.is_some());
        let off = MetricsSettings {
            collect_cpu: false,
            collect_memory: false,
            collect_disk: false,
            collect_network: false,
            ..MetricsSettings::default()
        };
        let mut sampler = Sampler::new(off);
        assert_eq!(sampler.too_early(), Duration::ZERO);
        let sample = sampler.sample();
        assert_eq!((sample.cpu_percent, sample.memory_used_bytes), (None, None));
        assert_eq!(
            (sample.disk_used_bytes, sample.network_rx_bytes),
            (None, None)
        );
    }
}
