//! A TCP proxy between an agent and its server, or that and its database: it can stop to forward
//! without closing, as a network that was pulled, or cut what goes through it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running proxy; what it holds open ends with it.
pub struct Proxy {
    address: SocketAddr,
    flowing: watch::Sender<bool>,
    cuts: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (flowing, state) = watch::channel(true);
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(accept(listener, target, state, cut));
        Self {
            address,
            flowing,
            cuts,
            task,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where agents connect.
    #[must_use]
    pub fn agents_url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Stops to forward, in both directions, and closes nothing.
    pub fn pull(&self) {
        self.flowing.send_replace(false);
    }

    /// Closes every connection on both sides; new ones are forwarded.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Forwards again.
    pub fn plug(&self) {
        self.flowing.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    flowing: watch::Receiver<bool>,
    cut: watch::Receiver<u32>,
) {
    let mut pairs = tokio::task::JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let mut flowing = flowing.clone();
        let mut cut = cut.clone();
        cut.mark_unchanged();
        pairs.spawn(async move {
            let _ = flowing.wait_for(|on| *on).await;
            let Ok(far) = TcpStream::connect(target).await else {
                return;
            };
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            let both = async {
                tokio::join!(
                    copy(near_read, far_write, flowing.clone()),
                    copy(far_read, near_write, flowing)
                )
            };
            tokio::select! {
                _ = both => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flowing: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        // What was read while the network is pulled stays in the buffer, an end too.
        if flowing.wait_for(|on| *on).await.is_err() {
            return;
        }
        match read {
            Ok(count) if count > 0 && to.write_all(&buffer[..count]).await.is_ok() => {}
            _ => {
                let _ = to.shutdown().await;
                return;
            }
        }
    }
}
