//! The rules on an `IamConnection`, row by row.

use super::{Rule, rule};
use serde_json::{Value, json};

pub fn base() -> Value {
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

pub fn rules() -> Vec<Rule> {
    let all = || json!({"from": "All"});
    let reference = || json!({"name": "a", "key": "b"});
    let client = json!({"secretRef": {"name": "a", "clientIdKey": "b", "clientSecretKey": "c"}});
    let exactly_one = "credentials need exactly one of apiToken and clientCredentials";
    let exists = || json!({"key": "a", "operator": "Exists"});
    let empty_selector = "an empty selector would choose every namespace: name labels, or say from: All instead";
    let pattern = "a pattern of redirectUris is a scheme, a host in lower case, perhaps with *. before it, and a path, perhaps with * at its end, such as https://*.example.com/*";
    let one_bundle = "caBundle needs exactly one of configMapRef and secretRef";
    vec![
        rule(
            "api is one of two",
            json!({"api": "CloudPartnerNavigator"}),
            json!({"api": "Other"}),
            "spec.api: Unsupported value",
        ),
        rule("api is required", json!({}), json!({"api": null}), "spec.api: Required value"),
        rule(
            "endpoint is https",
            json!({"endpoint": "https://a.example.com/cphub/api/auth"}),
            json!({"endpoint": "http://a.example.com"}),
            "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
        ),
        rule(
            "endpoint has no query",
            json!({"endpoint": "https://a.example.com:8443/"}),
            json!({"endpoint": "https://a.example.com/?a=b"}),
            "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
        ),
        rule(
            "endpoint has no user",
            json!({}),
            json!({"endpoint": "https://user@a.example.com"}),
            "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
        ),
        rule(
            "endpoint is a URL",
            json!({}),
            json!({"endpoint": "https://["}),
            "endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com",
        ),
        rule(
            "former endpoints are https",
            json!({"formerEndpoints": ["https://a.example.com/cphub/api/auth"]}),
            json!({"formerEndpoints": ["https://a.example.com", "http://a.example.com"]}),
            "formerEndpoints are https URLs without user, query or fragment, such as https://console.cloud.vmware.com",
        ),
        rule(
            "a token or a client",
            json!({"credentials": {"apiToken": null, "clientCredentials": client}}),
            json!({"credentials": {"clientCredentials": client}}),
            exactly_one,
        ),
        rule("credentials of one kind", json!({}), json!({"credentials": {"apiToken": null}}), exactly_one),
        rule(
            "credentials have a known source",
            json!({"credentials": {"source": "Tenant"}}),
            json!({"credentials": {"source": "Other"}}),
            "Unsupported value",
        ),
        rule(
            "a bundle in a ConfigMap or a Secret",
            json!({"caBundle": {"configMapRef": reference()}}),
            json!({"caBundle": {"configMapRef": reference(), "secretRef": reference()}}),
            one_bundle,
        ),
        rule(
            "a bundle somewhere",
            json!({"caBundle": {"secretRef": reference()}}),
            json!({"caBundle": {}}),
            one_bundle,
        ),
        rule(
            "context is Navigator's",
            json!({"api": "CloudPartnerNavigator", "context": "PROVIDER"}),
            json!({"context": "PROVIDER"}),
            "context is for CloudPartnerNavigator only: remove it",
        ),
        rule(
            "context is one of three",
            json!({"api": "CloudPartnerNavigator", "context": "OPERATOR"}),
            json!({"api": "CloudPartnerNavigator", "context": "OTHER"}),
            "context is one of OPERATOR, PROVIDER, TENANT",
        ),
        rule(
            "selector with Selector",
            grant(json!({"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}), all()),
            grant(json!({"from": "Selector"}), all()),
            "selector goes with from: Selector, and only with it",
        ),
        rule(
            "selector only with Selector",
            grant(all(), all()),
            grant(json!({"from": "All", "selector": {}}), all()),
            "selector goes with from: Selector, and only with it",
        ),
        rule(
            "a selector says something",
            grant(json!({"from": "Selector", "selector": {"matchLabels": {}, "matchExpressions": [exists()]}}), all()),
            grant(json!({"from": "Selector", "selector": {}}), all()),
            empty_selector,
        ),
        rule(
            "a selector of empty parts says nothing",
            grant(json!({"from": "Selector", "selector": {"matchLabels": {"a": ""}, "matchExpressions": []}}), all()),
            grant(json!({"from": "Selector", "selector": {"matchLabels": {}, "matchExpressions": []}}), all()),
            empty_selector,
        ),
        rule(
            "redirect URIs by host and path",
            allow(
                json!({"redirectUris": ["https://*.example.com/*", "http://localhost:8080/cb", "com.example.app://cb"]}),
            ),
            allow(json!({"redirectUris": ["https://a.example.com*"]})),
            pattern,
        ),
        rule(
            "no redirect URI by half a label",
            allow(json!({"redirectUris": ["https://a.example.com"]})),
            allow(json!({"redirectUris": ["https://a*.example.com/*"]})),
            pattern,
        ),
        rule("no redirect URI by any host", allow(json!({})), allow(json!({"redirectUris": ["*"]})), pattern),
        rule(
            "a grant type at least",
            allow(json!({"grantTypes": ["client_credentials"]})),
            allow(json!({"grantTypes": []})),
            "should have at least 1 items",
        ),
        rule(
            "a role of a service at least",
            allow(json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": ["*"]}]})),
            allow(json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": []}]})),
            "should have at least 1 items",
        ),
        rule(
            "grants are of a size",
            names(8),
            names(9),
            "grants must hold at most 131072 bytes of text together, where each entry counts 8 more: shorten them",
        ),
        rule(
            "names with Names",
            grant(json!({"from": "Names", "names": ["a"]}), all()),
            grant(json!({"from": "Names"}), all()),
            "names go with from: Names, and only with it",
        ),
        rule(
            "names are not empty",
            grant(all(), all()),
            grant(json!({"from": "Names", "names": []}), all()),
            "should have at least 1 items",
        ),
        rule(
            "ids with Ids",
            grant(all(), json!({"from": "Ids", "ids": ["a"]})),
            grant(all(), json!({"from": "Ids"})),
            "ids go with from: Ids, and only with it",
        ),
        rule(
            "values with In",
            selector(json!({"key": "a", "operator": "In", "values": ["b"]})),
            selector(json!({"key": "a", "operator": "In"})),
            "values go with the operators In and NotIn, and only with them",
        ),
        rule(
            "no values with Exists",
            selector(json!({"key": "a", "operator": "Exists"})),
            selector(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            "values go with the operators In and NotIn, and only with them",
        ),
        rule(
            "at least one call in flight",
            json!({"limits": {"maxInFlight": 256}}),
            json!({"limits": {"maxInFlight": 0}}),
            "should be greater than or equal to 1",
        ),
        rule(
            "not too many calls in flight",
            json!({"limits": {"maxInFlight": 1}}),
            json!({"limits": {"maxInFlight": 257}}),
            "should be less than or equal to 256",
        ),
        rule(
            "a quota of one at least",
            json!({"limits": {"requestsPerSecond": 1}}),
            json!({"limits": {"requestsPerSecond": 0}}),
            "should be greater than or equal to 1",
        ),
        rule(
            "a quota has an end",
            json!({"limits": {"requestsPerSecond": 1000000}}),
            json!({"limits": {"requestsPerSecond": 1000001}}),
            "should be less than or equal to 1000000",
        ),
        rule(
            "id and secret have keys of their own",
            json!({"credentials": {"apiToken": null, "clientCredentials": client}}),
            json!({"credentials": {"apiToken": null, "clientCredentials": {"secretRef": {"name": "a", "clientIdKey": "b", "clientSecretKey": "b"}}}}),
            "clientIdKey and clientSecretKey need different keys",
        ),
        rule(
            "a Secret has a valid name",
            json!({"credentials": {"apiToken": {"secretRef": {"name": "a.b", "key": "c"}}}}),
            json!({"credentials": {"apiToken": {"secretRef": {"name": "A/b", "key": "c"}}}}),
            "a name consists of lower case letters, digits, - and .",
        ),
        rule(
            "a Secret has a valid key",
            json!({"credentials": {"apiToken": {"secretRef": {"name": "a", "key": "TOKEN_1.x"}}}}),
            json!({"credentials": {"apiToken": {"secretRef": {"name": "a", "key": ".."}}}}),
            "a key consists of letters, digits, -, _ and .",
        ),
        rule(
            "timeout is a duration",
            json!({"limits": {"timeout": "2m"}}),
            json!({"limits": {"timeout": "soon"}}),
            "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
        ),
        rule(
            "timeout is bounded",
            json!({"limits": {"timeout": "1s"}}),
            json!({"limits": {"timeout": "121s"}}),
            "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
        ),
        rule(
            "timeout is within what CEL can compute with",
            json!({"limits": {"timeout": "1m59s999ms"}}),
            json!({"limits": {"timeout": "100000000h"}}),
            "timeout is a duration from 1s to 2m in h, m, s and ms, in this order, such as 10s",
        ),
        rule(
            "credentialCheckInterval is at most ten years",
            json!({"credentialCheckInterval": "87600h"}),
            json!({"credentialCheckInterval": "100000000h"}),
            "credentialCheckInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 24h",
        ),
        rule(
            "resyncInterval is at most ten years",
            json!({"resyncInterval": "87600h"}),
            json!({"resyncInterval": "100000000h"}),
            "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
        ),
        rule(
            "credentialCheckInterval is a duration",
            json!({"credentialCheckInterval": "24h"}),
            json!({"credentialCheckInterval": "daily"}),
            "credentialCheckInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 24h",
        ),
        rule(
            "resyncInterval is a duration",
            json!({"resyncInterval": "1h30m"}),
            json!({"resyncInterval": "-1s"}),
            "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
        ),
        rule(
            "resyncInterval is bounded",
            json!({"resyncInterval": "1s"}),
            json!({"resyncInterval": "999ms"}),
            "resyncInterval is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 10m",
        ),
    ]
}
