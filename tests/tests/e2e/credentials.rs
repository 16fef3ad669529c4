//! Every kind of credential that somebody may come with.

use chrono::{Duration as Time, Utc};
use gururmm_tests::api::text;
use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, Site, eventually, token};
use serde_json::{Value, json};

use crate::things::Things;

/// What the server signs tokens with.
pub const SIGNING_KEY: &str = "a-signing-key-of-more-than-32-bytes!";
const PASSWORD: &str = "a long password 3";

/// Who calls. A log-out ends what its user has open, so the owner of the things comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Without any credential.
    Nobody,
    /// A token that has expired.
    Expired,
    /// A token that was revoked by a log-out.
    Revoked,
    /// The token of an administrator who was disabled.
    Disabled,
    /// The key of a site.
    SiteKey,
    /// The key of an agent.
    AgentKey,
    /// An administrator's key that has expired.
    ExpiredKey,
    /// An administrator's key that was deleted.
    DeletedKey,
    /// A cookie that is no token.
    BadCookie,
    /// A read-only user.
    ReadOnly,
    /// The cookie of a read-only user.
    ReadOnlyCookie,
    /// A read-only key of an administrator.
    ReadOnlyKey,
    /// A technician of another client.
    Elsewhere,
    /// The cookie of a technician of another client.
    ElsewhereCookie,
    /// An administrator of another client.
    ElsewhereAdministrator,
    /// The owner's key for another client alone.
    NarrowKey,
    /// An unlimited administrator's key for another client alone.
    NarrowAdministratorKey,
    /// A technician whose scope is everything, and whose things these are not.
    Colleague,
    /// The owner's key, which may do what the owner may.
    TechnicianKey,
    /// An administrator's key, which may do what the administrator may.
    AdministratorKey,
    /// An administrator.
    Administrator,
    /// The cookie of an administrator.
    AdministratorCookie,
    /// The cookie of an administrator, without the header that changes need.
    WithoutCsrf,
    /// The technician whose things these are.
    Owner,
}

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    ReadOnly,
    Technician,
    Administrator,
}

impl Who {
    pub const ALL: [Self; 24] = [
        Self::Nobody,
        Self::Expired,
        Self::Revoked,
        Self::Disabled,
        Self::SiteKey,
        Self::AgentKey,
        Self::ExpiredKey,
        Self::DeletedKey,
        Self::BadCookie,
        Self::ReadOnly,
        Self::ReadOnlyCookie,
        Self::ReadOnlyKey,
        Self::Elsewhere,
        Self::ElsewhereCookie,
        Self::ElsewhereAdministrator,
        Self::NarrowKey,
        Self::NarrowAdministratorKey,
        Self::Colleague,
        Self::TechnicianKey,
        Self::AdministratorKey,
        Self::Administrator,
        Self::AdministratorCookie,
        Self::WithoutCsrf,
        Self::Owner,
    ];

    /// As what the server takes it, if it lets it in at all.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Nobody
            | Self::Expired
            | Self::Revoked
            | Self::Disabled
            | Self::SiteKey
            | Self::AgentKey
            | Self::ExpiredKey
            | Self::DeletedKey
            | Self::BadCookie => None,
            Self::ReadOnly | Self::ReadOnlyCookie | Self::ReadOnlyKey => Some(Role::ReadOnly),
            Self::Elsewhere
            | Self::ElsewhereCookie
            | Self::NarrowKey
            | Self::Colleague
            | Self::TechnicianKey
            | Self::Owner => Some(Role::Technician),
            Self::ElsewhereAdministrator
            | Self::NarrowAdministratorKey
            | Self::AdministratorKey
            | Self::Administrator
            | Self::AdministratorCookie
            | Self::WithoutCsrf => Some(Role::Administrator),
        }
    }

    /// Whether it is a key of a user's that is good.
    pub fn is_key(self) -> bool {
        matches!(
            self,
            Self::ReadOnlyKey
                | Self::NarrowKey
                | Self::NarrowAdministratorKey
                | Self::TechnicianKey
                | Self::AdministratorKey
        )
    }

    /// Whether it comes as a browser's cookie, and is good.
    pub fn is_cookie(self) -> bool {
        matches!(
            self,
            Self::ReadOnlyCookie
                | Self::ElsewhereCookie
                | Self::AdministratorCookie
                | Self::WithoutCsrf
        )
    }

    /// Whether it may act in another client alone.
    pub fn is_elsewhere(self) -> bool {
        matches!(
            self,
            Self::Elsewhere
                | Self::ElsewhereCookie
                | Self::ElsewhereAdministrator
                | Self::NarrowKey
                | Self::NarrowAdministratorKey
        )
    }

    /// Whether the things are its own, or its maker's.
    pub fn is_owner(self) -> bool {
        matches!(self, Self::Owner | Self::TechnicianKey | Self::NarrowKey)
    }
}

/// All of them, once made.
pub struct Credentials {
    expired: String,
    revoked: Api,
    disabled: Api,
    site_key: String,
    agent_key: String,
    expired_key: String,
    deleted_key: String,
    read_only_key: String,
    narrow_key: String,
    narrow_administrator_key: String,
    technician_key: String,
    administrator_key: String,
}

