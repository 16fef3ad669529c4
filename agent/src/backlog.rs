//! What waits to be told to the server: samples and events, in bounded queues that outlive connections. Each tells how
//! long it has waited, by a clock that nobody can set. What was sent stays until the server has shown that
//! it read it; after a lost connection it is told again, so an event may come twice, but is not lost.
//!
//! ```text
//!   add ─▶ waiting ──next──▶ told ──mark──▶ marked(n) ──confirm(n)──▶ gone
//!             ▲               │               │
//!             └────rewind─────┴───────────────┘
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gururmm_shared::{AgentMessage, Metrics, WatchdogEvent};
use sysinfo::System;
use tokio::sync::Notify;

/// Samples that are kept: a day and a half of them, one a minute.
const MOST_SAMPLES: usize = 2_000;
/// Events that are kept.
const MOST_EVENTS: usize = 1_000;
/// What has waited for longer is of no use to anybody.
const MOST_WAITED: Duration = Duration::from_secs(7 * 86_400);
/// What has waited for less was told at once.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Samples.
    pub samples: usize,
    /// Events.
    pub events: usize,
    /// Both, that were given up since the start.
    pub dropped: u64,
}

/// Samples and events on their way; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queues: Mutex<Queues>,
    news: Notify,
}

impl Backlog {
    /// Keeps a sample until it was told.
    pub fn add_sample(&self, sample: Metrics) {
        self.lock().samples.push(sample, now());
        self.0.news.notify_one();
    }

    /// Keeps an event until it was told.
    pub fn add_event(&self, event: WatchdogEvent) {
        self.lock().events.push(event, now());
        self.0.news.notify_one();
    }

    /// The event that is to be told next; it counts as told from here on.
    #[must_use]
    pub fn next_event(&self) -> Option<AgentMessage> {
        let (event, waited_seconds) = self.lock().events.next(now())?;
        Some(AgentMessage::WatchdogEvent(WatchdogEvent {
            waited_seconds,
            ..event
        }))
    }

    /// The sample that is to be told next; it counts as told from here on.
    #[must_use]
    pub fn next_sample(&self) -> Option<AgentMessage> {
        let (sample, waited_seconds) = self.lock().samples.next(now())?;
        Some(AgentMessage::Metrics(Metrics {
            waited_seconds,
            ..sample
        }))
    }

    /// Whether an event, and whether a sample, is to be told.
    #[must_use]
    pub fn due(&self) -> (bool, bool) {
        let queues = self.lock();
        (queues.events.is_due(), queues.samples.is_due())
    }

    /// Gives what was told since the last mark a number, for [`Backlog::confirm`]; none where nothing was.
    #[must_use]
    pub fn mark(&self) -> Option<u64> {
        self.lock().mark()
    }

    /// The server has read all that was told before this mark.
    pub fn confirm(&self, mark: u64) {
        let mut queues = self.lock();
        queues.samples.confirm(mark);
        queues.events.confirm(mark);
    }

    /// There is another connection: what was not confirmed is to be told again.
    pub fn rewind(&self) {
        let mut queues = self.lock();
        queues.samples.rewind();
        queues.events.rewind();
    }

    /// Waits until there may be something to be told.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }

    /// How many wait, with those that are not confirmed.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let queues = self.lock();
        Waiting {
            samples: queues.samples.items.len(),
            events: queues.events.items.len(),
            dropped: queues.samples.dropped + queues.events.dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time since the machine's start, its sleep included. Where that is not known, nothing seems to have waited.
fn now() -> Duration {
    Duration::from_secs(System::uptime().unwrap_or_default())
}

#[derive(Debug)]
struct Queues {
    samples: Queue<Metrics>,
    events: Queue<WatchdogEvent>,
    marks: u64,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            samples: Queue::new(MOST_SAMPLES),
            events: Queue::new(MOST_EVENTS),
            marks: 0,
        }
    }
}

impl Queues {
    fn mark(&mut self) -> Option<u64> {
        let mark = self.marks + 1;
        // Both, whatever the first says.
        let marked = self.samples.mark(mark) | self.events.mark(mark);
        if marked {
            self.marks = mark;
        }
        marked.then_some(mark)
    }
}

#[derive(Debug)]
struct Item<T> {
    content: T,
    since: Duration,
    mark: Option<u64>,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<Item<T>>,
    /// So many of the first were told.
    told: usize,
    most: usize,
    dropped: u64,
}

impl<T: Clone> Queue<T> {
    fn new(most: usize) -> Self {
        Self {
            items: VecDeque::new(),
            told: 0,
            most,
            dropped: 0,
        }
    }

    fn push(&mut self, content: T, now: Duration) {
        while self.items.len() >= self.most || self.is_stale(now) {
            self.drop_oldest();
        }
        self.items.push_back(Item {
            content,
            since: now,
            mark: None,
        });
    }

    fn is_due(&self) -> bool {
        self.told < self.items.len()
    }

