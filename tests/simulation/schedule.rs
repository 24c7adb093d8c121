//! Random schedules: people edit specs, Secrets and apps, calls fail, operators die and overlap, clocks jump, in an order
//! that a seed gives. Afterwards every invariant holds. `cargo xtask simulate` runs any number of them.

use crate::backend::Mode;
use crate::env::TestEnv;
use crate::invariants::{Written, assert_always, assert_settled};
use fastrand::Rng;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use oauth_app_operator::crd::OrgOAuthApp;
use oauth_app_operator::secret::secret_name;
use serde_json::json;

const NAMES: [&str; 3] = ["one", "two", "three"];
/// The resource of a tenant that is after the apps of others.
const ATTACKER: &str = "attacker";
const LOOT: &str = "loot";
const FOREIGN_SECRET: &str = "somebody-elses";

struct Schedule {
    env: TestEnv,
    random: Rng,
    written: Written,
    /// Resources as they once were, for an operator whose view lags.
    once: Vec<OrgOAuthApp>,
    requests: usize,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let env = TestEnv::new(None);
        env.backend().cluster.secrets.insert(FOREIGN_SECRET.into(), Default::default());
        env.add_foreign_app("foreign-id");
        env.provide_secret("mine", "provided-0");
        let written = Written {
            foreign_apps: vec!["foreign-id".into()],
            foreign_secrets: vec![FOREIGN_SECRET.into()],
            ..Written::default()
        };
        let mut random = Rng::with_seed(seed);
        {
            let mut backend = env.backend();
            backend.iam.lag = SignedDuration::from_secs([0, 0, 4, 60][random.usize(0..4)]);
            backend.tick = SignedDuration::from_secs(random.i64(0..30));
        }
        Self { env, random, written, once: Vec::new(), requests: 0 }
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.random.usize(..of.len())].clone()
    }

    fn remember_specs(&mut self) {
        for app in self.env.resources() {
            self.written.specs.insert(app.name_any(), serde_json::to_value(&app.spec).unwrap());
            if app.spec.id.as_deref() == Some("foreign-id") && json!(app.spec.adoption_policy) != "Never" {
                self.written.foreign_apps.clear();
            }
        }
    }

    fn any_app(&mut self) -> Option<OrgOAuthApp> {
        let apps: Vec<_> = self.env.resources().into_iter().filter(|app| app.name_any() != ATTACKER).collect();
        (!apps.is_empty()).then(|| self.pick(&apps))
    }

    /// Whoever has the same id shares the harm.
    fn excuse(&self, app: &OrgOAuthApp) {
        for other in self.env.resources().iter().filter(|other| self.env.remote_id(other) == self.env.remote_id(app)) {
            self.env.backend().excused.insert(other.uid().unwrap());
        }
    }

    fn apply(&mut self) {
        let name = self.pick(&NAMES);
        if self.env.exists(name) {
            return;
        }
        let mut spec = self.pick(&[
            json!({}),
            json!({"id": "chosen-id"}),
            json!({"id": "foreign-id"}),
            json!({"clientSecretRef": {"name": "mine", "key": "value"}}),
            json!({"rotation": {"interval": "720h", "overlap": "48h"}}),
            json!({"roles": {"organizationRoles": [{"name": "org_member"}]}}),
            json!({"grantTypes": ["authorization_code"]}),
        ]);
        if self.random.u8(..4) == 0 {
            spec["secret"] = json!({"name": FOREIGN_SECRET});
        }
        self.env.apply(name, spec);
        let app = self.env.app(name);
        if self.env.backend().cluster.secrets.contains_key(&secret_name(&app)) {
            // What a restored resource left, which somebody may have edited.
            self.excuse(&app);
        }
    }

    fn edit_spec(&mut self) {
        let Some(app) = self.any_app() else { return };
        let with_id = app.spec.id.is_some();
        let provides = app.spec.client_secret_ref.is_some();
        let mut edits = vec![
            json!({"displayName": format!("Name {}", self.random.u8(..9))}),
            json!({"accessTokenTTL": 60 + i32::from(self.random.u8(..9))}),
            json!({"secret": {"name": format!("{}-{}", app.name_any(), self.random.u8(..2))}}),
            json!({"secret": {"keys": {"clientId": "ID", "clientSecret": "KEY"}}}),
            json!({"secret": {"labels": {"team": self.random.u8(..9).to_string()}}}),
            json!({"secret": {"template": {"url": self.pick(&["{{ clientId }}:{{ clientSecret | urlencode }}", "{{ oops"])}}}),
            json!({"roles": {"organizationRoles": [{"name": self.pick(&["org_member", "developer"])}]}}),
            json!({"managementPolicy": self.pick(&["Full", "Observe"])}),
            json!({"suspend": self.random.bool()}),
            json!({"deletionPolicy": self.pick(&["Delete", "DeleteWhenUnused"])}),
        ];
        if !provides {
            edits.push(json!({"rotation": {"interval": "100h", "overlap": "10h"}}));
        }
        if with_id {
            edits.push(json!({"adoptionPolicy": self.pick(&["Never", "Adopt", "AdoptAndRotate"])}));
        }
        let edit = self.pick(&edits);
        if app.status.as_ref().is_none_or(|status| status.secret_name.is_none()) {
            // Nothing says where the credential is, so a renamed Secret gets another one.
            self.excuse(&app);
        }
        self.env.change(&app.name_any(), edit);
    }

    /// What people do in Kubernetes beside editing specs.
    fn edit_in_kubernetes(&mut self) {
        let Some(app) = self.any_app() else { return };
        let name = app.name_any();
        let secret = app.status.as_ref().and_then(|status| status.secret_name.clone());
        match self.random.u8(..10) {
            0 => self.env.delete(&name),
            9 => {
                self.excuse(&app);
                self.env.restore(&name);
            }
            1 => {
                if secret.as_ref() != Some(&secret_name(&app)) {
                    self.excuse(&app);
                }
                self.env.lose_status(&name);
            }
            2 => secret.iter().for_each(|secret| self.env.delete_secret(secret)),
            3 | 4 => {
                self.excuse(&app);
                let key = self.pick(&["client-id", "client-secret"]);
                secret.iter().for_each(|secret| self.env.edit_secret(secret, key, "by-hand-1"));
            }
            5 => {
                self.requests += 1;
                let annotation = self.pick(&["rotate-requested-at", "reconcile-requested-at", "retire-previous-at"]);
                let annotation = format!("oauth-apps.dev/{annotation}");
                self.env.annotate(&name, &annotation, &self.requests.to_string());
            }
            6 => {
                let value = format!("provided-{}", self.random.u8(..3));
                self.env.provide_secret("mine", &value);
            }
            7 => {
                let pods: &[&str] = if self.random.bool() { &["web-1"] } else { &[] };
                self.env.set_pods(pods);
            }
            _ => self.once.push(app),
        }
    }

    /// What people do in the vendor's console.
    fn edit_in_console(&mut self) {
        let Some(app) = self.any_app() else { return };
        let id = self.env.remote_id(&app);
        if self.written.foreign_apps.contains(&id) {
            return;
        }
        match self.random.u8(..4) {
            0 | 1 => self.env.edit_app(&id, "description", json!(format!("by hand {}", self.random.u8(..9)))),
            2 => {
                self.excuse(&app);
                self.env.backend().iam.delete_by_hand(&id);
            }
            _ => {
                self.excuse(&app);
                let mut backend = self.env.backend();
                if let Some(app) = backend.iam.apps.get_mut(&id) {
                    app.secret = Some("by-hand-2".into());
                    app.previous = None;
                }
            }
        }
    }

    /// What a tenant can write who wants the app of another resource, or one that was made in the console.
    fn attack(&mut self) {
        let victims: Vec<OrgOAuthApp> =
            self.env.resources().into_iter().filter(|app| app.name_any() != ATTACKER).collect();
        let mut ids = vec!["foreign-id".to_owned()];
        ids.extend(victims.iter().map(|app| self.env.remote_id(app)).filter(|id| id != "foreign-id"));
        let id = self.pick(&ids);
        if !self.env.exists(ATTACKER) {
            // Ids that begin with ooa- need an adoptionPolicy, which says so to everybody; a forged Secret needs none.
            let spec = if id.starts_with("ooa-") { json!({}) } else { json!({"id": id}) };
            let mut spec = spec;
            spec["secret"] = json!({"name": LOOT});
            spec["suspend"] = self.random.bool().into();
            self.env.apply(ATTACKER, spec);
        }
        let attacker = self.env.app(ATTACKER);
        self.env.backend().hostile.insert(attacker.uid().unwrap());
        // Who switched its connection, as admission forbids, keeps what says where its app was made.
        let switched = attacker.spec.connection_ref.name != "default";
        match self.random.u8(..6) {
            0..=3 if switched => {}
            0 => self.env.forge_secret(LOOT, &attacker, &id, None),
            1 if !victims.is_empty() => {
                let victim = self.pick(&victims);
                self.env.forge_secret(LOOT, &attacker, &id, Some(&secret_name(&victim)));
            }
            2 => self.env.backend().cluster.forge(ATTACKER, |app| {
                app.status.get_or_insert_default().client_id = Some(id);
            }),
            3 if !victims.is_empty() => {
                let victim = self.pick(&victims);
                self.env.backend().cluster.forge(ATTACKER, |app| app.status = victim.status);
            }
            4 => {
                self.env.backend().cluster.forge(ATTACKER, |app| {
                    if app.finalizers().is_empty() {
                        app.finalizers_mut().push("oauth-apps.dev/remote-app".into());
                    }
                });
                self.env.delete(ATTACKER);
            }
            _ => {
                let mut edit = json!({"suspend": false});
                let claim = attacker.status.as_ref().and_then(|status| status.claim.as_ref());
                if claim.is_some_and(|claim| Some(&claim.uid) == attacker.uid().as_ref()) {
                    edit["connectionRef"] = json!({"name": self.pick(&["default", "elsewhere"])});
                }
                self.env.change(ATTACKER, edit);
            }
        }
    }

    fn inject_fault(&mut self) {
        match self.random.u8(..7) {
            6 => self.env.backend().iam.false_absences = self.random.usize(1..3),
            0..3 => {
                let (after, mode) = (self.random.usize(..8), self.pick(&Mode::ALL));
                self.env.interrupt_after(after, mode);
            }
            3 => self.env.refuse_secrets(self.random.bool()),
            4 => self.env.set_lists(self.random.bool()),
            _ => self.env.restart(),
        }
    }

    /// Nothing helps a consumer when an operator died in the middle of a rotation and stays dead until the overlap ends,
    /// or when a template that cannot be filled stops it there for as long.
    fn excuse_half_rotated(&self) {
        for app in self.env.resources() {
            if self.env.has_pending(&app.name_any()) {
                self.excuse(&app);
            }
        }
    }

    async fn work(&mut self) {
        match self.random.u8(..8) {
            0 => {}
            1 if !self.once.is_empty() => {
                let before = self.pick(&self.once.clone());
                let seed = self.random.u64(..);
                let name = before.name_any();
                let present = self.env.resources();
                if present.iter().any(|app| app.uid() == before.uid() && app.spec == before.spec) {
                    self.env.reconcile_concurrently(&name, before, seed).await;
                }
            }
            2 => {
                self.excuse_half_rotated();
                self.env.advance_clock(self.random.i64(1..200));
            }
            rounds => self.env.reconcile_times(usize::from(rounds / 3)).await,
        }
    }

    async fn step(&mut self) {
        match self.random.u8(..12) {
            0 | 1 => self.apply(),
            2..5 => self.edit_spec(),
            5 | 6 => self.edit_in_kubernetes(),
            7 => self.edit_in_console(),
            8 | 9 => self.inject_fault(),
            10 => self.attack(),
            _ => {}
        }
        self.remember_specs();
        self.work().await;
        assert_always(&self.env, &self.written);
    }

    /// Nothing fails any more, and people ask for what they broke to be repaired.
    async fn settle(&mut self) {
        self.env.clear_interruption();
        self.env.backend().iam.false_absences = 0;
        self.env.refuse_secrets(false);
        self.env.set_pods(&[]);
        self.excuse_half_rotated();
        self.env.advance_clock(1000);
        for app in self.env.resources() {
            let settle = json!({"managementPolicy": "Full", "suspend": false});
            self.env.change(&app.name_any(), settle);
        }
        self.remember_specs();
        self.env.run_until_settled().await;
        // Until a rotation in progress is over, and no other one is due yet.
        self.env.advance_clock(60);
        for app in self.env.resources() {
            if self.env.backend().is_excused(&app) {
                self.requests += 1;
                let request = self.requests.to_string();
                self.env.annotate(&app.name_any(), "oauth-apps.dev/rotate-requested-at", &request);
            }
        }
        self.env.run_until_settled().await;
        assert_settled(&self.env, &self.written).await;
    }

    /// Invariant 8: deletion ends, and takes along what is ours.
    async fn end(&mut self) {
        // An app that was made at another API than the connection names is deleted once the connection is right again.
        self.env.change(ATTACKER, json!({"connectionRef": {"name": "default"}}));
        self.remember_specs();
        for app in self.env.resources() {
            self.env.delete(&app.name_any());
        }
        self.env.run_until_settled().await;
        let left = self.env.resources();
        assert!(left.is_empty(), "invariant 8, deletion ends: {left:?}");
        assert_always(&self.env, &self.written);
    }
}

async fn run(seed: u64) {
    let mut schedule = Schedule::new(seed);
    let steps = schedule.random.usize(8..40);
    for _ in 0..steps {
        schedule.step().await;
    }
    schedule.settle().await;
    schedule.end().await;
}

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn invariants_hold_after_random_schedules() {
    let (first, count) = (asked("SEED", 1), asked("SCHEDULES", 10_000));
    for seed in first..first + count {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run(seed))));
        assert!(result.is_ok(), "seed {seed}: repeat it with cargo xtask simulate --seed {seed} --schedules 1");
    }
}
