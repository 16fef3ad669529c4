//! `gururmm login`, `logout` and `whoami`.

use std::io::{IsTerminal, Read, Write};

use serde_json::json;

use super::context::Context;
use crate::credentials::Login;
use crate::failure::Failure;
use crate::plain::plain;
use crate::platform;

/// The longest line of standard input.
const LINE_BYTES: u64 = 4096;

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
pub(super) struct LogIn {
    /// The address to log in with; asked for if it is missing.
    #[arg(long, env = "GURURMM_EMAIL")]
    email: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    password_stdin: bool,
}

/// Arguments of `logout`.
#[derive(Debug, clap::Args)]
pub(super) struct LogOut {
    /// Make all your tokens void and end all your sessions, wherever they are.
    #[arg(long)]
    everywhere: bool,
}

impl LogIn {
    pub async fn run(self, mut context: Context) -> Result<(), Failure> {
        let client = context.stranger()?;
        let email = match self.email {
            Some(email) => email,
            None => ask_email()?,
        };
        let password = if self.password_stdin {
            let mut password = String::new();
            let mut input = std::io::stdin().take(LINE_BYTES);
            input.read_to_string(&mut password)?;
            password.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            let prompt = format!("Password of {} at {}: ", plain(&email), client.address());
            platform::read_password(&prompt).map_err(|error| {
                Failure::usage(format!(
                    "no terminal to ask for the password ({error}); use --password-stdin"
                ))
            })?
        };
        let logged_in = client.log_in(email.trim(), &password).await?;
        let login = Login {
            email: logged_in.user.email.clone(),
            token: logged_in.token,
            expires_at: logged_in.expires_at,
        };
        context.credentials.keep(client.address(), login);
        context.credentials.save(&context.folder)?;
        let user = &logged_in.user;
        let until = logged_in.expires_at.format("%Y-%m-%d %H:%M UTC");
        let text = format!(
            "logged in to {} as {} ({}), until {until}",
            client.address(),
            plain(&user.email),
            plain(&user.role)
        );
        let value = json!({
            "server": client.address().as_str(), "user": user, "expires_at": logged_in.expires_at,
        });
        context.say.result(&text, &value)
    }
}

fn ask_email() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("as whom? name it with --email"));
    }
    let mut err = std::io::stderr();
    err.write_all(b"E-mail: ")?;
    let mut email = String::new();
    std::io::stdin().read_line(&mut email)?;
    Ok(email.trim().to_owned())
}

impl LogOut {
    pub async fn run(self, mut context: Context) -> Result<(), Failure> {
        let server = context.server()?.clone();
        if self.everywhere {
            context.client()?.log_out().await?;
        }
        let known = context.credentials.forget(&server);
        context.credentials.save(&context.folder)?;
        let text = if known {
            format!("the token of {server} is forgotten")
        } else {
            format!("there was no token of {server}")
        };
        context.say.result(
            &text,
            &json!({"server": server.as_str(), "forgotten": known}),
        )
    }
}

/// Shows who is logged in.
pub(super) async fn who_am_i(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let user = client.me().await?;
    let text = format!(
        "{} ({}), {} at {}",
        plain(&user.email),
        plain(&user.name),
        plain(&user.role),
        client.address()
    );
    let value = json!({"server": client.address().as_str(), "user": user});
    context.say.result(&text, &value)
}
