//! The scenario of the demo: for each API a connection, an app, a token for its credentials, and its deletion. The third act also
//! rotates a secret and ends the overlap early.
//! Every command is printed when it runs; no secret value is printed.

use std::error::Error;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use iam_simulator::client::Control;
use iam_simulator::types::{Flavor, Human};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use oauth_app_operator::crd::{
    ConditionStatus, ConditionType, OrgOAuthApp, OrgOAuthAppStatus, RETIRE_REQUESTED, ROTATE_REQUESTED,
};
use serde_json::Value;
use test_environment::examples::{self, AUTHORITY};
use test_environment::{OPERATOR, TestEnv};

use super::env;
use super::narrator::Narrator;
use super::observer::Observer;

/// What differs between the APIs.
struct Target {
    title: &'static str,
    flavor: Flavor,
    connection: &'static str,
    app: &'static str,
    /// Secret of the connection.
    credentials: &'static str,
}

const CLOUD_SERVICES: Target = Target {
    title: "VMware Cloud Services",
    flavor: Flavor::Csp,
    connection: "iam-connection.yaml",
    app: "org-oauth-app.yaml",
    credentials: "iam-credentials",
};

const NAVIGATOR: Target = Target {
    title: "VMware Cloud Partner Navigator",
    flavor: Flavor::Cpn,
    connection: "navigator/iam-connection.yaml",
    app: "navigator/org-oauth-app.yaml",
    credentials: "navigator-credentials",
};

const IDENTITY_BROKER: Target = Target {
    title: "VCF Identity Broker",
    flavor: Flavor::Broker,
    connection: "identity-broker/iam-connection.yaml",
    app: "identity-broker/org-oauth-app.yaml",
    credentials: "vcenter-credentials",
};

/// The annotations that request a rotation and the end of its overlap, and how status says that it was done.
const REQUESTS: [(&str, IsHandled); 2] = [
    (ROTATE_REQUESTED, |status| status.last_handled_rotate_at.as_deref() == Some("now")),
    (RETIRE_REQUESTED, |status| status.last_handled_retire_at.as_deref() == Some("now")),
];

/// Whether status says that the present request was handled.
type IsHandled = fn(&OrgOAuthAppStatus) -> bool;

/// The ConfigMap with the certificate authority of the vCenter, in its example.
const VCENTER_AUTHORITY: &str = "vcenter-ca";

/// The credentials of the operator in the simulator. Neither contains the other, since a response that contains the secret is not shown.
const CLIENT_ID: &str = "demo-operator";
const CLIENT_SECRET: &str = "A_secret_to_try1";

/// Runs in an environment where the operator is ready.
pub(super) struct Scenario<'a> {
    env: &'a TestEnv,
    narrator: &'a Narrator,
    observer: Observer<'a>,
    client: Client,
    control: Control,
}

impl<'a> Scenario<'a> {
    pub(super) async fn new(env: &'a TestEnv, narrator: &'a Narrator) -> Result<Self, Box<dyn Error>> {
        let client = env.cluster.admin_client().await?;
        let control = env.control.clone();
        let observer = Observer::new(narrator, client.clone(), control.clone());
        Ok(Self { env, narrator, observer, client, control })
    }

    /// The whole scenario; with `keep` without the deletions, and then everything that the user does.
    pub(super) async fn run(mut self, keep: bool) -> Result<(), Box<dyn Error>> {
        self.prepare()?;
        let billing = self.create_app(&CLOUD_SERVICES).await?;
        if !keep {
            self.delete_app(&CLOUD_SERVICES, &billing).await?;
        }
        let report = self.create_app(&NAVIGATOR).await?;
        if !keep {
            self.release_app(&NAVIGATOR, &report).await?;
        }
        let vcenter = self.create_app(&IDENTITY_BROKER).await?;
        self.rotate(&IDENTITY_BROKER, &vcenter).await?;
        if keep {
            self.hand_over(&billing);
            self.hand_over_console(&CLOUD_SERVICES, &billing).await?;
            return self.observer.forever().await;
        }
        self.delete_app(&IDENTITY_BROKER, &vcenter).await
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
        env::kubectl(self.narrator, self.env, arguments)
    }

    fn prepare(&self) -> Result<(), Box<dyn Error>> {
        let (name, key) = AUTHORITY;
        let file = format!("--from-file={key}={}", env::authority_file(self.env).display());
        for name in [name, VCENTER_AUTHORITY] {
            self.kubectl(&["-n", OPERATOR, "create", "configmap", name, &file])?;
        }
        self.kubectl(&["create", "namespace", "billing"])
    }

