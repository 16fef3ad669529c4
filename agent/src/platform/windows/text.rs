//! Texts as Windows takes them: UTF-16 with a NUL at the end.

use std::ffi::OsStr;
use std::os::windows::ffi::OsStrExt;

/// The text with its NUL.
pub(super) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// Reads a text up to its NUL.
///
/// # Safety
/// `pointer` is null or points to a text that ends with a NUL.
#[allow(unsafe_code)]
pub(super) unsafe fn read_wide(pointer: *const u16) -> String {
    if pointer.is_null() {
        return String::new();
    }
    let mut length = 0;
    // SAFETY: by this function's own terms there is a NUL, and what comes before it may be read.
    let units = unsafe {
        while *pointer.add(length) != 0 {
            length += 1;
        }
        std::slice::from_raw_parts(pointer, length)
    };
    String::from_utf16_lossy(units)
}
