//! `gururmm cp`.

use std::path::{Path, PathBuf};

use gururmm_shared::{FileKind, SessionId};

use super::context::Context;
use super::place::{Place, base_name, joined};
use super::transfer::{How, Transfer};
use super::tunnel::Tunnel;
use crate::client::files::stat;
use crate::client::{ClientError, SessionClient};
use crate::failure::Failure;
use crate::platform::Signals;

/// Arguments of `cp`.
#[derive(Debug, clap::Args)]
pub(super) struct Copy {
    /// What to copy, and last where to: AGENT:/path or a path of this machine.
    #[arg(required = true, num_args = 2.., value_name = "PLACE")]
    places: Vec<String>,
    /// Copy folders with what is in them.
    #[arg(short, long)]
    recursive: bool,
    /// Replace what is there.
    #[arg(long)]
    overwrite: bool,
    /// Keep permissions and times.
    #[arg(short = 'p', long)]
    preserve: bool,
    /// Use this session.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
}

/// Which way it goes.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Down {
        agent: String,
        from: Vec<String>,
        to: PathBuf,
    },
    Up {
        agent: String,
        from: Vec<PathBuf>,
        to: String,
    },
}

impl Copy {
    pub async fn run(self, context: &Context) -> Result<u8, Failure> {
        let way = way(&self.places).map_err(Failure::usage)?;
        let (Way::Down { agent, .. } | Way::Up { agent, .. }) = &way;
        let mut signals = Signals::listen()?;
        let tunnel = Tunnel::open(context, agent, self.session).await?;
        let ended = tokio::select! {
            done = self.in_tunnel(&way, tunnel.session(), context) => done.map(|()| 0),
            code = signals.end() => Ok(code),
        };
        tunnel.close().await;
        ended
    }

    async fn in_tunnel(
        &self,
        way: &Way,
        session: &SessionClient,
        context: &Context,
    ) -> Result<(), Failure> {
        let how = How {
            overwrite: self.overwrite,
            keep: self.preserve,
        };
        for transfer in self.transfers(way, session).await? {
            transfer.carry_out(session, how, context.say).await?;
        }
        Ok(())
    }

    /// What is to be done, known before the first byte goes.
    async fn transfers(
        &self,
        way: &Way,
        session: &SessionClient,
    ) -> Result<Vec<Transfer>, Failure> {
        let mut transfers = Vec::new();
        match way {
            Way::Down { from, to, .. } => {
                let into = to.is_dir();
                several_need_a_folder(from.len(), into, &to.display().to_string())?;
                for path in from {
                    transfers.push(self.down(session, path, to, into).await?);
                }
            }
            Way::Up { from, to, .. } => {
                let into = is_remote_folder(session, to).await?;
                several_need_a_folder(from.len(), into, to)?;
                for path in from {
                    transfers.push(self.up(path, to, into)?);
                }
            }
        }
        Ok(transfers)
    }

    async fn down(
        &self,
        session: &SessionClient,
        path: &str,
        to: &Path,
        into: bool,
    ) -> Result<Transfer, Failure> {
        let info = stat(session, path).await?;
        let to = match (into, base_name(path)) {
            (false, _) => to.to_owned(),
            (true, Some(name)) => to.join(name),
            (true, None) => {
                return Err(Failure::usage(format!(
                    "{path:?} has no name to copy it as"
                )));
            }
        };
        let from = path.to_owned();
        match info.kind {
            FileKind::Directory if self.recursive => Ok(Transfer::FetchFolder { from, to }),
            FileKind::Directory => Err(is_folder(path)),
            _ => Ok(Transfer::Download { from, to }),
        }
    }

    fn up(&self, path: &Path, to: &str, into: bool) -> Result<Transfer, Failure> {
        let shown = path.display().to_string();
        let metadata = std::fs::metadata(path);
        let metadata =
            metadata.map_err(|error| Failure::local(format!("cannot read {shown}: {error}")))?;
        let to = if into {
            let whole = std::path::absolute(path)?;
            let name = whole.file_name().and_then(|name| name.to_str());
            let name =
                name.ok_or_else(|| Failure::usage(format!("{shown:?} has no name to copy it as")))?;
            joined(to, name)
        } else {
            to.to_owned()
        };
        let from = path.to_owned();
        match metadata.is_dir() {
            true if self.recursive => Ok(Transfer::SendFolder { from, to }),
            true => Err(is_folder(&shown)),
            false => Ok(Transfer::Upload { from, to }),
        }
    }
}

fn is_folder(path: &str) -> Failure {
    Failure::usage(format!("{path} is a folder; -r copies it"))
}

fn several_need_a_folder(count: usize, into: bool, to: &str) -> Result<(), Failure> {
    if count > 1 && !into {
        let why = format!("several files need a folder to go to, and {to} is none");
        return Err(Failure::usage(why));
    }
    Ok(())
}

async fn is_remote_folder(session: &SessionClient, path: &str) -> Result<bool, Failure> {
    match stat(session, path).await {
        Ok(info) => Ok(info.kind == FileKind::Directory),
        Err(ClientError::Refused(problem))
            if problem.status == 404 && problem.code == "not_found" =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the places: all of one agent and to here, or all from here and to an agent.
fn way(places: &[String]) -> Result<Way, String> {
    let places: Vec<Place> = places
        .iter()
        .map(|text| Place::parse(text))
        .collect::<Result<_, _>>()?;
    let Some((to, from)) = places.split_last() else {
        return Err("a place is missing".to_owned());
    };
    match to {
        Place::Remote { agent, path } => {
            let local = from.iter().map(|place| match place {
                Place::Local(path) => Ok(path.clone()),
                Place::Remote { .. } => Err(
                    "from one machine to another goes in two steps: copy it here first".to_owned(),
                ),
            });
            Ok(Way::Up {
                agent: agent.clone(),
                from: local.collect::<Result<_, _>>()?,
                to: path.clone(),
            })
        }
        Place::Local(to) => {
            let mut agents = Vec::new();
            let mut paths = Vec::new();
            for place in from {
                let Place::Remote { agent, path } = place else {
                    return Err(
                        "neither place is on an agent's machine; write it as AGENT:/path"
                            .to_owned(),
                    );
                };
                agents.push(agent.clone());
                paths.push(path.clone());
            }
            agents.dedup();
            match agents.as_slice() {
                [agent] => Ok(Way::Down {
                    agent: agent.clone(),
                    from: paths,
                    to: to.clone(),
                }),
                _ => Err("copy from one agent at a time".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(places: &[&str]) -> Result<Way, String> {
        let places: Vec<_> = places.iter().map(|&text| text.to_owned()).collect();
        way(&places)
    }

    #[test]
    fn the_last_place_says_which_way_it_goes() {
        let down = Way::Down {
            agent: "web".to_owned(),
            from: vec!["/a".to_owned(), "/b".to_owned()],
            to: ".".into(),
        };
        assert_eq!(read(&["web:/a", "web:/b", "."]), Ok(down));
        let up = Way::Up {
            agent: "web".to_owned(),
            from: vec!["a".into()],
            to: "/tmp".to_owned(),
        };
        assert_eq!(read(&["a", "web:/tmp"]), Ok(up));
    }

    #[test]
    fn what_goes_nowhere_or_between_two_machines_is_refused() {
        for bad in [
            &["a", "b"][..],
            &["web:/a", "db:/a"],
            &["web:/a", "db:/b", "."],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
