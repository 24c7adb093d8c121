//! Where the credentials of an app are sent: to the API of its IamConnection; for a user who may not read that one, to the API that
//! the operator recorded in the status of the app and published in its Secret. Neither of these two alone decides it.

use super::TokenArgs;
use crate::claim::ApiAddress;
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::commands::endpoint::read_file;
use crate::commands::live::{Live, Snapshot};
use crate::crd::{Api, IamConnection, OrgOAuthApp, SignedClaim};
use crate::decide::org_id;
use crate::fair_queue::Flow;
use crate::given::Given;
use crate::iam::flavor::flavor;
use crate::iam::http::{Endpoint, HttpIam};
use crate::iam::{CredentialsKind, LoadCredentials, Settings};
use crate::lease::guard::LeadershipGuard;
use crate::metrics::ConnectionMetrics;
use crate::secret_value;
use futures::FutureExt;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// No token request takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The right that decides all of it.
const RIGHT: &str = "get iamconnections.oauth-apps.dev";
const AUTHORITY: &str = "give its certificate authority with --certificate-authority FILE";

pub(super) struct Target {
    pub(super) iam: Arc<HttpIam>,
    pub(super) host: String,
    /// How the host is known.
    pub(super) known_by: String,
    /// What to do if the host cannot be reached.
    pub(super) hint: String,
}