    /// From nothing to a token for the credentials.
    async fn create_app(&mut self, target: &Target) -> Result<OrgOAuthApp, Box<dyn Error>> {
        self.narrator.chapter(&format!("{}: from a manifest to credentials", target.title));
        let manifest = examples::read(target.app)?;
        let app: OrgOAuthApp = serde_saphyr::from_str(&manifest)?;
        self.connect(target, &app.spec.org_id).await?;
        let file = format!("deploy/examples/{}", target.app);
        self.narrator.say("demo", format!("{file}:"));
        self.narrator.quote(&manifest);
        self.kubectl(&["apply", "-f", &file])?;
        let apps = self.apps(&app);
        let name = app.name_any();
        let ready = async || {
            let app = apps.get(&name).await?;
            Ok(app.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True))
        };
        self.observer.until(&format!("{name} is Ready"), ready).await?;
        let namespace = app.namespace().unwrap_or_default();
        self.kubectl(&["-n", &namespace, "get", "ooa", &name])?;
        self.kubectl(&["-n", &namespace, "describe", "secret", &name])?;
        self.request_token(target, &app).await?;
        Ok(app)
    }

    async fn connect(&self, target: &Target, org: &str) -> Result<(), Box<dyn Error>> {
        self.control.seed_org(target.flavor, org, false).await?;
        self.control.seed_client(target.flavor, org, CLIENT_ID, CLIENT_SECRET).await?;
        let file = |key: &str, value: &str| {
            let path = self.env.cluster.directory().join(key);
            std::fs::write(&path, value).map(|()| format!("--from-file={key}={}", path.display()))
        };
        let (id, secret) = (file("client-id", CLIENT_ID)?, file("client-secret", CLIENT_SECRET)?);
        self.kubectl(&["-n", OPERATOR, "create", "secret", "generic", target.credentials, &id, &secret])?;

        let connection = examples::with_backend(&self.env.backend, &examples::read(target.connection)?);
        // Soon enough for whoever watches; the default is minutes.
        let connection = connection.replace("\nspec:\n", "\nspec:\n  resyncInterval: 10s\n");
        let file = self.env.cluster.directory().join("iam-connection.yaml");
        std::fs::write(&file, &connection)?;
        self.narrator.say("demo", format!("deploy/examples/{}, with the simulator as the API:", target.connection));
        self.narrator.quote(&connection);
        self.kubectl(&["apply", "-f", &file.display().to_string()])
    }

    /// As a pod would, with only the contents of the Secret.
    async fn request_token(&mut self, target: &Target, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        let data = self.secrets(app).get(&app.name_any()).await?.data.unwrap_or_default();
        let text = |key: &str| data.get(key).map(|value| String::from_utf8_lossy(&value.0)).unwrap_or_default();
        let (id, secret) = (text("client-id"), text("client-secret"));
        let token = self.control.token(target.flavor, &app.spec.org_id, &id, &secret).await?;
        self.observer.until("the calls are printed", async || Ok(true)).await?;
        let claims = claims(&token)?;
        let seconds = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map_or(0, |(exp, iat)| exp - iat);
        let (subject, roles) = (&claims["sub"], &claims["perms"]);
        self.narrator
            .say("token", format!("issued for the credentials: sub {subject}, exp in {seconds} s, perms {roles}"));
        Ok(())
    }

    /// A new secret beside the current one, and then the end of the previous one, long before its overlap is over.
    async fn rotate(&mut self, target: &Target, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        self.narrator.chapter(&format!("{}: a new secret, and the early end of the previous one", target.title));
        for (annotation, is_done) in REQUESTS {
            let (namespace, name) = (app.namespace().unwrap_or_default(), app.name_any());
            self.kubectl(&["-n", &namespace, "annotate", "ooa", &name, &format!("{annotation}=now")])?;
            let apps = self.apps(app);
            let handled = async || Ok(apps.get(&name).await?.status.as_ref().is_some_and(is_done));
            self.observer.until(&format!("{annotation} is handled"), handled).await?;
        }
        self.request_token(target, app).await
    }

    async fn delete_app(&mut self, target: &Target, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        self.narrator.chapter(&format!("{}: the resource is deleted", target.title));
        let id = self.delete(app).await?;
        self.until_gone(app).await?;
        match self.control.app(target.flavor, &id).await? {
            None => self.narrator.say("IAM API", format!("app {id} no longer exists")),
            Some(_) => return Err(format!("app {id} still exists in the API").into()),
        }
        let (secrets, name) = (self.secrets(app), app.name_any());
        let collected = async || Ok(secrets.get_opt(&name).await?.is_none());
        self.observer.until("the Secret is collected", collected).await?;
        self.narrator.say("Kubernetes", format!("the garbage collector deleted Secret {name}"));
        Ok(())
    }

    /// Cloud Partner Navigator documents no operation to delete an app, and the simulator has none either.
    async fn release_app(&mut self, target: &Target, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        self.narrator.chapter(&format!("{}: an API without a delete operation", target.title));
        let id = self.delete(app).await?;
        let (apps, name) = (self.apps(app), app.name_any());
        let stalled = async || {
            let app = apps.get(&name).await?;
            Ok(app.condition(ConditionType::Stalled).is_some_and(|stalled| stalled.status == ConditionStatus::True))
        };
        self.observer.until(&format!("{name} is Stalled"), stalled).await?;
        let namespace = app.namespace().unwrap_or_default();
        let retain = r#"{"spec":{"deletionPolicy":"Retain"}}"#;
        self.kubectl(&["-n", &namespace, "patch", "ooa", &name, "--type=merge", "-p", retain])?;
        self.until_gone(app).await?;
        if self.control.app(target.flavor, &id).await?.is_some() {
            self.narrator.say("IAM API", format!("app {id} still exists, and so does Secret {name}"));
        }
        Ok(())
    }

    /// Gives the client id.
    async fn delete(&mut self, app: &OrgOAuthApp) -> Result<String, Box<dyn Error>> {
        let (namespace, name) = (app.namespace().unwrap_or_default(), app.name_any());
        let status = self.apps(app).get(&name).await?.status.unwrap_or_default();
        self.kubectl(&["-n", &namespace, "delete", "ooa", &name, "--wait=false"])?;
        Ok(status.client_id.unwrap_or_default())
    }

    async fn until_gone(&mut self, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        let (apps, name) = (self.apps(app), app.name_any());
        let gone = async || Ok(apps.get_opt(&name).await?.is_none());
        self.observer.until(&format!("{name} is gone"), gone).await
    }

    fn apps(&self, like: &OrgOAuthApp) -> Api<OrgOAuthApp> {
        Api::namespaced(self.client.clone(), &like.namespace().unwrap_or_default())
    }

    fn secrets(&self, like: &OrgOAuthApp) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &like.namespace().unwrap_or_default())
    }

    fn hand_over(&self, app: &OrgOAuthApp) {
        let command = self.env.cluster.kubectl_command();
        let programs = std::path::Path::new(command.get_program()).parent().unwrap_or(std::path::Path::new("."));
        let (namespace, name) = (app.namespace().unwrap_or_default(), app.name_any());
        self.narrator.chapter("Running until Ctrl-C; events are printed here. In another terminal:");
        println!(
            "export KUBECONFIG={}\n\
             export PATH=\"{}:$PATH\"    # kubectl\n\
             kubectl get ooa -A -o wide\n\
             kubectl -n {namespace} describe ooa {name}\n\
             kubectl -n {namespace} delete secret {name}    # re-created within 10 s, with a new secret\n\
             kubectl -n {namespace} delete ooa {name}       # deletes the app first, then the resource and its Secret\n\
             kubectl explain ooa.spec --recursive\n",
            self.env.cluster.admin_kubeconfig().display(),
            programs.display(),
        );
    }

    /// Commands for manual changes in the console.
    async fn hand_over_console(&self, target: &Target, app: &OrgOAuthApp) -> Result<(), Box<dyn Error>> {
        let status = self.apps(app).get(&app.name_any()).await?.status.unwrap_or_default();
        let (flavor, id) = (target.flavor, status.client_id.unwrap_or_default());
        let regenerate = serde_json::to_string(&Human::Regenerate { flavor, id: id.clone() })?;
        let delete = serde_json::to_string(&Human::Delete { flavor, id })?;
        let (authority, url) = (env::authority_file(self.env), self.env.backend.endpoint(Flavor::Csp));
        let curl = format!("curl --cacert {} {url}/control", authority.display());
        println!(
            "# Or make manual changes in the console of the IAM simulator:\n\
             {curl}/apps    # the apps in the API\n\
             {curl}/human --data '{regenerate}'\n\
             {curl}/human --data '{delete}'\n",
        );
        Ok(())
    }
}

/// The claims of a token.
fn claims(token: &str) -> Result<Value, Box<dyn Error>> {
    let body = token.split('.').nth(1).ok_or("the access token is no JWT")?;
    Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body)?)?)
}
