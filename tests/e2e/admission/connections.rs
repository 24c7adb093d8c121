//! The rules on an `IamConnection`, row by row.

use super::{Row, merged, row};
use serde_json::{Value, json};

const EXACTLY_ONE: &str = "credentials need exactly one of apiToken and clientCredentials";
const EMPTY_SELECTOR: &str = "an empty selector would select every namespace: add labels, or set from: All";
const PATTERN: &str = "a pattern of redirectUris is a scheme, a host in lower case, perhaps with *. before it, and a path, perhaps with * at its end, such as https://*.example.com/*";
const ONE_BUNDLE: &str = "caBundle needs exactly one of configMapRef and secretRef";

pub(super) fn base() -> Value {
    json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {},
        "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com",
                 "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}}},
    })
}

fn grant(namespaces: Value, orgs: Value) -> Value {
    json!({"grants": [{"namespaces": namespaces, "orgs": orgs}]})
}

fn selector(requirement: Value) -> Value {
    grant(json!({"from": "Selector", "selector": {"matchExpressions": [requirement]}}), json!({"from": "All"}))
}

fn allow(allow: Value) -> Value {
    json!({"grants": [{"namespaces": {"from": "All"}, "orgs": {"from": "All"}, "allow": allow}]})
}

/// So many grants of 16 KiB of names, less what the grants count themselves.
fn names(grants: usize) -> Value {
    let names: Vec<String> = (0..256).map(|n| format!("{n:055}")).collect();
    let grant = json!({"namespaces": {"from": "Names", "names": names[1..]}, "orgs": {"from": "All"}});
    json!({"grants": vec![grant; grants]})
}

fn everyone() -> Value {
    json!({"from": "All"})
}

fn reference() -> Value {
    json!({"name": "a", "key": "b"})
}

fn client(secret_key: &str) -> Value {
    let secret = json!({"name": "a", "clientIdKey": "b", "clientSecretKey": secret_key});
    json!({"credentials": {"apiToken": null, "clientCredentials": {"secretRef": secret}}})
}

pub(super) const TABLES: &[&[Row]] = &[SERVICE, GRANTS, LIMITS];