    fn is_stale(&self, now: Duration) -> bool {
        let oldest = self.items.front();
        oldest.is_some_and(|item| now.saturating_sub(item.since) > MOST_WAITED)
    }

    fn drop_oldest(&mut self) {
        if self.items.pop_front().is_some() && self.told == 0 {
            if self.dropped == 0 {
                tracing::warn!("more waits for the server than is kept: the oldest is given up");
            }
            self.dropped += 1;
        }
        self.told = self.told.saturating_sub(1);
    }

    /// The next one and for how many seconds it has waited, where it has.
    fn next(&mut self, now: Duration) -> Option<(T, Option<u64>)> {
        while self.told == 0 && self.is_stale(now) {
            self.drop_oldest();
        }
        let item = self.items.get(self.told)?;
        self.told += 1;
        let waited = now.saturating_sub(item.since);
        let waited = (waited >= AT_ONCE).then_some(waited.as_secs());
        Some((item.content.clone(), waited))
    }

    fn mark(&mut self, mark: u64) -> bool {
        let told = self.items.iter_mut().take(self.told);
        let mut any = false;
        for item in told.filter(|item| item.mark.is_none()) {
            item.mark = Some(mark);
            any = true;
        }
        any
    }

    fn confirm(&mut self, mark: u64) {
        while self.told > 0
            && let Some(item) = self.items.front()
            && item.mark.is_some_and(|own| own <= mark)
        {
            self.items.pop_front();
            self.told -= 1;
        }
    }

    fn rewind(&mut self) {
        self.told = 0;
        for item in &mut self.items {
            item.mark = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(most: usize, count: u64) -> Queue<u64> {
        let mut queue = Queue::new(most);
        for number in 0..count {
            queue.push(number, Duration::from_secs(number));
        }
        queue
    }

    fn all(queue: &mut Queue<u64>, now: u64) -> Vec<(u64, Option<u64>)> {
        std::iter::from_fn(|| queue.next(Duration::from_secs(now))).collect()
    }

    #[test]
    fn each_tells_how_long_it_has_waited_and_one_that_has_not_says_nothing() {
        let mut queue = queue(10, 3);
        assert_eq!(all(&mut queue, 3), [(0, Some(3)), (1, Some(2)), (2, None)]);
    }

    #[test]
    fn the_oldest_are_given_up_when_there_is_no_room_and_after_a_week() {
        let mut full = queue(3, 5);
        assert_eq!((full.dropped, full.items.len()), (2, 3));
        assert_eq!(all(&mut full, 4)[0], (2, Some(2)));
        let mut stale = queue(10, 2);
        assert_eq!(all(&mut stale, MOST_WAITED.as_secs() + 1).len(), 1);
        assert_eq!(stale.dropped, 1);
    }

    #[test]
    fn what_was_told_stays_until_it_is_confirmed_and_is_told_again_after_a_rewind() {
        let mut queue = queue(10, 2);
        assert_eq!(all(&mut queue, 0).len(), 2);
        assert!(queue.mark(1));
        assert!(!queue.mark(2), "nothing was told since");
        queue.push(7, Duration::ZERO);
        assert_eq!(all(&mut queue, 0).len(), 1);
        queue.confirm(1);
        assert_eq!(queue.items.len(), 1, "the last has no mark yet");
        queue.rewind();
        assert_eq!(all(&mut queue, 0), [(7, None)]);
        queue.confirm(9);
        assert_eq!(queue.items.len(), 1, "a mark of another connection");
        assert!(queue.mark(10));
        queue.confirm(10);
        assert_eq!(queue.items.len(), 0);
    }

    #[test]
    fn giving_up_what_was_told_already_loses_nothing() {
        let mut queue = queue(2, 2);
        assert_eq!(all(&mut queue, 0).len(), 2);
        queue.push(2, Duration::ZERO);
        queue.push(3, Duration::ZERO);
        assert_eq!(queue.dropped, 0);
        assert_eq!(all(&mut queue, 0), [(2, None), (3, None)]);
    }

    #[test]
    fn samples_and_events_are_told_and_confirmed_side_by_side() {
        let backlog = Backlog::default();
        assert_eq!(backlog.mark(), None);
        backlog.add_sample(Metrics::default());
        backlog.add_event(WatchdogEvent {
            service: "a".to_owned(),
            event: "stopped".to_owned(),
            message: None,
            timestamp: None,
            waited_seconds: None,
        });
        assert_eq!(backlog.due(), (true, true));
        assert_eq!(backlog.next_event().unwrap().kind(), "watchdog_event");
        assert_eq!(backlog.next_event(), None);
        assert_eq!(backlog.mark(), Some(1));
        assert_eq!(backlog.next_sample().unwrap().kind(), "metrics");
        assert_eq!(backlog.due(), (false, false));
        assert_eq!(backlog.mark(), Some(2));
        backlog.confirm(1);
        let waiting = backlog.waiting();
        assert_eq!((waiting.samples, waiting.events), (1, 0));
        backlog.confirm(2);
        assert_eq!(backlog.waiting(), Waiting::default());
    }
}
