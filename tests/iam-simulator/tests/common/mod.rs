//! A simulator with one organization and one manager per API, and a plain HTTP caller.
//! The caller knows nothing of the simulator's types: it sends what a test tells it to send.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iam_simulator::Simulator;
use iam_simulator::client::Control;
use iam_simulator::types::{Fault, Flavor, Settings};
use reqwest::{Method, Response};
use serde_json::{Value, json};

pub(crate) const CSP: Flavor = Flavor::Csp;
pub(crate) const CPN: Flavor = Flavor::Cpn;
pub(crate) const BROKER: Flavor = Flavor::Broker;
pub(crate) const ORG: &str = "org-1";
/// Satisfies the secret policy.
pub(crate) const SECRET: &str = "Passw0rd!";

const MEDIA_TYPE: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client";

pub(crate) struct TestEnv {
    pub simulator: Simulator,
    pub control: Control,
    pub http: reqwest::Client,
    csp_token: String,
    cpn_token: String,
    broker_token: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Value,
}

impl TestEnv {
    pub(crate) async fn new() -> Self {
        let simulator = Simulator::spawn();
        let control = simulator.control();
        for flavor in Flavor::ALL {
            control.seed_org(flavor, ORG, false).await.unwrap();
            control.seed_client(flavor, ORG, "operator", "Oper@t0r").await.unwrap();
        }
        let token = async |flavor| control.token(flavor, ORG, "operator", "Oper@t0r").await.unwrap();
        let (csp_token, cpn_token, broker_token) = (token(CSP).await, token(CPN).await, token(BROKER).await);
        control.clear_calls().await.unwrap();
        let http = iam_simulator::client::http(simulator.ca_pem()).unwrap();
        Self { control, http, simulator, csp_token, cpn_token, broker_token }
    }

    pub(crate) fn url(&self, flavor: Flavor, path: &str) -> String {
        let base = self.simulator.url();
        match flavor {
            CSP => format!("{base}/csp/gateway/am/api/{path}"),
            CPN => format!("{base}/cphub/api/auth/{path}"),
            BROKER => format!("{base}/acs/t/{path}"),
        }
    }

    pub(crate) fn token(&self, flavor: Flavor) -> &str {
        match flavor {
            CSP => &self.csp_token,
            CPN => &self.cpn_token,
            BROKER => &self.broker_token,
        }
    }

    pub(crate) fn request(&self, flavor: Flavor, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_with(self.token(flavor), flavor, method, path)
    }

