//! Tests of the windows.

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

#[test]
fn a_window_that_is_widened_grants_the_difference_at_once_and_never_shrinks() {
    let mut window = ReceiveWindow::new(10);
    window.receive(0, 10).unwrap();
    assert_eq!(window.consume(4), None);
    assert_eq!(window.widen(20), Some(24));
    assert_eq!(window.widen(15), None);
    assert_eq!(window.size(), 20);
    assert_eq!(window.consume(10), None, "less than half is used");
    window.receive(10, 14).unwrap();
    assert_eq!(window.consume(14), Some(34));
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