impl Target {
    pub(super) async fn find(
        arguments: &TokenArgs,
        cluster: &Cluster,
        app: &OrgOAuthApp,
        secret: &Secret,
    ) -> Result<Self, CommandError> {
        let name = &app.spec.connection_ref.name;
        match cluster.connection(name).await {
            Ok(connection) => Self::of_connection(arguments, cluster, app, &connection).await,
            Err(error) if error.is_forbidden() => {
                let claim = recorded(app, secret, &error)?;
                let endpoint = url(&claim.endpoint)?;
                let hint = match arguments.certificate_authority {
                    Some(_) => String::new(),
                    None => format!(
                        "; you lack the right to {RIGHT}, so the certificate authority of IamConnection {name}, if it has one, is not known: {AUTHORITY}"
                    ),
                };
                Ok(Self {
                    iam: iam(claim.api, endpoint.clone(), authority(arguments)?)?,
                    host: host(&endpoint),
                    known_by: format!("status.claim of OrgOAuthApp {}/{}", app.namespace_any(), app.name_any()),
                    hint,
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn of_connection(
        arguments: &TokenArgs,
        cluster: &Cluster,
        app: &OrgOAuthApp,
        connection: &IamConnection,
    ) -> Result<Self, CommandError> {
        let (name, spec) = (connection.name_any(), &connection.spec);
        require_same_api(app, connection)?;
        let endpoint = url(&spec.endpoint)?;
        let iam = match authority(arguments)? {
            Some(pem) => iam(spec.api, endpoint.clone(), Some(pem))?,
            None => {
                let snapshot = Snapshot { connections: vec![connection.clone()], ..Snapshot::default() };
                let operator = arguments.operator.operator_namespace.clone();
                let live = Live::new(cluster.client.clone(), operator, snapshot, Given::default());
                let opened = live.open(connection, app.namespace_any()).await;
                let hint = if spec.ca_bundle.is_some() { format!("; {AUTHORITY}") } else { String::new() };
                opened.map_err(|error| CommandError::message(format!("{error}{hint}")))?
            }
        };
        Ok(Self { iam, host: host(&endpoint), known_by: format!("IamConnection {name}"), hint: String::new() })
    }
}

/// The operator sends nothing to an address that may be another API, and neither is this.
fn require_same_api(app: &OrgOAuthApp, connection: &IamConnection) -> Result<(), CommandError> {
    let spec = &connection.spec;
    let address = ApiAddress::new(spec.api, &spec.endpoint, spec.former_endpoints.as_deref().unwrap_or_default());
    match app.status.as_ref().and_then(|status| status.claim.as_ref()) {
        Some(claim) if !address.made(claim) => Err(CommandError::message(format!(
            "the app was created at {}, and IamConnection {} is at {} now, which may be another API, so nothing was sent; see the reason EndpointChanged",
            claim.endpoint,
            connection.name_any(),
            spec.endpoint
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The API that the operator recorded and published. Its signature cannot be verified here, so whoever forges the address has to be
/// able to write both the status of the app and the Secret, and then has the credentials already.
fn recorded<'a>(app: &'a OrgOAuthApp, secret: &Secret, error: &CommandError) -> Result<&'a SignedClaim, CommandError> {
    let claim = app.status.as_ref().and_then(|status| status.claim.as_ref());
    let claim = claim.filter(|claim| claim.uid == app.uid_any()).ok_or_else(|| {
        CommandError::message(format!(
            "{error}; without it, the status of the app has to name the API, and does not yet"
        ))
    })?;
    let key = &app.spec.secret.keys.token_url;
    let Some(found) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Err(CommandError::message(format!(
            "{error}; without it, the Secret of the app has to hold its token URL (spec.secret.keys.tokenUrl), and does not, so nothing was sent: ask for the right to {RIGHT}"
        )));
    };
    let expected = flavor(claim.api).token_url(&claim.endpoint, &org_id(app));
    if secret_value::read(&found.0, secret_value::TOKEN) == Ok(expected.as_str()) {
        return Ok(claim);
    }
    Err(CommandError::message(format!(
        "key {key} of Secret {} is not {expected}, which the operator recorded, so nothing was sent; someone may have edited the Secret, or the IamConnection has another address now: ask for the right to {RIGHT}",
        secret.name_any()
    )))
}

fn authority(arguments: &TokenArgs) -> Result<Option<Vec<u8>>, CommandError> {
    let Some(file) = &arguments.certificate_authority else { return Ok(None) };
    read_file("--certificate-authority", file).map(Some)
}

fn url(endpoint: &str) -> Result<Url, CommandError> {
    endpoint.parse().map_err(|error| CommandError::message(format!("the endpoint {endpoint} is no URL: {error}")))
}

fn host(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The API at an address, called with the credentials of apps only.
fn iam(api: Api, endpoint: Url, ca_pem: Option<Vec<u8>>) -> Result<Arc<HttpIam>, CommandError> {
    let settings = Settings {
        api,
        endpoint,
        ca_pem,
        max_in_flight: 1,
        requests_per_second: None,
        timeout: TIMEOUT,
        metrics: ConnectionMetrics::default(),
        guard: LeadershipGuard::Open,
    };
    let endpoint = Endpoint::new(&settings).map_err(CommandError::message)?;
    let none: LoadCredentials = Arc::new(|| async { Err("there are no credentials of a connection".into()) }.boxed());
    let managed = Arc::new(|_: &_| HashSet::new());
    Ok(Arc::new(HttpIam::new(endpoint, CredentialsKind::ClientCredentials, none, managed, Flow::Operator)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn recorded_with(token_url_key: &str, data: Value) -> Result<String, CommandError> {
        let claim = json!({
            "uid": "uid-1", "orgId": "o", "clientId": "ooa-uid-1", "api": "CloudServices", "endpoint": "https://iam.example.com",
            "created": true, "signature": "s",
        });
        let app: OrgOAuthApp = serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1"},
            "spec": {"orgId": "o", "secret": {"keys": {"tokenUrl": token_url_key}}}, "status": {"claim": claim},
        }))
        .unwrap();
        let secret: Secret = serde_json::from_value(json!({"metadata": {"name": "billing"}})).unwrap();
        let data: std::collections::BTreeMap<String, String> = serde_json::from_value(data).unwrap();
        let data = data.into_iter().map(|(key, value)| (key, k8s_openapi::ByteString(value.into_bytes()))).collect();
        let secret = Secret { data: Some(data), ..secret };
        recorded(&app, &secret, &CommandError::message("no right")).map(|claim| claim.endpoint.clone())
    }

    #[test]
    fn a_recorded_api_is_used_only_if_the_secret_agrees() {
        let expected = flavor(Api::CloudServices).token_url("https://iam.example.com", &crate::iam::OrgId("o".into()));
        let agrees = recorded_with("token-url", json!({"token-url": expected}));
        assert_eq!(agrees.unwrap(), "https://iam.example.com");
        let cases =
            [("token-url", json!({})), ("", json!({"token-url": expected})), ("", json!({"": expected.clone() + "x"}))];
        for (key, data) in cases {
            let error = recorded_with(key, data).unwrap_err().to_string();
            assert!(error.contains("so nothing was sent") && error.contains(RIGHT), "{error}");
        }
    }
}
