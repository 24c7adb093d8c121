//! Generated specs, of every form that admission lets through: the API answers each in its own normal form, with defaults
//! filled in, lists in another order and organizations as objects, and none of that is ever treated as drift.

use crate::env::TenantEnv;
use fastrand::Rng;
use iam_simulator::types::{Flavor, Operation};
use serde_json::{Map, Value, json};

const APPS: usize = 80;

type Fields = Map<String, Value>;

/// Makes specs; the seed is fixed, so that a failure comes again.
struct Specs {
    random: Rng,
    flavor: Flavor,
}

impl Specs {
    fn chance(&mut self) -> bool {
        self.random.bool()
    }

    /// Some of these, in any order.
    fn some(&mut self, of: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = of.iter().map(ToString::to_string).collect();
        self.random.shuffle(&mut all);
        all.truncate(self.random.usize(..=of.len()));
        all
    }

    fn may(&mut self, fields: &mut Fields, name: &str, value: impl FnOnce(&mut Self) -> Value) {
        if self.chance() {
            let value = value(self);
            fields.insert(name.into(), value);
        }
    }

    fn roles(&mut self) -> Value {
        let names = self.some(&["org_member", "org_owner", "developer", "support"]);
        let flavor = self.flavor;
        let resource = |random: &mut Rng| (flavor == Flavor::Csp && random.bool()).then_some("instance:1");
        let role = |name: &String| match resource(&mut self.random) {
            Some(resource) => json!({"name": name, "resource": resource}),
            None => json!({"name": name}),
        };
        names.iter().map(role).collect()
    }

    /// `allRoles` or `roles`, and what only Cloud Services has.
    fn scope(&mut self, mut scope: Fields, all_roles: bool) -> Value {
        match self.random.u8(..3) {
            0 if all_roles => drop(scope.insert("allRoles".into(), json!(self.chance()))),
            1 => drop(scope.insert("roles".into(), self.roles())),
            _ => {}
        }
        if self.flavor == Flavor::Csp {
            self.may(&mut scope, "keptInToken", |specs| json!(specs.some(&["ROLES", "PERMISSIONS"])));
            self.may(&mut scope, "permissions", |specs| {
                let resources = specs.some(&["r-1", "r-2", "r-3"]);
                json!([{"permissionId": "p-2", "resources": resources}, {"permissionId": "p-1"}])
            });
        }
        Value::Object(scope)
    }

    fn scopes(&mut self) -> Value {
        let mut scopes = Fields::new();
        self.may(&mut scopes, "generalScopes", |specs| json!(specs.some(&["openid", "profile", "email"])));
        let csp = self.flavor == Flavor::Csp;
        self.may(&mut scopes, "organizationScopes", |specs| specs.scope(Fields::new(), csp));
        self.may(&mut scopes, "servicesScopes", |specs| {
            let ids = specs.some(&["s-1", "s-2", "s-3"]);
            let of = |id: &String| Fields::from_iter([("serviceDefinitionId".into(), json!(id))]);
            ids.iter().map(|id| specs.scope(of(id), true)).collect()
        });
        Value::Object(scopes)
    }

    /// What may be changed at any time.
    fn changeable(&mut self) -> Fields {
        let mut fields = Fields::new();
        let number = self.random.u16(..);
        fields.insert("displayName".into(), json!(format!("Büro {number} - _ . ` ' : @ & ,")));
        self.may(&mut fields, "accessTokenTTL", |specs| json!(specs.random.i32(1..1000)));
        self.may(&mut fields, "ownerOnlySecretRotation", |specs| json!(specs.chance()));
        self.may(&mut fields, "secretRotationExpirationInSeconds", |specs| json!(specs.random.i32(1..9999)));
        if self.flavor == Flavor::Csp {
            self.may(&mut fields, "refreshTokenTTL", |specs| json!(specs.random.i32(1000..9999)));
            self.may(&mut fields, "forcePkce", |specs| json!(specs.chance()));
            self.may(&mut fields, "maxGroupsInIdToken", |specs| json!(specs.random.i32(1..99)));
            self.may(&mut fields, "maxCharactersInAccessToken", |specs| json!(specs.random.i32(-1..99)));
            for name in ["additionalAttributeMasks", "allowedActorsAudienceExchange", "allowedActorsClientDelegate"] {
                self.may(&mut fields, name, |specs| json!(specs.some(&["one", "two", "three"])));
            }
            for name in ["crossOrgAccessClaimsSupported", "isHidden"] {
                self.may(&mut fields, name, |specs| json!(specs.chance()));
            }
            self.may(&mut fields, "allowedOrgs", |specs| {
                json!([specs.some(&["org-c", "org-a"]), vec!["org-b".into()]].concat())
            });
        }
        fields
    }

