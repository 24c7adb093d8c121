//! Access tokens: issuing them for API tokens and client credentials, and judging the one that a call brings.
//! A token is a JWT in form, unless that is switched off, so that a client can read `exp` where no `expires_in` is given.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Refusal};
use crate::crypto::{Signer, uuid};
use crate::names::Names;
use crate::roles::{Roles, names};
use crate::route::TokenForm;
use crate::schema;
use crate::store::{Access, App, Realm};
use crate::timestamp::timestamp;
use crate::types::{ApiTokenSeed, Flavor, Operation, Settings};

mod broker;

/// Who gets a token and what it says.
struct Grant {
    subject: String,
    context_org: String,
    orgs: Option<Vec<String>>,
    perms: Vec<String>,
    read_only: bool,
    lifetime: u64,
}

/// One token request.
pub(crate) struct Desk<'a> {
    pub flavor: Flavor,
    pub settings: &'a Settings,
    pub realm: &'a mut Realm,
    pub signer: &'a Signer,
    pub now: u64,
}

impl Desk<'_> {
    /// Answers any of the token endpoints.
    pub(crate) fn serve(&mut self, form: TokenForm, call: &Call) -> Result<Answer, Refusal> {
        match form {
            TokenForm::CspApiToken => self.csp_api_token(call),
            TokenForm::CspApiTokenDetails => self.csp_api_token_details(call),
            TokenForm::CspAuthorize => self.csp_client(call, &["grant_type", "orgId"]),
            TokenForm::CspToken => {
                self.csp_client(call, &["grant_type", "orgId", "scope", "accessTokenValiditySeconds"])
            }
            TokenForm::CpnApiToken => self.cpn_api_token(call),
            TokenForm::CpnAccount => self.cpn_account(call),
            TokenForm::CpnAuthorize => self.cpn_authorize(call),
            TokenForm::Broker => self.broker_token(call),
        }
    }

    fn csp_api_token(&mut self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        if self.settings.older_api_token_form {
            return self.csp_older_api_token(call);
        }
        let form = call.form(&["api_token", "refresh_token", "passcode"])?;
        let (token, older) = (value(&form, "api_token"), value(&form, "refresh_token"));
        let api_token = match (token, older) {
            (Some(token), None) | (None, Some(token)) => token,
            _ => return Err(Refusal::bad("api_token is required")),
        };
        let grant = self.api_token(api_token, value(&form, "passcode"))?;
        let lifetime = grant.lifetime;
        let access = self.issue(&grant);
        Ok(csp_tokens(&access, Some(api_token), lifetime))
    }

    fn csp_older_api_token(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let form = call.form(&["grant_type", "refresh_token"])?;
        if value(&form, "grant_type") != Some("refresh_token") {
            return Err(Refusal::bad("unsupported_grant_type: grant_type must be refresh_token"));
        }
        let api_token = value(&form, "refresh_token").ok_or_else(|| Refusal::bad("refresh_token is required"))?;
        let grant = self.api_token(api_token, None)?;
        let lifetime = grant.lifetime;
        let access = self.issue(&grant);
        Ok(csp_tokens(&access, Some(api_token), lifetime))
    }

    /// `ApiTokenDetailsDto`, which repeats the token; the unit of its times is documented as seconds and read as milliseconds.
    /// That a token that never expires has no `expiresAt` is assumed.
    fn csp_api_token_details(&self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        let body = call.json(&schema::CSP_API_TOKEN_DETAILS)?;
        let value = body["tokenValue"].as_str().unwrap_or_default();
        let known = self.known_api_token(value).ok_or_else(|| Refusal::new(404, "Invalid refresh token"))?;
        let mut details = json!({
            "tokenId": uuid(), "tokenName": "operator", "token": known.value, "orgId": known.org_id, "userId": uuid(),
            "username": "user@example.com", "acct": "user@example.com", "domain": "example.com", "idpId": "example.com",
            "scope": ["openid"], "createdAt": timestamp(self.settings, 0), "lastUsedAt": timestamp(self.settings, self.now),
        });
        if let Some(at) = known.expires_at {
            details["expiresAt"] = timestamp(self.settings, at);
        }
        Ok(Answer::ok(details))
    }

    fn known_api_token(&self, value: &str) -> Option<&ApiTokenSeed> {
        let is_valid = |token: &&ApiTokenSeed| token.value == value && token.expires_at.is_none_or(|at| self.now < at);
        self.realm.api_tokens.iter().find(is_valid)
    }

    fn csp_client(&mut self, call: &Call, fields: &[&str]) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        let form = call.form(fields)?;
        if value(&form, "grant_type") != Some("client_credentials") {
            return Err(Refusal::bad("unsupported_grant_type: grant_type must be client_credentials"));
        }
        let org = value(&form, "orgId").filter(|_| !self.settings.ignore_org_id);
        let mut grant = self.basic(call, org)?;
        grant.lifetime = shortened(grant.lifetime, value(&form, "accessTokenValiditySeconds"))?;
        let access = self.issue(&grant);
        Ok(csp_tokens(&access, None, grant.lifetime))
    }

    fn cpn_api_token(&mut self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        let body = call.json(&schema::CPN_API_TOKEN)?;
        let api_token = body["refreshToken"].as_str().unwrap_or_default();
        let grant = self.api_token(api_token, body.get("passcode").and_then(Value::as_str))?;
        let access = self.issue(&grant);
        Ok(cpn_tokens(201, &access, Some(api_token)))
    }

    fn cpn_account(&mut self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        let body = call.json(&schema::CPN_ACCOUNT)?;
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let grant = self.client(text("clientId"), text("clientSecret"), Some(call.org()))?;
        let access = self.issue(&grant);
        Ok(cpn_tokens(201, &access, None))
    }

    fn cpn_authorize(&mut self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&["orgId", "accessTokenValiditySeconds"])?;
        let org = call.query("orgId").ok_or_else(|| Refusal::bad("orgId is required"))?;
        let form = call.form(&["grant_type"])?;
        if value(&form, "grant_type").is_some_and(|g| g != "client_credentials") {
            return Err(Refusal::bad("grant_type must be client_credentials"));
        }
        let mut grant = self.basic(call, Some(org))?;
        grant.lifetime = shortened(grant.lifetime, call.query("accessTokenValiditySeconds"))?;
        let access = self.issue(&grant);
        Ok(cpn_tokens(200, &access, None))
    }

    fn api_token(&self, token: &str, passcode: Option<&str>) -> Result<Grant, Refusal> {
        let status = match self.flavor {
            Flavor::Csp | Flavor::Cpn => self.settings.bad_api_token_status,
            Flavor::Broker => 400,
        };
        let invalid = || Refusal::new(status, "invalid_grant: Invalid refresh token");
        let known = self.known_api_token(token).ok_or_else(invalid)?;
        if known.passcode.is_some() && known.passcode.as_deref() != passcode {
            return Err(Refusal::bad("invalid_grant: a valid passcode is required"));
        }
        let subject = format!("api-token:{}", known.org_id);
        Ok(self.seeded_grant(subject, token, &known.org_id, known.orgs.clone()))
    }

    /// What a seeded identity gets: the roles that were seeded for it, else those of an organization owner.
    fn seeded_grant(&self, subject: String, identity: &str, org: &str, orgs: Option<Vec<String>>) -> Grant {
        let seeded = self.realm.perms.get(identity);
        if self.flavor == Flavor::Broker {
            let rule_sets = seeded.cloned().unwrap_or_else(|| vec![broker::TENANT_ADMIN.into()]);
            return broker::grant(subject, org, rule_sets, self.settings.token_lifetime_seconds);
        }
        let manages = |perm: &String| perm.strip_prefix("csp:").is_some_and(|role| self.settings.is_managing(role));
        Grant {
            subject,
            context_org: org.to_string(),
            orgs: if seeded.is_none_or(|perms| perms.iter().any(manages)) { orgs } else { Some(vec![]) },
            perms: seeded.cloned().unwrap_or_else(|| vec!["csp:org_owner".into()]),
            read_only: false,
            lifetime: self.settings.token_lifetime_seconds,
        }
    }

    fn basic(&self, call: &Call, org: Option<&str>) -> Result<Grant, Refusal> {
        let (id, secret) = call.basic().ok_or_else(|| Refusal::new(401, "Basic credentials are required"))?;
        self.client(&id, &secret, org)
    }

    fn client(&self, id: &str, secret: &str, org: Option<&str>) -> Result<Grant, Refusal> {
        let status = match self.flavor {
            Flavor::Csp | Flavor::Cpn => 401,
            Flavor::Broker => self.settings.broker.bad_client_status,
        };
        let invalid = || Refusal::new(status, "invalid_client: Invalid client credentials");
        if let Some(seed) = self.realm.clients.get(id) {
            if seed.secret != secret {
                return Err(invalid());
            }
            let org = org.unwrap_or(&seed.org_id);
            let manages = seed.orgs.as_ref().is_none_or(|orgs| orgs.iter().any(|o| o == org));
            if self.settings.org_scoped_tokens && !(manages && self.realm.orgs.contains_key(org)) {
                return Err(foreign_client(id));
            }
            return Ok(self.seeded_grant(id.to_string(), id, org, seed.orgs.clone()));
        }
        let then = self.known_at();
        let app = self.realm.apps.at(id, then).filter(|app| app.accepts(secret, then)).ok_or_else(invalid)?;
        let org = org.unwrap_or(&app.org);
        if org != app.org && !self.serves(app, org) {
            return Err(foreign_client(id));
        }
        self.app_grant(app, org)
    }

    /// The time whose apps and roles the endpoint knows.
    fn known_at(&self) -> u64 {
        self.settings.replication.tokens_show(self.now)
    }

    /// Whether an app was added to an organization that does not own it, which CSP alone lets it `[csp-index]`.
    fn serves(&self, app: &App, org: &str) -> bool {
        let added = self.realm.roles(org, &app.id, self.known_at()).is_some();
        self.flavor == Flavor::Csp && self.settings.org_scoped_tokens && added
    }

    fn app_grant(&self, app: &App, org: &str) -> Result<Grant, Refusal> {
        let field = Names::of(self.flavor);
        let grants = crate::policy::texts(&app.fields, field.grant_types);
        if !grants.contains(&"client_credentials") {
            return Err(Refusal::bad("unauthorized_client: the app has no client_credentials grant type"));
        }
        let lifetime = crate::policy::int(&app.fields, field.access_token_ttl).and_then(|n| u64::try_from(n).ok());
        let lifetime = lifetime.map_or(self.settings.token_lifetime_seconds, |n| n * field.ttl_unit);
        if self.flavor == Flavor::Broker {
            return Ok(broker::app_grant(app, lifetime));
        }
        let none = Roles::default();
        let roles = self.realm.roles(org, &app.id, self.known_at()).unwrap_or(&none);
        let manages = roles.organization.iter().any(|role| self.settings.is_managing(&role.name));
        Ok(Grant {
            subject: app.id.clone(),
            context_org: org.to_string(),
            orgs: Some(if manages { vec![org.to_string()] } else { vec![] }),
            perms: permissions(roles, app.fields.get("allowedScopes").unwrap_or(&Value::Null)),
            read_only: false,
            lifetime,
        })
    }

    fn issue(&mut self, grant: &Grant) -> String {
        let issued = self.now / 1000;
        let expires = issued + grant.lifetime;
        let claims = match self.flavor {
            Flavor::Csp | Flavor::Cpn => json!({
                "sub": grant.subject, "azp": grant.subject, "iss": "https://gaz.example.com",
                "context": uuid(), "context_name": grant.context_org, "perms": grant.perms,
                "iat": issued, "exp": expires, "jti": uuid(),
            }),
            Flavor::Broker => broker::claims(grant, issued, expires),
        };
        let token = if self.settings.opaque_tokens { uuid() } else { self.signer.jwt(&claims) };
        let access = Access {
            subject: grant.subject.clone(),
            expires_at: expires * 1000,
            context_org: grant.context_org.clone(),
            orgs: grant.orgs.clone(),
            read_only: grant.read_only,
        };
        self.realm.access.insert(token.clone(), access);
        self.realm.tokens_issued += 1;
        token
    }
}