impl Credentials {
    /// Makes them; `elsewhere` is a site of another client than that of the things.
    pub async fn create(rmm: &Deployment, things: &Things, elsewhere: &Site) -> Self {
        let scope = json!({"client_ids": [elsewhere.client_id]});
        let mut users = Vec::new();
        for (name, role, scope) in [
            ("reader", "read_only", Value::Null),
            ("elsewhere", "technician", scope.clone()),
            ("elsewhere-administrator", "administrator", scope.clone()),
            ("colleague", "technician", Value::Null),
            ("administrator", "administrator", Value::Null),
            ("gone", "administrator", Value::Null),
            ("disabled", "administrator", Value::Null),
        ] {
            let body =
                json!({"email": email(name), "password": PASSWORD, "role": role, "scope": scope});
            users.push(rmm.admin.post("/api/users", body).await.expect(201));
        }
        let revoked = log_in(rmm, "gone").await;
        revoked.post("/api/auth/logout", json!({})).await.check(204);
        let disabled = log_in(rmm, "disabled").await;
        disabled.get("/api/users").await.check(200);
        let path = format!("/api/users/{}", text(&users[6], "id"));
        let off = json!({"disabled": true});
        rmm.admin.patch(&path, off).await.check(200);

        let admin = &rmm.admin;
        let deleted = key(admin, json!({"role": "administrator"})).await;
        let path = format!("/api/keys/{}", text(&deleted, "id"));
        admin.delete(&path).await.check(204);
        let soon = json!({"role": "administrator", "expires_at": Utc::now() + Time::seconds(2)});
        let made = Self {
            expired: expired(rmm.admin.token()),
            revoked,
            disabled,
            site_key: things.site.key.clone(),
            agent_key: things.polling_key.clone(),
            expired_key: secret(&key(admin, soon).await),
            deleted_key: secret(&deleted),
            read_only_key: secret(&key(admin, json!({"role": "read_only"})).await),
            narrow_key: secret(
                &key(
                    &rmm.technician,
                    json!({"role": "technician", "scope": scope}),
                )
                .await,
            ),
            narrow_administrator_key: secret(
                &key(admin, json!({"role": "administrator", "scope": scope})).await,
            ),
            technician_key: secret(&key(&rmm.technician, json!({"role": "technician"})).await),
            administrator_key: secret(&key(admin, json!({"role": "administrator"})).await),
        };
        let short = rmm.server.anonymous().with_token(&made.expired_key);
        eventually("the key has expired", SOON, || async {
            (short.get("/api/auth/me").await.status == 401).then_some(())
        })
        .await;
        made
    }

    /// A client with the credential.
    pub async fn of(&self, rmm: &Deployment, who: Who) -> Api {
        let api = rmm.server.anonymous();
        match who {
            Who::Nobody => api,
            Who::Expired => api.with_token(&self.expired),
            Who::Revoked => self.revoked.clone(),
            Who::Disabled => self.disabled.clone(),
            Who::SiteKey => api.with_token(&self.site_key),
            Who::AgentKey => api.with_token(&self.agent_key),
            Who::ExpiredKey => api.with_token(&self.expired_key),
            Who::DeletedKey => api.with_token(&self.deleted_key),
            Who::BadCookie => api.with_cookie("grmm_session=nonsense"),
            Who::ReadOnly => log_in(rmm, "reader").await,
            Who::ReadOnlyCookie => by_cookie(rmm, "reader").await,
            Who::ReadOnlyKey => api.with_token(&self.read_only_key),
            Who::Elsewhere => log_in(rmm, "elsewhere").await,
            Who::ElsewhereCookie => by_cookie(rmm, "elsewhere").await,
            Who::ElsewhereAdministrator => log_in(rmm, "elsewhere-administrator").await,
            Who::NarrowKey => api.with_token(&self.narrow_key),
            Who::NarrowAdministratorKey => api.with_token(&self.narrow_administrator_key),
            Who::Colleague => log_in(rmm, "colleague").await,
            Who::TechnicianKey => api.with_token(&self.technician_key),
            Who::AdministratorKey => api.with_token(&self.administrator_key),
            Who::Administrator => log_in(rmm, "administrator").await,
            Who::AdministratorCookie => by_cookie(rmm, "administrator").await,
            Who::WithoutCsrf => by_cookie(rmm, "administrator").await.without_csrf(),
            Who::Owner => api.log_in(TECHNICIAN.0, TECHNICIAN.1).await,
        }
    }
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

async fn log_in(rmm: &Deployment, name: &str) -> Api {
    rmm.server.anonymous().log_in(&email(name), PASSWORD).await
}

async fn by_cookie(rmm: &Deployment, name: &str) -> Api {
    let api = rmm.server.anonymous();
    api.log_in_with_cookie(&email(name), PASSWORD).await
}

async fn key(maker: &Api, mut body: Value) -> Value {
    body["name"] = json!("a key");
    maker.post("/api/keys", body).await.expect(201)
}

fn secret(key: &Value) -> String {
    text(key, "key").to_owned()
}

/// A token that was good a second ago.
fn expired(good: &str) -> String {
    let mut claims = token::claims(good);
    claims["exp"] = json!(Utc::now().timestamp() - 1);
    let key = SIGNING_KEY.as_bytes();
    token::signed(jsonwebtoken::Algorithm::HS256, &claims, key)
}
