//! Tells whether the process is ready: it has what it needs, and the Kubernetes API server answers.
//! However many probes come, the API server gets one request at a time and at most one a second.

use kube::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Less than the timeout of a probe.
const TIMEOUT: Duration = Duration::from_secs(2);
const REMEMBERED: Duration = Duration::from_secs(1);

/// Shared between the HTTP endpoint and the process.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<State>);

struct State {
    client: Client,
    set: AtomicBool,
    /// When the API server was last asked, and whether it answered.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Not ready yet.
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(State { client, set: AtomicBool::new(false), asked: Mutex::default() }))
    }

    /// Sets whether the process has what it needs.
    pub(crate) fn set(&self, ready: bool) {
        self.0.set.store(ready, Ordering::Relaxed);
    }

    /// # Errors
    /// Why it is not ready.
    pub(crate) async fn check(&self) -> Result<(), &'static str> {
        if !self.0.set.load(Ordering::Relaxed) {
            return Err("not ready");
        }
        if !self.0.reaches_server().await {
            return Err("the Kubernetes API server does not answer");
        }
        Ok(())
    }
}

impl State {
    /// A probe that comes meanwhile waits here, and gets the same answer.
    async fn reaches_server(&self) -> bool {
        let mut asked = self.asked.lock().await;
        match *asked {
            Some((when, answered)) if when.elapsed() < REMEMBERED => answered,
            Some(_) | None => {
                let answered = self.answers().await;
                *asked = Some((Instant::now(), answered));
                answered
            }
        }
    }

    /// Every user may read the version. A refusal is an answer too.
    async fn answers(&self) -> bool {
        match timeout(TIMEOUT, self.client.apiserver_version()).await {
            Ok(Ok(_)) => true,
            Ok(Err(kube::Error::Api(status))) => status.code < 500,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
