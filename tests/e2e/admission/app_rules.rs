//! The rules on an `OrgOAuthApp`, row by row. Rows that begin with `documented:` are the rules of the documented create
//! request.

use super::{Change, Rule, rule};
use serde_json::{Value, json};

pub fn base() -> Value {
    json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": {},
        "spec": {"orgId": "org-1", "displayName": "Billing", "description": "Nightly",
                 "grantTypes": ["client_credentials"], "allowedScopes": {}},
    })
}

fn web(more: Value) -> Value {
    super::merged(json!({"grantTypes": ["authorization_code"]}), &more)
}

fn public(more: Value) -> Value {
    super::merged(web(json!({"publicClient": true})), &more)
}

/// Without all that has a default.
fn one_line(more: Value) -> Value {
    super::merged(json!({"displayName": null, "description": null, "grantTypes": null, "allowedScopes": null}), &more)
}

fn organization(scopes: Value) -> Value {
    json!({"allowedScopes": {"organizationScopes": scopes}})
}

fn service(scopes: Value) -> Value {
    json!({"allowedScopes": {"servicesScopes": [super::merged(json!({"serviceDefinitionId": "s"}), &scopes)]}})
}

pub fn rules() -> Vec<Rule> {
    let mut rules = documented();
    rules.extend(scopes());
    rules.extend(own());
    rules.extend(integers());
    rules.extend(sizes());
    rules.extend(templates());
    rules
}

/// How large a resource may be; each row has the largest that is accepted.
fn sizes() -> Vec<Rule> {
    let list = |count: usize, text: &str, length: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n:03}{}", text.repeat(length - 3))).collect()
    };
    let roles = |count, length| -> Vec<Value> {
        list(count, "r", length).into_iter().map(|name| json!({ "name": name })).collect()
    };
    let general = |count, text| json!({"allowedScopes": {"generalScopes": list(count, text, 256)}});
    let services = |count: usize| {
        let service = |n| json!({"serviceDefinitionId": format!("service-{n}"), "roles": roles(60, 120)});
        json!({"allowedScopes": {"servicesScopes": (0..count).map(service).collect::<Vec<_>>()}})
    };
    let permissions = |count| {
        let permission = |id: String| json!({"permissionId": id, "resources": list(16, "r", 56)});
        organization(json!({"permissions": list(count, "p", 8).into_iter().map(permission).collect::<Vec<_>>()}))
    };
    let orgs = |count| json!({"allowedOrgs": list(count, "o", 256)});
    let uris = |field: &str, count| web(json!({field: list(count, "u", 2048)}));
    let texts = |field: &'static str| {
        let sentence = match field {
            "additionalAttributeMasks" => {
                "additionalAttributeMasks must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them"
            }
            "allowedActorsAudienceExchange" => {
                "allowedActorsAudienceExchange must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them"
            }
            _ => {
                "allowedActorsClientDelegate must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them"
            }
        };
        rule(field, json!({field: list(7, "x", 256)}), json!({field: list(8, "x", 256)}), sentence)
    };
    let of_service =
        |count| json!({"roles": {"serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": roles(count, 256)}]}});
    let annotations = |letters: &str| {
        let all: serde_json::Map<_, _> = letters.chars().map(|c| (c.to_string(), json!("x".repeat(8000)))).collect();
        json!({"secret": {"annotations": all}})
    };
    let template = |letters: &str| {
        let all: serde_json::Map<_, _> = letters.chars().map(|c| (c.to_string(), json!("x".repeat(4000)))).collect();
        json!({"secret": {"template": all, "annotations": {"note": "x".repeat(4000)}}})
    };
    let scopes_size =
        "allowedScopes must hold at most 16384 bytes of text together, where each entry counts 8 more: shorten them";
    let roles_size =
        "roles must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them";
    let secret_size = "labels, annotations and template must hold at most 16384 bytes of text together, where each entry counts 8 more: shorten them";
    let too_long = |limit: u32| match limit {
        256 => "Too long: may not be more than 256",
        _ => "Too long: may not be more than 4096",
    };
    vec![
        rule(
            "description has an end",
            json!({"description": "x".repeat(4096)}),
            json!({"description": "x".repeat(4097)}),
            too_long(4096),
        ),
        rule(
            "displayName has an end",
            json!({"displayName": "x".repeat(256)}),
            json!({"displayName": "x".repeat(257)}),
            too_long(256),
        ),
        rule("general scopes have a size", general(62, "s"), general(63, "s"), scopes_size),
        rule("bytes count, not characters", general(31, "é"), general(33, "é"), scopes_size),
        rule("scopes of services count together", services(2), services(3), scopes_size),
        rule("resources of permissions count", permissions(15), permissions(16), scopes_size),
        rule(
            "roles have a size",
            json!({"roles": {"organizationRoles": roles(31, 256)}}),
            json!({"roles": {"organizationRoles": roles(32, 256)}}),
            roles_size,
        ),
        rule("roles in services count", of_service(30), of_service(32), roles_size),
        rule(
            "redirectUris have a size",
            uris("redirectUris", 3),
            uris("redirectUris", 4),
            "redirectUris must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them",
        ),
        rule(
            "postLogoutRedirectUris have a size",
            uris("postLogoutRedirectUris", 1),
            uris("postLogoutRedirectUris", 2),
            "postLogoutRedirectUris must hold at most 4096 bytes of text together, where each entry counts 8 more: shorten them",
        ),
        rule(
            "allowedOrgs have a size",
            orgs(31),
            orgs(32),
            "allowedOrgs must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them",
        ),
        texts("additionalAttributeMasks"),
        texts("allowedActorsAudienceExchange"),
        texts("allowedActorsClientDelegate"),
        rule("annotations have a size", annotations("ab"), annotations("abc"), secret_size),
        rule("templates and annotations count together", template("abc"), template("abcd"), secret_size),
    ]
}

