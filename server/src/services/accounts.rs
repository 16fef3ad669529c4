//! Accounts: log-in, the first administrator, registration, passwords, revocation.

use std::net::IpAddr;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use gururmm_shared::UserId;
use subtle::ConstantTimeEq;

use super::audit::now;
use super::login_limits::LoginLimits;
use super::passwords::{PasswordError, Passwords};
use super::tokens::{IssuedToken, Tokens};
use crate::db::users::{self, Account, NewUser, User, UserChange};
use crate::db::{Db, DbError};
use crate::domain::credentials::digest;
use crate::domain::role::Role;
use crate::domain::scope::Scope;
use crate::domain::text::normalize_email;
use crate::error::AppError;

/// What log-ins need.
pub struct Accounts {
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Makes and reads tokens.
    pub tokens: Tokens,
    /// Counts attempts.
    pub limits: LoginLimits,
    /// Whether anybody may register.
    pub registration: bool,
    /// Where the one-time set-up token is kept while there is no user.
    pub setup_token: PathBuf,
}

/// An account to be made.
pub struct NewAccount {
    /// The address to log in with.
    pub email: String,
    /// The person's name; the address where missing.
    pub name: Option<String>,
    /// The password.
    pub password: String,
    /// What the account may do.
    pub role: Role,
    /// Where it may do so.
    pub scope: Scope,
}

impl NewAccount {
    /// One that may look.
    #[must_use]
    pub fn reader(email: String, name: Option<String>, password: String) -> Self {
        Self {
            email,
            name,
            password,
            role: Role::ReadOnly,
            scope: Scope::Everything,
        }
    }

    /// One that runs the system.
    #[must_use]
    pub fn administrator(email: String, name: Option<String>, password: String) -> Self {
        Self {
            email,
            name,
            password,
            role: Role::Administrator,
            scope: Scope::Everything,
        }
    }
}

/// The answer to a log-in.
pub struct LoggedIn {
    /// The token and its end.
    pub token: IssuedToken,
    /// Who it is for.
    pub account: Account,
}

impl From<PasswordError> for AppError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::unavailable(error.to_string()),
            PasswordError::Failed(_) => Self::internal(&error),
        }
    }
}

/// One answer for a wrong password, an unknown user and a disabled one.
fn invalid_credentials() -> AppError {
    AppError::unauthorized("invalid_credentials", "e-mail or password is wrong")
}

impl Accounts {
    fn count_attempt(&self, email: &str, from: IpAddr) -> Result<(), AppError> {
        self.limits.attempt(email, from).map_err(|seconds| {
            metrics::counter!("gururmm_logins_limited_total").increment(1);
            let detail = format!("too many attempts; try again in {seconds} s");
            AppError::too_many("too_many_attempts", detail, Some(seconds))
        })
    }

    fn logged_in(&self, account: Account) -> Result<LoggedIn, AppError> {
        let user = &account.user;
        let token = self.tokens.issue(user.id, user.token_version, now());
        let token = token.map_err(|error| AppError::internal(&error))?;
        Ok(LoggedIn { token, account })
    }

