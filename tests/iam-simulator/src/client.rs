//! The typed client of the control API, and tokens obtained as a workload would obtain them.
//! It keeps no connection open, so one client may be used from several runtimes.

use std::time::Duration;

use reqwest::{Certificate, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::types::{
    ApiTokenSeed, AppView, CallFilter, CallView, ClientSeed, ClockChange, Fault, FaultState, Flavor, Human, OrgSeed,
    PermsSeed, Seed, Settings, Stats,
};

/// Why a request to the simulator failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer, or one that is not JSON.
    #[error("the simulator did not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the simulator answered {status}: {body}")]
    Status { status: u16, body: String },
}

/// An HTTP client that trusts this CA alone, follows no redirect, and keeps no connection.
///
/// # Errors
/// When the certificate cannot be read.
pub fn http(ca_pem: &str) -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .tls_certs_only([Certificate::from_pem(ca_pem.as_bytes())?])
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

/// The control API of one simulator.
#[derive(Clone, Debug)]
pub struct Control {
    url: String,
    http: reqwest::Client,
}

impl Control {
    /// `url` is scheme, host and port.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn new(url: impl Into<String>, ca_pem: &str) -> Result<Self, Error> {
        Ok(Self { url: url.into(), http: http(ca_pem)? })
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: impl Serialize) -> Result<T, Error> {
        let request = self.http.request(method, format!("{}/control/{path}", self.url)).json(&body);
        checked(request.send().await?).await
    }

    async fn order(&self, method: Method, path: &str, body: impl Serialize) -> Result<(), Error> {
        self.call::<Value>(method, path, body).await.map(drop)
    }

    /// The settings in force.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn settings(&self) -> Result<Settings, Error> {
        self.call(Method::GET, "settings", ()).await
    }

    /// Changes some settings and leaves the others.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn set(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        let mut settings = self.settings().await?;
        change(&mut settings);
        self.order(Method::PUT, "settings", &settings).await
    }

    /// Forgets everything: seeds, apps, tokens, faults, calls and settings.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn reset(&self) -> Result<(), Error> {
        self.order(Method::POST, "reset", ()).await
    }

    /// Adds organizations and identities.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed(&self, seed: &Seed) -> Result<(), Error> {
        self.order(Method::POST, "seed", seed).await
    }

    /// Adds an organization; `service` makes it a service organization.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed_org(&self, flavor: Flavor, id: &str, service: bool) -> Result<(), Error> {
        let org = OrgSeed { flavor, id: id.into(), service };
        self.seed(&Seed { orgs: vec![org], ..Seed::default() }).await
    }

    /// Adds an API token that manages every organization.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed_api_token(&self, flavor: Flavor, org: &str, value: &str) -> Result<(), Error> {
        self.seed_expiring_api_token(flavor, org, value, None).await
    }

    /// The same, with a time in milliseconds since the epoch at which it expires.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed_expiring_api_token(
        &self,
        flavor: Flavor,
        org: &str,
        value: &str,
        expires_at: Option<u64>,
    ) -> Result<(), Error> {
        let (value, org_id) = (value.into(), org.into());
        let token = ApiTokenSeed { flavor, value, org_id, orgs: None, passcode: None, expires_at };
        self.seed(&Seed { api_tokens: vec![token], ..Seed::default() }).await
    }

    /// Adds a client that manages every organization.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed_client(&self, flavor: Flavor, org: &str, id: &str, secret: &str) -> Result<(), Error> {
        let client = ClientSeed { flavor, id: id.into(), secret: secret.into(), org_id: org.into(), orgs: None };
        self.seed(&Seed { clients: vec![client], ..Seed::default() }).await
    }

    /// Gives a seeded client, by its id, or a seeded API token, by its value, these `perms`.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn seed_perms(&self, flavor: Flavor, identity: &str, perms: &[&str]) -> Result<(), Error> {
        let perms = perms.iter().map(ToString::to_string).collect();
        let perms = PermsSeed { flavor, identity: identity.into(), perms };
        self.seed(&Seed { perms: vec![perms], ..Seed::default() }).await
    }

    /// Orders a fault; orders add up, and the first that hits a call decides.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn fault(&self, fault: Fault) -> Result<(), Error> {
        self.order(Method::POST, "faults", fault).await
    }

    /// The orders and how often each hit.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn faults(&self) -> Result<Vec<FaultState>, Error> {
        self.call(Method::GET, "faults", ()).await
    }

    /// Takes all orders back.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn clear_faults(&self) -> Result<(), Error> {
        self.order(Method::DELETE, "faults", ()).await
    }

    /// Puts the simulator's clock forward, by which tokens, overlaps, deletions, faults and replication go.
    /// A token's `iat` and `exp` go by it too, so a caller with the real clock should be moved by little or not at all.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn advance_clock(&self, by: Duration) -> Result<(), Error> {
        let advance_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.order(Method::POST, "clock", ClockChange { advance_ms }).await
    }

    /// Makes every access token that was issued invalid.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn revoke_tokens(&self) -> Result<(), Error> {
        self.order(Method::DELETE, "tokens", ()).await
    }

    /// Does what a person does in the console; create and regenerate answer `{clientId, clientSecret}`.
    ///
    /// # Errors
    /// When the simulator does not answer, or the app does not exist.
    pub async fn human(&self, deed: Human) -> Result<Value, Error> {
        self.call(Method::POST, "human", deed).await
    }

    /// Every app of every API.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn apps(&self) -> Result<Vec<AppView>, Error> {
        self.call(Method::GET, "apps", ()).await
    }

    /// One app, if it exists.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn app(&self, flavor: Flavor, id: &str) -> Result<Option<AppView>, Error> {
        Ok(self.apps().await?.into_iter().find(|app| app.flavor == flavor && app.id == id))
    }

    /// The calls that the filter lets through, in the order of their arrival.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<CallView>, Error> {
        self.call(Method::POST, "calls/search", filter).await
    }

    /// The number of those calls.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn count(&self, filter: &CallFilter) -> Result<u64, Error> {
        self.call(Method::POST, "calls/count", filter).await
    }

    /// Forgets the calls, and the most in flight at once.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn clear_calls(&self) -> Result<(), Error> {
        self.order(Method::DELETE, "calls", ()).await
    }

    /// Numbers over the whole run.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.call(Method::GET, "stats", ()).await
    }

    /// An access token for an app's credentials; see [`token`].
    ///
    /// # Errors
    /// When the credentials are refused.
    pub async fn token(&self, flavor: Flavor, org: &str, id: &str, secret: &str) -> Result<String, Error> {
        token(&self.http, &self.url, flavor, org, id, secret).await
    }
}