/// What the documented request of the remote app asks for.
fn documented() -> Vec<Rule> {
    let brought = || json!({"clientSecretRef": {"name": "a", "key": "b"}});
    let uris = || json!({"redirectUris": ["https://a.example.com"]});
    vec![
        rule(
            "one line is enough",
            one_line(json!({})),
            json!({"orgId": null, "displayName": null, "description": null, "grantTypes": null, "allowedScopes": null}),
            "spec.orgId: Required value",
        ),
        rule("documented: a grant type at least", json!({}), json!({"grantTypes": []}), "should have at least 1 items"),
        rule(
            "documented: known grant types",
            json!({"grantTypes": ["authorization_code", "refresh_token", "client_credentials", "client_delegate"]}),
            json!({"grantTypes": ["password"]}),
            "spec.grantTypes[0]: Unsupported value",
        ),
        rule(
            "documented: a grant type once",
            json!({}),
            json!({"grantTypes": ["client_credentials", "client_credentials"]}),
            "Duplicate value",
        ),
        rule(
            "displayName has known characters",
            json!({"displayName": "Büro 7 - _ . ` ' : @ & ,"}),
            json!({"displayName": "a<b"}),
            "displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,",
        ),
        rule(
            "displayName is not empty",
            json!({}),
            json!({"displayName": ""}),
            "spec.displayName in body should be at least 1 chars long",
        ),
        rule(
            "documented: accessTokenTTL is a number",
            json!({"accessTokenTTL": 1}),
            json!({"accessTokenTTL": "1"}),
            "spec.accessTokenTTL: Invalid value",
        ),
        rule(
            "accessTokenTTL is positive",
            json!({"accessTokenTTL": 2147483647}),
            json!({"accessTokenTTL": 0}),
            "spec.accessTokenTTL in body should be greater than or equal to 1",
        ),
        rule(
            "documented: refreshTokenTTL is a number",
            json!({"refreshTokenTTL": 1}),
            json!({"refreshTokenTTL": true}),
            "spec.refreshTokenTTL: Invalid value",
        ),
        rule(
            "refreshTokenTTL is positive",
            json!({"refreshTokenTTL": 1}),
            json!({"refreshTokenTTL": 0}),
            "spec.refreshTokenTTL in body should be greater than or equal to 1",
        ),
        rule(
            "refresh outlives access",
            json!({"accessTokenTTL": 5, "refreshTokenTTL": 6}),
            json!({"accessTokenTTL": 5, "refreshTokenTTL": 5}),
            "refreshTokenTTL must be greater than accessTokenTTL",
        ),
        rule(
            "delegates refresh for 14 days",
            json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": 1209600}),
            json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": 1209601}),
            "with the grant type client_delegate refreshTokenTTL is at most 1209600, which is 14 days",
        ),
        rule(
            "documented: allowedOrgs is a list of ids",
            json!({"allowedOrgs": ["org-2"]}),
            json!({"allowedOrgs": [""]}),
            "spec.allowedOrgs[0] in body should be at least 1 chars long",
        ),
        rule(
            "allowedOrgs names an organization, since nothing says what an empty list means",
            json!({}),
            json!({"allowedOrgs": []}),
            "spec.allowedOrgs in body should have at least 1 items",
        ),
        rule(
            "documented: forcePkce is a flag",
            json!({"forcePkce": true}),
            json!({"forcePkce": "yes"}),
            "spec.forcePkce: Invalid value",
        ),
        rule(
            "documented: open redirects exclude redirectUris",
            web(json!({"allowOpenRedirectUris": true})),
            super::merged(web(json!({"allowOpenRedirectUris": true})), &uris()),
            "allowOpenRedirectUris excludes redirectUris: remove one of the two",
        ),
        rule(
            "documented: id is long enough",
            json!({"id": "12345"}),
            json!({"id": "1234"}),
            "spec.id in body should be at least 5 chars long",
        ),
        rule(
            "documented: id is short enough",
            json!({"id": "a".repeat(256)}),
            json!({"id": "a".repeat(257)}),
            "spec.id: Too long: may not be more than 256",
        ),
        rule(
            "documented: id has known characters",
            json!({"id": "Az09_-"}),
            json!({"id": "billing.export"}),
            "id consists of letters, digits, _ and -",
        ),
        rule(
            "documented: id has no whitespace",
            json!({"id": "billing-export"}),
            json!({"id": "billing export"}),
            "id consists of letters, digits, _ and -",
        ),
        rule(
            "documented: maxCharactersInAccessToken may be zero or less",
            json!({"maxCharactersInAccessToken": -1}),
            json!({"maxCharactersInAccessToken": 1.5}),
            "spec.maxCharactersInAccessToken: Invalid value",
        ),
        rule(
            "documented: maxGroupsInIdToken is a number",
            json!({"maxGroupsInIdToken": 20}),
            json!({"maxGroupsInIdToken": "20"}),
            "spec.maxGroupsInIdToken: Invalid value",
        ),
        rule(
            "documented: numbers have 32 bits",
            json!({"maxGroupsInIdToken": i32::MAX}),
            json!({"maxGroupsInIdToken": i64::from(i32::MAX) + 1}),
            "integer with format int32 in spec.maxGroupsInIdToken",
        ),
        rule(
            "documented: additionalAttributeMasks are text",
            json!({"additionalAttributeMasks": ["mask"]}),
            json!({"additionalAttributeMasks": [1]}),
            "spec.additionalAttributeMasks[0]: Invalid value",
        ),
        rule(
            "documented: allowedActorsAudienceExchange are text",
            json!({"allowedActorsAudienceExchange": ["actor"]}),
            json!({"allowedActorsAudienceExchange": [""]}),
            "spec.allowedActorsAudienceExchange[0] in body should be at least 1 chars long",
        ),
        rule(
            "documented: allowedActorsClientDelegate are named once",
            json!({"allowedActorsClientDelegate": ["actor"]}),
            json!({"allowedActorsClientDelegate": ["actor", "actor"]}),
            "Duplicate value",
        ),
        rule(
            "documented: crossOrgAccessClaimsSupported is a flag",
            json!({"crossOrgAccessClaimsSupported": true}),
            json!({"crossOrgAccessClaimsSupported": "yes"}),
            "spec.crossOrgAccessClaimsSupported: Invalid value",
        ),
        rule(
            "documented: isHidden is a flag",
            json!({"isHidden": true}),
            json!({"isHidden": 1}),
            "spec.isHidden: Invalid value",
        ),
        rule(
            "documented: groupDomainAppendedInIDToken is a flag",
            json!({"groupDomainAppendedInIDToken": true}),
            json!({"groupDomainAppendedInIDToken": "yes"}),
            "spec.groupDomainAppendedInIDToken: Invalid value",
        ),
        rule(
            "documented: useCspIssuerUrl is a flag",
            json!({"useCspIssuerUrl": false}),
            json!({"useCspIssuerUrl": "https://issuer.example.com"}),
            "spec.useCspIssuerUrl: Invalid value",
        ),
        rule(
            "documented: ownerOnlySecretRotation is a flag",
            json!({"ownerOnlySecretRotation": true}),
            json!({"ownerOnlySecretRotation": 1}),
            "spec.ownerOnlySecretRotation: Invalid value",
        ),
        rule(
            "documented: postLogoutRedirectUris are for authorization_code",
            web(json!({"postLogoutRedirectUris": ["https://a.example.com"]})),
            json!({"postLogoutRedirectUris": ["https://a.example.com"]}),
            "postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris",
        ),
        rule(
            "documented: a public client has no secret",
            public(json!({})),
            public(brought()),
            "a public client has no secret: remove clientSecretRef or publicClient",
        ),
        rule(
            "documented: a public client does not use client_credentials",
            public(json!({"grantTypes": ["authorization_code", "refresh_token"]})),
            public(json!({"grantTypes": ["authorization_code", "client_credentials"]})),
            "a public client cannot use client_credentials: remove it from grantTypes, or remove publicClient",
        ),
        rule(
            "documented: a public client does not use client_credentials, which is the default",
            public(json!({})),
            one_line(json!({"publicClient": true})),
            "a public client needs grantTypes, since the default is client_credentials, which it cannot use: set grantTypes, such as [authorization_code], or remove publicClient",
        ),
        rule(
            "documented: a public client does not rotate",
            public(json!({})),
            public(json!({"rotation": {"interval": "2h", "overlap": "1h"}})),
            "a public client has no secret to rotate: remove rotation or publicClient",
        ),
        rule(
            "documented: redirectUris are for authorization_code",
            web(uris()),
            uris(),
            "redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris",
        ),
        rule(
            "redirectUris are not for the default grant type",
            web(uris()),
            one_line(uris()),
            "redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris",
        ),
        rule(
            "postLogoutRedirectUris are not for the default grant type",
            one_line(json!({"postLogoutRedirectUris": [], "refreshTokenTTL": 1209601})),
            one_line(json!({"postLogoutRedirectUris": ["https://a.example.com"]})),
            "postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris",
        ),
        rule(
            "documented: the secret is brought by reference",
            brought(),
            json!({"clientSecretRef": {"name": "a"}}),
            "spec.clientSecretRef.key: Required value",
        ),
        rule(
            "documented: a secret that is brought is not made",
            brought(),
            json!({"clientSecretRef": {"name": "a", "key": "b"}, "rotation": {"interval": "720h", "overlap": "48h"}}),
            "rotation makes secrets, clientSecretRef brings them: remove one of the two, and to rotate a secret that you bring, change it",
        ),
        rule(
            "documented: secretRotationExpirationInSeconds is a number",
            json!({"secretRotationExpirationInSeconds": 172800}),
            json!({"secretRotationExpirationInSeconds": "48h"}),
            "spec.secretRotationExpirationInSeconds: Invalid value",
        ),
        rule(
            "secretRotationExpirationInSeconds is positive",
            json!({"secretRotationExpirationInSeconds": 1}),
            json!({"secretRotationExpirationInSeconds": 0}),
            "should be greater than or equal to 1",
        ),
        rule(
            "documented: serviceDefinitionId is text",
            json!({"serviceDefinitionId": "service-1"}),
            json!({"serviceDefinitionId": ""}),
            "spec.serviceDefinitionId in body should be at least 1 chars long",
        ),
    ]
}

