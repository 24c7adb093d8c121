//! What wakes a resource, in every order in which the watch and the answers to the operator's own requests may come.

use super::*;
use crate::claim::ClaimKey;
use crate::secret::guard;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use serde_json::json;
use std::sync::Arc;

fn app(namespace: &str, name: &str) -> OrgOAuthApp {
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-of-{name}")}, "spec": {"orgId": "o"},
    }))
    .unwrap()
}

/// A Secret of this resource, or of nobody.
fn secret(owner: Option<&OrgOAuthApp>, uid: &str, version: &str) -> Secret {
    let owners = owner.map(|app| vec![app.controller_owner_ref(&()).unwrap()]);
    let metadata = ObjectMeta { owner_references: owners, ..meta("team", "credentials", uid, version) };
    Secret { metadata, ..Secret::default() }
}

fn meta(namespace: &str, name: &str, uid: &str, version: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        uid: Some(uid.into()),
        resource_version: Some(version.into()),
        ..ObjectMeta::default()
    }
}

fn event_of(uid: &str, version: &str) -> ObjectMeta {
    meta("team", "credentials", uid, version)
}

struct Bed {
    app: OrgOAuthApp,
    secrets: ObservedSecrets,
    woken: Arc<Mutex<Vec<String>>>,
}

impl Bed {
    fn new() -> Self {
        let woken: Arc<Mutex<Vec<String>>> = Arc::default();
        let wakes = woken.clone();
        let wake = move |app: ObjectRef<CachedApp>| {
            wakes.lock().unwrap().push(format!("{}/{}", app.namespace.unwrap(), app.name));
        };
        Self { app: app("team", "billing"), secrets: ObservedSecrets::new(wake), woken }
    }

    /// The operator has written the Secret with this uid and version, and nothing else happened.
    fn settled() -> Self {
        let bed = Self::new();
        bed.read(&bed.app, Some(secret(Some(&bed.app), "1", "10")));
        bed
    }

    fn guarded(&self, app: &OrgOAuthApp, secret: Option<Secret>) -> SecretState {
        guard(app, &ClaimKey::new(&[1; 32], []).unwrap(), secret)
    }

    fn read(&self, app: &OrgOAuthApp, secret: Option<Secret>) {
        self.secrets.read(app, "credentials", &self.guarded(app, secret));
    }

    fn write(&self, tells: &[&dyn Fn(&ObservedSecrets)], answer: Option<Option<Secret>>) {
        let write = self.secrets.write(&self.app, "credentials");
        tells.iter().for_each(|tell| tell(&self.secrets));
        assert!(self.woken().is_empty(), "nobody is woken before the answer");
        if let Some(secret) = answer {
            write.ended(&self.app, &self.guarded(&self.app, secret));
        }
    }

    fn ours(&self, uid: &str, version: &str) -> Option<Option<Secret>> {
        Some(Some(secret(Some(&self.app), uid, version)))
    }

    /// Those that were woken since the last question.
    fn woken(&self) -> Vec<String> {
        std::mem::take(&mut *self.woken.lock().unwrap())
    }

    fn known(&self) -> usize {
        self.secrets.entries().len()
    }
}

#[test]
fn an_edit_and_a_deletion_by_somebody_else_wake_the_resource() {
    let bed = Bed::settled();
    bed.secrets.changed(&event_of("1", "11"));
    assert_eq!(bed.woken(), ["team/billing"]);
    bed.secrets.gone(&event_of("1", "12"));
    assert_eq!(bed.woken(), ["team/billing"]);
    assert_eq!(bed.known(), 0, "until a reconcile finds one again");
}

#[test]
fn what_a_reconcile_read_or_wrote_wakes_nobody_however_late_it_is_told() {
    let bed = Bed::settled();
    bed.read(&bed.app, Some(secret(Some(&bed.app), "1", "11")));
    for version in ["12", "13"] {
        bed.write(&[], bed.ours("1", version));
    }
    for version in ["10", "11", "12", "13"] {
        bed.secrets.changed(&event_of("1", version));
    }
    assert!(bed.woken().is_empty());
}