/// The API, and the credentials for it.
const SERVICE: &[Row] = &[
    row(
        "api is one of two",
        || json!({"api": "CloudPartnerNavigator"}),
        || json!({"api": "Other"}),
        "spec.api: Unsupported value",
    ),
    row("api is required", || json!({}), || json!({"api": null}), "spec.api: Required value"),
    row(
        "endpoint is https",
        || json!({"endpoint": "https://a.example.com/cphub/api/auth"}),
        || json!({"endpoint": "http://a.example.com"}),
        "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
    ),
    row(
        "endpoint has no query",
        || json!({"endpoint": "https://a.example.com:8443/"}),
        || json!({"endpoint": "https://a.example.com/?a=b"}),
        "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
    ),
    row(
        "endpoint has no user",
        || json!({}),
        || json!({"endpoint": "https://user@a.example.com"}),
        "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
    ),
    row(
        "endpoint is a URL",
        || json!({}),
        || json!({"endpoint": "https://["}),
        "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
    ),
    row(
        "former endpoints are https",
        || json!({"formerEndpoints": ["https://a.example.com/cphub/api/auth"]}),
        || json!({"formerEndpoints": ["https://a.example.com", "http://a.example.com"]}),
        "formerEndpoints are https URLs without user, query or fragment, such as https://console.cloud.vmware.com",
    ),
    row(
        "a token or a client",
        || client("c"),
        || merged(client("c"), json!({"credentials": {"apiToken": {"secretRef": reference()}}})),
        EXACTLY_ONE,
    ),
    row("credentials of one kind", || json!({}), || json!({"credentials": {"apiToken": null}}), EXACTLY_ONE),
    row(
        "credentials have a known source",
        || json!({"credentials": {"source": "Tenant"}}),
        || json!({"credentials": {"source": "Other"}}),
        "Unsupported value",
    ),
    row(
        "a bundle in a ConfigMap or a Secret",
        || json!({"caBundle": {"configMapRef": reference()}}),
        || json!({"caBundle": {"configMapRef": reference(), "secretRef": reference()}}),
        ONE_BUNDLE,
    ),
    row(
        "a bundle somewhere",
        || json!({"caBundle": {"secretRef": reference()}}),
        || json!({"caBundle": {}}),
        ONE_BUNDLE,
    ),
    row(
        "the broker takes client credentials",
        || json!({"api": "IdentityBroker", "credentials": client("c")["credentials"]}),
        || json!({"api": "IdentityBroker"}),
        "IdentityBroker takes client credentials only: set credentials.clientCredentials",
    ),
    row(
        "context is Navigator's",
        || json!({"api": "CloudPartnerNavigator", "context": "PROVIDER"}),
        || json!({"context": "PROVIDER"}),
        "context is for CloudPartnerNavigator only: remove it",
    ),
    row(
        "context is one of three",
        || json!({"api": "CloudPartnerNavigator", "context": "OPERATOR"}),
        || json!({"api": "CloudPartnerNavigator", "context": "OTHER"}),
        "context is one of OPERATOR, PROVIDER, TENANT",
    ),
    row(
        "id and secret have keys of their own",
        || client("c"),
        || client("b"),
        "clientIdKey and clientSecretKey need different keys",
    ),
    row(
        "a Secret has a valid name",
        || json!({"credentials": {"apiToken": {"secretRef": {"name": "a.b", "key": "c"}}}}),
        || json!({"credentials": {"apiToken": {"secretRef": {"name": "A/b", "key": "c"}}}}),
        "a name consists of lower case letters, digits, - and .",
    ),
    row(
        "a Secret has a valid key",
        || json!({"credentials": {"apiToken": {"secretRef": {"name": "a", "key": "TOKEN_1.x"}}}}),
        || json!({"credentials": {"apiToken": {"secretRef": {"name": "a", "key": ".."}}}}),
        "a key consists of letters, digits, -, _ and .",
    ),
];

