//! Clients of the Kubernetes API: of a kubeconfig as for kubectl, or in a pod of its ServiceAccount, through a proxy where one is set.
//! An error of a connection through a proxy names the proxy, and what to do if the API server is reached without one.

use crate::proxy::{self, InvalidProxy, Proxy, Source};
use hyper_util::client::legacy;
use kube::client::ClientBuilder;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError, NoProxyError};
use kube::{Client, Config};
use std::error::Error;
use std::iter::successors;
use std::path::Path;
use std::time::Duration;
use tower::BoxError;
use tower::util::MapErrLayer;

/// How long a connection through a proxy may take: shorter than the operator waits for its first responses, so the error that names
/// the proxy comes first.
const PROXY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which cluster, and how it is reached.
pub(crate) struct ClusterConfig {
    pub(crate) config: Config,
    pub(crate) proxy: Option<Proxy>,
}

/// Why there is no cluster to talk to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}", unusable(.0))]
    Kubeconfig(#[from] KubeconfigError),
    #[error(
        "no kubeconfig can be used ({}), and this is no pod with a service account ({in_cluster})",
        unusable(kubeconfig)
    )]
    Nowhere { kubeconfig: KubeconfigError, in_cluster: InClusterError },
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
}

/// A connection to the API server that was not made through the proxy.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the Kubernetes API server {server}: {why}; {advice}")]
struct ProxyError {
    server: String,
    why: String,
    advice: String,
}

impl ClusterConfig {
    /// Of this file, or of `KUBECONFIG` and the default file; without both file and context also the ServiceAccount of the pod.
    /// Makes no request.
    ///
    /// # Errors
    /// When there is none that can be used, or its proxy cannot be used.
    pub(crate) async fn load(file: Option<&Path>, context: Option<&str>) -> Result<Self, ConfigError> {
        match Self::of_kubeconfig(file, context).await {
            Err(ConfigError::Kubeconfig(kubeconfig)) if file.is_none() && context.is_none() => {
                match Config::incluster() {
                    Ok(config) => Self::complete(config, None),
                    Err(in_cluster) => Err(ConfigError::Nowhere { kubeconfig, in_cluster }),
                }
            }
            loaded => loaded,
        }
    }

    async fn of_kubeconfig(file: Option<&Path>, context: Option<&str>) -> Result<Self, ConfigError> {
        let kubeconfig = file.map_or_else(Kubeconfig::read, Kubeconfig::read_from)?;
        let proxy = proxy_url(&kubeconfig, context).map(|url| Proxy::new(url, Source::Kubeconfig)).transpose()?;
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        Self::complete(Config::from_custom_kubeconfig(kubeconfig, &options).await?, proxy)
    }

    /// The proxy of a kubeconfig precedes the variables, as for kubectl. What `kube` made of them is replaced: it compares
    /// `NO_PROXY` with the address of the proxy, and in a pod it reads no variable.
    fn complete(mut config: Config, proxy: Option<Proxy>) -> Result<Self, ConfigError> {
        config.apply_debug_overrides();
        let proxy = match proxy {
            Some(proxy) => Some(proxy),
            None => Proxy::of(&config.cluster_url)?,
        };
        config.proxy_url = proxy.as_ref().map(|proxy| proxy.url().clone());
        if proxy.is_some() {
            config.connect_timeout = Some(PROXY_CONNECT_TIMEOUT);
        }
        Ok(Self { config, proxy })
    }

    /// Host and port of the API server.
    pub(crate) fn server(&self) -> String {
        proxy::address(&self.config.cluster_url)
    }

    /// # Errors
    /// When its certificates or credentials cannot be used.
    pub(crate) fn client(self) -> kube::Result<Client> {
        let Some(proxy) = self.proxy.clone() else { return Client::try_from(self.config) };
        let (server, host) = (self.server(), self.config.cluster_url.host().unwrap_or_default().to_owned());
        let explain = MapErrLayer::new(move |error: BoxError| explained(error, &proxy, &server, &host));
        Ok(ClientBuilder::try_from(self.config)?.with_layer(&explain).build())
    }
}

/// Why a kubeconfig cannot be used, as a person should read it.
fn unusable(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::LoadContext(context) => format!("the kubeconfig has no context {context}"),
        // `kube` refuses these beside a proxy, before its result can be replaced.
        KubeconfigError::ParseNoProxy(why) => invalid_no_proxy(why),
        other => other.to_string(),
    }
}

