//! Everything that a simulator knows, behind one lock.
//! Times are milliseconds since the epoch and always come from the caller.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::call::Refusal;
use crate::crypto::{Signer, sha256_hex};
use crate::faults::Faults;
use crate::log::Log;
use crate::roles::Roles;
use crate::server::now_ms;
use crate::types::{ApiTokenSeed, AppView, ClientSeed, Flavor, OrgSeed, PermsSeed, Seed, Settings};
use crate::versioned::{Moment, Versioned};

pub(crate) struct State {
    pub settings: Settings,
    realms: BTreeMap<RealmId, Realm>,
    pub faults: Faults,
    pub log: Log,
    pub signer: Signer,
    /// How far its clock was put forward, in milliseconds.
    pub ahead_ms: u64,
}

/// Names a realm: CSP and CPN are one each, and so is each tenant of Identity Broker, since tenants share nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RealmId {
    flavor: Flavor,
    tenant: Option<String>,
}

impl RealmId {
    fn of(flavor: Flavor, org: &str) -> Self {
        let tenant = match flavor {
            Flavor::Csp | Flavor::Cpn => None,
            Flavor::Broker => Some(org.to_string()),
        };
        Self { flavor, tenant }
    }
}

/// The organizations, identities and apps that know of each other.
#[derive(Default)]
pub(crate) struct Realm {
    pub orgs: BTreeMap<String, Org>,
    pub apps: Versioned<App>,
    pub api_tokens: Vec<ApiTokenSeed>,
    pub clients: BTreeMap<String, ClientSeed>,
    /// The `perms` of seeded identities that are no organization owners.
    pub perms: BTreeMap<String, Vec<String>>,
    pub access: HashMap<String, Access>,
    pub tokens_issued: u64,
    pub creations: BTreeMap<String, u64>,
    /// Deletions that run on: when each ends, and of which app.
    running: Vec<(u64, String)>,
    /// The moment of the operation that runs.
    pub moment: Moment,
}

#[derive(Default)]
pub(crate) struct Org {
    pub service: bool,
    /// Ids of the apps that it owns.
    pub apps: BTreeSet<String>,
    /// The apps that were added to it.
    pub members: Versioned<Roles>,
}

/// An app; `fields` holds the request's fields but id and secret, defaults filled in.
#[derive(Clone)]
pub(crate) struct App {
    pub id: String,
    pub org: String,
    pub fields: Map<String, Value>,
    pub secret: String,
    pub previous: Option<Previous>,
    pub created_by: String,
    pub created_at: u64,
    pub updated_by: String,
    pub updated_at: u64,
    pub secret_changes: u64,
    pub secret_changed_at: Option<u64>,
    pub deleting: bool,
}

/// A secret that stays valid for a while after a rotation.
#[derive(Clone)]
pub(crate) struct Previous {
    pub secret: String,
    /// When it was to expire; it may do so later.
    pub due_at: u64,
    pub expires_at: u64,
}

/// What an access token lets its bearer do.
#[derive(Clone)]
pub(crate) struct Access {
    pub subject: String,
    pub expires_at: u64,
    /// The organization to which it belongs, its `context_name`.
    pub context_org: String,
    /// The organizations that it may manage; every one when absent.
    pub orgs: Option<Vec<String>>,
    /// It may look and change nothing.
    pub read_only: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            realms: [Flavor::Csp, Flavor::Cpn].map(|flavor| (RealmId::of(flavor, ""), Realm::default())).into(),
            faults: Faults::default(),
            log: Log::new(),
            signer: Signer::new(),
            ahead_ms: 0,
        }
    }

    /// The time by its clock, in milliseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        now_ms() + self.ahead_ms
    }

    /// The realm of an organization; absent for a tenant that nobody seeded.
    pub(crate) fn realm(&mut self, flavor: Flavor, org: &str) -> Option<&mut Realm> {
        Some(self.parts(flavor, org)?.1)
    }

    /// The settings and one realm, borrowed side by side.
    pub(crate) fn parts(&mut self, flavor: Flavor, org: &str) -> Option<(&Settings, &mut Realm, &Signer)> {
        let realm = self.realms.get_mut(&RealmId::of(flavor, org))?;
        Some((&self.settings, realm, &self.signer))
    }

    /// Every realm that exists.
    pub(crate) fn realms(&mut self) -> impl Iterator<Item = (Flavor, &mut Realm)> {
        self.realms.iter_mut().map(|(id, realm)| (id.flavor, realm))
    }

    /// Every realm, after the deletions whose time has come have ended.
    pub(crate) fn settled(&mut self) -> impl Iterator<Item = (Flavor, &mut Realm)> {
        let now = self.now();
        let settings = &self.settings;
        self.realms.iter_mut().map(move |(id, realm)| {
            realm.settle(settings, now);
            (id.flavor, realm)
        })
    }

    fn seeded(&mut self, flavor: Flavor, org: &str) -> &mut Realm {
        self.realms.entry(RealmId::of(flavor, org)).or_default()
    }

    pub(crate) fn seed(&mut self, seed: Seed) {
        for OrgSeed { flavor, id, service } in seed.orgs {
            self.seeded(flavor, &id).orgs.entry(id).or_default().service = service;
        }
        for token in seed.api_tokens {
            let tokens = &mut self.seeded(token.flavor, &token.org_id).api_tokens;
            tokens.retain(|t| t.value != token.value);
            tokens.push(token);
        }
        for client in seed.clients {
            self.seeded(client.flavor, &client.org_id).clients.insert(client.id.clone(), client);
        }
        for PermsSeed { flavor, identity, perms } in seed.perms {
            for (_, realm) in self.realms().filter(|(known, _)| *known == flavor) {
                realm.perms.insert(identity.clone(), perms.clone());
            }
        }
    }
}