    fn whole(&mut self) -> Value {
        let mut fields = self.changeable();
        fields.insert("allowedScopes".into(), self.scopes());
        for name in ["description", "allowedScopes"] {
            if self.random.u8(..4) == 0 {
                fields.insert(name.into(), Value::Null);
            }
        }
        if self.flavor == Flavor::Csp {
            self.flow(&mut fields);
            self.may(&mut fields, "serviceDefinitionId", |_| json!("service-1"));
        }
        Value::Object(fields)
    }

    /// The grant types, and what depends on them.
    fn flow(&mut self, fields: &mut Fields) {
        let public = self.random.u8(..5) == 0;
        let mut grants = match public {
            true => vec!["authorization_code".to_owned()],
            false => self.some(&["authorization_code", "refresh_token", "client_credentials"]),
        };
        if grants.is_empty() {
            grants.push("client_delegate".into());
        }
        if grants.iter().any(|grant| grant == "authorization_code") {
            if self.random.u8(..4) == 0 {
                fields.insert("allowOpenRedirectUris".into(), json!(true));
            } else {
                let uris = self.some(&["https://b.example.com/x", "https://a.example.com", "http://localhost:8080"]);
                fields.insert("redirectUris".into(), json!(uris));
            }
            self.may(fields, "postLogoutRedirectUris", |_| json!(["https://b.example.com", "https://a.example.com"]));
        }
        if public {
            fields.insert("publicClient".into(), json!(true));
        }
        let is_default = grants == ["client_credentials"];
        fields.insert("grantTypes".into(), if is_default { Value::Null } else { json!(grants) });
    }
}

async fn looks_at_all(env: &TenantEnv) {
    let (operation, looks) = match env.flavor {
        Flavor::Csp => (Operation::ListApps, 3),
        // There is no list, or it shows too little, so each app is read by itself.
        Flavor::Cpn | Flavor::Broker => (Operation::GetApp, 3 * APPS as u64),
    };
    let before = env.calls(operation).await;
    env.until("all were looked at again", async || env.calls(operation).await >= before + looks).await;
}

async fn no_generated_spec_is_taken_for_drift(namespace: &str, flavor: Flavor) {
    let env = TenantEnv::new(namespace, flavor).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "2s"})).await;
    env.operator().start().unwrap();
    let mut specs = Specs { random: Rng::with_seed(7), flavor };
    let names: Vec<String> = (0..APPS).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, specs.whole()).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    looks_at_all(&env).await;
    let writes = [Operation::CreateApp, Operation::UpdateApp, Operation::RotateSecret];
    for (operation, calls) in writes.into_iter().zip([APPS as u64, 0, 0]) {
        assert_eq!(env.calls(operation).await, calls, "{operation:?} after creation");
    }
    for name in &names {
        env.change(name, Value::Object(specs.changeable())).await;
    }
    let updated = async || env.calls(Operation::UpdateApp).await >= APPS as u64;
    env.until("each was changed", updated).await;
    looks_at_all(&env).await;
    for (operation, calls) in writes.into_iter().zip([APPS as u64, APPS as u64, 0]) {
        assert_eq!(env.calls(operation).await, calls, "{operation:?} after a change");
    }
    for name in &names {
        env.until_ready(name).await;
    }
}

#[tokio::test]
async fn no_spec_of_cloud_services_causes_a_second_write() {
    no_generated_spec_is_taken_for_drift("generated-csp", Flavor::Csp).await;
}

#[tokio::test]
async fn no_spec_of_cloud_partner_navigator_causes_a_second_write() {
    no_generated_spec_is_taken_for_drift("generated-cpn", Flavor::Cpn).await;
}
