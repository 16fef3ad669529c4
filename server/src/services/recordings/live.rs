//! Which recordings are being written, so that nobody else ends or deletes them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use gururmm_shared::RecordingId;
use tokio::sync::watch;

/// The recordings that are written now.
pub(super) struct Live {
    shared: Arc<Shared>,
    most: usize,
}

struct Shared {
    ids: Mutex<HashSet<RecordingId>>,
    count: watch::Sender<usize>,
}

/// One of them, until it goes.
pub(super) struct Guard {
    id: RecordingId,
    shared: Arc<Shared>,
}

impl Live {
    pub(super) fn new(most: usize) -> Self {
        let shared = Shared {
            ids: Mutex::default(),
            count: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
            most,
        }
    }

    /// Enters one, unless there are too many.
    pub(super) fn enter(&self, id: RecordingId) -> Option<Guard> {
        let shared = &self.shared;
        let mut ids = shared.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() >= self.most {
            return None;
        }
        ids.insert(id);
        shared.count.send_replace(ids.len());
        Some(Guard {
            id,
            shared: Arc::clone(shared),
        })
    }

    pub(super) fn contains(&self, id: RecordingId) -> bool {
        let ids = self.shared.ids.lock();
        ids.unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    pub(super) async fn wait_for_none(&self) {
        let mut count = self.shared.count.subscribe();
        // The sender lives as long as this does.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ids = self.shared.ids.lock();
        let mut ids = ids.unwrap_or_else(PoisonError::into_inner);
        ids.remove(&self.id);
        self.shared.count.send_replace(ids.len());
    }
}