#[test]
fn what_is_told_during_a_write_is_decided_by_the_answer() {
    let changed = |version: &'static str| move |secrets: &ObservedSecrets| secrets.changed(&event_of("1", version));
    let (own, later) = (changed("11"), changed("12"));
    let bed = Bed::settled();
    bed.write(&[&own], bed.ours("1", "11"));
    assert!(bed.woken().is_empty(), "it was the operator's own");
    let bed = Bed::settled();
    bed.write(&[&own, &later], bed.ours("1", "11"));
    assert_eq!(bed.woken(), ["team/billing"], "somebody was quick");
    let bed = Bed::settled();
    bed.write(&[&later], None);
    assert_eq!(bed.woken(), ["team/billing"], "the answer was lost");
}

#[test]
fn a_secret_that_the_operator_creates_wakes_nobody_and_one_that_is_edited_before_the_answer_does() {
    let changed = |version: &'static str| move |secrets: &ObservedSecrets| secrets.changed(&event_of("1", version));
    let bed = Bed::new();
    bed.read(&bed.app, None);
    bed.write(&[&changed("10")], bed.ours("1", "10"));
    assert!(bed.woken().is_empty());
    let bed = Bed::new();
    bed.write(&[&changed("10"), &changed("11")], bed.ours("1", "10"));
    assert_eq!(bed.woken(), ["team/billing"]);
}

#[test]
fn one_that_the_operator_removes_or_replaces_wakes_nobody() {
    let gone = |secrets: &ObservedSecrets| secrets.gone(&event_of("1", "11"));
    let came = |secrets: &ObservedSecrets| secrets.changed(&event_of("2", "12"));
    let bed = Bed::settled();
    bed.write(&[&gone], Some(None));
    assert!(bed.woken().is_empty());
    assert_eq!(bed.known(), 0);
    let bed = Bed::settled();
    bed.write(&[&gone, &came], bed.ours("2", "12"));
    gone(&bed.secrets);
    assert!(bed.woken().is_empty(), "that of before is gone");
    bed.secrets.gone(&event_of("2", "13"));
    assert_eq!(bed.woken(), ["team/billing"]);
}

#[test]
fn what_a_label_or_another_resource_says_wakes_nobody() {
    let bed = Bed::settled();
    bed.secrets.changed(&meta("other", "credentials", "1", "99"));
    bed.secrets.changed(&meta("team", "forged", "7", "99"));
    bed.secrets.gone(&meta("team", "forged", "7", "99"));
    bed.secrets.gone(&event_of("an earlier one", "9"));
    assert_eq!((bed.woken().len(), bed.known()), (0, 1));
    // It names the same Secret, and finds that it is not its own.
    let rival = app("team", "rival");
    bed.read(&rival, Some(secret(Some(&bed.app), "1", "10")));
    drop(bed.secrets.write(&rival, "credentials"));
    bed.secrets.changed(&event_of("1", "11"));
    assert_eq!(bed.woken(), ["team/billing"]);
}

#[test]
fn a_secret_that_the_resource_lost_is_no_longer_its_own() {
    let bed = Bed::settled();
    bed.read(&bed.app, Some(secret(None, "1", "11")));
    bed.secrets.changed(&event_of("1", "12"));
    assert!(bed.woken().is_empty());
    assert_eq!(bed.known(), 0);
}

#[test]
fn a_list_without_the_secret_is_a_deletion_if_it_began_after_the_reconcile() {
    let bed = Bed::settled();
    let mut uids = bed.secrets.uids(Some("team"));
    uids.remove(&event_of("1", "10"));
    bed.secrets.mark_missing(&uids);
    assert!(bed.woken().is_empty(), "it is in the list");
    let before = Bed::new();
    let uids = before.secrets.uids(None);
    before.read(&before.app, Some(secret(Some(&before.app), "1", "10")));
    before.secrets.mark_missing(&uids);
    assert!(before.woken().is_empty(), "the list is older");
    bed.secrets.mark_missing(&bed.secrets.uids(Some("other")));
    assert!(bed.woken().is_empty(), "the list is of another namespace");
    bed.secrets.mark_missing(&bed.secrets.uids(Some("team")));
    assert_eq!((bed.woken(), bed.known()), (vec!["team/billing".into()], 0));
}

#[test]
fn nothing_is_kept_of_secrets_that_are_not_watched_nor_of_any_number_of_writes() {
    let bed = Bed::settled();
    bed.secrets.forget(Some("other"));
    assert_eq!(bed.known(), 1);
    bed.secrets.forget(Some("team"));
    assert_eq!(bed.known(), 0);
    for _ in 0..100 {
        bed.write(&[], None);
        bed.read(&bed.app, None);
    }
    assert_eq!(bed.known(), 0);
}
