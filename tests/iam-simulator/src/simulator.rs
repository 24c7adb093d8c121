//! A simulator inside the caller's process, on a thread and a runtime of its own.
//! Tests with many runtimes can share one, and it ends when it is dropped.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::client::Control;
use crate::server::{Shared, serve};
use crate::store::State;
use crate::tls;
use crate::types::{Flavor, Seed};

/// How a simulator starts.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// What it knows from the start.
    pub seed: Seed,
}

/// A running simulator.
pub struct Simulator {
    url: String,
    ca_pem: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When no port or no certificate can be had.
    #[must_use]
    pub fn spawn() -> Self {
        Self::start(Options::default()).expect("the simulator starts")
    }

    /// Starts one.
    ///
    /// # Errors
    /// When the port is taken or no certificate can be made.
    pub fn start(options: Options) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let identity = tls::identity()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let url = format!("https://{}", listener.local_addr()?);
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("iam-simulator").enable_all().build()?;
        let mut state = State::new();
        state.seed(options.seed);
        let shared = Arc::new(Shared::new(state));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener, identity.acceptor, shared) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self { url, ca_pem: identity.ca_pem, stop: Some(stop), thread: Some(thread) })
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The base URL as an `IamConnection` wants it: for CPN with the prefix `/cphub/api/auth`, for Identity Broker
    /// without its tenant.
    #[must_use]
    pub fn endpoint(&self, flavor: Flavor) -> String {
        match flavor {
            Flavor::Csp | Flavor::Broker => self.url.clone(),
            Flavor::Cpn => format!("{}/cphub/api/auth", self.url),
        }
    }

    /// The certificate of its CA, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A client of its control API.
    ///
    /// # Panics
    /// Never: the certificate is the simulator's own.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(&self.url, &self.ca_pem).expect("the certificate is valid")
    }

    /// Waits until it ends, which it does not do by itself.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
