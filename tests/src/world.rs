//! What a test starts from: an empty database and an empty data directory.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::database::{Database, Engine};
use crate::deployment::Deployment;
use crate::server::TestServer;

/// Longest run of one test; one that hangs fails with its logs instead.
const TEST_LIMIT: Duration = Duration::from_secs(600);

/// A test's own database and directory.
pub struct World {
    /// Its database.
    pub database: Database,
    directory: TempDir,
}

impl World {
    async fn create(engine: Engine) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("gururmm-test-")
            .tempdir()
            .unwrap();
        let data_dir = directory.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let database = Database::create(engine, &data_dir).await;
        Self {
            database,
            directory,
        }
    }

    /// The server's data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A path for a file of the test itself.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts a server with these settings, as `("tunnel.idle_timeout_seconds", "2")`.
    pub async fn server(&self, settings: &[(&str, &str)]) -> TestServer {
        TestServer::start(&self.data_dir(), &self.database, settings).await
    }

    /// Starts a server and sets it up: an administrator, a technician, a client and a site.
    pub async fn deploy(&self, settings: &[(&str, &str)]) -> Deployment {
        Deployment::on(self.server(settings).await, self.database.clone()).await
    }
}

/// Runs the body of a test on one engine.
///
/// # Panics
/// When the body does.
pub fn run<F, Fut>(engine: Engine, body: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::create(engine).await;
        let database = world.database.clone();
        let done = tokio::time::timeout(TEST_LIMIT, body(world)).await;
        database.remove().await;
        assert!(done.is_ok(), "the test still ran after {TEST_LIMIT:?}");
    });
}

/// Makes two tests of each function, `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($( $(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block )*) => { $(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn body($world: $crate::World) $body

            #[test]
            fn sqlite() {
                $crate::world::run($crate::database::Engine::Sqlite, body);
            }

            #[test]
            fn postgres() {
                $crate::world::run($crate::database::Engine::Postgres, body);
            }
        }
    )* };
}
