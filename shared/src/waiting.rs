//! The tasks that wait for one thing: each is woken, none is forgotten for another.

use std::task::Waker;

/// Tasks remembered beside the first. One more wakes the oldest, which asks again: dropped futures leave
/// their wakers here, and they must not pile up.
const MOST_OTHERS: usize = 15;

/// Wakers, each task's once.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waiting {
    /// Remembers a task; answers one that has to be woken instead.
    pub(crate) fn add(&mut self, waker: &Waker) -> Option<Waker> {
        let Some(first) = &mut self.first else {
            self.first = Some(waker.clone());
            return None;
        };
        if first.will_wake(waker) || self.others.iter().any(|other| other.will_wake(waker)) {
            return None;
        }
        self.others.push(waker.clone());
        (self.others.len() > MOST_OTHERS).then(|| std::mem::replace(first, self.others.remove(0)))
    }

    /// Adds wakers that are to be woken, whatever their number.
    pub(crate) fn extend(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        let mut wakers = wakers.into_iter();
        if self.first.is_none() {
            self.first = wakers.next();
        }
        self.others.extend(wakers);
    }

    /// Takes all of them, to be woken when no lock is held.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes all of them.
    pub(crate) fn wake(self) {
        self.into_iter().for_each(Waker::wake);
    }
}

impl IntoIterator for Waiting {
    type Item = Waker;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Waker>, std::vec::IntoIter<Waker>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_of_many_tasks_is_woken_and_their_number_stays_bounded() {
        let tasks: Vec<Arc<Count>> = (0..100).map(|_| Arc::default()).collect();
        let mut waiting = Waiting::default();
        for task in &tasks {
            let waker = Waker::from(Arc::clone(task));
            for _ in 0..3 {
                if let Some(displaced) = waiting.add(&waker) {
                    displaced.wake();
                }
            }
        }
        assert!(waiting.others.len() <= MOST_OTHERS);
        waiting.take().wake();
        for task in &tasks {
            assert_eq!(task.0.load(Ordering::Relaxed), 1);
        }
    }
}
