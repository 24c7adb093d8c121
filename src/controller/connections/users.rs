//! The resources that use each connection: how many they are, for its status, and an organization of one of them, for an API
//! whose token requests must name one.

use crate::cluster::cached::CachedApp;
use crate::connections::SpecVersion;
use crate::crd::{AppCounts, ConditionStatus, ConditionType, IamConnection};
use crate::decide::org_id;
use crate::iam::OrgId;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::Arc;

/// The resources that use a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Users {
    pub(crate) counts: AppCounts,
    /// The first in alphabetical order, so that each check uses the same.
    pub(crate) org: Option<OrgId>,
}

/// The users of a connection, as its grants of this spec cover them.
#[derive(Clone, Debug)]
pub(super) struct CountedUsers {
    pub spec: SpecVersion,
    pub users: Users,
}

impl Users {
    pub(super) fn by_connection(apps: &[Arc<CachedApp>]) -> HashMap<String, Self> {
        let mut all: HashMap<String, Self> = HashMap::new();
        for app in apps.iter().map(|app| app.outline()) {
            let users = all.entry(app.spec.connection_ref.name.clone()).or_default();
            let ready = app.condition(ConditionType::Ready).is_some_and(|c| c.status == ConditionStatus::True);
            users.counts.total += 1;
            users.counts.ready += i64::from(ready);
            if users.org.as_ref().is_none_or(|least| app.spec.org_id < least.0) {
                users.org = Some(org_id(app));
            }
        }
        all
    }
}

/// The connections whose users changed. A connection that is missing in `before` had none.
pub(super) fn changed(
    before: Option<&HashMap<String, CountedUsers>>,
    now: &HashMap<String, CountedUsers>,
) -> Vec<ObjectRef<IamConnection>> {
    let Some(before) = before else { return now.keys().map(|name| ObjectRef::new(name)).collect() };
    let none = Users::default();
    let users_before = |name: &str| before.get(name).map_or(&none, |counted| &counted.users);
    let changed = now.iter().filter(|(name, counted)| *users_before(name) != counted.users);
    changed.map(|(name, _)| ObjectRef::new(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::OrgOAuthApp;
    use serde_json::json;

    fn app(connection: &str, ready: &str) -> Arc<CachedApp> {
        let app = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": {"name": "a"},
            "spec": {"connectionRef": {"name": connection}, "orgId": format!("org-{ready}"), "displayName": "a",
                     "description": "", "grantTypes": ["client_credentials"], "allowedScopes": {}},
            "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "Pending", "message": "",
                                       "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
        });
        Arc::new(CachedApp::from(serde_json::from_value::<OrgOAuthApp>(app).unwrap()))
    }

    #[test]
    fn users_are_counted_by_connection_and_readiness() {
        let apps = [app("default", "True"), app("default", "False"), app("other", "True"), app("default", "Unknown")];
        let users = Users::by_connection(&apps);
        assert_eq!(users.get("unused"), None);
        let users = &users["default"];
        assert_eq!(users.counts, AppCounts { total: 3, ready: 1 });
        assert_eq!(users.org, Some(OrgId("org-False".into())));
    }

    #[test]
    fn a_connection_is_checked_at_the_start_and_whenever_its_users_changed() {
        let users = |ready: &str| Users::by_connection(&[app("used", ready)]).remove("used").unwrap();
        let connection = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "default"},
            "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": [], "credentials": {}},
        });
        let spec = SpecVersion::of(&serde_json::from_value(connection).unwrap());
        let counted = |name: &str, users| (name.to_owned(), CountedUsers { spec: spec.clone(), users });
        let all = |used: Users| HashMap::from([counted("used", used), counted("unused", Users::default())]);
        let names = |changed: Vec<ObjectRef<IamConnection>>| {
            let mut names: Vec<_> = changed.into_iter().map(|connection| connection.name).collect();
            names.sort();
            names
        };
        assert_eq!(names(changed(None, &all(users("True")))), ["unused", "used"]);
        assert_eq!(names(changed(Some(&all(users("True"))), &all(users("True")))), [""; 0]);
        assert_eq!(names(changed(Some(&all(users("True"))), &all(users("False")))), ["used"]);
        assert_eq!(
            names(changed(Some(&all(users("True"))), &all(Users::default()))),
            ["used"],
            "the last user is gone"
        );
        assert_eq!(names(changed(Some(&HashMap::new()), &all(users("True")))), ["used"], "waited for the connection");
    }
}
