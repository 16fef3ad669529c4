//! Releases for tests: the agent's program as another version, signed with the key of the tests, and where it is fetched.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use minisign::{SecretKey, SecretKeyBox};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The platform that the tests run on.
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The agent's program for Windows as this version.
pub fn windows_program(version: &str) -> Vec<u8> {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let built = std::env::var_os("GURURMM_WINDOWS_AGENT").expect("the agent for Windows");
        smaller("x86_64-w64-mingw32-strip", Path::new(&built))
    });
    marked(base, version, None)
}

/// The agent's program as this version; as one that fails so (`crash`, `hang`) where that is said.
pub fn program(version: &str, fault: Option<&str>) -> Vec<u8> {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let base =
        BASE.get_or_init(|| smaller("strip", Path::new(env!("CARGO_BIN_EXE_gururmm-agent"))));
    marked(base, version, fault)
}

/// A program without what only debuggers need, so that it is quick to copy; as it is where that cannot be cut off.
fn smaller(strip: &str, built: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let smaller = folder.path().join("agent");
    let stripped = Command::new(strip)
        .arg("-o")
        .arg(&smaller)
        .arg(built)
        .status();
    let stripped = stripped.is_ok_and(|status| status.success());
    fs::read(if stripped { &smaller } else { built }).unwrap()
}

fn marked(base: &[u8], version: &str, fault: Option<&str>) -> Vec<u8> {
    let mut program = base.to_vec();
    program.extend(format!("\nGURURMM-TEST-VERSION:{version}\n").into_bytes());
    if let Some(fault) = fault {
        program.extend(format!("GURURMM-TEST-FAULT:{fault}\n").into_bytes());
    }
    program
}

/// A program and what is signed of it.
#[derive(Clone)]
pub struct Release {
    /// Its bytes.
    pub program: Arc<Vec<u8>>,
    /// The manifest, before it is signed.
    pub manifest: Value,
}

impl Release {
    /// A release that is good for a year.
    pub fn of(version: &str, program: Vec<u8>) -> Self {
        let now = chrono::Utc::now();
        let sum: String = Sha256::digest(&program)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let manifest = json!({
            "format": 1, "version": version, "platform": platform(), "size": program.len(),
            "sha256": sum, "released_at": now, "expires_at": now + chrono::TimeDelta::days(365)});
        Self {
            program: Arc::new(program),
            manifest,
        }
    }

    /// The agent's program as this version.
    pub fn good(version: &str) -> Self {
        Self::of(version, program(version, None))
    }

    /// The same with another value in the manifest.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.manifest[key] = value.into();
        self
    }

    /// The order to install it from an address.
    pub fn order(&self, address: &str) -> Value {
        let text = self.manifest.to_string();
        let signature = minisign::sign(None, secret_key(), text.as_bytes(), None, None).unwrap();
        json!({"type": "update", "payload": {
            "download_url": address, "checksum": self.manifest["sha256"],
            "version": self.manifest["version"],
            "manifest": text, "signature": signature.into_string()}})
    }
}

fn secret_key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let text = include_str!("../../../shared/release/keys/test.key");
        let sealed = SecretKeyBox::from_string(text).unwrap();
        sealed.into_unencrypted_secret_key().unwrap()
    })
}

/// How a program is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// As it should be.
    Whole,
    /// Without a length, and without an end.
    Endless,
    /// With a length that is too large.
    TooLong,
    /// All but its last half, and then the connection ends.
    Cut,
    /// Half of it, and then nothing.
    Stalling,
    /// A byte now and then.
    Trickling,
    /// One bit of it is another.
    Flipped,
    /// Not at all.
    NotFound,
}

/// Where programs are fetched.
pub struct Depot {
    /// Its address.
    pub url: String,
    /// What was asked for: the heads of the requests.
    pub requests: Arc<Mutex<Vec<String>>>,
    /// How many bytes went out, of all programs together.
    pub sent: Arc<AtomicUsize>,
    shelf: Arc<Mutex<(Arc<Vec<u8>>, Serving)>>,
    task: JoinHandle<()>,
}

impl Depot {
    /// A depot on a free port, which has nothing yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/agent", listener.local_addr().unwrap());
        let shelf = Arc::new(Mutex::new((Arc::new(Vec::new()), Serving::NotFound)));
        let (requests, sent): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) = Default::default();
        let (on_shelf, heads, count) = (shelf.clone(), requests.clone(), sent.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (program, serving) = on_shelf.lock().unwrap().clone();
                let (heads, count) = (heads.clone(), count.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Ok(head) = head_of(&mut stream).await else {
                        return;
                    };
                    heads.lock().unwrap().push(head);
                    // Whoever fetches may have heard enough.
                    let _ = serve(stream, &program, serving, &count).await;
                });
            }
        });
        Self {
            url,
            requests,
            sent,
            shelf,
            task,
        }
    }

    /// Hands this out from now on; the order to install it from here.
    pub fn offer(&self, release: &Release, serving: Serving) -> Value {
        *self.shelf.lock().unwrap() = (release.program.clone(), serving);
        release.order(&self.url)
    }

    /// How often something was fetched.
    pub fn fetched(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the head of a request.
pub async fn head_of(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Answers a request whose head was read.
pub async fn serve(
    mut stream: TcpStream,
    program: &[u8],
    serving: Serving,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let half = program.len() / 2;
    let length = match serving {
        Serving::NotFound => {
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(answer.as_bytes()).await;
        }
        Serving::Endless => "connection: close".to_owned(),
        Serving::TooLong => format!("content-length: {}", program.len() + 1),
        _ => format!("content-length: {}", program.len()),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    match serving {
        Serving::Whole => stream.write_all(program).await?,
        Serving::Flipped => {
            let mut other = program.to_vec();
            other[half] ^= 1;
            stream.write_all(&other).await?;
        }
        Serving::Endless | Serving::TooLong => loop {
            stream.write_all(program).await?;
            sent.fetch_add(program.len(), Ordering::Relaxed);
        },
        Serving::Cut => stream.write_all(&program[..half]).await?,
        Serving::Stalling => {
            stream.write_all(&program[..half]).await?;
            // Until whoever fetches has enough of it.
            let _ = stream.read_u8().await;
        }
        Serving::Trickling => {
            for byte in program {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Serving::NotFound => {}
    }
    stream.flush().await
}
