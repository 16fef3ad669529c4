//! Files and forwarded connections, down and up, beside the bare relay's frames and beside OpenSSH.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use fastwebsockets::OpCode;
use futures_util::{Stream, StreamExt};
use gururmm_shared::SessionId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::children::{Child, all_cores, start};
use crate::effort::Effort;
use crate::local::mib_per_second;
use crate::relay::VIEWER;
use crate::relay_agent::BYTES;
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::ssh::Ssh;
use crate::stage::Stage;
use crate::stats::Figure;

/// Makes a file of so many bytes that no compression makes shorter.
pub fn big_file(path: &Path, bytes: usize) -> Result<PathBuf> {
    use rand::RngCore;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut block = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        rand::rng().fill_bytes(&mut block);
        file.write_all(&block)?;
    }
    file.into_inner()?.sync_all()?;
    Ok(path.to_owned())
}

impl Stage {
    /// The body of a download.
    pub async fn download(
        &self,
        session: SessionId,
        file: &Path,
    ) -> Result<impl Stream<Item = reqwest::Result<Bytes>> + Unpin + use<>> {
        let path = format!("/api/v1/tunnel/{session}/files/content");
        let answer = self
            .http()?
            .get(format!("{}{path}", self.server.url()))
            .query(&[("path", file.display().to_string())])
            .send()
            .await?
            .error_for_status()?;
        Ok(Box::pin(answer.bytes_stream()))
    }

    async fn upload(&self, session: SessionId, from: &Path, to: &Path) -> Result<()> {
        let path = format!("/api/v1/tunnel/{session}/files/content");
        let size = std::fs::metadata(from)?.len();
        let file = tokio::fs::File::open(from).await?;
        let body = tokio_util::io::ReaderStream::with_capacity(file, 256 * 1024);
        self.http()?
            .put(format!("{}{path}", self.server.url()))
            .query(&[
                ("path", to.display().to_string()),
                ("upload", "bench".to_owned()),
                ("size", size.to_string()),
                ("overwrite", "true".to_owned()),
            ])
            .header("content-length", size)
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    fn http(&self) -> Result<reqwest::Client> {
        let mut headers = reqwest::header::HeaderMap::new();
        let bearer = format!("Bearer {}", self.api.token());
        headers.insert("authorization", bearer.parse()?);
        Ok(reqwest::Client::builder()
            .default_headers(headers)
            .build()?)
    }
}

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    all_cores()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let mib = effort.samples(512);
    let bytes = (mib << 20) as u64;
    let ssh = Ssh::start().await?;
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let file = big_file(&stage.file("big"), mib << 20)?;
    let relay = Child::listening("--relay").await?;
    let _agent = start(&["--relay-agent", &relay.address.to_string()])?;
    let mut bare = Socket::join(relay.address, VIEWER).await?;
    let mut down = <(Figure, Figure, Figure, Figure)>::default();
    let mut up = <(Figure, Figure)>::default();
    let mut forward = Figure::default();
    for _ in 0..effort.rounds {
        down.0.push(download(&stage, session, &file, bytes).await?);
        down.1.push(through_relay(&mut bare, bytes).await?);
        let cat = format!("cat {}", file.display());
        let took = ssh
            .read(&["-c", "aes128-gcm@openssh.com"], &cat, bytes)
            .await?;
        down.2.push(mib_per_second(bytes, took));
        let took = ssh.sftp("get", &file, &ssh.file("got")).await?;
        down.3.push(mib_per_second(bytes, took));
        let start = Instant::now();
        stage
            .upload(session, &file, &stage.file("uploaded"))
            .await?;
        up.0.push(mib_per_second(bytes, start.elapsed()));
        let took = ssh.sftp("put", &file, &ssh.file("put")).await?;
        up.1.push(mib_per_second(bytes, took));
        forward.push(forwarded(&stage, session, bytes).await?);
    }
    let what = |what: &str| format!("{what}, {mib} MiB");
    let relayed = "32 KiB frames from memory through a bare fastwebsockets relay";
    let row = || Row::new(what("download of a file"), "MiB/s", &down.0);
    Ok(vec![
        row().beside(relayed, &down.1).aim(Aim::RatioAtLeast(0.8)),
        row()
            .beside("cat of the file over ssh, aes128-gcm", &down.2)
            .aim(Aim::RatioAtLeast(3.0)),
        row().beside("sftp get", &down.3),
        Row::new(what("upload of a file, with fsync"), "MiB/s", &up.0).beside("sftp put", &up.1),
        Row::new(what("TCP forward, one connection"), "MiB/s", &forward)
            .beside(relayed, &down.1)
            .aim(Aim::RatioAtLeast(0.8)),
    ])
}

async fn download(stage: &Stage, session: SessionId, file: &Path, bytes: u64) -> Result<f64> {
    let start = Instant::now();
    let mut body = stage.download(session, file).await?;
    let mut total = 0;
    while let Some(chunk) = body.next().await {
        total += chunk?.len() as u64;
    }
    ensure!(total == bytes, "a download lost bytes: {total} of {bytes}");
    Ok(mib_per_second(bytes, start.elapsed()))
}

async fn through_relay(viewer: &mut Socket, bytes: u64) -> Result<f64> {
    let start = Instant::now();
    viewer.say(&format!("{BYTES}{bytes}")).await?;
    let mut total = 0;
    loop {
        let frame = viewer.next().await?;
        if frame.opcode == OpCode::Text {
            break;
        }
        total += frame.payload.len() as u64;
    }
    ensure!(total == bytes, "the relay lost bytes");
    Ok(mib_per_second(bytes, start.elapsed()))
}

/// Bytes from a service on the machine through a forward.
async fn forwarded(stage: &Stage, session: SessionId, bytes: u64) -> Result<f64> {
    let service = TcpListener::bind("127.0.0.1:0").await?;
    let port = service.local_addr()?.port();
    let serving = tokio::spawn(async move {
        let (mut peer, _) = service.accept().await?;
        let block = vec![b'x'; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let piece = usize::try_from(left.min(block.len() as u64))?;
            peer.write_all(&block[..piece]).await?;
            left -= piece as u64;
        }
        anyhow::Ok(())
    });
    let start = Instant::now();
    let token = stage.api.token();
    let path = format!("/api/v1/tunnel/{session}/tcp?host=127.0.0.1&port={port}");
    let mut socket = Socket::open_as(stage.server.address(), &path, Some(token)).await?;
    let mut total = 0;
    while total < bytes {
        let frame = socket.next().await?;
        if frame.opcode == OpCode::Binary {
            total += frame.payload.len() as u64;
        }
    }
    let rate = mib_per_second(bytes, start.elapsed());
    serving.await??;
    Ok(rate)
}