fn scopes() -> Vec<Rule> {
    let roles = || json!([{"name": "org_member"}]);
    let permissions = || json!([{"permissionId": "p", "resources": ["r"]}]);
    let (all_roles, all_permissions) = (
        "allRoles excludes roles: remove one of the two",
        "allPermissions excludes permissions: remove one of the two",
    );
    vec![
        rule(
            "all roles of the organization",
            organization(json!({"allRoles": true, "roles": []})),
            organization(json!({"allRoles": true, "roles": roles()})),
            all_roles,
        ),
        rule(
            "all permissions in the organization",
            organization(json!({"allPermissions": true})),
            organization(json!({"allPermissions": true, "permissions": permissions()})),
            all_permissions,
        ),
        rule(
            "all roles of a service",
            service(json!({"allRoles": true})),
            service(json!({"allRoles": true, "roles": roles()})),
            all_roles,
        ),
        rule(
            "all permissions in a service",
            service(json!({"allPermissions": true})),
            service(json!({"allPermissions": true, "permissions": permissions()})),
            all_permissions,
        ),
        rule(
            "a service is named",
            service(json!({})),
            json!({"allowedScopes": {"servicesScopes": [{}]}}),
            "serviceDefinitionId: Required value",
        ),
        rule(
            "a role is named",
            organization(json!({"roles": roles()})),
            organization(json!({"roles": [{}]})),
            "name: Required value",
        ),
        rule(
            "kept in token is one of two",
            organization(json!({"keptInToken": ["ROLES", "PERMISSIONS"]})),
            organization(json!({"keptInToken": ["OTHER"]})),
            "Unsupported value",
        ),
        rule(
            "general scopes are text",
            json!({"allowedScopes": {"generalScopes": ["openid"]}}),
            json!({"allowedScopes": {"generalScopes": [""]}}),
            "should be at least 1 chars long",
        ),
    ]
}

