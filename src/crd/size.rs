//! How large a part of a resource may be: CEL rules that bound the sum of its texts, since limits of single items multiply.
//! All parts of an `OrgOAuthApp` together stay near 64 KiB, those of an `IamConnection` near 256 KiB.

use kube::core::Rule;

/// What an entry of a list or map counts beside its texts, so that many empty ones are not free.
const ENTRY: usize = 8;
/// Of `allowedScopes`.
const SCOPES: usize = 16 << 10;
/// Of `roles`.
const ROLES: usize = 8 << 10;
/// Of labels, annotations and templates of the Secret.
const SECRET: usize = 16 << 10;
/// Of all grants of a connection.
const GRANTS: usize = 128 << 10;

/// For a list of texts.
pub(super) fn texts(field: &str, limit: usize) -> Rule {
    at_most(field, &entries("self", "x", &text("x")), limit)
}

/// For `AllowedScopes`.
pub(super) fn allowed_scopes() -> Rule {
    let general = optional("self.generalScopes", |list| entries(list, "x", &text("x")));
    let organization = optional("self.organizationScopes", scopes);
    let service = format!("{} + {}", text("s.serviceDefinitionId"), scopes("s"));
    let services = optional("self.servicesScopes", |list| entries(list, "s", &service));
    at_most("allowedScopes", &[general, organization, services].join(" + "), SCOPES)
}

/// For `Roles`.
pub(super) fn roles() -> Rule {
    let organization = optional("self.organizationRoles", roles_of);
    let of_service = optional("s.serviceRoles", roles_of);
    let service = format!("{} + {of_service}", text("s.serviceDefinitionId"));
    let services = optional("self.serviceRoles", |list| entries(list, "s", &service));
    at_most("roles", &[organization, services].join(" + "), ROLES)
}

/// For `SecretTarget`.
pub(super) fn secret() -> Rule {
    let maps = ["labels", "annotations", "template"].map(|name| optional(&format!("self.{name}"), map));
    at_most("labels, annotations and template", &maps.join(" + "), SECRET)
}

/// For the list of grants. Only administrators write it, so its characters count, which is cheaper.
pub(super) fn grants() -> Rule {
    let texts_of = |list: &str| optional(list, |list| entries(list, "x", "size(x)"));
    let labels = |map: &str| entries(map, "k", "size(k)");
    let requirement = format!("size(e.key) + {}", texts_of("e.values"));
    let service = format!("size(s.serviceDefinitionId) + {}", entries("s.names", "x", "size(x)"));
    let selector = [
        optional("g.namespaces.selector.matchLabels", labels),
        optional("g.namespaces.selector.matchExpressions", |list| entries(list, "e", &requirement)),
    ];
    let allow = [
        texts_of("g.allow.generalScopes"),
        texts_of("g.allow.organizationRoles"),
        optional("g.allow.serviceRoles", |list| entries(list, "s", &service)),
        texts_of("g.allow.ruleSetNames"),
        texts_of("g.allow.redirectUris"),
    ];
    let grant = [
        texts_of("g.namespaces.names"),
        optional("g.namespaces.selector", |_| selector.join(" + ")),
        texts_of("g.orgs.ids"),
        optional("g.allow", |_| allow.join(" + ")),
    ];
    at_most("grants", &entries("self", "g", &grant.join(" + ")), GRANTS)
}

fn at_most(what: &str, sum: &str, limit: usize) -> Rule {
    let message = format!(
        "{what} must hold at most {limit} bytes of text together, where each entry counts {ENTRY} more: shorten them"
    );
    Rule::new(format!("{sum} <= {limit}")).message(message.as_str())
}

/// `x` stands for a text of any characters, so it is bytes that count.
fn text(x: &str) -> String {
    format!("size(bytes({x}))")
}

fn entries(list: &str, name: &str, each: &str) -> String {
    format!("{list}.map({name}, {ENTRY} + {each}).sum()")
}

fn map(map: &str) -> String {
    entries(map, "k", &format!("{} + {}", text("k"), text(&format!("{map}[k]"))))
}

fn optional(field: &str, sum: impl FnOnce(&str) -> String) -> String {
    format!("(has({field}) ? {} : 0)", sum(field))
}

fn roles_of(list: &str) -> String {
    let resource = optional("r.resource", text);
    entries(list, "r", &format!("{} + {resource}", text("r.name")))
}

/// Of the organization, or of one service.
fn scopes(of: &str) -> String {
    let resources = optional("p.resources", |list| entries(list, "x", &text("x")));
    let permission = format!("{} + {resources}", text("p.permissionId"));
    let permissions = optional(&format!("{of}.permissions"), |list| entries(list, "p", &permission));
    format!("{} + {permissions}", optional(&format!("{of}.roles"), roles_of))
}
