//! What a subscriber has still to hear: of each thing only the newest, and no more things than fit. Of
//! one that falls behind everything is dropped, once, and it is told to look at everything anew.
//!
//! ```text
//!   push ──▶ waiting ──take──▶ on its way ──taken──▶ …
//!              │ full                │ not taken in time
//!              ▼                     ▼
//!            resync               stalled
//! ```

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// Something was dropped: what was known may be stale.
    Resync,
    /// The newest of one thing.
    News(T),
}

/// The queue of one subscriber.
#[derive(Debug)]
pub struct EventQueue<K, T> {
    order: VecDeque<K>,
    newest: HashMap<K, T>,
    most: usize,
    lost: bool,
    on_its_way_since: Option<Instant>,
}

impl<K: Clone + Eq + Hash, T> EventQueue<K, T> {
    /// One in which the news of at most `most` things wait.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            order: VecDeque::new(),
            newest: HashMap::new(),
            most,
            lost: false,
            on_its_way_since: None,
        }
    }

    /// Adds the newest of a thing, in the place of what waits of it already. Whether everything else
    /// was dropped for it.
    pub fn push(&mut self, key: K, news: T) -> bool {
        if let Some(waiting) = self.newest.get_mut(&key) {
            *waiting = news;
            return false;
        }
        let full = self.order.len() >= self.most;
        if full {
            self.lose();
        }
        self.order.push_back(key.clone());
        self.newest.insert(key, news);
        full
    }

    /// Drops everything: something that belongs here was lost elsewhere.
    pub fn lose(&mut self) {
        self.order.clear();
        self.newest.clear();
        self.lost = true;
    }

    /// Takes what is told next, at most `most` at once; nothing while the last is on its way still.
    pub fn take(&mut self, most: usize, now: Instant) -> Vec<Told<T>> {
        if self.on_its_way_since.is_some() {
            return Vec::new();
        }
        let mut told = Vec::new();
        if std::mem::take(&mut self.lost) {
            told.push(Told::Resync);
        }
        while told.len() < most {
            let Some(key) = self.order.pop_front() else {
                break;
            };
            told.extend(self.newest.remove(&key).map(Told::News));
        }
        if !told.is_empty() {
            self.on_its_way_since = Some(now);
        }
        told
    }

    /// What was on its way has been taken.
    pub fn taken(&mut self) {
        self.on_its_way_since = None;
    }

    /// Whether something has been on its way for so long.
    #[must_use]
    pub fn is_stalled(&self, now: Instant, patience: Duration) -> bool {
        self.on_its_way_since
            .is_some_and(|since| now.saturating_duration_since(since) >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn news(told: Vec<Told<i32>>) -> Vec<i32> {
        let news = told.into_iter().map(|told| match told {
            Told::News(news) => news,
            Told::Resync => -1,
        });
        news.collect()
    }

    #[test]
    fn of_a_thing_only_the_newest_is_told_in_the_place_of_the_first() {
        let (mut queue, now) = (EventQueue::new(10), Instant::now());
        queue.push("a", 1);
        queue.push("b", 2);
        assert!(!queue.push("a", 3));
        assert_eq!(news(queue.take(10, now)), [3, 2]);
    }

    #[test]
    fn nothing_more_is_sent_until_the_last_was_taken() {
        let (mut queue, now) = (EventQueue::new(10), Instant::now());
        for n in 0..5 {
            queue.push(n, n);
        }
        assert_eq!(news(queue.take(2, now)), [0, 1]);
        assert_eq!(news(queue.take(2, now)), [0; 0]);
        queue.push(0, 10);
        queue.taken();
        assert_eq!(news(queue.take(10, now)), [2, 3, 4, 10]);
    }

    #[test]
    fn one_that_falls_behind_is_told_once_to_look_anew_and_goes_on() {
        let (mut queue, now) = (EventQueue::new(3), Instant::now());
        let dropped = (0..8).filter(|n| queue.push(*n, *n)).count();
        assert_eq!(dropped, 2);
        assert_eq!(news(queue.take(10, now)), [-1, 6, 7]);
        queue.taken();
        queue.push(9, 9);
        assert_eq!(news(queue.take(10, now)), [9], "once");
    }

    #[test]
    fn one_that_takes_nothing_is_stalled_and_one_that_has_nothing_to_take_is_not() {
        let (mut queue, now) = (EventQueue::new(3), Instant::now());
        assert!(!queue.is_stalled(now + PATIENCE, PATIENCE));
        queue.push(1, 1);
        assert_eq!(queue.take(10, now).len(), 1);
        assert!(!queue.is_stalled(now + PATIENCE / 2, PATIENCE));
        assert!(queue.is_stalled(now + PATIENCE, PATIENCE));
        queue.taken();
        assert!(!queue.is_stalled(now + PATIENCE, PATIENCE));
    }
}