/// Obtains an access token with client credentials, as a workload with the published Secret would: `auth/token` of CSP
/// `[auth-token]`, `accounts/{orgId}/accesstoken` of CPN `[cpn-account-token]`, `token` of a tenant `[vib-token]`.
///
/// # Errors
/// [`Error::Status`] when the credentials are refused.
pub async fn token(
    http: &reqwest::Client,
    url: &str,
    flavor: Flavor,
    org: &str,
    id: &str,
    secret: &str,
) -> Result<String, Error> {
    let (request, field) = match flavor {
        Flavor::Csp => {
            let form = [("grant_type", "client_credentials"), ("orgId", org)];
            let request = http.post(format!("{url}/csp/gateway/am/api/auth/token"));
            (request.basic_auth(id, Some(secret)).form(&form), "access_token")
        }
        Flavor::Cpn => {
            let url = format!("{url}/cphub/api/auth/v1/authn/accounts/{org}/accesstoken");
            (http.post(url).json(&json!({"clientId": id, "clientSecret": secret})), "accessToken")
        }
        Flavor::Broker => {
            let request = http.post(format!("{url}/acs/t/{org}/token")).basic_auth(id, Some(secret));
            (request.form(&[("grant_type", "client_credentials")]), "access_token")
        }
    };
    let body: Value = checked(request.send().await?).await?;
    Ok(body[field].as_str().unwrap_or_default().to_string())
}

async fn checked<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.json().await?);
    }
    Err(Error::Status { status: status.as_u16(), body: response.text().await.unwrap_or_default() })
}
