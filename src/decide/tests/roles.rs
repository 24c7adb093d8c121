//! The roles of an app in its organization.

use super::fixture::*;
use crate::crd::{RECONCILE_REQUESTED, Role, Roles};
use crate::decide::{Observed, RoleAssignment, may_be_old};
use crate::iam::{self, HeldRoles};
use serde_json::{Value, json};

fn roles(names: &[&str]) -> Value {
    let names: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"organizationRoles": names, "serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": names}]})
}

fn named(names: &[&str]) -> Roles {
    match names {
        [] => Roles::default(),
        names => serde_json::from_value(roles(names)).unwrap(),
    }
}

fn held(direct: &[&str], inherited: &[&str]) -> RoleAssignment {
    RoleAssignment::Has(HeldRoles { direct: named(direct), inherited: named(inherited) })
}

fn addition_refused() -> RoleAssignment {
    RoleAssignment::AdditionRefused(iam::Error::Rejected("already a member".into()))
}

fn wanting(spec: Value, roles: RoleAssignment) -> Observed {
    observe(app(json!({"spec": spec})), published, |observed| {
        observed.remote = as_wanted();
        observed.roles = roles;
    })
}

#[test]
fn an_app_has_the_roles_that_the_spec_names_and_no_others() {
    let with = |assigned| wanting(json!({"roles": roles(&["a", "b"])}), assigned);
    assert_step(with(RoleAssignment::NotRead), read_roles());
    assert_step(with(addition_refused()), read_roles());
    assert_step(with(RoleAssignment::Absent), add_to_organization(named(&["a", "b"])));
    assert_step(with(RoleAssignment::JustAssigned), settled());
    assert_step(with(held(&["b", "a"], &[])), settled());
    assert_step(with(held(&["b", "c"], &[])), change_roles(named(&["a"]), named(&["c"])));
    assert_step(with(held(&["a"], &[])), change_roles(named(&["b"]), named(&[])));
    assert_step(with(held(&["a", "b", "c"], &[])), change_roles(named(&[]), named(&["c"])));
    // Inherited ones count and stay.
    assert_step(with(held(&["a"], &["b", "c"])), settled());
    assert_step(with(held(&["c", "d"], &["b", "d"])), change_roles(named(&["a"]), named(&["c", "d"])));
    let mut lagging = with(held(&["b", "c"], &[]));
    lagging.is_uncached = false;
    assert_step(lagging, read_resource());
}

#[test]
fn without_roles_in_the_spec_they_are_left_alone() {
    for assigned in [RoleAssignment::NotRead, RoleAssignment::Absent, held(&["a"], &[])] {
        assert_step(wanting(json!({}), assigned), settled());
    }
}

#[test]
fn a_role_of_one_service_is_not_that_of_another() {
    let of = |service: &str| -> Roles {
        let roles = json!([{"serviceDefinitionId": service, "serviceRoles": [{"name": "a"}]}]);
        serde_json::from_value(json!({"serviceRoles": roles})).unwrap()
    };
    let has = HeldRoles { direct: of("t"), inherited: Roles::default() };
    let observed = wanting(json!({"roles": of("s")}), RoleAssignment::Has(has));
    assert_step(observed, change_roles(of("s"), of("t")));
}

#[test]
fn a_role_on_a_resource_is_another_role() {
    let on = |resource: &str| Roles {
        organization_roles: vec![Role { name: "a".into(), resource: Some(resource.into()) }],
        service_roles: Vec::new(),
    };
    let has = HeldRoles { direct: on("2"), inherited: Roles::default() };
    let observed = wanting(json!({"roles": on("1")}), RoleAssignment::Has(has));
    assert_step(observed, change_roles(on("1"), on("2")));
}

#[test]
fn roles_that_were_read_a_while_ago_do_while_nothing_changed() {
    let may_be_old =
        |more: Value, assigned| may_be_old(&observe(app(more), published, |observed| observed.roles = assigned));
    assert!(may_be_old(synced(), RoleAssignment::NotRead));
    assert!(!may_be_old(json!({}), RoleAssignment::NotRead), "the spec was changed");
    let asked = merged(synced(), annotated(RECONCILE_REQUESTED, "1"));
    assert!(!may_be_old(asked, RoleAssignment::NotRead));
    assert!(!may_be_old(synced(), addition_refused()), "those of now are read");
}
