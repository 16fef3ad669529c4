//! `gururmm agents`.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::context::Context;
use crate::client::Agent;
use crate::failure::Failure;
use crate::plain::plain;

/// Arguments of `agents`.
#[derive(Debug, clap::Args)]
pub(super) struct Agents {
    /// A part of the host name.
    search: Option<String>,
    /// Only those that are connected.
    #[arg(long)]
    online: bool,
}

impl Agents {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let search = self.search.unwrap_or_default();
        let agents = context.client()?.agents(&search, self.online).await?;
        context.say.result(&table(&agents), &agents)
    }
}

fn table(agents: &[Agent]) -> String {
    if agents.is_empty() {
        return "no agents".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "HOST",
        "STATUS",
        "SYSTEM",
        "CLIENT",
        "SITE",
        "LAST SEEN",
        "ID",
    ]);
    for agent in agents {
        let name = |named: &Option<crate::client::Named>| {
            let name = named.as_ref().and_then(|named| named.name.as_deref());
            plain(name.unwrap_or("-"))
        };
        let system = [&agent.os.name, &agent.os.family]
            .into_iter()
            .flatten()
            .next();
        let version = agent.os.version.as_deref().unwrap_or_default();
        let system = format!("{} {version}", system.map_or("-", String::as_str));
        let seen = agent.last_seen_at.map_or("never".to_owned(), |seen| {
            seen.format("%Y-%m-%d %H:%M").to_string()
        });
        table.add_row([
            plain(&agent.hostname),
            plain(&agent.status),
            plain(system.trim()),
            name(&agent.client),
            name(&agent.site),
            seen,
            agent.id.to_string(),
        ]);
    }
    table.trim_fmt()
}