fn foreign_client(id: &str) -> Refusal {
    Refusal::new(403, format!("client {id} does not belong to that organization"))
}

/// The roles that a token carries: those held, as far as the app's scopes let them through (docs/api.md).
fn permissions(roles: &Roles, scopes: &Value) -> Vec<String> {
    let lets = |scope: &Value, role: &str| {
        scope["allRoles"] == true
            || scope["roles"].as_array().is_some_and(|list| list.iter().any(|r| r["name"] == role))
    };
    let organization = &scopes["organizationScopes"];
    let held = names(&roles.organization);
    let held = held.iter().filter(|role| lets(organization, role));
    let mut perms: Vec<String> = held.map(|role| format!("csp:{role}")).collect();
    for (id, held) in &roles.services {
        let all = scopes["servicesScopes"].as_array().into_iter().flatten();
        let scope = all.into_iter().find(|s| s["serviceDefinitionId"] == id.as_str());
        let held = names(held);
        let through = held.iter().filter(|role| scope.is_some_and(|s| lets(s, role)));
        perms.extend(through.map(|role| format!("external/{id}/{role}")));
    }
    perms
}

fn value<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn shortened(lifetime: u64, asked: Option<&str>) -> Result<u64, Refusal> {
    match asked.map(str::parse::<u64>) {
        None => Ok(lifetime),
        Some(Ok(seconds)) if seconds > 0 => Ok(lifetime.min(seconds)),
        _ => Err(Refusal::bad("accessTokenValiditySeconds must be a positive number of seconds")),
    }
}

