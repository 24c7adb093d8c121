//! What all APIs do to apps, once a request has been read.
//! They differ in paths, fields and forms, not in what a create or a rotation means.

use serde_json::{Map, Value, json};

use crate::call::Refusal;
use crate::crypto::{generated_secret, uuid};
use crate::names::Names;
use crate::policy;
use crate::store::{App, Realm};
use crate::types::{FailedForm, Flavor, MissingOnDelete, SecretUpdate, Settings};

type Fields = Map<String, Value>;

/// An operation's surroundings: who does it, where and when.
pub(crate) struct RequestContext<'a> {
    pub flavor: Flavor,
    pub settings: &'a Settings,
    pub realm: &'a mut Realm,
    pub org: &'a str,
    pub by: &'a str,
    pub now: u64,
}

/// The answer to create and to the immediate replacement of a secret.
pub(crate) fn credentials(id: &str, secret: &str) -> Value {
    json!({"clientId": id, "clientSecret": secret})
}

impl RequestContext<'_> {
    /// The time whose state the reads show.
    pub(crate) fn reads_show(&self) -> u64 {
        self.settings.replication.reads_show(self.now)
    }

    /// The time whose state the lists show.
    pub(crate) fn lists_show(&self) -> u64 {
        self.settings.replication.lists_show(self.now)
    }

    fn service_org(&self) -> bool {
        self.realm.orgs.get(self.org).is_some_and(|o| o.service)
    }

    /// C1, P1: gives the id and the secret.
    pub(crate) fn create(&mut self, mut fields: Fields) -> Result<(String, String), Refusal> {
        let text = |v: Value| v.as_str().map(String::from);
        let names = Names::of(self.flavor);
        let id = fields.remove(names.id).and_then(text);
        let secret = fields.remove("secret").and_then(text);
        if let Some(id) = &id {
            policy::check_id(self.flavor, id)?;
        }
        let public = policy::flag(&fields, names.public_client);
        match &secret {
            Some(_) if public => return Err(Refusal::bad("a public client cannot have a secret")),
            Some(secret) => policy::check_secret(self.flavor, secret)?,
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
            _ => Refusal::new(self.settings.existing_id_status, format!("OAuth app {id} already exists"))
                .code("oauth2.client.with.client.id.already.exists"),
        };
        Err(refusal)
    }

    /// Stores a new app with the defaults that the service fills in, whatever its fields are.
    pub(crate) fn store(&mut self, id: &str, secret: &str, mut fields: Fields) {
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
            secret_changed_at: None,
            deleting: false,
        });
    }

    /// C4, P3: what is absent is kept, what is given replaces the whole field.
    pub(crate) fn update(&mut self, id: &str, mut fields: Fields) -> Result<(), Refusal> {
        let service_org = self.service_org();
        if fields.contains_key("serviceDefinitionId") && !self.settings.update_takes_service_definition_id {
            return Err(Refusal::bad("unknown field 'serviceDefinitionId'"));
        }
        let app = self.realm.changeable(self.settings, self.org, id)?;
        let secret = fields.remove("secret").and_then(|v| v.as_str().map(String::from));
        if let Some(secret) = &secret {
            refuse_public(self.flavor, app)?;
            policy::check_secret(self.flavor, secret)?;
        }
        let mut merged = policy::merged(self.flavor, &app.fields, fields);
        policy::check_app(self.flavor, service_org, self.settings, &merged)?;
        normalise(self.flavor, &mut merged);
        if let Some(secret) = secret {
            update_secret(self.flavor, self.settings, app, secret, self.now)?;
        }
        app.fields = merged;
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C6, P4, P6, `start-rotate-secret`: the new secret is valid at once, the old one for `overlap` seconds more.
    pub(crate) fn rotate(&mut self, id: &str, secret: &str, overlap: Option<i64>) -> Result<(), Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(self.flavor, app)?;
        policy::check_secret(self.flavor, secret)?;
        let overlap = overlap.or(policy::int(&app.fields, "secretRotationExpirationInSeconds"));
        let overlap = u64::try_from(overlap.unwrap_or(policy::OVERLAP)).unwrap_or(0);
        if overlap == 0 && self.flavor != Flavor::Broker {
            return Err(Refusal::bad("the secret's expiration must be a positive number of seconds"));
        }
        let conflict = match self.flavor {
            Flavor::Csp => self.settings.rotation_conflict.then_some(409),
            Flavor::Cpn => self.settings.cpn_rotation_conflict.then_some(409),
            Flavor::Broker => Some(400),
        };
        if let Some(status) = conflict.filter(|_| app.overlap(self.now).is_some()) {
            return Err(Refusal::new(status, format!("a secret rotation of OAuth app {id} is in progress")));
        }
        let delay_ms = match self.flavor {
            Flavor::Csp | Flavor::Cpn => 0,
            Flavor::Broker => self.settings.broker.retires_late_ms,
        };
        app.rotate_secret(secret.to_string(), self.now + overlap * 1000, delay_ms, self.now);
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C8, P5: the old secret is invalid at once, and so is the one before it.
    pub(crate) fn regenerate(&mut self, id: &str) -> Result<String, Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(self.flavor, app)?;
        let secret = generated_secret();
        app.replace_secret(secret.clone(), self.now);
        app.touch(self.by, self.now);
        Ok(secret)
    }

    /// C7, P9, `retire-primary-secret`: only the new secret stays valid.
    pub(crate) fn end_overlap(&mut self, id: &str) -> Result<(), Refusal> {
        let app = self.realm.changeable(self.settings, self.org, id)?;
        refuse_public(self.flavor, app)?;
        if self.flavor == Flavor::Broker && app.overlap(self.now).is_none() {
            return Err(Refusal::bad(format!("no secret rotation of OAuth 2.0 client {id} is in progress")));
        }
        app.previous = None;
        app.touch(self.by, self.now);
        Ok(())
    }

    /// C5, P8: a batch, of which a part can fail.
    pub(crate) fn delete(&mut self, ids: &[&str]) -> Result<Value, Refusal> {
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

    /// Deletes one app.
    pub(crate) fn delete_one(&mut self, id: &str) -> Result<(), Refusal> {
        self.realm.visible(self.settings, self.org, id, self.now)?;
        self.realm.delete(id, self.settings.deletion_runs_ms);
        Ok(())
    }
}

