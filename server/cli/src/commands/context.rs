//! What every command needs: which server, as whom, how to say it.

use std::path::{Path, PathBuf};

use crate::client::{Client, ServerAddress, Trust};
use crate::credentials::{Credentials, folder};
use crate::failure::Failure;
use crate::say::Say;

/// The surroundings of a command.
pub(super) struct Context {
    pub say: Say,
    pub folder: PathBuf,
    pub credentials: Credentials,
    server: Option<ServerAddress>,
    trust: Trust,
}

impl Context {
    pub fn new(server: Option<String>, ca_file: Option<&Path>, say: Say) -> Result<Self, Failure> {
        let folder = folder()?;
        let credentials = Credentials::load(&folder)?;
        let server = server
            .or_else(|| credentials.server.clone())
            .map(|text| text.parse::<ServerAddress>())
            .transpose()
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self {
            say,
            folder,
            credentials,
            server,
            trust: Trust::new(ca_file)?,
        })
    }

    pub fn server(&self) -> Result<&ServerAddress, Failure> {
        let none =
            "which server? name it with --server or GURURMM_SERVER, or log in: gururmm login";
        self.server.as_ref().ok_or_else(|| Failure::usage(none))
    }

    /// A client that is not logged in.
    pub fn stranger(&self) -> Result<Client, Failure> {
        let server = self.server()?;
        if server.is_in_clear() {
            let warning = "anybody on the way can read what goes to that server; use https";
            self.say.note(warning);
        }
        Ok(Client::new(server.clone(), self.trust.clone())?)
    }

    /// A client with the token of the environment, or of the log-in.
    pub fn client(&self) -> Result<Client, Failure> {
        let stranger = self.stranger()?;
        let given = std::env::var("GURURMM_TOKEN")
            .ok()
            .filter(|token| !token.is_empty());
        let kept = self
            .credentials
            .login(stranger.address())
            .map(|login| login.token.clone());
        let none = || Failure::local("you are not logged in; gururmm login, or set GURURMM_TOKEN");
        Ok(stranger.with_token(given.or(kept).ok_or_else(none)?.trim()))
    }
}
