//! Waiting until the servers of a control plane serve.
//! It has a thread and a runtime of its own, because the caller may be within a runtime or within none.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::GetParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};

use crate::{Error, Supervised, kubeconfig};

/// It takes seconds; on a machine that is busy with a build, many more.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// For one question: a server that starts may accept it and never answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const LOG_LINES: usize = 15;

/// Until `/readyz` says yes.
pub(crate) fn apiserver(admin: &Kubeconfig, servers: [&mut Supervised; 2]) -> Result<(), Error> {
    wait(admin, servers, async |client| {
        let request = kube::core::Request::new("").get("readyz", &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        client.request_text(request).await.map(drop)
    })
}

/// Until namespace `default` has what the controllers give every namespace.
pub(crate) fn controller_manager(admin: &Kubeconfig, servers: [&mut Supervised; 2]) -> Result<(), Error> {
    wait(admin, servers, async |client| {
        Api::<ServiceAccount>::default_namespaced(client.clone()).get_metadata("default").await?;
        Api::<ConfigMap>::default_namespaced(client.clone()).get_metadata("kube-root-ca.crt").await.map(drop)
    })
}

/// Asks until the answer is good, in a thread of its own.
fn wait(
    admin: &Kubeconfig,
    servers: [&mut Supervised; 2],
    ask: impl AsyncFn(&Client) -> Result<(), kube::Error> + Sync,
) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(Error::io("start a runtime"))?.block_on(poll(admin, servers, &ask))
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The first server is the one waited for; when any ends, waiting would be vain.
async fn poll(
    admin: &Kubeconfig,
    mut servers: [&mut Supervised; 2],
    ask: impl AsyncFn(&Client) -> Result<(), kube::Error>,
) -> Result<(), Error> {
    // Retries of the client's own would hide that a server has ended.
    let mut config = kubeconfig::config(admin).await?;
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let start = Instant::now();
    loop {
        let reason = match tokio::time::timeout(ANSWER_LIMIT, ask(&client)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "no answer".to_owned(),
        };
        for server in &mut servers {
            if let Some(status) = server.try_wait().map_err(Error::io("watch a process"))? {
                let (process, log) = (server.name().to_owned(), server.log_tail(LOG_LINES));
                return Err(Error::Ended { process, status, log });
            }
        }
        if start.elapsed() > LIMIT {
            let (process, log) = (servers[0].name().to_owned(), servers[0].log_tail(LOG_LINES));
            return Err(Error::NotReady { process, after: LIMIT, reason, log });
        }
        tokio::time::sleep(POLL).await;
    }
}
