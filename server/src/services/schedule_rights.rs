//! With whose rights a schedule acts, and in whose name that is written down.

use gururmm_shared::UserId;

use super::audit::Caller;
use super::schedules::Occasion;
use crate::db::users::Account;
use crate::domain::role::{Capability, Role};

/// Whether a user has still the rights with which a schedule acts.
///
/// # Errors
/// Why not.
pub(super) fn may_act(owner: Option<&Account>) -> Result<&Account, String> {
    let take_over = "an administrator, or its owner, must save it again";
    let Some(account) = owner else {
        return Err(format!("its owner was deleted; {take_over}"));
    };
    let user = &account.user;
    if user.disabled {
        return Err(format!("its owner {} is disabled; {take_over}", user.email));
    }
    let role = user.role.parse::<Role>().ok();
    let may = |capability| role.is_some_and(|role| role.may(capability));
    if !may(Capability::RunCommands) || !may(Capability::ManageAutomation) {
        return Err(format!(
            "its owner {} has the role {}, which may not run commands; {take_over}",
            user.email, user.role
        ));
    }
    Ok(account)
}

/// In whose name a run is written down: of the one who asked, or of its owner.
pub(super) fn caller_of(occasion: &Occasion, owner: Option<&Account>) -> Option<Caller> {
    if let Occasion::Asked(caller, _) = occasion {
        return Some(caller.clone());
    }
    owner.map(|account| by_clock(account.user.id, &account.user.email))
}

fn by_clock(user_id: UserId, email: &str) -> Caller {
    Caller {
        user_id,
        email: email.to_owned(),
        key_id: None,
        remote_addr: String::new(),
        request_id: String::new(),
    }
}
