//! Obstacles before anything is created: reported in status, nothing touched, and the operator continues once they are gone.

use crate::env::TenantEnv;
use iam_simulator::types::{Flavor, Human, Operation};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use oauth_app_operator::crd::ConditionType;
use serde_json::{Value, json};

#[tokio::test]
async fn a_secret_that_is_not_ours_is_left_alone_and_no_call_is_made() {
    let env = TenantEnv::running("foreign-secret", Flavor::Csp).await;
    let foreign: Secret =
        serde_json::from_value(json!({"metadata": {"name": "billing"}, "stringData": {"client-id": "mine"}})).unwrap();
    let before = env.secrets().create(&PostParams::default(), &foreign).await.unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "SecretConflict").await;
    assert!(message.contains("Secret billing exists and is not controlled by this resource"), "{message}");
    assert!(message.ends_with("or remove the Secret if nothing uses it"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    assert_eq!(env.secrets().get("billing").await.unwrap(), before, "byte for byte the same");
    env.secrets().delete("billing", &DeleteParams::default()).await.unwrap();
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn resource_named_like_a_rotation_secret_is_reported_and_can_be_renamed() {
    let env = TenantEnv::running("rotation-name", Flavor::Csp).await;
    env.create("billing-rotation", json!({})).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing-rotation").await;
    env.until_ready("billing").await;
    let neighbor = env.credential("billing-rotation").await.unwrap();
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "now").await;
    let message = env.until_stalled("billing", "SecretConflict").await;
    assert!(message.contains("but by OrgOAuthApp billing-rotation; set another spec.secret.name there"), "{message}");
    assert_eq!(env.credential("billing-rotation").await.unwrap(), neighbor);
    env.change("billing-rotation", json!({"secret": {"name": "neighbor"}})).await;
    env.until_rotated("billing", "now").await;
    assert_eq!(env.credential("neighbor").await.unwrap(), neighbor);
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn without_a_connection_no_call_is_made_and_it_goes_on_once_there_is_one() {
    let env = TenantEnv::new("no-connection", Flavor::Csp).await;
    env.give_credentials().await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "ConnectionNotFound").await;
    assert!(
        message.contains("there is no IamConnection no-connection; create it, or delete this resource"),
        "{message}"
    );
    assert_eq!(env.app_calls().await, 0);
    env.connect(json!({})).await;
    env.until_ready("billing").await;
}

#[tokio::test]
async fn without_a_grant_no_call_is_made_and_it_goes_on_once_there_is_one() {
    let env = TenantEnv::new("no-grant", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"grants": []})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "NotGranted").await;
    assert!(message.contains("covers namespace no-grant and organization org-of-no-grant"), "{message}");
    assert!(message.ends_with("create it again with the right orgId"), "{message}");
    let other_org = json!([{"namespaces": {"from": "All"}, "orgs": {"from": "Ids", "ids": ["other"]}}]);
    env.connect(json!({ "grants": other_org })).await;
    let labelled = json!([{"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, "orgs": {"from": "All"}}]);
    env.connect(json!({ "grants": labelled })).await;
    env.until_stalled("billing", "NotGranted").await;
    assert_eq!(env.app_calls().await, 0);
    crate::cluster::plane().kubectl(&["label", "namespace", "no-grant", "team=a"]).unwrap();
    env.until_ready("billing").await;
}

#[tokio::test]
async fn without_its_credential_secret_a_connection_makes_no_call_and_goes_on_once_it_has_one() {
    let env = TenantEnv::new("no-credential", Flavor::Csp).await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_reason("billing", ConditionType::Reconciling, "CredentialsUnavailable").await;
    assert!(message.contains("Secret oauth-app-operator/no-credential does not exist"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    let ready = async || env.connections().get("no-credential").await.unwrap().data["status"]["conditions"][0].clone();
    env.until("the connection says so", async || ready().await["reason"] == "CredentialsUnavailable").await;
    env.give_credentials().await;
    env.until_ready("billing").await;
    env.until("the connection is Ready", async || ready().await["status"] == "True").await;
}

#[tokio::test]
async fn missing_certificate_authority_is_reported() {
    let env = TenantEnv::new("no-ca", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"caBundle": {"configMapRef": {"name": "missing"}}})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "ConnectionInvalid").await;
    assert!(message.contains("ConfigMap oauth-app-operator/missing does not exist"), "{message}");
    env.connect(json!({})).await;
    env.until_ready("billing").await;
}

#[tokio::test]
async fn an_app_that_exists_already_under_the_chosen_id_is_never_touched() {
    let env = TenantEnv::running("id-taken", Flavor::Csp).await;
    let fields = json!({"id": "billing-export", "displayName": "Theirs", "description": "Theirs", "grantTypes": ["client_credentials"], "allowedScopes": {}});
    let human =
        Human::Create { flavor: env.flavor, org_id: env.org.clone(), fields: fields.as_object().unwrap().clone() };
    env.control.human(human).await.unwrap();
    let before = serde_json::to_value(env.remote_app("billing-export").await).unwrap();
    env.create("billing", json!({"id": "billing-export"})).await;
    let message = env.until_stalled("billing", "IdTaken").await;
    assert!(message.contains("an app with spec.id billing-export exists"), "{message}");
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert_eq!(serde_json::to_value(env.remote_app("billing-export").await).unwrap(), before);
    assert_eq!(env.calls(Operation::CreateApp).await, 0, "not even tried");
    assert!(env.secret("billing").await.is_none());
}

#[tokio::test]
async fn older_of_two_resources_with_one_id_owns_it_and_the_other_reports_it() {
    let env = TenantEnv::running("one-id", Flavor::Csp).await;
    env.create("older", json!({"id": "shared-id"})).await;
    env.until_ready("older").await;
    let credential = env.credential("older").await;
    env.create("younger", json!({"id": "shared-id"})).await;
    let message = env.until_stalled("younger", "IdConflict").await;
    assert!(
        message
            .contains("OrgOAuthApp older has the id shared-id; delete this resource, which leaves the app as it is,"),
        "{message}"
    );
    env.annotate("younger", "oauth-apps.dev/reconcile-requested-at", "again").await;
    let log = || env.operator().log();
    env.until("it is found again", async || log().contains("another resource still has the client id")).await;
    assert_eq!(log().matches("another resource has the client id").count(), 1, "once for each change");
    env.delete("younger").await;
    env.until_gone("younger").await;
    assert_eq!(env.credential("older").await, credential);
    env.assert_credential_works("older").await;
}

#[tokio::test]
async fn an_app_that_another_resource_has_is_not_adopted() {
    let env = TenantEnv::running("adopt-foreign", Flavor::Csp).await;
    env.create("owner", json!({})).await;
    env.until_ready("owner").await;
    let credential = env.credential("owner").await.unwrap();
    env.create("thief", json!({"id": credential.0, "adoptionPolicy": "AdoptAndRotate"})).await;
    let message = env.until_stalled("thief", "IdConflict").await;
    assert!(message.contains("OrgOAuthApp owner has the id"), "{message}");
    env.delete("thief").await;
    env.until_gone("thief").await;
    assert_eq!(env.credential("owner").await, Some(credential));
    env.assert_credential_works("owner").await;
    assert_eq!(env.calls(Operation::UpdateApp).await + env.calls(Operation::DeleteApps).await, 0);
}

#[tokio::test]
async fn taken_id_that_the_api_does_not_show_is_explained() {
    let env = TenantEnv::running("id-operator", Flavor::Csp).await;
    env.create("thief", json!({"id": "operator"})).await;
    let message = env.until_reason("thief", ConditionType::Reconciling, "ApiConflict").await;
    let ending = "the API does not show app operator: its deletion may still run, or another organization has it; if it stays so, delete this resource and create it again with another id";
    assert!(message.ends_with(ending), "{message}");
}

#[tokio::test]
async fn own_oauth_client_is_not_adopted() {
    let env = TenantEnv::new("adopt-operator", Flavor::Csp).await;
    let itself = json!({
        "id": "operator-itself", "secret": "Of_operator1", "displayName": "Operator", "description": "Nightly",
        "grantTypes": ["client_credentials"],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_owner"}]}},
    });
    let (flavor, org_id) = (env.flavor, env.org.clone());
    let create = Human::Create { flavor, org_id, fields: itself.as_object().unwrap().clone() };
    env.control.human(create).await.unwrap();
    let (id, roles) = ("operator-itself".to_owned(), vec!["org_owner".to_owned()]);
    env.control.human(Human::GrantRoles { flavor, id: id.clone(), roles }).await.unwrap();
    env.store_credentials("Of_operator1").await;
    let patch = json!({"stringData": {"client-id": id}}).to_string();
    let patch = ["-n", "oauth-app-operator", "patch", "secret", "adopt-operator", "--type=merge", "-p", &patch];
    crate::cluster::plane().kubectl(&patch).unwrap();
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("thief", json!({"id": id, "adoptionPolicy": "AdoptAndRotate"})).await;
    let message = env.until_stalled("thief", "IdTaken").await;
    assert!(message.contains("the operator's own OAuth client"), "{message}");
    env.delete("thief").await;
    env.until_gone("thief").await;
    assert_eq!(env.remote_app(&id).await.unwrap().secret_changes, 0);
}

#[tokio::test]
async fn of_resources_with_one_id_created_at_once_exactly_one_has_it() {
    let env = TenantEnv::new("one-id-race", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    let names: Vec<String> = (0..8).map(|n| format!("racer-{n}")).collect();
    for name in &names {
        env.create(name, json!({"id": "shared-id"})).await;
    }
    env.operator().start().unwrap();
    let count = async |kind, reason: &str| {
        let mut count = 0;
        for name in &names {
            count += usize::from(env.condition(name, kind).await.is_some_and(|c| c.reason == reason));
        }
        count
    };
    env.until("one is Ready", async || count(ConditionType::Ready, "Provisioned").await == 1).await;
    env.until("the others say why not", async || count(ConditionType::Ready, "IdConflict").await == 7).await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn template_error_is_reported_with_its_line_before_anything_is_created() {
    let env = TenantEnv::running("template-bad", Flavor::Csp).await;
    let template = json!({"template": {"url": "a\n{{ clientSecret }}"}});
    env.create("public", json!({"publicClient": true, "grantTypes": ["authorization_code"], "secret": template})).await;
    let message = env.until_stalled("public", "TemplateInvalid").await;
    let said = "spec.secret.template.url line 2, column 4: a public client has no clientSecret: remove it";
    assert_eq!(message, said);
    assert_eq!(env.app_calls().await, 0);
    let template = "{{ tokenUrl }}?id={{ clientId }}&secret={{ clientSecret | urlencode }}";
    env.create("billing", json!({"secret": {"template": {"url": template}}})).await;
    env.until_ready("billing").await;
    let url = env.value("billing", "url").await.unwrap();
    let (id, _) = env.credential("billing").await.unwrap();
    assert!(url.contains(&format!("/auth/authorize?id={id}&secret=")), "{id}");
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "now").await;
    let follows = async || env.value("billing", "url").await.unwrap() != url;
    env.until("the template is filled again", follows).await;
    env.change("billing", json!({"secret": {"template": null}})).await;
    env.until("the key is gone", async || env.value("billing", "url").await.is_none()).await;
}

#[tokio::test]
async fn a_field_that_navigator_does_not_have_is_refused_by_name() {
    let env = TenantEnv::running("cpn-fields", Flavor::Cpn).await;
    let web: Value = json!({"grantTypes": ["authorization_code"], "redirectUris": ["https://a.example.com"]});
    env.create("billing", web).await;
    let message = env.until_stalled("billing", "InvalidSpec").await;
    assert!(message.contains("CloudPartnerNavigator does not have"), "{message}");
    assert!(message.contains("redirectUris") && message.contains("grantTypes"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    env.change("billing", json!({"grantTypes": ["client_credentials"], "redirectUris": null})).await;
    env.until_ready("billing").await;
}