    pub(crate) fn request_with(
        &self,
        token: &str,
        flavor: Flavor,
        method: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, self.url(flavor, path));
        match flavor {
            CSP | BROKER => request.bearer_auth(token),
            CPN => request.header("csp-auth-token", token),
        }
    }

    /// The status of a GET of an app that does not exist: 404 for a caller with the right to ask.
    pub(crate) async fn status_with(&self, token: &str, flavor: Flavor, org: &str) -> u16 {
        let path = in_org(flavor, org, "oauth-apps/no-such-app");
        self.request_with(token, flavor, "GET", &path).send().await.unwrap().status().as_u16()
    }

    /// Exchanges an API token.
    pub(crate) async fn exchange(&self, flavor: Flavor, api_token: &str) -> String {
        let (request, field) = match flavor {
            CSP => {
                let form = [("api_token", api_token)];
                (self.http.post(self.url(CSP, "auth/api-tokens/authorize")).form(&form), "access_token")
            }
            CPN => {
                let body = json!({"refreshToken": api_token});
                (self.http.post(self.url(CPN, "v1/authn/accesstoken")).json(&body), "accessToken")
            }
            BROKER => unreachable!("Identity Broker has no API tokens here"),
        };
        reply(request.send().await.unwrap()).await.body[field].as_str().unwrap().to_string()
    }

    /// Sends JSON, or nothing for null.
    pub(crate) async fn call(&self, flavor: Flavor, method: &str, path: &str, body: Value) -> Reply {
        let mut request = self.request(flavor, method, path);
        if flavor == BROKER {
            let media_type = media_type(method, path);
            request = request.header("accept", &media_type).header("content-type", media_type);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        reply(request.send().await.unwrap()).await
    }

    pub(crate) async fn csp(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call(CSP, method, &in_org(CSP, ORG, path), body).await
    }

    pub(crate) async fn cpn(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call(CPN, method, &in_org(CPN, ORG, path), body).await
    }

    pub(crate) async fn broker(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call(BROKER, method, &in_org(BROKER, ORG, path), body).await
    }

    /// Calls something in the organization [`ORG`].
    pub(crate) async fn org_call(&self, flavor: Flavor, method: &str, path: &str, body: Value) -> Reply {
        self.call(flavor, method, &in_org(flavor, ORG, path), body).await
    }

    /// Creates a client-credentials app with that id and the secret [`SECRET`].
    pub(crate) async fn create(&self, flavor: Flavor, id: &str) {
        let reply = match flavor {
            CSP => self.csp("POST", "oauth-apps", with(&app(), "id", json!(id), "secret", json!(SECRET))).await,
            CPN => self.cpn("POST", "oauth-apps", json!({"id": id, "secret": SECRET})).await,
            BROKER => {
                self.broker("POST", "oauth-apps", with(&client(), "client_id", json!(id), "secret", json!(SECRET)))
                    .await
            }
        };
        reply.done();
    }

    /// Rotates with an overlap of so many seconds.
    pub(crate) async fn rotate(&self, flavor: Flavor, id: &str, secret: &str, seconds: u64) -> Reply {
        let (path, body) = match flavor {
            CSP => ("/secret", json!({"newClientSecret": secret, "secretRotationExpirationInSeconds": seconds})),
            CPN => ("/secret", json!({"newClientSecret": secret, "secretExpirationTimeInSeconds": seconds})),
            BROKER => (
                "?action=start-rotate-secret",
                json!({"secondary_secret": secret, "primary_secret_auto_retire_duration": seconds / 60}),
            ),
        };
        self.org_call(flavor, "POST", &format!("oauth-apps/{id}{path}"), body).await
    }

    /// Ends the overlap of a rotation.
    pub(crate) async fn end_overlap(&self, flavor: Flavor, id: &str) -> Reply {
        let (method, path) = match flavor {
            CSP | CPN => ("DELETE", "/secret"),
            BROKER => ("POST", "?action=retire-primary-secret"),
        };
        self.org_call(flavor, method, &format!("oauth-apps/{id}{path}"), Value::Null).await
    }

    pub(crate) async fn delete(&self, flavor: Flavor, id: &str) -> Reply {
        match flavor {
            CSP | CPN => self.org_call(flavor, "DELETE", "oauth-apps", json!({ "clientIdsToDelete": [id] })).await,
            BROKER => self.broker("DELETE", &format!("oauth-apps/{id}"), Value::Null).await,
        }
    }

    pub(crate) async fn works(&self, flavor: Flavor, id: &str, secret: &str) -> bool {
        self.control.token(flavor, ORG, id, secret).await.is_ok()
    }

    pub(crate) async fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.control.set(change).await.unwrap();
    }

    pub(crate) async fn order(&self, fault: Fault) {
        self.control.fault(fault).await.unwrap();
    }
}

/// The media type of the request and of its answer.
fn media_type(method: &str, path: &str) -> String {
    let form = match (method, path) {
        ("POST", path) if path.contains("?action=") => "secret.rotation",
        ("GET", path) if path.split('?').next().unwrap().ends_with("oauth2-clients") => "list",
        _ => "with.rule.sets",
    };
    format!("{MEDIA_TYPE}.{form}+json")
}

/// The path of something in an organization; the apps of Identity Broker have another collection.
pub(crate) fn in_org(flavor: Flavor, org: &str, path: &str) -> String {
    match flavor {
        CSP => format!("orgs/{org}/{path}"),
        CPN => format!("v2/orgs/{org}/{path}"),
        BROKER => format!("{org}/{}", path.replace("oauth-apps", "broker/oauth2-clients")),
    }
}

/// What an access token says.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) async fn reply(response: Response) -> Reply {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Reply { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

impl Reply {
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Succeeded, with whatever status its API has for that.
    #[track_caller]
    pub(crate) fn done(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self.body
    }

    pub(crate) fn message(&self) -> &str {
        let body = if self.body["errors"].is_array() { &self.body["errors"][0] } else { &self.body };
        body["message"].as_str().unwrap_or_default()
    }
}

/// The least that CSP takes.
pub(crate) fn app() -> Value {
    json!({"displayName": "App", "description": "", "grantTypes": ["client_credentials"], "allowedScopes": {}})
}

/// The least that Identity Broker takes, without its id.
pub(crate) fn client() -> Value {
    json!({"scope": ["openid"], "grant_types": ["client_credentials"]})
}

/// `base` with two fields set.
pub(crate) fn with(base: &Value, a: &str, va: Value, b: &str, vb: Value) -> Value {
    let mut value = base.clone();
    value[a] = va;
    value[b] = vb;
    value
}