/// Who may use it, and for what.
const GRANTS: &[Row] = &[
    row(
        "selector with Selector",
        || grant(json!({"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}), everyone()),
        || grant(json!({"from": "Selector"}), everyone()),
        "selector goes with from: Selector, and only with it",
    ),
    row(
        "selector only with Selector",
        || grant(everyone(), everyone()),
        || grant(json!({"from": "All", "selector": {}}), everyone()),
        "selector goes with from: Selector, and only with it",
    ),
    row(
        "a selector says something",
        || {
            grant(
                json!({"from": "Selector", "selector": {"matchLabels": {}, "matchExpressions": [json!({"key": "a", "operator": "Exists"})]}}),
                everyone(),
            )
        },
        || grant(json!({"from": "Selector", "selector": {}}), everyone()),
        EMPTY_SELECTOR,
    ),
    row(
        "a selector of empty parts says nothing",
        || {
            grant(
                json!({"from": "Selector", "selector": {"matchLabels": {"a": ""}, "matchExpressions": []}}),
                everyone(),
            )
        },
        || grant(json!({"from": "Selector", "selector": {"matchLabels": {}, "matchExpressions": []}}), everyone()),
        EMPTY_SELECTOR,
    ),
    row(
        "redirect URIs by host and path",
        || {
            allow(
                json!({"redirectUris": ["https://*.example.com/*", "http://localhost:8080/cb", "com.example.app://cb"]}),
            )
        },
        || allow(json!({"redirectUris": ["https://a.example.com*"]})),
        PATTERN,
    ),
    row(
        "no redirect URI by half a label",
        || allow(json!({"redirectUris": ["https://a.example.com"]})),
        || allow(json!({"redirectUris": ["https://a*.example.com/*"]})),
        PATTERN,
    ),
    row("no redirect URI by any host", || allow(json!({})), || allow(json!({"redirectUris": ["*"]})), PATTERN),
    row(
        "a grant type at least",
        || allow(json!({"grantTypes": ["client_credentials"]})),
        || allow(json!({"grantTypes": []})),
        "should have at least 1 items",
    ),
    row(
        "a role of a service at least",
        || allow(json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": ["*"]}]})),
        || allow(json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": []}]})),
        "should have at least 1 items",
    ),
    row(
        "grants are of a size",
        || names(8),
        || names(9),
        "grants must hold at most 131072 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "names with Names",
        || grant(json!({"from": "Names", "names": ["a"]}), everyone()),
        || grant(json!({"from": "Names"}), everyone()),
        "names go with from: Names, and only with it",
    ),
    row(
        "names are not empty",
        || grant(everyone(), everyone()),
        || grant(json!({"from": "Names", "names": []}), everyone()),
        "should have at least 1 items",
    ),
    row(
        "ids with Ids",
        || grant(everyone(), json!({"from": "Ids", "ids": ["a"]})),
        || grant(everyone(), json!({"from": "Ids"})),
        "ids go with from: Ids, and only with it",
    ),
    row(
        "values with In",
        || selector(json!({"key": "a", "operator": "In", "values": ["b"]})),
        || selector(json!({"key": "a", "operator": "In"})),
        "values go with the operators In and NotIn, and only with them",
    ),
    row(
        "no values with Exists",
        || selector(json!({"key": "a", "operator": "Exists"})),
        || selector(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
        "values go with the operators In and NotIn, and only with them",
    ),
];

/// How often and how long.
const LIMITS: &[Row] = &[
    row(
        "at least one call in flight",
        || json!({"limits": {"maxInFlight": 256}}),
        || json!({"limits": {"maxInFlight": 0}}),
        "should be greater than or equal to 1",
    ),
    row(
        "not too many calls in flight",
        || json!({"limits": {"maxInFlight": 1}}),
        || json!({"limits": {"maxInFlight": 257}}),
        "should be less than or equal to 256",
    ),
    row(
        "a quota of one at least",
        || json!({"limits": {"requestsPerSecond": 1}}),
        || json!({"limits": {"requestsPerSecond": 0}}),
        "should be greater than or equal to 1",
    ),
    row(
        "a quota has an end",
        || json!({"limits": {"requestsPerSecond": 1000000}}),
        || json!({"limits": {"requestsPerSecond": 1000001}}),
        "should be less than or equal to 1000000",
    ),
    row(
        "timeout is a duration",
        || json!({"limits": {"timeout": "2m"}}),
        || json!({"limits": {"timeout": "soon"}}),
        "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
    ),
    row(
        "timeout is bounded",
        || json!({"limits": {"timeout": "1s"}}),
        || json!({"limits": {"timeout": "121s"}}),
        "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
    ),
    row(
        "timeout is within what CEL can compute with",
        || json!({"limits": {"timeout": "1m59s999ms"}}),
        || json!({"limits": {"timeout": "100000000h"}}),
        "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
    ),
    row(
        "credentialCheckInterval is at most ten years",
        || json!({"credentialCheckInterval": "87600h"}),
        || json!({"credentialCheckInterval": "100000000h"}),
        "credentialCheckInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 24h",
    ),
    row(
        "resyncInterval is at most ten years",
        || json!({"resyncInterval": "87600h"}),
        || json!({"resyncInterval": "100000000h"}),
        "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
    ),
    row(
        "credentialCheckInterval is a duration",
        || json!({"credentialCheckInterval": "24h"}),
        || json!({"credentialCheckInterval": "daily"}),
        "credentialCheckInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 24h",
    ),
    row(
        "resyncInterval is a duration",
        || json!({"resyncInterval": "1h30m"}),
        || json!({"resyncInterval": "-1s"}),
        "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
    ),
    row(
        "resyncInterval is bounded",
        || json!({"resyncInterval": "1s"}),
        || json!({"resyncInterval": "999ms"}),
        "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
    ),
];
