//! Tests of the windows.

use std::time::Duration;

use super::*;

#[test]
fn a_repeated_piece_is_recognised() {
    let mut window = ReceiveWindow::new(100);
    assert_eq!(window.receive(0, 10), Ok(Received::Next));
    assert_eq!(window.receive(0, 10), Ok(Received::Repeat));
    assert_eq!(window.receive(10, 10), Ok(Received::Next));
}

#[test]
fn a_gap_is_an_error() {
    let mut window = ReceiveWindow::new(100);
    assert_eq!(
        window.receive(5, 1),
        Err(FlowError::Gap {
            expected: 0,
            got: 5
        })
    );
}

#[test]
fn more_than_the_window_is_an_error_and_exactly_the_window_is_not() {
    let mut window = ReceiveWindow::new(10);
    assert_eq!(
        window.receive(0, 11),
        Err(FlowError::Overrun { end: 11, limit: 10 })
    );
    assert_eq!(window.receive(0, 10), Ok(Received::Next));
    assert_eq!(window.receive(10, 0), Ok(Received::Next));
}

#[test]
fn credit_comes_on_consumption_once_half_is_used() {
    let mut window = ReceiveWindow::new(10);
    window.receive(0, 10).unwrap();
    assert_eq!(window.consume(4), None);
    assert_eq!(window.consume(5), Some(15));
    assert_eq!(window.consume(5), None);
    assert_eq!(window.consume(10), Some(20));
}

#[test]
fn a_late_lower_limit_takes_nothing_back() {
    let mut window = SendWindow::new(10);
    assert!(window.raise(20));
    assert!(!window.raise(15));
    window.send(20);
    assert_eq!(window.available(), 0);
    assert_eq!(window.offset(), 20);
}

const KIB: u64 = 1024;

/// Uses up windows one after the other, each within `lap`; tells the size after each.
fn sizes(window: &mut ReceiveWindow, lap: Duration, round_trip: Duration, laps: u32) -> Vec<u64> {
    let mut now = Duration::from_secs(100);
    let _ = window.consume_at(window.received(), now, round_trip, |_| true);
    let mut sizes = Vec::new();
    for _ in 0..laps {
        now += lap;
        let end = window.received() + window.size();
        window.receive(window.received(), window.size()).unwrap();
        let limit = window.consume_at(end, now, round_trip, |_| true);
        assert_eq!(limit, Some(end + window.size()));
        sizes.push(window.size() / KIB);
    }
    sizes
}

#[test]
fn a_window_that_is_used_up_in_less_than_two_round_trips_doubles_up_to_its_most() {
    let round_trip = Duration::from_millis(10);
    let mut window = ReceiveWindow::new(INITIAL_WINDOW_BYTES);
    let lap = Duration::from_millis(19);
    assert_eq!(
        sizes(&mut window, lap, round_trip, 4),
        [512, 1024, 1024, 1024]
    );

    let mut window = ReceiveWindow::new(INITIAL_WINDOW_BYTES).growing_to(300 * KIB);
    assert_eq!(sizes(&mut window, lap, round_trip, 2), [300, 300]);
}

#[test]
fn a_long_path_lets_a_window_grow_further() {
    let mut window = ReceiveWindow::new(INITIAL_WINDOW_BYTES);
    let lap = LONG_PATH;
    assert_eq!(
        sizes(&mut window, lap, LONG_PATH, 5),
        [512, 1024, 2048, 4096, 4096]
    );
}

#[test]
fn a_window_that_lasts_two_round_trips_stays_as_it_is() {
    let round_trip = Duration::from_millis(10);
    let mut window = ReceiveWindow::new(INITIAL_WINDOW_BYTES);
    assert_eq!(sizes(&mut window, 2 * round_trip, round_trip, 3), [256; 3]);
    assert_eq!(
        sizes(&mut window, Duration::ZERO, Duration::ZERO, 3),
        [256; 3]
    );
}

#[test]
fn after_a_rest_a_window_doubles_in_its_second_lap() {
    let round_trip = Duration::from_millis(10);
    let mut window = ReceiveWindow::new(INITIAL_WINDOW_BYTES);
    assert_eq!(
        sizes(&mut window, Duration::from_secs(60), round_trip, 1),
        [256]
    );
    assert_eq!(sizes(&mut window, round_trip, round_trip, 2), [512, 1024]);
}

#[test]
fn a_window_does_not_grow_where_that_is_not_granted() {
    let mut window = ReceiveWindow::new(100);
    window.receive(0, 100).unwrap();
    let round_trip = Duration::from_secs(1);
    let mut asked = Vec::new();
    for offset in [0, 50, 99, 100] {
        let limit = window.consume_at(offset, Duration::ZERO, round_trip, |more| {
            asked.push(more);
            false
        });
        assert_eq!(limit, [50, 100].contains(&offset).then_some(offset + 100));
    }
    assert_eq!(asked, [100]);
    assert_eq!(window.size(), 100);
}

#[test]
fn offsets_at_the_end_of_the_numbers_do_not_overflow() {
    let mut window = ReceiveWindow::at(u64::MAX - 10, u64::MAX - 10, 100);
    assert_eq!(window.limit(), u64::MAX);
    assert!(window.receive(u64::MAX - 10, 11).is_err());
    assert_eq!(window.receive(u64::MAX - 10, 10), Ok(Received::Next));
    assert_eq!(window.consume(u64::MAX), None);
    assert_eq!(
        window.receive(u64::MAX - 10, u64::MAX),
        Err(FlowError::Overrun {
            end: u64::MAX,
            limit: u64::MAX,
        })
    );

    let mut window = SendWindow::at(u64::MAX - 1, u64::MAX);
    window.send(2);
    assert_eq!(window.available(), 0);
}

#[test]
fn a_window_of_one_byte_is_granted_again_only_after_that_byte() {
    let mut window = ReceiveWindow::new(1);
    assert_eq!(window.consume(0), None);
    window.receive(0, 1).unwrap();
    assert_eq!(window.consume(1), Some(2));
    assert_eq!(window.consume(1), None);
}