impl Realm {
    /// Begins an operation: ends the deletions whose time has come.
    pub(crate) fn settle(&mut self, settings: &Settings, now: u64) {
        self.moment = Moment { now, memory: settings.replication.longest_ms() };
        let (over, running) = std::mem::take(&mut self.running).into_iter().partition(|(end, _)| *end <= now);
        self.running = running;
        let over: Vec<(u64, String)> = over;
        for (end, id) in over {
            self.forget(&id, Moment { now: end, ..self.moment });
        }
    }

    fn forget(&mut self, id: &str, moment: Moment) {
        if let Some(app) = self.apps.remove(id, moment)
            && let Some(org) = self.orgs.get_mut(&app.org)
        {
            org.apps.remove(id);
        }
        for org in self.orgs.values_mut() {
            org.members.remove(id, moment);
        }
    }

    pub(crate) fn insert(&mut self, app: App) {
        self.orgs.entry(app.org.clone()).or_default().apps.insert(app.id.clone());
        self.apps.insert(&app.id.clone(), app, self.moment);
    }

    /// Deletes an app, at once or after `runs_ms`.
    pub(crate) fn delete(&mut self, id: &str, runs_ms: u64) {
        if runs_ms == 0 {
            return self.forget(id, self.moment);
        }
        if let Some(app) = self.apps.write(id, self.moment)
            && !app.deleting
        {
            app.deleting = true;
            self.running.push((self.moment.now + runs_ms, id.to_string()));
        }
    }

    /// An app, to be changed.
    pub(crate) fn write(&mut self, id: &str) -> Option<&mut App> {
        self.apps.write(id, self.moment)
    }

    /// The roles of an app in an organization, to be changed; it becomes a member if it is none.
    pub(crate) fn member(&mut self, org: &str, id: &str) -> &mut Roles {
        let members = &mut self.orgs.entry(org.to_string()).or_default().members;
        members.write_or_default(id, self.moment)
    }

    /// An app of that organization as it was at `then`, if calls may see it.
    pub(crate) fn visible(&self, settings: &Settings, org: &str, id: &str, then: u64) -> Result<&App, Refusal> {
        let show = settings.deleting_visible;
        self.apps
            .at(id, then)
            .filter(|app| app.org == org && (show || !app.deleting))
            .ok_or_else(|| unknown_app(org, id))
    }

    /// An app of that organization that can be changed.
    pub(crate) fn changeable(&mut self, settings: &Settings, org: &str, id: &str) -> Result<&mut App, Refusal> {
        if self.visible(settings, org, id, self.moment.now)?.deleting {
            return Err(Refusal::new(409, format!("the deletion of OAuth app {id} is in progress, retry later")));
        }
        self.write(id).ok_or_else(|| unknown_app(org, id))
    }

    /// The apps of an organization that calls may see, by id, as they were at `then`.
    pub(crate) fn listed<'a>(&'a self, settings: &Settings, org: &str, then: u64) -> Vec<&'a App> {
        let owned = self.orgs.get(org).map(|o| o.apps.iter()).into_iter().flatten();
        let ids: BTreeSet<&String> = owned.chain(self.apps.written()).collect();
        let shown = |app: &&App| app.org == org && (settings.deleting_visible || !app.deleting);
        ids.into_iter().filter_map(|id| self.apps.at(id, then)).filter(shown).collect()
    }

    /// The roles of an app in an organization at `then`, if it was a member.
    pub(crate) fn roles(&self, org: &str, id: &str, then: u64) -> Option<&Roles> {
        self.orgs.get(org).and_then(|org| org.members.at(id, then))
    }
}

fn unknown_app(org: &str, id: &str) -> Refusal {
    Refusal::new(404, format!("OAuth app {id} was not found in organization {org}"))
}

impl App {
    /// Whether `secret` is valid now.
    pub(crate) fn accepts(&self, secret: &str, now: u64) -> bool {
        let previous = self.overlap(now).is_some_and(|p| p.secret == secret);
        !self.deleting && !self.secret.is_empty() && (self.secret == secret || previous)
    }

    /// The previous secret while it is valid.
    pub(crate) fn overlap(&self, now: u64) -> Option<&Previous> {
        self.previous.as_ref().filter(|p| p.expires_at > now)
    }

    /// Replaces the secret at once.
    pub(crate) fn replace_secret(&mut self, secret: String, now: u64) {
        self.secret = secret;
        self.previous = None;
        self.secret_changes += 1;
        self.secret_changed_at = Some(now);
    }

    /// Replaces the secret, beside which the old one stays valid until `due_at` and `delay_ms` more.
    pub(crate) fn rotate_secret(&mut self, secret: String, due_at: u64, delay_ms: u64, now: u64) {
        let previous = Previous { secret: self.secret.clone(), due_at, expires_at: due_at + delay_ms };
        self.replace_secret(secret, now);
        self.previous = Some(previous);
    }

    pub(crate) fn touch(&mut self, by: &str, now: u64) {
        self.updated_by = by.to_string();
        self.updated_at = now;
    }

    pub(crate) fn view(&self, flavor: Flavor, roles: Option<&Roles>, now: u64) -> AppView {
        let previous = self.overlap(now);
        AppView {
            flavor,
            id: self.id.clone(),
            org_id: self.org.clone(),
            fields: self.fields.clone(),
            secret_sha256: sha256_hex(&self.secret),
            previous_secret_sha256: previous.map(|p| sha256_hex(&p.secret)),
            previous_expires_at: previous.map(|p| p.expires_at),
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            last_updated_at: self.updated_at,
            secret_changes: self.secret_changes,
            deleting: self.deleting,
            roles: roles.map(Roles::to_json),
        }
    }
}
