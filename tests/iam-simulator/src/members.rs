//! Apps as members of their organization, which is what gives their tokens rights.
//! An app can only be added to the organization that owns it `[cpn-reseller]`; in CSP to others too `[csp-index]`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::apps::RequestContext;
use crate::call::Refusal;
use crate::roles::{Role, Roles, check_removal};
use crate::types::Flavor;

type Body = Map<String, Value>;

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(String::from).collect()
}

fn field<'a>(body: &'a Body, name: &str) -> &'a Value {
    body.get(name).unwrap_or(&Value::Null)
}

impl RequestContext<'_> {
    /// The roles of a list; their resources count only where clients are shown in full.
    fn roles(&self, list: &Value) -> Vec<Role> {
        let resource = |v: &Value| v["resource"].as_str().filter(|_| self.settings.expanded_clients).map(String::from);
        let role = |v: &Value| Some(Role::direct(v["name"].as_str().or(v.as_str())?, resource(v)));
        list.as_array().into_iter().flatten().filter_map(role).collect()
    }

    fn known_roles(&self, roles: &[Role]) -> Result<(), Refusal> {
        match roles.iter().find(|role| !self.settings.org_roles.contains(&role.name)) {
            Some(role) => Err(Refusal::bad(format!("organization role {} does not exist", role.name))),
            None => Ok(()),
        }
    }

    fn requested_roles(&self, body: &Body) -> Result<Roles, Refusal> {
        let mut organization = self.roles(field(body, "organizationRoles"));
        organization.extend(self.roles(field(body, "organizationRoleNames")));
        let mut custom = self.roles(field(body, "customRoles"));
        if !self.settings.expanded_clients {
            organization.append(&mut custom);
        }
        self.known_roles(&organization)?;
        let mut roles = Roles {
            organization: organization.into_iter().collect(),
            custom: custom.into_iter().collect(),
            ..Roles::default()
        };
        for service in field(body, "serviceRoles").as_array().into_iter().flatten() {
            let id = service["serviceDefinitionId"].as_str().unwrap_or_default().to_string();
            roles.services.entry(id).or_default().extend(self.roles(&service["serviceRoles"]));
        }
        Ok(roles)
    }

    /// Adds apps; what cannot be added is in `failures`, and a member refused as the settings say `[csp-clients]`.
    pub(crate) fn add_clients(&mut self, body: &Body) -> Result<Value, Refusal> {
        let roles = self.requested_roles(body)?;
        let ids = texts(field(body, "ids"));
        let status = self.settings.already_member_status;
        if let Some(id) = ids.iter().find(|id| status != 200 && self.is_member(id)) {
            return Err(Refusal::new(status, self.already_member(id)));
        }
        let mut failures = Vec::new();
        for id in ids {
            if self.is_member(&id) {
                failures.push(json!({"id": id, "message": self.already_member(&id)}));
            } else if self.can_be_added(&id) {
                let members = &mut self.realm.orgs.entry(self.org.to_string()).or_default().members;
                members.insert(&id, roles.clone(), self.realm.moment);
            } else {
                failures.push(json!({"id": id, "message": format!("client {id} was not found in the organization")}));
            }
        }
        Ok(json!({ "failures": failures }))
    }

    fn is_member(&self, id: &str) -> bool {
        self.realm.roles(self.org, id, self.now).is_some()
    }

    fn already_member(&self, id: &str) -> String {
        format!("client {id} is already a member of organization {}", self.org)
    }

    /// Only an app of the organization; in CSP one of another too, where tokens can be had for it.
    fn can_be_added(&self, id: &str) -> bool {
        let several = self.flavor == Flavor::Csp && self.settings.org_scoped_tokens;
        self.realm.apps.get(id).is_some_and(|app| several || app.org == self.org)
    }

    /// Takes apps out of the organization; partial success `[csp-clients]`.
    pub(crate) fn remove_clients(&mut self, body: &Body) -> Result<Value, Refusal> {
        let org = self.realm.orgs.entry(self.org.to_string()).or_default();
        let (succeeded, failed): (Vec<_>, Vec<_>) =
            texts(field(body, "ids")).into_iter().partition(|id| org.members.remove(id, self.realm.moment).is_some());
        Ok(json!({"succeeded": succeeded, "failed": failed}))
    }

    fn member(&self, id: &str) -> Result<&Roles, Refusal> {
        self.realm.roles(self.org, id, self.reads_show()).ok_or_else(|| self.no_member(id))
    }

    /// One app with its roles `[cpn-clients-get]`.
    pub(crate) fn client(&self, id: &str) -> Result<Value, Refusal> {
        Ok(client_json(id, self.member(id)?))
    }

    /// The roles of one app; the form is that of the list (undocumented) `[py-csptools]`.
    pub(crate) fn client_roles(&self, id: &str) -> Result<Value, Refusal> {
        Ok(self.member(id)?.to_expanded_json())
    }

    /// Every app that was added `[csp-clients]`.
    pub(crate) fn clients(&self) -> Vec<Value> {
        let then = self.lists_show();
        let members = self.realm.orgs.get(self.org).map(|org| org.members.at_time(then));
        let shown = |(id, roles): (&String, &Roles)| {
            if self.settings.expanded_clients { self.expanded_client(id, roles, then) } else { client_json(id, roles) }
        };
        members.into_iter().flatten().map(shown).collect()
    }

    /// `ExpandedAuthClientDto` `[csp-clients]`.
    fn expanded_client(&self, id: &str, roles: &Roles, then: u64) -> Value {
        let name = self.realm.apps.at(id, then).and_then(|app| app.fields.get("displayName"));
        let mut value = roles.to_expanded_json();
        value["id"] = json!(id);
        value["displayName"] = json!(name);
        value
    }

    fn no_member(&self, id: &str) -> Refusal {
        Refusal::new(404, format!("client {id} was not found in organization {}", self.org))
    }

    /// Adds and removes roles `[cpn-roles-patch]`, `[py-csptools]`.
    pub(crate) fn patch_roles(&mut self, id: &str, body: &Body) -> Result<(), Refusal> {
        let organization = Change::of(self, field(body, "organizationRoles"));
        self.known_roles(&organization.add)?;
        self.known_roles(&organization.remove)?;
        let services = field(body, "serviceRoles").as_array().into_iter().flatten();
        let services: Vec<(String, Change)> = services
            .map(|s| (s["serviceDefinitionId"].as_str().unwrap_or_default().to_string(), Change::of(self, s)))
            .collect();
        let missing = self.no_member(id);
        let org = self.realm.orgs.entry(self.org.to_string()).or_default();
        let roles = org.members.write(id, self.realm.moment).ok_or(missing)?;
        let none = BTreeSet::new();
        check_removal(&roles.organization, &organization.remove)?;
        for (service, change) in &services {
            check_removal(roles.services.get(service).unwrap_or(&none), &change.remove)?;
        }
        organization.apply(&mut roles.organization);
        for (service, change) in services {
            change.apply(roles.services.entry(service).or_default());
        }
        roles.services.retain(|_, held| !held.is_empty());
        Ok(())
    }
}

/// Roles to add and to remove.
struct Change {
    add: Vec<Role>,
    remove: Vec<Role>,
}

impl Change {
    fn of(request: &RequestContext<'_>, value: &Value) -> Self {
        Self { add: request.roles(&value["rolesToAdd"]), remove: request.roles(&value["rolesToRemove"]) }
    }

    fn apply(self, held: &mut BTreeSet<Role>) {
        held.extend(self.add);
        held.retain(|role| !self.remove.contains(role));
    }
}

fn client_json(id: &str, roles: &Roles) -> Value {
    let mut value = roles.to_json();
    value["clientId"] = json!(id);
    value
}
