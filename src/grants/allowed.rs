//! What a grant allows, and the message of a refusal: what is requested and not allowed, and what is allowed instead.

use super::redirect::Pattern;
use super::wanted::{Asked, EVERY, Wanted};
use crate::crd::{Allow, GrantType};
use crate::text::clean;
use std::fmt;

/// The most names in a message; with these the others are found.
const MAX_NAMES: usize = 10;
/// The longest name in a message, in bytes.
const MAX_NAME: usize = 64;

/// What is asked for and not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(Vec<Part>);

/// Of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    kind: Kind,
    asked: Vec<String>,
    allowed: Vec<String>,
}

/// A field of `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    GrantTypes,
    GeneralScopes,
    OrganizationRoles,
    ServiceRoles,
    RuleSetNames,
    RedirectUris,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::GrantTypes,
        Self::GeneralScopes,
        Self::OrganizationRoles,
        Self::ServiceRoles,
        Self::RuleSetNames,
        Self::RedirectUris,
    ];

    fn of(wanted: &Wanted<'_>) -> Self {
        match wanted {
            Wanted::GrantType(_) => Self::GrantTypes,
            Wanted::GeneralScope(_) | Wanted::AdminScope(_) => Self::GeneralScopes,
            Wanted::OrganizationRole(_) => Self::OrganizationRoles,
            Wanted::ServiceRole(..) => Self::ServiceRoles,
            Wanted::RuleSet(_) => Self::RuleSetNames,
            Wanted::RedirectUri(_) | Wanted::OpenRedirects => Self::RedirectUris,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::GrantTypes => "grantTypes",
            Self::GeneralScopes => "generalScopes",
            Self::OrganizationRoles => "organizationRoles",
            Self::ServiceRoles => "serviceRoles",
            Self::RuleSetNames => "ruleSetNames",
            Self::RedirectUris => "redirectUris",
        }
    }

    fn allowed(self, allow: &Allow) -> Vec<String> {
        let listed = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        match self {
            Self::GrantTypes => allow.grant_types.iter().flatten().copied().map(grant_type).collect(),
            Self::GeneralScopes => listed(&allow.general_scopes),
            Self::OrganizationRoles => allow.organization_roles.clone(),
            Self::ServiceRoles => {
                let roles = allow.service_roles.iter();
                roles.flat_map(|s| s.names.iter().map(|name| of_service(name, &s.service_definition_id))).collect()
            }
            Self::RuleSetNames => allow.rule_set_names.clone(),
            Self::RedirectUris => listed(&allow.redirect_uris),
        }
    }
}

pub(super) fn allows(allow: &Allow, wanted: &Wanted<'_>) -> bool {
    let listed = |names: &[String], name: &str| names.iter().any(|listed| listed == EVERY || listed == name);
    let role = |names: &[String], asked: &Asked<'_>| match asked {
        Asked::Role(name) => listed(names, name),
        Asked::Every(_) => names.iter().any(|listed| listed == EVERY),
        Asked::None => true,
    };
    match wanted {
        Wanted::GrantType(kind) => allow.grant_types.as_ref().is_none_or(|kinds| kinds.contains(kind)),
        Wanted::GeneralScope(scope) => allow.general_scopes.as_ref().is_none_or(|scopes| listed(scopes, scope)),
        Wanted::AdminScope(scope) => allow.general_scopes.as_ref().is_some_and(|scopes| listed(scopes, scope)),
        Wanted::OrganizationRole(asked) => role(&allow.organization_roles, asked),
        Wanted::ServiceRole(id, asked) => allow
            .service_roles
            .iter()
            .any(|s| [EVERY, id].contains(&s.service_definition_id.as_str()) && role(&s.names, asked)),
        Wanted::RuleSet(name) => listed(&allow.rule_set_names, name),
        Wanted::RedirectUri(uri) => allow.redirect_uris.as_ref().is_none_or(|patterns| {
            patterns.iter().filter_map(|pattern| Pattern::parse(pattern)).any(|pattern| pattern.covers(uri))
        }),
        Wanted::OpenRedirects => allow.redirect_uris.is_none(),
    }
}

impl Refusal {
    /// Of what is asked for and not allowed.
    pub(crate) fn new(allow: &Allow, refused: &[&Wanted<'_>]) -> Self {
        let part = |kind: Kind| {
            let asked: Vec<String> =
                refused.iter().filter(|wanted| Kind::of(wanted) == kind).map(|wanted| word(wanted)).collect();
            (!asked.is_empty()).then(|| Part { kind, asked, allowed: kind.allowed(allow) })
        };
        Self(Kind::ALL.into_iter().filter_map(part).collect())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Part { kind, asked, allowed }) in self.0.iter().enumerate() {
            let (separator, name) = (if at > 0 { "; " } else { "" }, kind.name());
            write!(f, "{separator}{name} {} (allowed: {})", list(asked), list(allowed))?;
        }
        Ok(())
    }
}

fn word(wanted: &Wanted<'_>) -> String {
    match wanted {
        Wanted::GrantType(kind) => grant_type(*kind),
        Wanted::GeneralScope(name)
        | Wanted::AdminScope(name)
        | Wanted::RuleSet(name)
        | Wanted::OrganizationRole(Asked::Role(name)) => (*name).to_owned(),
        Wanted::RedirectUri(uri) => (*uri).to_owned(),
        Wanted::OrganizationRole(Asked::Every(field)) => format!("{EVERY} for {field}"),
        Wanted::OrganizationRole(Asked::None) => String::new(),
        Wanted::ServiceRole(id, Asked::Role(name)) => of_service(name, id),
        Wanted::ServiceRole(id, Asked::Every(field)) => format!("{EVERY} of {id} for {field}"),
        Wanted::ServiceRole(id, Asked::None) => format!("any of {id}"),
        Wanted::OpenRedirects => "any for allowOpenRedirectUris".to_owned(),
    }
}

fn of_service(name: &str, id: &str) -> String {
    format!("{name} of {id}")
}

/// As the API calls it.
fn grant_type(kind: GrantType) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Each name once, of which a tenant or an administrator may have chosen any character.
fn list(names: &[String]) -> String {
    let mut unique: Vec<String> = Vec::new();
    for name in names.iter().map(|name| clean(name, MAX_NAME)) {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    let more = unique.len().saturating_sub(MAX_NAMES);
    unique.truncate(MAX_NAMES);
    if unique.is_empty() {
        return "none".to_owned();
    }
    match more {
        0 => unique.join(", "),
        _ => format!("{} and {more} more", unique.join(", ")),
    }
}
