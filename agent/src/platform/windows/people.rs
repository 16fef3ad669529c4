//! Words to who sits at the machine, and questions to them.

use std::ptr::null_mut;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gururmm_shared::ConsentOutcome;
use tokio::task::spawn_blocking;
use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTSActive, WTSEnumerateSessionsW, WTSFreeMemory, WTSSendMessageW,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    IDNO, IDYES, MB_ICONINFORMATION, MB_ICONQUESTION, MB_OK, MB_SETFOREGROUND, MB_YESNO,
};

use super::text::wide;

/// Seconds after which a message that nobody has read goes away.
const SHOWN_SECONDS: u32 = 60;

/// What a session answers where the time is over (`IDTIMEOUT`).
const TIMED_OUT: i32 = 32_000;

/// A box that is shown in a session.
#[derive(Clone)]
struct Words {
    title: Vec<u16>,
    text: Vec<u16>,
    style: u32,
    seconds: u32,
    /// Whether its answer is waited for.
    answered: bool,
}

impl Words {
    fn notice(title: &str, text: &str) -> Self {
        Self {
            title: wide(title),
            text: wide(text),
            style: MB_OK | MB_ICONINFORMATION,
            seconds: SHOWN_SECONDS,
            answered: false,
        }
    }

    fn question(title: &str, text: &str, patience: Duration) -> Self {
        Self {
            title: wide(title),
            text: wide(text),
            style: MB_YESNO | MB_ICONQUESTION | MB_SETFOREGROUND,
            seconds: u32::try_from(patience.as_secs()).unwrap_or(u32::MAX).max(1),
            answered: true,
        }
    }

    /// Shows them in a session; what was answered there. Blocks until then.
    fn show(&self, session: u32) -> std::io::Result<i32> {
        let bytes = |text: &[u16]| u32::try_from(2 * (text.len() - 1)).unwrap_or(0);
        let mut answer = 0;
        // SAFETY: both texts are as long as is said, and the answer outlives the call.
        #[allow(unsafe_code)]
        let shown = unsafe {
            WTSSendMessageW(
                WTS_CURRENT_SERVER_HANDLE,
                session,
                self.title.as_ptr(),
                bytes(&self.title),
                self.text.as_ptr(),
                bytes(&self.text),
                self.style,
                self.seconds,
                &raw mut answer,
                i32::from(self.answered),
            )
        };
        if shown == 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(answer)
    }
}

/// Asks in every session that somebody sits at; the first who says yes or no answers for all.
pub async fn ask(title: &str, text: &str, patience: Duration) -> ConsentOutcome {
    let sessions = match spawn_blocking(sessions).await {
        Ok(Ok(sessions)) if sessions.is_empty() => return ConsentOutcome::NobodyThere,
        Ok(Ok(sessions)) => sessions,
        Ok(Err(error)) => {
            tracing::warn!(%error, "who is logged in here cannot be asked");
            return ConsentOutcome::CannotAsk;
        }
        Err(_) => return ConsentOutcome::CannotAsk,
    };
    let words = Words::question(title, text, patience);
    let mut asked: FuturesUnordered<_> = sessions
        .into_iter()
        .map(|session| {
            let words = words.clone();
            spawn_blocking(move || words.show(session))
        })
        .collect();
    let mut outcome = ConsentOutcome::CannotAsk;
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(Ok(IDYES)) => return ConsentOutcome::Granted,
            Ok(Ok(IDNO)) => return ConsentOutcome::Refused,
            Ok(Ok(TIMED_OUT)) => outcome = ConsentOutcome::NoAnswer,
            _ => {}
        }
    }
    outcome
}

/// Tells who is logged in.
pub async fn notify(title: &str, text: &str) -> ConsentOutcome {
    let words = Words::notice(title, text);
    match spawn_blocking(move || tell(&words)).await {
        Ok(Ok(Told { people: 0, .. })) => ConsentOutcome::NobodyThere,
        Ok(Ok(Told { told, .. })) if told > 0 => ConsentOutcome::Told,
        _ => ConsentOutcome::CannotAsk,
    }
}

/// Shows a line in every session that somebody sits at. Does not wait.
pub fn tell_people(text: &'static str) {
    // To ask for the sessions may take a moment.
    spawn_blocking(move || match tell(&Words::notice("GuruRMM", text)) {
        Ok(Told { told, .. }) => {
            tracing::info!(told, "who is logged in here was told of the tunnel");
        }
        Err(error) => tracing::warn!(%error, "who is logged in here cannot be told"),
    });
}

struct Told {
    /// Sessions that somebody sits at.
    people: usize,
    /// Those in which it was shown.
    told: usize,
}

fn tell(words: &Words) -> std::io::Result<Told> {
    let sessions = sessions()?;
    let shown = sessions
        .iter()
        .filter(|session| words.show(**session).is_ok());
    Ok(Told {
        told: shown.count(),
        people: sessions.len(),
    })
}

/// The sessions that somebody sits at.
fn sessions() -> std::io::Result<Vec<u32>> {
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
    let mut active = Vec::new();
    // SAFETY: the list has as many entries as was told, and is not used after it is freed.
    #[allow(unsafe_code)]
    unsafe {
        for index in 0..usize::try_from(count).unwrap_or(0) {
            let session = &*sessions.add(index);
            if session.State == WTSActive {
                active.push(session.SessionId);
            }
        }
        WTSFreeMemory(sessions.cast());
    }
    Ok(active)
}
