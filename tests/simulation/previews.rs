//! A preview agrees with what the operator then does: after random edits in Kubernetes and in the console each resource is
//! previewed, then reconciled, and the changes that the API received are those of the plan.

use crate::env::TestEnv;
use crate::iam::Done;
use fastrand::Rng;
use kube::ResourceExt;
use oauth_app_operator::crd::{ManagementPolicy, OrgOAuthApp};
use oauth_app_operator::decide::Planned;
use oauth_app_operator::outcome::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["one", "two", "three"];
const SEEDS: u64 = 2_000;

fn pick(random: &mut Rng, of: &[Value]) -> Value {
    of[random.usize(..of.len())].clone()
}

fn apply(env: &TestEnv, random: &mut Rng, name: &str) {
    let specs = [
        json!({}),
        json!({"id": "chosen-id"}),
        json!({"id": "foreign-id"}),
        json!({"id": "foreign-id", "adoptionPolicy": "Adopt"}),
        json!({"id": "foreign-id", "adoptionPolicy": "AdoptAndRotate"}),
        json!({"clientSecretRef": {"name": "mine", "key": "value"}}),
        json!({"rotation": {"interval": "720h", "overlap": "48h"}}),
        json!({"roles": {"organizationRoles": [{"name": "org_member"}]}}),
        json!({"grantTypes": ["authorization_code"]}),
        json!({"publicClient": true, "grantTypes": ["authorization_code"]}),
        json!({"managementPolicy": "Observe"}),
        json!({"suspend": true}),
        json!({"deletionPolicy": "Retain"}),
    ];
    env.apply(name, pick(random, &specs));
}

fn edit(env: &TestEnv, random: &mut Rng, name: &str) {
    let Some(app) = env.resources().into_iter().find(|app| app.name_any() == name) else {
        return apply(env, random, name);
    };
    let id = env.remote_id(&app);
    let specs = [
        json!({"displayName": "Another", "description": "Weekly"}),
        json!({"accessTokenTTL": 90}),
        json!({"secret": {"name": "elsewhere"}}),
        json!({"roles": {"organizationRoles": [{"name": "developer"}]}}),
        json!({"deletionPolicy": "Retain"}),
    ];
    match random.u8(..8) {
        0..3 => env.change(name, pick(random, &specs)),
        3 => env.edit_app(&id, "description", json!("by hand")),
        4 => env.annotate(name, "oauth-apps.dev/rotate-requested-at", "now"),
        5 => env.annotate(name, "oauth-apps.dev/retire-previous-at", "now"),
        6 => env.delete_secret(name),
        _ => env.delete(name),
    }
}

/// What the API is to receive, if the plan is right; nothing where the outcome says that it is not known yet.
fn expected(app: &OrgOAuthApp, outcome: &Outcome) -> Option<Vec<Done>> {
    let plan = match outcome {
        Outcome::PlanOnly(_) if app.spec.management_policy == ManagementPolicy::Observe => return Some(Vec::new()),
        Outcome::PlanOnly(plan) => plan,
        Outcome::Settled { .. } | Outcome::Suspended | Outcome::Gone | Outcome::Blocked(_) => return Some(Vec::new()),
        Outcome::Waiting { .. } => return None,
    };
    let done = |planned: &Planned| match planned {
        Planned::Create => vec![Done::Created],
        Planned::Adopt => Vec::new(),
        Planned::Change(fields) => fields.iter().cloned().map(Done::Changed).collect(),
        Planned::ReplaceSecret => vec![Done::SecretReplaced],
        Planned::RotateSecret => vec![Done::SecretRotated],
        Planned::EndOverlap => vec![Done::OverlapEnded],
        Planned::AddToOrganization => vec![Done::AddedToOrganization],
        Planned::ChangeRoles => vec![Done::RolesChanged],
        Planned::Delete => vec![Done::Deleted],
    };
    Some(plan.steps().iter().flat_map(done).collect())
}

/// A new app gets the rest of what its spec says as well.
fn is_as_planned(expected: &[Done], done: &[Done]) -> bool {
    match expected.first() {
        Some(Done::Created) => done.first() == Some(&Done::Created),
        Some(_) | None => {
            let sorted = |done: &[Done]| {
                let mut done = done.to_vec();
                done.sort();
                done
            };
            sorted(expected) == sorted(done)
        }
    }
}

async fn agrees(seed: u64) {
    let (env, mut random) = (TestEnv::new(None), Rng::with_seed(seed));
    env.backend().iam.lists = random.bool();
    env.add_foreign_app("foreign-id");
    env.provide_secret("mine", "provided-0");
    apply(&env, &mut random, "one");
    apply(&env, &mut random, "two");
    env.run_until_settled().await;
    env.consumers_may_fail();
    for _ in 0..random.usize(..4) {
        let name = NAMES[random.usize(..NAMES.len())];
        edit(&env, &mut random, name);
    }
    let (previews, effects) = (env.previews(), env.effects());
    let mut planned: BTreeMap<String, Option<Vec<Done>>> = BTreeMap::new();
    let before = env.resources();
    for app in &before {
        let outcome = previews.preview(app.clone()).await.unwrap().outcome;
        // Of two resources with one id the second goes on when the first one is gone.
        let only = planned.entry(env.remote_id(app)).or_insert_with(|| expected(app, &outcome));
        if before.iter().filter(|other| env.remote_id(other) == env.remote_id(app)).count() > 1 {
            *only = None;
        }
    }
    assert_eq!(env.effects(), effects, "seed {seed}: a preview has no effect");
    env.backend().iam.done.clear();
    env.run_until_settled().await;
    let done = env.backend().iam.done.clone();
    for (id, expected) in planned {
        let done: Vec<Done> = done.iter().filter(|(of, _)| *of == id).map(|(_, done)| done.clone()).collect();
        if let Some(expected) = expected {
            let of_id: Vec<Value> =
                before.iter().filter(|app| env.remote_id(app) == id).map(|app| json!(app)).collect();
            assert!(
                is_as_planned(&expected, &done),
                "seed {seed}: app {id} was to get {expected:?} and got {done:?}; {of_id:?}"
            );
        }
    }
}

#[test]
fn what_a_preview_says_is_what_the_operator_then_does() {
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(agrees(seed));
    }
}
