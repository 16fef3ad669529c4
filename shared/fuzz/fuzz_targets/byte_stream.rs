//! Two ends of a stream over a line that does what the input says: each side reads what the other wrote.
#![no_main]

#[path = "../../tests/line/mod.rs"]
mod line;

use libfuzzer_sys::fuzz_target;
use line::{Action, Line, Setting};

fuzz_target!(|input: &[u8]| {
    let Some(([scale, window, keep, growth], actions)) = input.split_first_chunk() else {
        return;
    };
    let window = u64::from(*window).max(1) << (scale % 4 * 2);
    let most = window << (growth % 3);
    let mut line = Line::new(Setting {
        window,
        most,
        keep: most * u64::from(keep % 3),
        total: window * 4,
    });
    let (actions, _) = actions.as_chunks::<3>();
    for bytes in actions {
        line.act(Action::from_bytes(*bytes));
    }
    line.finish();
});
