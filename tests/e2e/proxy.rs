//! A way to the API server that can be cut: TCP, passed on as it comes.
//! It needs a runtime with threads, since tests block theirs.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of connections, those that exist and those that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Passed on.
    Open,
    /// Closed at once.
    Closed,
    /// Kept, but nothing is passed on and nothing is answered.
    Silent,
}

pub(crate) struct Proxy {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, ways.clone()));
            }
        });
        Self { address, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

/// A connection that was ever cut never carries anything again.
async fn carry(mut client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    if *way.borrow_and_update() == Way::Open
        && let Ok(mut server) = TcpStream::connect(server).await
    {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = way.changed() => {}
        }
    }
    // A proxy that is gone closes too.
    while *way.borrow_and_update() == Way::Silent && way.changed().await.is_ok() {}
}
