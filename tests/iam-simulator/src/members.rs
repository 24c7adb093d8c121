//! Apps as members of their organization, which is what gives their tokens rights.
//! An app can only be added to the organization that owns it `[cpn-reseller]`; in CSP to others too `[csp-index]`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::apps::Scene;
use crate::call::Refusal;
use crate::store::Roles;
use crate::types::Flavour;

type Body = Map<String, Value>;

fn names(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|v| v["name"].as_str().or(v.as_str())).map(String::from).collect()
}

fn field<'a>(body: &'a Body, name: &str) -> &'a Value {
    body.get(name).unwrap_or(&Value::Null)
}

impl Scene<'_> {
    fn known_roles(&self, roles: &[String]) -> Result<(), Refusal> {
        match roles.iter().find(|r| !self.settings.org_roles.contains(r)) {
            Some(role) => Err(Refusal::bad(format!("organization role {role} does not exist"))),
            None => Ok(()),
        }
    }

    /// Adds apps; what cannot be added is in `failures`, and 400 when one is a member already `[csp-clients]`.
    pub fn add_clients(&mut self, body: &Body) -> Result<Value, Refusal> {
        let mut organization = names(field(body, "organizationRoles"));
        organization.extend(names(field(body, "organizationRoleNames")));
        organization.extend(names(field(body, "customRoles")));
        self.known_roles(&organization)?;
        let mut roles = Roles { organization: organization.into_iter().collect(), ..Roles::default() };
        for service in field(body, "serviceRoles").as_array().into_iter().flatten() {
            let id = service["serviceDefinitionId"].as_str().unwrap_or_default().to_string();
            roles.services.entry(id).or_default().extend(names(&service["serviceRoles"]));
        }
        let ids = names(field(body, "ids"));
        let several = self.flavour == Flavour::Csp && self.settings.org_scoped_tokens;
        let org = self.realm.orgs.entry(self.org.to_string()).or_default();
        if let Some(id) = ids.iter().find(|id| org.members.get(id).is_some()) {
            return Err(Refusal::bad(format!("client {id} is already a member of organization {}", self.org)));
        }
        let foreign = |id: &String| several && self.realm.apps.get(id).is_some();
        let (known, unknown): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| org.apps.contains(id) || foreign(id));
        for id in &known {
            org.members.insert(id, roles.clone(), self.realm.moment);
        }
        let failures: Vec<Value> = unknown
            .iter()
            .map(|id| json!({"id": id, "message": format!("client {id} was not found in the organization")}))
            .collect();
        Ok(json!({ "failures": failures }))
    }

    /// Takes apps out of the organization; partial success `[csp-clients]`.
    pub fn remove_clients(&mut self, body: &Body) -> Result<Value, Refusal> {
        let org = self.realm.orgs.entry(self.org.to_string()).or_default();
        let (succeeded, failed): (Vec<_>, Vec<_>) =
            names(field(body, "ids")).into_iter().partition(|id| org.members.remove(id, self.realm.moment).is_some());
        Ok(json!({"succeeded": succeeded, "failed": failed}))
    }

    /// The roles of one app `[cpn-clients-get]`.
    pub fn client(&self, id: &str) -> Result<Value, Refusal> {
        let roles = self.realm.roles(self.org, id, self.reads_show());
        roles.map(|roles| client_json(id, roles)).ok_or_else(|| self.no_member(id))
    }

    /// Every app that was added `[csp-clients]`.
    pub fn clients(&self) -> Vec<Value> {
        let then = self.lists_show();
        let members = self.realm.orgs.get(self.org).map(|org| org.members.at_time(then));
        members.into_iter().flatten().map(|(id, roles)| client_json(id, roles)).collect()
    }

    fn no_member(&self, id: &str) -> Refusal {
        Refusal::new(404, format!("client {id} was not found in organization {}", self.org))
    }

    /// Adds and removes roles `[cpn-roles-patch]`.
    pub fn patch_roles(&mut self, id: &str, body: &Body) -> Result<(), Refusal> {
        let organization = field(body, "organizationRoles");
        let (add, remove) = (names(&organization["rolesToAdd"]), names(&organization["rolesToRemove"]));
        self.known_roles(&add)?;
        self.known_roles(&remove)?;
        let missing = self.no_member(id);
        let org = self.realm.orgs.entry(self.org.to_string()).or_default();
        let roles = org.members.write(id, self.realm.moment).ok_or(missing)?;
        change(&mut roles.organization, add, &remove);
        for service in field(body, "serviceRoles").as_array().into_iter().flatten() {
            let service_id = service["serviceDefinitionId"].as_str().unwrap_or_default().to_string();
            let held = roles.services.entry(service_id).or_default();
            change(held, names(&service["rolesToAdd"]), &names(&service["rolesToRemove"]));
        }
        roles.services.retain(|_, held| !held.is_empty());
        Ok(())
    }
}

fn change(held: &mut BTreeSet<String>, add: Vec<String>, remove: &[String]) {
    held.extend(add);
    held.retain(|role| !remove.contains(role));
}

fn client_json(id: &str, roles: &Roles) -> Value {
    let mut value = roles.to_json();
    value["clientId"] = json!(id);
    value
}
