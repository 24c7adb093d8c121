//! What `managementPolicy: Observe` makes of the steps.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::plan::{Plan, Planned};
use crate::decide::{ClaimOrigin, ClaimProgress, IdOwner, RoleAssignment};
use crate::iam::HeldRoles;
use serde_json::{Value, json};

fn observing(more: Value) -> OrgOAuthApp {
    app(merged(json!({"spec": {"managementPolicy": "Observe"}, "metadata": {"finalizers": []}}), more))
}

fn rename() -> Planned {
    Planned::Change(vec!["displayName".into()])
}

#[test]
fn observing_plans_and_writes_nothing_to_the_api() {
    assert_step(observe(observing(json!({})), free, nothing), plans([Planned::Create]));
    assert_step(observe(observing(json!({"spec": {"id": "chosen"}})), free, id_is_free), plans([Planned::Create]));
    let adopting = |policy| {
        let adopting = observing(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}}));
        observe(adopting, free, |observed| {
            observed.id_owner = IdOwner::None;
            observed.remote = drifted();
        })
    };
    assert_step(adopting("Adopt"), plans([Planned::Adopt, rename()]));
    assert_step(adopting("AdoptAndRotate"), plans([Planned::Adopt, Planned::ReplaceSecret, rename()]));
    let shown = |remote| observe(observing(json!({})), published, |observed| observed.remote = remote);
    assert_step(shown(drifted()), plans([rename()]));
    assert_step(shown(as_wanted()), settled());
    assert_step(observe(deleting(json!({"spec": {"managementPolicy": "Observe"}})), free, nothing), drop_finalizer());
}

#[test]
fn a_preview_of_an_adoption_continues_from_its_claim() {
    let adopting = |policy, retention| {
        app(json!({"spec": {"id": "chosen", "adoptionPolicy": policy, "deletionPolicy": retention}}))
    };
    let preview = |app, progress| {
        observe(app, free, |observed| {
            observed.id_owner = IdOwner::None;
            observed.remote = drifted();
            observed.is_preview = true;
            observed.claim = progress;
        })
    };
    let adopted = |app| {
        let mut app = claimed(app);
        app.status.get_or_insert_default().adopted = Some(true);
        preview(app, ClaimProgress::Recorded(ClaimOrigin::Adopted))
    };
    for retention in ["Delete", "Retain", "DeleteWhenUnused"] {
        let unclaimed = preview(adopting("Adopt", retention), ClaimProgress::Unchanged);
        assert_step(unclaimed, claim(ClaimOrigin::Adopted));
        let only_id = write_secret(crate::decide::WriteReason::IdOnly, |_| {});
        assert_step(adopted(adopting("Adopt", retention)), only_id);
        let rotates = plans([Planned::Adopt, Planned::ReplaceSecret, rename()]);
        assert_step(adopted(adopting("AdoptAndRotate", retention)), rotates);
    }
}

#[test]
fn a_preview_of_what_only_observes_claims_nothing() {
    let adopting = observing(json!({"spec": {"id": "chosen", "adoptionPolicy": "Adopt"}}));
    let observed = observe(adopting, free, |observed| {
        observed.id_owner = IdOwner::None;
        observed.remote = as_wanted();
        observed.is_preview = true;
    });
    assert_step(observed, plans([Planned::Adopt]));
}

#[test]
fn observing_plans_rotations_and_roles_beside_each_other() {
    let rotating = merged(overlapping("10h", "2h"), json!({"spec": {"roles": {"organizationRoles": [{"name": "a"}]}}}));
    let with = |roles| {
        observe(observing(rotating.clone()), published, |observed| {
            is_shown_at(at(11))(observed);
            observed.roles = roles;
        })
    };
    let absent = with(RoleAssignment::Absent);
    assert_step(absent, plans([Planned::RotateSecret, Planned::AddToOrganization]));
    let has_none = with(RoleAssignment::Has(HeldRoles::default()));
    assert_step(has_none, plans([Planned::RotateSecret, Planned::ChangeRoles]));
}

#[test]
fn observing_keeps_the_secret_true() {
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let overwritten = |_: &OrgOAuthApp| published(&other_label);
    let observed = observe(observing(json!({"spec": {"secret": {"labels": {"team": "b"}}}})), overwritten, is_shown);
    assert_step(observed, write_secret(crate::decide::WriteReason::Restored, |_| {}));
}

#[test]
fn a_plan_reads_as_a_list_of_what_would_be_done() {
    let plan = |planned: &[Planned]| {
        let mut plan = Plan::default();
        planned.iter().cloned().for_each(|planned| plan.add(planned));
        plan
    };
    assert!(plan(&[]).is_empty() && !plan(&[Planned::Delete]).is_empty());
    let change = Planned::Change(vec!["displayName".into(), "description".into()]);
    let adopt = plan(&[Planned::Adopt, Planned::ReplaceSecret, change.clone()]);
    assert_eq!(adopt.to_string(), "adopt the app, replace the client secret, change displayName and description");
    let rotate = plan(&[Planned::RotateSecret, Planned::AddToOrganization, Planned::ChangeRoles, Planned::Delete]);
    assert_eq!(
        rotate.to_string(),
        "rotate the client secret, add the app to its organization, change the roles of the app, delete the app"
    );
    let create = plan(&[change.clone(), Planned::Create]);
    assert_eq!(create.to_string(), "create the app", "it has everything else from then on");
    assert!(create.creates() && !adopt.creates());
    for planned in [Planned::Create, Planned::Adopt, Planned::ReplaceSecret, Planned::Delete] {
        assert!(!plan(&[change.clone(), planned]).leaves_credential());
    }
    for planned in [change.clone(), Planned::RotateSecret, Planned::AddToOrganization, Planned::ChangeRoles] {
        assert!(plan(&[planned]).leaves_credential());
    }
}
