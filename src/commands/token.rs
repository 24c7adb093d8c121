//! `token`: proves the credentials in the Secret of an app by a token request, made as the operator makes it. The token is shown
//! on demand only, and the client secret never.

mod target;

use super::cluster::{Cluster, ClusterArgs};
use super::live::OperatorArgs;
use super::output::{Mood, OutputArgs, Report, Text, print, print_error, print_note};
use super::status::{is_owned, read_secret};
use super::{CommandError, Done};
use crate::crd::{GrantType, OrgOAuthApp};
use crate::decide::org_id;
use crate::iam::{AppToken, ClientId, ClientSecret, TokenResponse, Verification, token_expiry, token_scopes};
use crate::secret::secret_name;
use crate::secret_value;
use crate::text::one_line;
use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;
use std::path::PathBuf;
use target::Target;

/// A token for the credentials of an app.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    /// Name of an OrgOAuthApp
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the access token, and nothing else on the standard output
    #[arg(long, conflicts_with = "output")]
    show: bool,
    /// Certificates in PEM to trust instead of those of the IamConnection, or of the system if you may not read it
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What the API answered to the token request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenReport {
    pub namespace: String,
    pub name: String,
    /// The Secret that holds the credentials.
    pub secret: String,
    pub client_id: String,
    /// The host to which the credentials were sent.
    pub host: String,
    /// How the host is known.
    pub host_known_by: String,
    /// Whether the API issued a token.
    pub issued: bool,
    /// The organization that the token is for, if the token names one.
    pub organization: Option<String>,
    /// The roles of the token, if the token names them.
    pub roles: Option<Vec<String>>,
    /// The scopes of the token, if the token names them.
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<String>,
    pub lifetime_seconds: Option<u64>,
    /// Why the API issued no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}

/// What is sent.
struct Credentials {
    secret: String,
    id: ClientId,
    value: ClientSecret,
}

impl TokenArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let cluster = self.cluster.connect().await?;
        let app = cluster.app(&self.name).await?;
        require_client_credentials(&app)?;
        let (credentials, secret) = credentials(&cluster, &app).await?;
        let target = Target::find(&self, &cluster, &app, &secret).await?;
        print_note(format!(
            "sending the client id and the client secret in Secret {} to {}, known by {}",
            credentials.secret, target.host, target.known_by
        ));
        let answer = target.iam.app_token(&org_id(&app), &credentials.id, &credentials.value).await;
        let answer = answer.map_err(|error| CommandError::message(format!("no token: {error}{}", target.hint)))?;
        let report = TokenReport::new(&app, &credentials, &target);
        match answer {
            AppToken::Issued(token) if self.show => {
                print(&(one_line(token.token.expose_secret()) + "\n"))?;
                Ok(Done::Clean)
            }
            AppToken::Issued(token) => {
                self.output.print(&report.issued(&token))?;
                Ok(Done::Clean)
            }
            AppToken::NotIssued(verification) => {
                let report = report.not_issued(&verification);
                if self.show {
                    print_error(&CommandError::message(report.why_not()));
                } else {
                    self.output.print(&report)?;
                }
                Ok(Done::Findings)
            }
        }
    }
}

fn require_client_credentials(app: &OrgOAuthApp) -> Result<(), CommandError> {
    let app_name = format!("OrgOAuthApp {}/{}", app.namespace_any(), app.name_any());
    if app.spec.public_client == Some(true) {
        return Err(CommandError::message(format!(
            "{app_name} is a public client (spec.publicClient): it has no client secret, and gets tokens only when users log in"
        )));
    }
    if !app.spec.grant_types().contains(&GrantType::ClientCredentials) {
        return Err(CommandError::message(format!(
            "{app_name} has no grant type client_credentials (spec.grantTypes): it gets tokens only when users log in, so its credentials cannot be proven by a token request"
        )));
    }
    Ok(())
}

async fn credentials(cluster: &Cluster, app: &OrgOAuthApp) -> Result<(Credentials, Secret), CommandError> {
    let recorded = app.status.as_ref().and_then(|status| status.secret_name.clone());
    let name = recorded.unwrap_or_else(|| secret_name(app));
    let namespace = app.namespace_any();
    let Some(secret) = read_secret(cluster, namespace, &name).await? else {
        return Err(CommandError::message(format!(
            "there is no Secret {namespace}/{name}; see: status {}",
            app.name_any()
        )));
    };
    Ok((Credentials::of(app, &secret)?, secret))
}

impl Credentials {
    /// Only of the app's own Secret: anything else is another's, and is neither shown nor sent.
    fn of(app: &OrgOAuthApp, secret: &Secret) -> Result<Self, CommandError> {
        let (namespace, app_name) = (app.namespace_any(), app.name_any());
        let name = secret.name_any();
        if !is_owned(app, secret) {
            return Err(CommandError::message(format!(
                "Secret {namespace}/{name} does not belong to OrgOAuthApp {namespace}/{app_name}, so nothing was sent; see: status {app_name}"
            )));
        }
        let keys = &app.spec.secret.keys;
        let id = value(secret, &keys.client_id)?;
        let value = value(secret, &keys.client_secret)?;
        Ok(Self { secret: name, id: ClientId(id), value: ClientSecret::new(value) })
    }
}

