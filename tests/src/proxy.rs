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
    cuts: watch::Sender<Cut>,
    newcomers: watch::Sender<Newcomers>,
    task: JoinHandle<()>,
}

/// What becomes of connections that come from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// They are forwarded.
    Forwarded,
    /// They are closed.
    Closed,
    /// They are taken, and nothing of them is forwarded: as by a proxy that waits for a request's end.
    Held,
}

/// How often was cut, and how many of the oldest connections are spared by the last time.
#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    times: u32,
    spared: u64,
}

impl Proxy {
    /// Starts one in front of `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (flowing, state) = watch::channel(true);
        let (cuts, cut) = watch::channel(Cut::default());
        let (newcomers, manner) = watch::channel(Newcomers::Forwarded);
        let task = tokio::spawn(accept(listener, target, (state, manner), cut));
        Self {
            address,
            flowing,
            cuts,
            newcomers,
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
        self.cut_but_the_first(0);
    }

    /// Closes every connection but so many of the first; new ones are forwarded.
    pub fn cut_but_the_first(&self, spared: u64) {
        self.cuts.send_modify(|cut| {
            cut.times += 1;
            cut.spared = spared;
        });
    }

    /// Says what becomes of connections that come from now on.
    pub fn treat_newcomers(&self, newcomers: Newcomers) {
        self.newcomers.send_replace(newcomers);
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
    (flowing, newcomers): (watch::Receiver<bool>, watch::Receiver<Newcomers>),
    cut: watch::Receiver<Cut>,
) {
    let mut pairs = tokio::task::JoinSet::new();
    let mut number = 0_u64;
    while let Ok((near, _)) = listener.accept().await {
        let manner = *newcomers.borrow();
        match manner {
            Newcomers::Forwarded => {}
            Newcomers::Closed => continue,
            Newcomers::Held => {
                pairs.spawn(async move {
                    let _near = near;
                    std::future::pending().await
                });
                continue;
            }
        }
        number += 1;
        let mut flowing = flowing.clone();
        let mut cut = cut.clone();
        let before = cut.borrow().times;
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
                _ = cut.wait_for(|cut| cut.times > before && cut.spared < number) => {}
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
