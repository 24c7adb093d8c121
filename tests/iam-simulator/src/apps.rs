//! What both APIs do to apps, once a request has been read.
//! The two differ in paths, fields and forms, not in what a create or a rotation means.

use serde_json::{Map, Value, json};

use crate::call::Refusal;
use crate::crypto::{generated_secret, uuid};
use crate::policy;
use crate::store::{App, Realm};
use crate::types::{FailedForm, Flavor, MissingOnDelete, Settings};

type Fields = Map<String, Value>;

/// An operation's surroundings: who does it, where and when.
pub struct RequestContext<'a> {
    pub flavor: Flavor,
    pub settings: &'a Settings,
    pub realm: &'a mut Realm,
    pub org: &'a str,
    pub by: &'a str,
    pub now: u64,
}

/// The answer to create and to the immediate replacement of a secret.
pub fn credentials(id: &str, secret: &str) -> Value {
    json!({"clientId": id, "clientSecret": secret})
}

impl RequestContext<'_> {
    /// The time whose state the reads show.
    pub fn reads_show(&self) -> u64 {
        self.settings.replication.reads_show(self.now)
    }

    /// The time whose state the lists show.
    pub fn lists_show(&self) -> u64 {
        self.settings.replication.lists_show(self.now)
    }

    fn service_org(&self) -> bool {
        self.realm.orgs.get(self.org).is_some_and(|o| o.service)
    }

    /// C1, P1: gives the id and the secret.
    pub fn create(&mut self, mut fields: Fields) -> Result<(String, String), Refusal> {
        let text = |v: Value| v.as_str().map(String::from);
        let id = fields.remove("id").and_then(text);
        let secret = fields.remove("secret").and_then(text);
        if let Some(id) = &id {
            policy::check_id(self.flavor, id)?;
        }
        let public = policy::flag(&fields, "publicClient");
        match &secret {
            Some(_) if public => return Err(Refusal::bad("a public client cannot have a secret")),
            Some(secret) => policy::check_secret(secret)?,
            None => {}
        }
        policy::check_app(self.flavor, self.service_org(), self.settings, &fields)?;
        let id = id.unwrap_or_else(uuid);
        self.check_free(&id)?;
        let secret = secret.unwrap_or_else(|| if public { String::new() } else { generated_secret() });
        self.store(&id, &secret, fields);
        *self.realm.creations.entry(id.clone()).or_default() += 1;
        Ok((id, secret))
    }

    fn check_free(&self, id: &str) -> Result<(), Refusal> {
        let refusal = match self.realm.apps.get(id) {
            Some(app) if app.deleting => {
                Refusal::new(409, format!("the deletion of OAuth app {id} is in progress, retry later"))
            }
            None if !self.realm.clients.contains_key(id) => return Ok(()),
            _ => Refusal::new(self.settings.existing_id_status, format!("OAuth app {id} already exists")),
        };
        Err(refusal)
    }

    /// Stores a new app with the defaults that the service fills in, whatever its fields are.
    pub fn store(&mut self, id: &str, secret: &str, mut fields: Fields) {
        normalise(self.flavor, &mut fields);
        self.realm.insert(App {
            id: id.to_string(),
            org: self.org.to_string(),
            fields,
            secret: secret.to_string(),
            previous: None,
            created_by: self.by.to_string(),
            created_at: self.now,
            updated_by: self.by.to_string(),
            updated_at: self.now,
            secret_changes: 0,
            deleting: false,
        });
    }

    /// C4, P3: what is absent is kept, what is given replaces the whole field.
    pub fn update(&mut self, id: &str, mut fields: Fields) -> Result<(), Refusal> {
        let service_org = self.service_org();
        if fields.contains_key("serviceDefinitionId") && !self.settings.update_takes_service_definition_id {
            return Err(Refusal::bad("unknown field 'serviceDefinitionId'"));
        }
        let app = self.realm.changeable(self.settings, self.org, id)?;
        let secret = fields.remove("secret").and_then(|v| v.as_str().map(String::from));
        if let Some(secret) = &secret {
            refuse_public(app)?;
            policy::check_secret(secret)?;
        }
        let mut merged = app.fields.clone();
        merged.extend(fields);
        policy::check_app(self.flavor, service_org, self.settings, &merged)?;
        normalise(self.flavor, &mut merged);
        app.fields = merged;
        if let Some(secret) = secret {
            app.replace_secret(secret, None);
        }
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C6, P4, P6: the new secret is valid at once, the old one for `overlap` seconds more.
    pub fn rotate(&mut self, id: &str, secret: &str, overlap: Option<i64>) -> Result<(), Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(app)?;
        policy::check_secret(secret)?;
        let overlap = overlap.or(policy::int(&app.fields, "secretRotationExpirationInSeconds"));
        let overlap = u64::try_from(overlap.unwrap_or(policy::OVERLAP)).unwrap_or(0);
        if overlap == 0 {
            return Err(Refusal::bad("the secret's expiration must be a positive number of seconds"));
        }
        let conflict = match self.flavor {
            Flavor::Csp => self.settings.rotation_conflict,
            Flavor::Cpn => self.settings.cpn_rotation_conflict,
        };
        if conflict && app.overlap(self.now).is_some() {
            return Err(Refusal::new(409, format!("a secret rotation of OAuth app {id} is in progress")));
        }
        app.replace_secret(secret.to_string(), Some(self.now + overlap * 1000));
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C8, P5: the old secret is invalid at once, and so is the one before it.
    pub fn regenerate(&mut self, id: &str) -> Result<String, Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(app)?;
        let secret = generated_secret();
        app.replace_secret(secret.clone(), None);
        app.touch(self.by, self.now);
        Ok(secret)
    }

    /// C7, P9: only the new secret stays valid.
    pub fn end_overlap(&mut self, id: &str) -> Result<(), Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(app)?;
        app.previous = None;
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C5, P8: a batch, of which a part can fail.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Value, Refusal> {
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        for id in ids {
            if self.realm.visible(self.settings, self.org, id, self.now).is_ok() {
                self.realm.delete(id, self.settings.deletion_runs_ms);
                succeeded.push(json!(id));
            } else {
                failed.push(match self.settings.failed_form {
                    FailedForm::Ids => json!(id),
                    FailedForm::Objects => json!({"id": id, "message": "client not found"}),
                });
            }
        }
        if succeeded.is_empty() && self.settings.missing_on_delete == MissingOnDelete::NotFound {
            return Err(Refusal::new(404, format!("OAuth apps not found: {}", ids.join(", "))));
        }
        Ok(json!({"succeeded": succeeded, "failed": failed}))
    }
}

fn refuse_public(app: &App) -> Result<(), Refusal> {
    if policy::flag(&app.fields, "publicClient") {
        return Err(Refusal::bad("a public client cannot update or rotate its secret"));
    }
    Ok(())
}

/// Fills in what the service fills in, and takes out what it treats as unset `[csp-create]`, `[csp-struct]`.
fn normalise(flavor: Flavor, fields: &mut Fields) {
    let refresh = policy::default_refresh_ttl(fields);
    let mut default = |name: &str, value: Value| {
        fields.entry(name).or_insert(value);
    };
    default("accessTokenTTL", json!(policy::ACCESS_TTL));
    default("secretRotationExpirationInSeconds", json!(policy::OVERLAP));
    default("ownerOnlySecretRotation", json!(false));
    if flavor == Flavor::Cpn {
        return default("grantTypes", json!(["client_credentials"]));
    }
    default("refreshTokenTTL", json!(refresh));
    for name in ["publicClient", "forcePkce", "allowOpenRedirectUris", "isHidden", "crossOrgAccessClaimsSupported"] {
        default(name, json!(false));
    }
    if policy::int(fields, "maxCharactersInAccessToken").is_some_and(|n| n < 0) {
        fields.remove("maxCharactersInAccessToken");
    }
}
