//! A token for the credentials of an app: whoever may read its Secret can prove them.

use super::schema::assert_matches;
use super::{Ran, run, run_as};
use crate::cluster::plane;
use crate::env::{EACH, TenantEnv};
use control_plane::Scratch;
use iam_simulator::types::{Flavor, Human};
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::path::PathBuf;

struct Tenant {
    kubeconfig: PathBuf,
    authority: PathBuf,
    _scratch: Scratch,
}

impl Tenant {
    fn of(env: &TenantEnv) -> Self {
        let scratch = Scratch::new().unwrap();
        let authority = scratch.path().join("ca.crt");
        std::fs::write(&authority, env.backend.ca_pem()).unwrap();
        Self { kubeconfig: plane().namespace_editor(&env.namespace).unwrap(), authority, _scratch: scratch }
    }

    fn token(&self, env: &TenantEnv, more: &[&str]) -> Ran {
        let authority = self.authority.to_str().unwrap();
        let arguments = ["token", "billing", "-n", &env.namespace, "--certificate-authority", authority];
        run_as(&self.kubeconfig, &[&arguments, more].concat())
    }
}

async fn ready(namespace: &str, flavor: Flavor, spec: Value) -> TenantEnv {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    env.credential("billing").await.unwrap();
    env
}

fn host(env: &TenantEnv) -> String {
    let endpoint = env.backend.endpoint(env.flavor);
    endpoint.trim_start_matches("https://").split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_tenant_proves_its_credentials_with_each_api() {
    for (name, flavor) in EACH {
        let env = ready(&format!("command-token-{name}"), flavor, json!({})).await;
        let tenant = Tenant::of(&env);
        let proven = tenant.token(&env, &["-o", "json"]);
        assert_eq!(proven.status, 0, "{name}: {proven:?}");
        let report = proven.json();
        assert_matches("token", &report);
        assert_eq!((&report["issued"], &report["host"]), (&true.into(), &host(&env).into()));
        assert!(report["lifetimeSeconds"].as_u64() > Some(0) && report["expiresAt"].is_string(), "{report}");
        if flavor != Flavor::Broker {
            assert_eq!((&report["organization"], &report["roles"]), (&env.org.as_str().into(), &json!([])), "{report}");
        }
        let sent = format!("in Secret billing to {}, known by status.claim of OrgOAuthApp", host(&env));
        assert!(proven.err.contains(&sent), "{proven:?}");
        env.assert_no_leak_in("the report", &format!("{proven:?}"));
        let shown = tenant.token(&env, &["--show"]);
        assert_eq!((shown.status, shown.out.trim().split('.').count()), (0, 3), "a token and nothing else");
        let administrator = run(&["token", "billing", "-n", &env.namespace]);
        assert!(administrator.err.contains(&format!("known by IamConnection {}", env.namespace)), "{administrator:?}");
        assert!(administrator.out.contains("Token          issued by "), "{administrator:?}");
    }
}

#[tokio::test]
async fn refused_credentials_are_a_finding_with_what_to_do() {
    for (name, flavor) in EACH {
        let env = ready(&format!("command-refusal-{name}"), flavor, json!({})).await;
        env.operator().kill().unwrap();
        let (id, _) = env.credential("billing").await.unwrap();
        env.control.human(Human::Regenerate { flavor, id }).await.unwrap();
        let refused = Tenant::of(&env).token(&env, &[]);
        assert_eq!(refused.status, 2, "{name}: {refused:?}");
        assert!(refused.out.contains("the API refuses the client credentials: 401"), "{name}: {refused:?}");
        assert!(refused.out.contains("reconcile billing --wait"), "{refused:?}");
        env.assert_no_leak_in("the report", &format!("{refused:?}"));
    }
}

#[tokio::test]
async fn credentials_go_nowhere_but_to_the_recorded_api() {
    let env = ready("command-tampered", Flavor::Csp, json!({})).await;
    env.operator().kill().unwrap();
    let tenant = Tenant::of(&env);
    let unknown = run_as(&tenant.kubeconfig, &["token", "billing", "-n", &env.namespace]);
    assert_eq!(unknown.status, 1);
    for said in ["UnknownIssuer", "you lack the right to get iamconnections", "--certificate-authority FILE"] {
        assert!(unknown.err.contains(said), "{unknown:?}");
    }
    let url = ByteString(b"https://127.0.0.1:1/csp/gateway/am/api/auth/authorize".to_vec());
    let patch = Patch::Merge(json!({"data": {"token-url": url}}));
    env.secrets().patch("billing", &PatchParams::default(), &patch).await.unwrap();
    let tampered = tenant.token(&env, &[]);
    assert_eq!(tampered.status, 1);
    assert!(tampered.err.contains("so nothing was sent; someone may have edited the Secret"), "{tampered:?}");
    assert!(tampered.err.contains("ask for the right to get iamconnections.oauth-apps.dev"), "{tampered:?}");
    let administrator = run(&["token", "billing", "-n", &env.namespace]);
    assert_eq!(administrator.status, 0, "what the Secret says does not matter: {administrator:?}");
}

#[tokio::test]
async fn an_app_for_logins_has_nothing_to_prove() {
    let spec =
        json!({"publicClient": true, "grantTypes": ["authorization_code"], "redirectUris": ["https://a.example.com/"]});
    let env = TenantEnv::new("command-public", Flavor::Csp).await;
    env.create("billing", spec).await;
    let login = json!({"grantTypes": ["authorization_code"], "redirectUris": ["https://a.example.com/"]});
    env.create("login", login).await;
    let public = run(&["token", "billing", "-n", "command-public"]);
    assert!(public.status == 1 && public.err.contains("is a public client"), "{public:?}");
    let login = run(&["token", "login", "-n", "command-public"]);
    assert!(login.status == 1 && login.err.contains("has no grant type client_credentials"), "{login:?}");
}