fn value(secret: &Secret, key: &str) -> Result<String, CommandError> {
    let name = format!("Secret {}/{}", secret.namespace().unwrap_or_default(), secret.name_any());
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Err(CommandError::message(format!("{name} has no key {key}, which spec.secret.keys names")));
    };
    let read = secret_value::read(&value.0, secret_value::CREDENTIAL);
    read.map(str::to_owned).map_err(|error| CommandError::message(format!("key {key} of {name} {error}")))
}

impl TokenReport {
    fn new(app: &OrgOAuthApp, credentials: &Credentials, target: &Target) -> Self {
        Self {
            namespace: app.namespace_any().to_owned(),
            name: app.name_any(),
            secret: credentials.secret.clone(),
            client_id: credentials.id.0.clone(),
            host: target.host.clone(),
            host_known_by: target.known_by.clone(),
            issued: false,
            organization: None,
            roles: None,
            scopes: None,
            expires_at: None,
            lifetime_seconds: None,
            refusal: None,
            what_to_do: None,
        }
    }

    fn issued(self, response: &TokenResponse) -> Self {
        Self {
            issued: true,
            organization: response.claims.organization.as_ref().map(ToString::to_string),
            roles: response.claims.roles.clone(),
            scopes: token_scopes(&response.token),
            expires_at: token_expiry(&response.token).map(|at| at.to_string()),
            lifetime_seconds: Some(response.lifetime.as_secs()),
            ..self
        }
    }

    fn not_issued(self, verification: &Verification) -> Self {
        let name = &self.name;
        let (refusal, what_to_do) = match verification {
            Verification::Refused(message) => (
                format!("the API refuses the client credentials: {message}"),
                format!(
                    "have the operator check them now: reconcile {name} --wait; if that does not help, rotate the client secret: rotate {name} --wait"
                ),
            ),
            Verification::NotKnown(message) => (
                format!(
                    "the API issues no token, for another cause than the client secret as far as is known: {message}"
                ),
                format!("see the message of the API, and: status {name}"),
            ),
            // A token would have been issued.
            Verification::Accepted => ("the API issued no token".to_owned(), format!("see: status {name}")),
        };
        Self { refusal: Some(refusal), what_to_do: Some(what_to_do), ..self }
    }

    fn why_not(&self) -> String {
        [&self.refusal, &self.what_to_do].into_iter().flatten().cloned().collect::<Vec<_>>().join("; ")
    }
}

impl Report for TokenReport {
    fn text(&self, text: &mut Text) {
        let verdict = if self.issued { Mood::Good.of("issued") } else { Mood::Bad.of("refused") };
        text.field("Token", verdict + format!(" by {}", self.host));
        text.field("Client id", format!("{}, in Secret {}/{}", self.client_id, self.namespace, self.secret));
        if let Some(refusal) = &self.refusal {
            text.field("Why", refusal);
        }
        if let Some(what_to_do) = &self.what_to_do {
            text.field("What to do", Mood::Attention.of(what_to_do));
        }
        if !self.issued {
            return;
        }
        text.field("Organization", self.organization.as_deref().unwrap_or("the token does not say"));
        for (name, listed) in [("Roles", &self.roles), ("Scopes", &self.scopes)] {
            match listed.as_deref() {
                None => text.field(name, "the token does not say"),
                Some([]) => text.field(name, "none"),
                Some(listed) => text.field(name, listed.join(", ")),
            }
        }
        let lifetime = self.lifetime_seconds.map(|seconds| format!("in {seconds} s")).unwrap_or_default();
        let at = self.expires_at.as_ref().map(|at| format!(", at {at}")).unwrap_or_default();
        text.field("Expires", format!("{lifetime}{at}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn app() -> OrgOAuthApp {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1"}, "spec": {"orgId": "o"},
        }))
        .unwrap()
    }

    fn credentials(metadata: Value) -> Result<Credentials, CommandError> {
        let mut secret: Secret =
            serde_json::from_value(json!({"data": {"client-id": "aWQ=", "client-secret": "c2VjcmV0"}})).unwrap();
        secret.metadata = serde_json::from_value(metadata).unwrap();
        secret.metadata.name = Some("database".into());
        Credentials::of(&app(), &secret)
    }

    #[test]
    fn a_secret_of_others_is_neither_shown_nor_sent() {
        let controlled = |uid: &str| json!({"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}]});
        for foreign in [json!({}), controlled("uid-2"), json!({"labels": {"oauth-apps.dev/owner-uid": "uid-2"}})] {
            let error = credentials(foreign).err().unwrap().to_string();
            assert!(error.starts_with("Secret team/database does not belong to OrgOAuthApp team/billing"), "{error}");
        }
        for own in [controlled("uid-1"), json!({"labels": {"oauth-apps.dev/owner-uid": "uid-1"}})] {
            assert_eq!(credentials(own).unwrap().id.0, "id");
        }
    }
}
