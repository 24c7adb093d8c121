//! The manifest of an app that exists: it observes the app, so that applying it changes nothing.

use crate::commands::{CommandError, output};
use crate::crd::admission::beyond_limits;
use crate::crd::{AdoptionPolicy, Api, ConnectionRef, DeletionPolicy, ManagementPolicy, OrgOAuthApp, Roles};
use crate::iam::app_fields::{Inexpressible, LeftOut, created_by_default, existing, fields_in_order};
use crate::iam::http::{ShownApp, ShownRoles};
use crate::text;
use kube::Resource;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// What all manifests of an import have in common.
pub(super) struct Common {
    pub(super) api: Api,
    pub(super) connection: String,
    pub(super) org: String,
    /// Where it is known.
    pub(super) namespace: Option<String>,
}

/// What a manifest says of an app, without the name of the resource.
pub(super) struct Described {
    fields: Vec<(&'static str, Value)>,
    roles: Option<Value>,
    pub(super) left_out: Vec<LeftOut>,
    /// Fields of the API that `OrgOAuthApp` does not have.
    pub(super) unknown: Vec<String>,
}

/// A manifest, with its fields in the order in which people write them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: InOrder,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

struct InOrder(Vec<(&'static str, Value)>);

impl Serialize for InOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// What a manifest can say of an app.
///
/// # Errors
/// When there can be none.
pub(super) fn describe(api: Api, shown: &ShownApp, roles: Option<&ShownRoles>) -> Result<Described, Inexpressible> {
    if let Some(why) = bad_id(&shown.app.id.0) {
        return Err(Inexpressible::new(why));
    }
    let existing = existing(api, &shown.app.fields)?;
    let mut left_out = existing.left_out;
    let mut unknown = shown.unknown.clone();
    let held = roles.map(|roles| &roles.held.direct).filter(|roles| **roles != Roles::default());
    let held = held.map(|roles| json!(roles));
    let too_many = held.as_ref().and_then(|held| beyond_limits("roles", held));
    unknown.extend(roles.into_iter().flat_map(|roles| &roles.unknown).cloned());
    let roles = held.filter(|_| too_many.is_none());
    left_out.extend(too_many.map(|why| LeftOut { field: "roles", why }));
    Ok(Described { fields: fields_in_order(&existing.spec), roles, left_out, unknown })
}

fn bad_id(id: &str) -> Option<String> {
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_valid = id.bytes().all(is_of_id) && beyond_limits("id", &json!(id)).is_none();
    (!is_valid).then(|| "OrgOAuthApp has ids of 5 to 256 letters, digits, _ and - only".to_owned())
}

impl Common {
    pub(super) fn manifest(&self, name: &str, id: &str, described: &Described) -> Manifest {
        let default = |field: &str| created_by_default(self.api, field, name, self.namespace.as_deref());
        let fields = described.fields.iter().filter(|(field, value)| default(field).as_ref() != Some(value)).cloned();
        let connection = (self.connection != ConnectionRef::default().name).then(|| json!({"name": self.connection}));
        let head = [("connectionRef", connection), ("orgId", Some(json!(self.org))), ("id", Some(json!(id)))];
        let tail = [
            ("roles", described.roles.clone()),
            ("adoptionPolicy", Some(json!(AdoptionPolicy::Adopt))),
            ("managementPolicy", Some(json!(ManagementPolicy::Observe))),
            ("deletionPolicy", Some(json!(DeletionPolicy::Retain))),
        ];
        let set = |(name, value): (&'static str, Option<Value>)| Some((name, value?));
        let spec = head.into_iter().filter_map(set).chain(fields).chain(tail.into_iter().filter_map(set)).collect();
        Manifest {
            api_version: OrgOAuthApp::api_version(&()).into_owned(),
            kind: OrgOAuthApp::kind(&()).into_owned(),
            metadata: Metadata { name: name.to_owned(), namespace: self.namespace.clone() },
            spec: InOrder(spec),
        }
    }
}

impl Manifest {
    /// As YAML, after comments about what it cannot express.
    pub(super) fn yaml(&self, described: &Described) -> Result<String, CommandError> {
        let yaml = output::yaml(self)?;
        Ok(described.notes().map(|note| comment(&note)).chain([yaml]).collect())
    }
}

impl Described {
    /// What is not in the manifest.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let left_out = self.left_out.iter().map(|LeftOut { field, why }| format!("{field} is not managed: {why}"));
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("not managed, since OrgOAuthApp does not have it: {}", self.unknown.join(", ")));
        left_out.chain(unknown)
    }
}

/// A line of YAML that only people read, whatever the text is.
pub(super) fn comment(text: &str) -> String {
    format!("# {}\n", text::clean(text, 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::{ClientId, HeldRoles, RemoteApp};
    use proptest::prelude::*;

    fn shown(id: &str, fields: Value) -> ShownApp {
        let fields = fields.as_object().unwrap().clone();
        let app =
            RemoteApp { id: ClientId(id.into()), fields, is_caller: false, created_at: None, last_updated_at: None };
        ShownApp { app, unknown: Vec::new(), is_summary: false }
    }

    fn common(namespace: Option<&str>) -> Common {
        let (connection, org) = ("default".to_owned(), "org-1".to_owned());
        Common { api: Api::CloudServices, connection, org, namespace: namespace.map(str::to_owned) }
    }

    fn yaml(name: &str, namespace: Option<&str>, shown: &ShownApp, roles: Option<&ShownRoles>) -> String {
        let described = describe(Api::CloudServices, shown, roles).unwrap();
        common(namespace).manifest(name, &shown.app.id.0, &described).yaml(&described).unwrap()
    }

    #[test]
    fn a_manifest_observes_the_app_and_says_what_it_leaves_out() {
        let mut app = shown(
            "12345",
            json!({"displayName": "Büro – prod", "description": "a\nb", "grantTypes": ["client_credentials"]}),
        );
        app.unknown.push("news\n- evil".into());
        let roles = json!({"organizationRoles": [{"name": "org_member"}]});
        let roles = HeldRoles { direct: serde_json::from_value(roles).unwrap(), ..HeldRoles::default() };
        let roles = ShownRoles { held: roles, unknown: vec!["customRoles".into()] };
        assert_eq!(
            yaml("billing", Some("team"), &app, Some(&roles)),
            "\
# displayName is not managed: displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,
# not managed, since OrgOAuthApp does not have it: news - evil, customRoles
apiVersion: oauth-apps.dev/v1alpha1
kind: OrgOAuthApp
metadata:
  name: billing
  namespace: team
spec:
  orgId: org-1
  id: \"12345\"
  description: |-
    a
    b
  grantTypes:
  - client_credentials
  roles:
    organizationRoles:
    - name: org_member
  adoptionPolicy: Adopt
  managementPolicy: Observe
  deletionPolicy: Retain
"
        );
    }

    #[test]
    fn what_the_operator_would_use_anyway_is_left_out() {
        let app = shown(
            "billing",
            json!({"displayName": "billing", "description": "team/billing", "grantTypes": ["client_credentials"]}),
        );
        let in_team = yaml("billing", Some("team"), &app, None);
        assert!(!in_team.contains("displayName") && !in_team.contains("description"), "{in_team}");
        assert!(yaml("billing", None, &app, None).contains("description: team/billing"));
    }

    #[test]
    fn an_id_that_a_resource_cannot_have_is_an_error() {
        for id in ["four", "a.b.c.d", "user@tenant", &"x".repeat(257)] {
            let described =
                describe(Api::CloudServices, &shown(id, json!({"grantTypes": ["client_credentials"]})), None);
            assert!(described.err().is_some_and(|error| error.to_string().contains("5 to 256")), "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_is(description in any::<String>(), name in "[ -~]{1,40}") {
            let app = shown("billing", json!({"description": description, "displayName": name, "grantTypes": ["client_credentials"]}));
            let text = yaml("b", None, &app, None);
            let read: OrgOAuthApp = serde_saphyr::from_str(&text).unwrap();
            prop_assert_eq!(read.spec.description.unwrap_or_default(), description);
            prop_assert!(read.spec.display_name.is_none_or(|read| read == name));
        }
    }
}