fn refuse_public(flavor: Flavor, app: &App) -> Result<(), Refusal> {
    if policy::flag(&app.fields, Names::of(flavor).public_client) {
        return Err(Refusal::bad("a public client cannot update or rotate its secret"));
    }
    Ok(())
}

/// Replaces the secret at once, which ends a rotation, unless Identity Broker does it in another way.
fn update_secret(flavor: Flavor, settings: &Settings, app: &mut App, secret: String, now: u64) -> Result<(), Refusal> {
    let reading = match flavor {
        Flavor::Csp | Flavor::Cpn => SecretUpdate::EndsRotation,
        Flavor::Broker if app.overlap(now).is_none() => SecretUpdate::EndsRotation,
        Flavor::Broker => settings.broker.secret_update,
    };
    match (reading, &mut app.previous) {
        (SecretUpdate::Refused, _) => return Err(Refusal::bad("a secret rotation is in progress")),
        (SecretUpdate::ReplacesPrimary, Some(primary)) => primary.secret = secret,
        (SecretUpdate::ReplacesPrimary, None) | (SecretUpdate::EndsRotation, _) => app.replace_secret(secret, now),
    }
    Ok(())
}

/// Fills in what the service fills in, and takes out what it treats as unset `[csp-create]`, `[csp-struct]`.
fn normalise(flavor: Flavor, fields: &mut Fields) {
    if flavor == Flavor::Broker {
        return policy::broker::normalise(fields);
    }
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