fn csp_tokens(access: &str, api_token: Option<&str>, lifetime: u64) -> Answer {
    Answer::ok(json!({
        "access_token": access, "refresh_token": api_token, "id_token": access,
        "expires_in": lifetime.saturating_sub(1), "scope": "openid", "token_type": "bearer",
    }))
}

fn cpn_tokens(status: u16, access: &str, api_token: Option<&str>) -> Answer {
    let body = json!({"accessToken": access, "idToken": access, "refreshToken": api_token, "returnUrl": ""});
    Answer::status(status, body)
}

/// The organization that a call without one in its path is about: the one that is asked for, else the identity's own.
pub(crate) fn implied_org(realm: &Realm, call: &Call) -> Option<String> {
    let owner = |id: &str| {
        let app = || realm.apps.get(id).map(|app| app.org.clone());
        realm.clients.get(id).map(|client| client.org_id.clone()).or_else(app)
    };
    match call.route.operation {
        Operation::SelfRotate => owner(call.client()),
        Operation::Token | Operation::ApiTokenDetails => {
            let named = |name: &str| call.query(name).map(String::from).or_else(|| call.field(name));
            let api_token = ["api_token", "refresh_token", "refreshToken", "tokenValue"]
                .into_iter()
                .find_map(|name| call.field(name));
            let of_token = |value| realm.api_tokens.iter().find(|t| t.value == value).map(|t| t.org_id.clone());
            let of_client = || call.basic().and_then(|(id, _)| owner(&id));
            named("orgId").or_else(|| api_token.and_then(of_token)).or_else(of_client)
        }
        _ => None,
    }
}

/// The bearer of the call's access token, sought in the header that the API documents (docs/api.md).
pub(crate) fn bearer(realm: &Realm, flavor: Flavor, call: &Call, now: u64) -> Result<Access, Refusal> {
    let bearer = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    let header = call.header("csp-auth-token").filter(|_| flavor != Flavor::Broker);
    let token = match (flavor, bearer, header) {
        (_, Some(_), Some(_)) => {
            return Err(Refusal::bad("give the token in Authorization or in csp-auth-token, not in both"));
        }
        (Flavor::Csp | Flavor::Broker, Some(token), None) | (_, None, Some(token)) => token,
        (Flavor::Cpn, Some(_), None) => return Err(Refusal::new(401, "csp-auth-token is required")),
        (_, None, None) => return Err(Refusal::new(401, "an access token is required")),
    };
    match realm.access.get(token) {
        Some(access) if access.expires_at > now => Ok(access.clone()),
        Some(_) => Err(Refusal::new(401, "the access token has expired")),
        None => Err(Refusal::new(401, "the access token is not valid")),
    }
}
