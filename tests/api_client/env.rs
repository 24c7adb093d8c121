//! A simulator with one organization per API, and clients for it with either kind of credentials.
//! The credentials of a client can be replaced while it runs.

use futures::FutureExt;
use iam_simulator::Simulator;
use iam_simulator::client::Control;
use iam_simulator::types::{CallFilter, CallView, Flavor, Operation};
use oauth_app_operator::crd::Api;
use oauth_app_operator::fair_queue::Flow;
use oauth_app_operator::iam::http::{Endpoint, HttpIam};
use oauth_app_operator::iam::{
    ClientId, ClientSecret, ConnectionCredentials, CredentialsKind, LoadCredentials, LoadError,
};
use oauth_app_operator::iam::{ManagedIds, NewApp, OrgId, Settings};
use oauth_app_operator::lease::guard::LeadershipGuard;
use oauth_app_operator::metrics::ConnectionMetrics;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const CSP: Flavor = Flavor::Csp;
pub(crate) const CPN: Flavor = Flavor::Cpn;
pub(crate) const BROKER: Flavor = Flavor::Broker;
pub(crate) const BOTH: [Flavor; 2] = [CSP, CPN];
pub(crate) const ALL: [Flavor; 3] = [CSP, CPN, BROKER];
pub(crate) const API_TOKEN: &str = "Hidden-Api-Token-4711";
pub(crate) const OWN_SECRET: &str = "Hidden-Own-Secr3t";
pub(crate) const CLIENT_SECRET: &str = "Hidden-Oper@t0r-4711";

/// Where the credentials of a client are stored.
pub(crate) type StoredCredentials = Arc<Mutex<Result<ConnectionCredentials, String>>>;

pub(crate) struct TestEnv {
    pub simulator: Simulator,
    pub control: Control,
}

impl TestEnv {
    pub(crate) async fn new() -> Self {
        let simulator = Simulator::spawn();
        let control = simulator.control();
        for flavor in ALL {
            control.seed_org(flavor, "org-1", false).await.unwrap();
            if flavor != BROKER {
                control.seed_api_token(flavor, "org-1", API_TOKEN).await.unwrap();
            }
            control.seed_client(flavor, "org-1", "operator", CLIENT_SECRET).await.unwrap();
        }
        Self { simulator, control }
    }

    pub(crate) fn settings(&self, flavor: Flavor) -> Settings {
        Settings {
            api: match flavor {
                CSP => Api::CloudServices,
                CPN => Api::CloudPartnerNavigator,
                BROKER => Api::IdentityBroker,
            },
            endpoint: self.simulator.endpoint(flavor).parse().unwrap(),
            ca_pem: Some(self.simulator.ca_pem().into()),
            max_in_flight: 8,
            requests_per_second: None,
            timeout: Duration::from_secs(5),
            metrics: ConnectionMetrics::default(),
            guard: LeadershipGuard::Open,
        }
    }

    pub(crate) fn iam(&self, flavor: Flavor) -> HttpIam {
        self.iam_with(self.settings(flavor)).0
    }

    pub(crate) fn iam_with(&self, settings: Settings) -> (HttpIam, StoredCredentials) {
        self.iam_as(settings, client())
    }

    /// A client with these credentials, which can be replaced by others of their kind.
    pub(crate) fn iam_as(
        &self,
        settings: Settings,
        credentials: ConnectionCredentials,
    ) -> (HttpIam, StoredCredentials) {
        let kind = credentials.kind();
        let stored: StoredCredentials = Arc::new(Mutex::new(Ok(credentials)));
        (build(&settings, kind, &stored, &[]), stored)
    }

    /// A client that keeps these apps of a list; others keep what they were asked for.
    pub(crate) fn iam_managing(&self, flavor: Flavor, apps: &[ClientId]) -> HttpIam {
        build(&self.settings(flavor), client().kind(), &Arc::new(Mutex::new(Ok(client()))), apps)
    }

    pub(crate) async fn calls(&self, operation: Operation) -> Vec<CallView> {
        self.control.calls(&CallFilter::operation(operation)).await.unwrap()
    }

    pub(crate) async fn count(&self, operation: Operation) -> u64 {
        self.control.count(&CallFilter::operation(operation)).await.unwrap()
    }
}

fn build(settings: &Settings, kind: CredentialsKind, credentials: &StoredCredentials, managed: &[ClientId]) -> HttpIam {
    let managed: HashSet<ClientId> = managed.iter().cloned().collect();
    let managed: ManagedIds = Arc::new(move |_| managed.clone());
    HttpIam::new(Endpoint::new(settings).unwrap(), kind, load(credentials), managed, Flow::Operator)
}

pub(crate) fn load(stored: &StoredCredentials) -> LoadCredentials {
    let stored = stored.clone();
    Arc::new(move || std::future::ready(stored.lock().unwrap().clone().map_err(LoadError::from)).boxed())
}

pub(crate) fn client() -> ConnectionCredentials {
    ConnectionCredentials::Client { id: "operator".into(), secret: CLIENT_SECRET.to_owned().into() }
}

pub(crate) fn api_token(value: &str) -> ConnectionCredentials {
    ConnectionCredentials::ApiToken(value.to_owned().into())
}

pub(crate) fn org() -> OrgId {
    OrgId("org-1".into())
}

pub(crate) fn id(id: &str) -> ClientId {
    ClientId(id.into())
}

/// The least that the API takes.
pub(crate) fn least(flavor: Flavor) -> Map<String, Value> {
    match flavor {
        CSP => map(json!({
            "displayName": "App", "description": "d", "grantTypes": ["client_credentials"], "allowedScopes": {},
        })),
        CPN => Map::new(),
        BROKER => map(json!({"grantTypes": ["client_credentials"], "allowedScopes": {"generalScopes": ["user"]}})),
    }
}

pub(crate) fn app(flavor: Flavor, name: &str) -> NewApp {
    // The broker would generate one; the operator never lets it.
    let secret = (flavor == BROKER).then(|| ClientSecret::new(OWN_SECRET.into()));
    NewApp { id: id(name), context: None, fields: least(flavor), secret }
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