fn invalid_no_proxy(error: &NoProxyError) -> String {
    let entry = match error {
        NoProxyError::EmptyInput | NoProxyError::EmptyValue => {
            return "NO_PROXY has an empty entry, such as after a comma at its end: remove it".to_owned();
        }
        NoProxyError::ParseMatcher { input } => input.clone(),
        NoProxyError::NoHost { uri } => uri.to_string(),
    };
    format!("the entry {entry:?} of NO_PROXY is no domain, IP address or CIDR")
}

/// `proxy-url` of the cluster of a context, or of the current one.
fn proxy_url<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a str> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.as_deref().filter(|url| !url.is_empty())
}

/// An error before the connection was made is about the proxy, or about what is behind it.
fn explained(error: BoxError, proxy: &Proxy, server: &str, host: &str) -> BoxError {
    let cause: &(dyn Error + 'static) = &*error;
    let mut causes = successors(Some(cause), |error| Error::source(*error));
    if !causes.any(|error| error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect)) {
        return error;
    }
    let why = proxy.explain(server, cause).to_string();
    let advice = match proxy.source() {
        Source::Variable(_) => {
            format!("if the API server is reached without a proxy, add {} to NO_PROXY", host.trim_matches(['[', ']']))
        }
        Source::Kubeconfig => "correct proxy-url in the kubeconfig if that is the cause".to_owned(),
    };
    ProxyError { server: server.to_owned(), why, advice }.into()
}

/// An error of a request with its sources, which say more than the error alone.
pub(crate) fn causes(error: &kube::Error) -> String {
    let outermost: &(dyn Error + 'static) = match error {
        kube::Error::Service(source) => &**source,
        other => other,
    };
    let mut text = outermost.to_string();
    for cause in successors(outermost.source(), |error| Error::source(*error)).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig() -> Kubeconfig {
        Kubeconfig::from_yaml(
            "
            current-context: direct
            contexts:
              - {name: direct, context: {cluster: direct, user: u}}
              - {name: proxied, context: {cluster: proxied, user: u}}
            clusters:
              - {name: direct, cluster: {server: 'https://10.0.0.1', proxy-url: ''}}
              - {name: proxied, cluster: {server: 'https://10.0.0.1:6443', proxy-url: 'http://a:3128'}}",
        )
        .unwrap()
    }

    #[test]
    fn the_proxy_of_a_kubeconfig_is_that_of_the_cluster_of_the_context() {
        assert_eq!(proxy_url(&kubeconfig(), None), None);
        assert_eq!(proxy_url(&kubeconfig(), Some("proxied")), Some("http://a:3128"));
        assert_eq!(proxy_url(&kubeconfig(), Some("other")), None);
    }

    #[test]
    fn a_no_proxy_that_the_kubernetes_client_refuses_is_explained() {
        let said = |why| ConfigError::Kubeconfig(KubeconfigError::ParseNoProxy(why)).to_string();
        let empty = "NO_PROXY has an empty entry, such as after a comma at its end: remove it";
        assert_eq!(said(NoProxyError::EmptyValue), empty);
        let two = NoProxyError::ParseMatcher { input: "a b".to_owned() };
        assert_eq!(said(two), "the entry \"a b\" of NO_PROXY is no domain, IP address or CIDR");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named_with_what_to_do() {
        let proxy = Proxy::new("http://user:hidden@127.0.0.1:1", Source::Variable("HTTPS_PROXY")).unwrap();
        let mut config = Config::new("https://10.96.0.1".parse().unwrap());
        config.proxy_url = Some(proxy.url().clone());
        let client = ClusterConfig { config, proxy: Some(proxy) }.client().unwrap();
        let kube::Error::Service(error) = client.apiserver_version().await.unwrap_err() else { panic!() };
        let said = error.to_string();
        let start = "cannot connect to the Kubernetes API server 10.96.0.1:443: \
                     cannot connect to proxy 127.0.0.1:1 (HTTPS_PROXY): ";
        assert!(said.starts_with(start), "{said}");
        assert!(said.ends_with("; if the API server is reached without a proxy, add 10.96.0.1 to NO_PROXY"), "{said}");
    }
}