    /// Checks a password and makes a token.
    ///
    /// # Errors
    /// 401, alike for every wrong pair; 429.
    pub async fn log_in(
        &self,
        db: &Db,
        email: &str,
        password: String,
        from: IpAddr,
    ) -> Result<LoggedIn, AppError> {
        let email = normalize_email(email);
        self.count_attempt(&email, from)?;
        // No account has a control character in its address, and PostgreSQL takes no NUL.
        let user = if email.chars().any(char::is_control) {
            None
        } else {
            users::by_email(db, &email).await?
        };
        let user = user.filter(|user| !user.disabled);
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let matches = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| matches) else {
            metrics::counter!("gururmm_logins_failed_total").increment(1);
            tracing::warn!(remote = %from, "a log-in failed");
            return Err(invalid_credentials());
        };
        let at = now();
        users::record_login(db, user.id, at).await?;
        // The version that the password was checked against: what was revoked since stays revoked.
        let account = self.check_version(db, user.id, user.token_version).await?;
        tracing::info!(user.id = %user.id, remote = %from, "logged in");
        self.logged_in(account)
    }

    /// The user of a token that holds, and when it ends.
    ///
    /// # Errors
    /// 401: bad, expired or revoked.
    pub async fn authenticate(
        &self,
        db: &Db,
        token: &str,
    ) -> Result<(Account, DateTime<Utc>), AppError> {
        let claims = self.tokens.read(token).ok_or_else(invalid_token)?;
        let end = DateTime::from_timestamp(claims.exp, 0).ok_or_else(invalid_token)?;
        let account = self.check_version(db, claims.sub, claims.ver).await?;
        Ok((account, end))
    }

    /// The user, if what was issued at `version` still holds.
    ///
    /// # Errors
    /// 401.
    pub async fn check_version(
        &self,
        db: &Db,
        id: UserId,
        version: i64,
    ) -> Result<Account, AppError> {
        let account = users::account(db, id).await?;
        account
            .filter(|Account { user, .. }| !user.disabled && user.token_version == version)
            .ok_or_else(|| {
                AppError::unauthorized("token_revoked", "log in again: this log-in was ended")
            })
    }

    /// Whether registration is open.
    ///
    /// # Errors
    /// 403, or 429 for an address that tries too often.
    pub fn check_registration(&self, from: IpAddr) -> Result<(), AppError> {
        if !self.registration {
            return Err(AppError::forbidden(
                "registration_disabled",
                "registration is disabled; ask an administrator for an account",
            ));
        }
        self.count_attempt(&format!("register {from}"), from)
    }

    async fn hashed(&self, account: NewAccount) -> Result<NewUser, AppError> {
        let email = normalize_email(&account.email);
        let name = account.name.map(|name| name.trim().to_owned());
        let password_hash = self.passwords.hash(account.password).await?;
        let role = account.role.name().to_owned();
        Ok(NewUser {
            // An address may be longer than a name.
            name: name.unwrap_or_else(|| email.chars().take(200).collect()),
            email,
            password_hash,
            role,
        })
    }

    /// Makes an account.
    ///
    /// # Errors
    /// 409: the address is taken; 400: the scope names what does not exist.
    pub async fn create(&self, db: &Db, account: NewAccount) -> Result<Account, AppError> {
        let scope = account.scope.clone();
        let new = self.hashed(account).await?;
        let inserted = users::insert_scoped(db, new, scope).await;
        inserted.map_err(|error| match error {
            DbError::ForeignKey => unknown_place(),
            DbError::Duplicate { .. } => AppError {
                field: Some("email".to_owned()),
                ..AppError::conflict("user_exists", "a user with this e-mail exists already")
            },
            other => other.into(),
        })
    }

    /// Makes the first administrator, for whoever has the one-time token.
    ///
    /// # Errors
    /// 403 wrong token, 409 done already, 429.
    pub async fn set_up(
        &self,
        db: &Db,
        token: &str,
        account: NewAccount,
        from: IpAddr,
    ) -> Result<LoggedIn, AppError> {
        self.count_attempt("set-up", from)?;
        let done = || AppError::conflict("setup_done", "the set-up is done; log in");
        if users::count(db).await? > 0 {
            return Err(done());
        }
        let expected = std::fs::read_to_string(&self.setup_token)
            .map_err(|error| AppError::internal(&error))?;
        let matches = digest(expected.trim()).ct_eq(&digest(token.trim()));
        if !bool::from(matches) {
            return Err(AppError::forbidden(
                "wrong_setup_token",
                "the set-up token stands in the server's log and in setup-token in its data directory",
            ));
        }
        let new = self.hashed(account).await?;
        let user = users::insert_first(db, new).await?.ok_or_else(done)?;
        let scope = Scope::Everything;
        if let Err(error) = std::fs::remove_file(&self.setup_token) {
            tracing::warn!(%error, "the used set-up token could not be removed; it is worthless now");
        }
        self.logged_in(Account { user, scope })
    }

    /// Changes a password and revokes every token before.
    ///
    /// # Errors
    /// 401 wrong password, 429.
    pub async fn change_password(
        &self,
        db: &Db,
        user: User,
        current: String,
        new: String,
        from: IpAddr,
    ) -> Result<LoggedIn, AppError> {
        // Of its own: who guesses at the log-in must not keep the owner from changing the password.
        self.count_attempt(&format!("change {}", user.id), from)?;
        if !self
            .passwords
            .verify(current, Some(user.password_hash))
            .await?
        {
            return Err(invalid_credentials());
        }
        let hash = self.passwords.hash(new).await?;
        users::set_password(db, user.id, hash).await?;
        let account = users::account(db, user.id)
            .await?
            .ok_or_else(|| AppError::not_found("user"))?;
        self.logged_in(account)
    }

    /// Revokes every token of a user.
    ///
    /// # Errors
    /// 503.
    pub async fn revoke(&self, db: &Db, id: UserId) -> Result<(), AppError> {
        users::bump_token_version(db, id).await?;
        Ok(())
    }

    /// Changes an account.
    ///
    /// # Errors
    /// 404, 409 `last_administrator`, 400: the scope names what does not exist.
    pub async fn change(
        &self,
        db: &Db,
        id: UserId,
        change: UserChange,
    ) -> Result<Account, AppError> {
        let changed = users::update(db, id, change).await.map_err(governed)?;
        changed.ok_or_else(|| AppError::not_found("user"))
    }

    /// Whether an account may be deleted, as it stands now.
    ///
    /// # Errors
    /// 404, 409 `last_administrator`.
    pub async fn check_deletable(&self, db: &Db, id: UserId) -> Result<(), AppError> {
        if users::is_deletable(db, id).await.map_err(governed)? {
            return Ok(());
        }
        Err(AppError::not_found("user"))
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// 404, 409 `last_administrator`.
    pub async fn delete(&self, db: &Db, id: UserId) -> Result<(), AppError> {
        if users::delete(db, id).await.map_err(governed)? {
            return Ok(());
        }
        Err(AppError::not_found("user"))
    }
}

fn governed(error: DbError) -> AppError {
    match error {
        DbError::Constraint(why) if why == users::CHANGED => AppError::changed(),
        DbError::Constraint(_) => AppError::conflict(
            "last_administrator",
            "this is the last administrator of everything; make another one first",
        ),
        DbError::ForeignKey => unknown_place(),
        other => other.into(),
    }
}

fn unknown_place() -> AppError {
    AppError::invalid_field(
        "scope",
        "scope names a client or a site that does not exist; leave it out",
    )
}

fn invalid_token() -> AppError {
    AppError::unauthorized(
        "invalid_token",
        "the token is malformed or expired; log in again",
    )
}
