//! Words to who sits at the machine.

use std::ptr::null_mut;

use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTSActive, WTSEnumerateSessionsW, WTSFreeMemory, WTSSendMessageW,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{MB_ICONINFORMATION, MB_OK};

use super::text::wide;

/// Seconds after which a message that nobody has read goes away.
const SHOWN_SECONDS: u32 = 60;

/// Shows a line in every session that somebody sits at. Does not wait.
pub fn tell_people(text: &'static str) {
    // To ask for the sessions may take a moment.
    tokio::task::spawn_blocking(move || match tell(text) {
        Ok(told) => tracing::info!(told, "who is logged in here was told of the tunnel"),
        Err(error) => tracing::warn!(%error, "who is logged in here cannot be told"),
    });
}

fn tell(text: &str) -> std::io::Result<usize> {
    let (title, message) = (wide("GuruRMM"), wide(text));
    let (mut sessions, mut count) = (null_mut(), 0);
    // SAFETY: the call makes the list, which is freed below, and tells its length.
    #[allow(unsafe_code)]
    let found = unsafe {
        WTSEnumerateSessionsW(
            WTS_CURRENT_SERVER_HANDLE,
            0,
            1,
            &raw mut sessions,
            &raw mut count,
        )
    };
    if found == 0 {
        return Err(std::io::Error::last_os_error());
    }
    let bytes = |text: &[u16]| u32::try_from(2 * (text.len() - 1)).unwrap_or(0);
    let mut told = 0;
    // SAFETY: the list has as many entries as was told; both texts are as long as is said.
    #[allow(unsafe_code)]
    unsafe {
        for index in 0..usize::try_from(count).unwrap_or(0) {
            let session = &*sessions.add(index);
            if session.State != WTSActive {
                continue;
            }
            let mut answer = 0;
            let sent = WTSSendMessageW(
                WTS_CURRENT_SERVER_HANDLE,
                session.SessionId,
                title.as_ptr(),
                bytes(&title),
                message.as_ptr(),
                bytes(&message),
                MB_OK | MB_ICONINFORMATION,
                SHOWN_SECONDS,
                &raw mut answer,
                0,
            );
            told += usize::from(sent != 0);
        }
        WTSFreeMemory(sessions.cast());
    }
    Ok(told)
}