/// The API takes int32, so each integer that is sent has its limits; the rows are named by the field.
fn integers() -> Vec<Rule> {
    let (least, largest) = (i64::from(i32::MIN), i64::from(i32::MAX));
    let at_most = |field: &'static str| {
        let refusal = "in body should be less than or equal to 2147483647";
        rule(field, json!({field: largest}), json!({field: largest + 1}), refusal)
    };
    let at_least = |field: &'static str| {
        let refusal = "in body should be greater than or equal to -2147483648";
        rule(field, json!({field: least}), json!({field: least - 1}), refusal)
    };
    vec![
        at_most("accessTokenTTL"),
        at_most("refreshTokenTTL"),
        at_most("secretRotationExpirationInSeconds"),
        at_most("maxCharactersInAccessToken"),
        at_least("maxCharactersInAccessToken"),
        at_most("maxGroupsInIdToken"),
        at_least("maxGroupsInIdToken"),
    ]
}

/// What the operator adds to the documented request.
fn own() -> Vec<Rule> {
    let secret = |secret: Value| json!({ "secret": secret });
    let workloads = |count: usize| {
        let workload = |n| json!({"kind": "Deployment", "name": format!("web-{n}")});
        json!({"rotation": {"restart": (0..count).map(workload).collect::<Vec<_>>()}})
    };
    let rotation = |interval: &str, overlap: &str| json!({"rotation": {"interval": interval, "overlap": overlap}});
    let default_overlap = "without rotation.overlap the previous secret stays valid for secretRotationExpirationInSeconds, or for 48h, which must be shorter than rotation.interval: set rotation.overlap";
    vec![
        rule("orgId is required", json!({}), json!({"orgId": null}), "spec.orgId: Required value"),
        rule(
            "orgId is one segment",
            json!({"orgId": "2f0c6f0e-0000-4000-8000-000000000000"}),
            json!({"orgId": "a/b"}),
            "orgId consists of letters, digits, -, _ and .: take it from the vendor's console",
        ),
        rule(
            "context is one of three",
            json!({"context": "TENANT"}),
            json!({"context": "tenant"}),
            "context is one of OPERATOR, PROVIDER, TENANT",
        ),
        rule(
            "derived ids are reserved",
            json!({"id": "ooa-1", "adoptionPolicy": "Adopt"}),
            json!({"id": "ooa-1"}),
            "ids that begin with ooa- are derived from metadata.uid: choose another id, or adopt that app with adoptionPolicy",
        ),
        rule(
            "adoption needs an id",
            json!({"id": "billing", "adoptionPolicy": "AdoptAndRotate"}),
            json!({"adoptionPolicy": "Adopt"}),
            "adoptionPolicy needs id, the client id of the app to adopt",
        ),
        rule(
            "adoption does not take grant types away unasked",
            json!({"id": "billing", "adoptionPolicy": "Adopt"}),
            one_line(json!({"id": "billing", "adoptionPolicy": "Adopt"})),
            "adoptionPolicy needs grantTypes: name those that the app has, since without them it would get client_credentials only",
        ),
        rule(
            "adoptionPolicy is one of three",
            json!({"adoptionPolicy": "Never"}),
            json!({"adoptionPolicy": "Always"}),
            "spec.adoptionPolicy: Unsupported value",
        ),
        rule(
            "managementPolicy is one of two",
            json!({"managementPolicy": "Observe"}),
            json!({"managementPolicy": "None"}),
            "spec.managementPolicy: Unsupported value",
        ),
        rule(
            "deletionPolicy is one of two",
            json!({"deletionPolicy": "Retain"}),
            json!({"deletionPolicy": "Orphan"}),
            "spec.deletionPolicy: Unsupported value",
        ),
        rule(
            "the connection has a name",
            json!({"connectionRef": {"name": "other"}}),
            json!({"connectionRef": {"name": ""}}),
            "should be at least 1 chars long",
        ),
        rule(
            "the Secret has a valid name",
            secret(json!({"name": "billing.credentials"})),
            secret(json!({"name": "Billing"})),
            "a name consists of lower case letters, digits, - and .",
        ),
        rule(
            "the Secret is not the one of the rotation",
            secret(json!({"name": "other-rotation"})),
            secret(json!({"name": "row-rotation"})),
            "the Secret named like this resource with -rotation appended holds what a rotation needs: name the other one otherwise",
        ),
        rule(
            "the token URL has a valid key",
            secret(json!({"keys": {"tokenUrl": ""}})),
            secret(json!({"keys": {"tokenUrl": "token url"}})),
            "a key consists of letters, digits, -, _ and .",
        ),
        rule(
            "the token URL has a key of its own",
            secret(json!({"keys": {"tokenUrl": "TOKEN_URL"}})),
            secret(json!({"keys": {"tokenUrl": "client-id"}})),
            "clientId, clientSecret and tokenUrl need different keys",
        ),
        rule(
            "a template leaves the key of the token URL alone",
            secret(json!({"keys": {"tokenUrl": ""}, "template": {"token-url": "x"}})),
            secret(json!({"template": {"token-url": "x"}})),
            "template must not use the keys of clientId, clientSecret and tokenUrl: name its keys otherwise",
        ),
        rule(
            "the Secret has valid keys",
            secret(json!({"keys": {"clientId": "CLIENT_ID"}})),
            secret(json!({"keys": {"clientId": "client id"}})),
            "a key consists of letters, digits, -, _ and .",
        ),
        rule(
            "the Secret has two keys",
            secret(json!({"keys": {"clientId": "a", "clientSecret": "b"}})),
            secret(json!({"keys": {"clientId": "a", "clientSecret": "a"}})),
            "clientId, clientSecret and tokenUrl need different keys",
        ),
        rule(
            "a template has its own keys",
            secret(json!({"template": {"url": "x"}})),
            secret(json!({"template": {"client-id": "x"}})),
            "template must not use the keys of clientId, clientSecret and tokenUrl: name its keys otherwise",
        ),
        rule(
            "labels are the user's",
            secret(json!({"labels": {"team": "a"}})),
            secret(json!({"labels": {"oauth-apps.dev/use": "true"}})),
            "labels that begin with oauth-apps.dev/ or argocd.argoproj.io/, app.kubernetes.io/managed-by and app.kubernetes.io/instance belong to tools: remove them",
        ),
        rule(
            "annotations are the user's",
            secret(json!({"annotations": {"note": "a"}})),
            secret(json!({"annotations": {"argocd.argoproj.io/tracking-id": "a"}})),
            "annotations that begin with oauth-apps.dev/, kubectl.kubernetes.io/ or argocd.argoproj.io/ belong to tools: remove them",
        ),
        rule(
            "labels are valid",
            secret(json!({"labels": {"example.com/team": "a-b"}})),
            secret(json!({"labels": {"team": "a b"}})),
            "labels need keys and values that Kubernetes accepts as a label",
        ),
        rule(
            "annotations are valid",
            secret(json!({"annotations": {"example.com/note": "any text"}})),
            secret(json!({"annotations": {"a note": "x"}})),
            "annotations need keys that Kubernetes accepts",
        ),
        rule(
            "keys of a template are valid",
            secret(json!({"template": {"a.b": "x"}})),
            secret(json!({"template": {"a/b": "x"}})),
            "keys of template consist of at most 253 letters, digits, -, _ and .",
        ),
        rule(
            "an overlap is a duration",
            rotation("2h", "1s"),
            rotation("2h", "0s"),
            "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
        ),
        rule(
            "a public client is adopted as it is",
            public(json!({"id": "public-app", "adoptionPolicy": "Adopt"})),
            public(json!({"id": "public-app", "adoptionPolicy": "AdoptAndRotate"})),
            "a public client has no secret to rotate: set adoptionPolicy to Adopt",
        ),
        rule(
            "orgId is not a step upwards",
            json!({}),
            json!({"orgId": ".."}),
            "orgId consists of letters, digits, -, _ and .: take it from the vendor's console",
        ),
        rule(
            "redirectUris are named once",
            json!({}),
            web(json!({"redirectUris": ["https://a.example.com", "https://a.example.com"]})),
            "Duplicate value",
        ),
        rule(
            "open redirects exclude even an empty list",
            web(json!({"allowOpenRedirectUris": false, "redirectUris": []})),
            web(json!({"allowOpenRedirectUris": true, "redirectUris": []})),
            "allowOpenRedirectUris excludes redirectUris: remove one of the two",
        ),
        rule(
            "a service is named without a prefix",
            service(json!({})),
            service(json!({"serviceDefinitionId": "external/s"})),
            "serviceDefinitionId is given without an external prefix: remove it",
        ),
        rule(
            "rotation has durations",
            rotation("720h", "48h"),
            rotation("monthly", "48h"),
            "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
        ),
        rule(
            "an interval is at most ten years",
            rotation("87600h", "87599h59m59s999ms"),
            rotation("87600h1ms", "1h"),
            "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
        ),
        rule(
            "an interval is within what CEL can compute with",
            rotation("0h5256000m", "1h"),
            rotation("100000000h", "1h"),
            "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
        ),
        rule(
            "an overlap is at most ten years",
            json!({"rotation": {"overlap": "315360000s"}}),
            json!({"rotation": {"overlap": "100000000h"}}),
            "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
        ),
        rule(
            "an overlap is no empty text",
            json!({"rotation": {"overlap": "315360000000ms"}}),
            json!({"rotation": {"overlap": ""}}),
            "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
        ),
        rule(
            "rotation is not too often",
            rotation("1m", "30s"),
            rotation("59s", "30s"),
            "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
        ),
        rule(
            "rotations do not overlap",
            rotation("2h", "1h"),
            rotation("2h", "2h"),
            "overlap must be shorter than interval",
        ),
        rule(
            "an interval without an overlap is longer than the default overlap",
            json!({"rotation": {"interval": "49h"}}),
            json!({"rotation": {"interval": "48h"}}),
            default_overlap,
        ),
        rule(
            "an interval without an overlap is longer than that of the app",
            json!({"rotation": {"interval": "2h"}, "secretRotationExpirationInSeconds": 3600}),
            json!({"rotation": {"interval": "1h"}, "secretRotationExpirationInSeconds": 3600}),
            default_overlap,
        ),
        rule(
            "an overlap is enough, for rotations on request",
            json!({"rotation": {"overlap": "72h"}}),
            json!({"rotation": {"overlap": "soon"}}),
            "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
        ),
        rule(
            "a workload to restart has a kind that can be restarted",
            json!({"rotation": {"restart": [{"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "web"}]}}),
            json!({"rotation": {"restart": [{"kind": "Job", "name": "web"}]}}),
            "Unsupported value: \"Job\": supported values: \"Deployment\", \"StatefulSet\", \"DaemonSet\"",
        ),
        rule(
            "a workload to restart has a name",
            json!({"rotation": {"restart": [{"kind": "DaemonSet", "name": "web.1"}]}}),
            json!({"rotation": {"restart": [{"kind": "DaemonSet", "name": "../web"}]}}),
            "a name consists of lower case letters, digits, - and .",
        ),
        rule(
            "a workload is named once",
            workloads(20),
            json!({"rotation": {"restart": [{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "web"}]}}),
            "Duplicate value",
        ),
        rule(
            "at most twenty workloads are restarted",
            workloads(20),
            workloads(21),
            "Too many: 21: must have at most 20 items",
        ),
        rule(
            "an interval is enough, and a duration",
            json!({"rotation": {"interval": "720h"}}),
            json!({"rotation": {"interval": "monthly"}}),
            "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
        ),
        rule(
            "a role in a service names it",
            json!({"roles": {"serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": [{"name": "r"}]}]}}),
            json!({"roles": {"serviceRoles": [{}]}}),
            "serviceDefinitionId: Required value",
        ),
    ]
}

/// The grammar of templates, which `src/template/parse.rs` reads again.
fn templates() -> Vec<Rule> {
    let of = |key: &str, template: &str| json!({"secret": {"template": {key: template}}});
    let sentence = "a template is text and {{ name }} or {{ name | function }}, and nothing else: names are clientId, clientSecret, orgId and tokenUrl, functions json, base64 and urlencode, at most 8 in a row";
    let template = |name, accepted, refused| rule(name, of("key", accepted), of("key", refused), sentence);
    vec![
        rule(
            "keys of a template are as short as those of a Secret",
            of(&"a".repeat(253), "x"),
            of(&"a".repeat(254), "x"),
            "keys of template consist of at most 253 letters, digits, -, _ and .",
        ),
        template(
            "a template is text and values",
            "{\"id\": {{ clientId|json }}, {x: {{\n\ttokenUrl | urlencode | base64\r\n}}}} 日本 {",
            "{% for x in y %}",
        ),
        template("a template has no literals", "{{ orgId }}", "{{ \"x\" }}"),
        template("a template has no fields", "{{ orgId }}", "{{ orgId.x }}"),
        template("a template has no unknown name", "{{ clientSecret }}", "{{ clientsecret }}"),
        template("a template has no unknown function", "{{ clientSecret | json }}", "{{ clientSecret | upper }}"),
        template("a template has no comment in braces", "{# x #}", "{{# x }}"),
        template("a value ends", "}}", "{{ orgId }"),
        template("a value begins with a name", "{ {{ orgId }}", "{{{ orgId }}"),
        template(
            "a value passes through few functions",
            "{{ orgId | json | json | json | json | json | json | json | json }}",
            "{{ orgId | json | json | json | json | json | json | json | json | json }}",
        ),
    ]
}

pub fn changes() -> Vec<Change> {
    let change = |name, from, accepted, refused, sentence| Change { name, from, accepted, refused, sentence };
    let id = "id is immutable: delete the resource and create it again";
    let public_client = "publicClient is immutable: delete the resource and create it again";
    vec![
        change(
            "orgId stays",
            json!({}),
            json!({"description": "other"}),
            json!({"orgId": "org-2"}),
            "orgId is immutable: delete the resource and create it again",
        ),
        change(
            "connectionRef stays",
            json!({}),
            json!({"connectionRef": {"name": "default"}}),
            json!({"connectionRef": {"name": "other"}}),
            "connectionRef is immutable: delete the resource and create it again",
        ),
        change(
            "id stays",
            json!({"id": "billing"}),
            json!({"id": "billing", "description": "other"}),
            json!({"id": "other"}),
            id,
        ),
        change("id is not added", json!({}), json!({}), json!({"id": "other"}), id),
        change("id is not removed", json!({"id": "billing"}), json!({"id": "billing"}), json!({}), id),
        change(
            "documented: publicClient stays on",
            public(json!({})),
            public(json!({"forcePkce": true})),
            web(json!({})),
            public_client,
        ),
        change(
            "documented: publicClient stays off",
            web(json!({})),
            web(json!({"publicClient": false})),
            public(json!({})),
            public_client,
        ),
        change(
            "documented: open redirects stay off",
            web(json!({})),
            web(json!({"allowOpenRedirectUris": false})),
            web(json!({"allowOpenRedirectUris": true})),
            "allowOpenRedirectUris is immutable: delete the resource and create it again",
        ),
        change(
            "open redirects stay on",
            web(json!({"allowOpenRedirectUris": true})),
            web(json!({"allowOpenRedirectUris": true, "forcePkce": true})),
            web(json!({})),
            "allowOpenRedirectUris is immutable: delete the resource and create it again",
        ),
        change(
            "documented: restricted stays restricted",
            json!({"allowedOrgs": ["org-2"]}),
            json!({"allowedOrgs": ["org-3"]}),
            json!({}),
            "an app that is restricted to allowedOrgs cannot become unrestricted: delete the resource and create it again",
        ),
    ]
}
