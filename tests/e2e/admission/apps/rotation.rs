//! Where the client secret comes from, and when it is rotated.

use super::public;
use crate::admission::{Row, row};
use serde_json::{Value, json};

const DEFAULT_OVERLAP: &str = "without rotation.overlap the previous secret stays valid for secretRotationExpirationInSeconds, or for 48h, which must be shorter than rotation.interval: set rotation.overlap";

fn provided() -> Value {
    json!({"clientSecretRef": {"name": "a", "key": "b"}})
}

fn rotation(interval: &str, overlap: &str) -> Value {
    json!({"rotation": {"interval": interval, "overlap": overlap}})
}

fn workloads(count: usize) -> Value {
    let workload = |n| json!({"kind": "Deployment", "name": format!("web-{n}")});
    json!({"rotation": {"restart": (0..count).map(workload).collect::<Vec<_>>()}})
}

pub(super) const ROWS: &[Row] = &[
    row(
        "documented: a public client has no secret",
        || public(json!({})),
        || public(provided()),
        "a public client has no secret: remove clientSecretRef or publicClient",
    ),
    row(
        "documented: a public client does not rotate",
        || public(json!({})),
        || public(json!({"rotation": {"interval": "2h", "overlap": "1h"}})),
        "a public client has no secret to rotate: remove rotation or publicClient",
    ),
    row(
        "documented: the secret is provided by reference",
        provided,
        || json!({"clientSecretRef": {"name": "a"}}),
        "spec.clientSecretRef.key: Required value",
    ),
    row(
        "documented: a secret that is provided is not generated",
        provided,
        || json!({"clientSecretRef": {"name": "a", "key": "b"}, "rotation": {"interval": "720h", "overlap": "48h"}}),
        "rotation generates client secrets, clientSecretRef provides one: remove one of the two; to rotate a secret that you provide, change its value",
    ),
    row(
        "documented: secretRotationExpirationInSeconds is a number",
        || json!({"secretRotationExpirationInSeconds": 172800}),
        || json!({"secretRotationExpirationInSeconds": "48h"}),
        "spec.secretRotationExpirationInSeconds: Invalid value",
    ),
    row(
        "secretRotationExpirationInSeconds is positive",
        || json!({"secretRotationExpirationInSeconds": 1}),
        || json!({"secretRotationExpirationInSeconds": 0}),
        "should be greater than or equal to 1",
    ),
    row(
        "an overlap is a duration",
        || rotation("2h", "1s"),
        || rotation("2h", "0s"),
        "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
    ),
    row(
        "rotation has durations",
        || rotation("720h", "48h"),
        || rotation("monthly", "48h"),
        "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
    ),
    row(
        "an interval is at most ten years",
        || rotation("87600h", "87599h59m59s999ms"),
        || rotation("87600h1ms", "1h"),
        "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
    ),
    row(
        "an interval is within what CEL can compute with",
        || rotation("0h5256000m", "1h"),
        || rotation("100000000h", "1h"),
        "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
    ),
    row(
        "an overlap is at most ten years",
        || json!({"rotation": {"overlap": "315360000s"}}),
        || json!({"rotation": {"overlap": "100000000h"}}),
        "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
    ),
    row(
        "an overlap is no empty text",
        || json!({"rotation": {"overlap": "315360000000ms"}}),
        || json!({"rotation": {"overlap": ""}}),
        "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
    ),
    row(
        "rotation is not too often",
        || rotation("1m", "30s"),
        || rotation("59s", "30s"),
        "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
    ),
    row(
        "rotations do not overlap",
        || rotation("2h", "1h"),
        || rotation("2h", "2h"),
        "overlap must be shorter than interval",
    ),
    row(
        "an interval without an overlap is longer than the default overlap",
        || json!({"rotation": {"interval": "49h"}}),
        || json!({"rotation": {"interval": "48h"}}),
        DEFAULT_OVERLAP,
    ),
    row(
        "an interval without an overlap is longer than that of the app",
        || json!({"rotation": {"interval": "2h"}, "secretRotationExpirationInSeconds": 3600}),
        || json!({"rotation": {"interval": "1h"}, "secretRotationExpirationInSeconds": 3600}),
        DEFAULT_OVERLAP,
    ),
    row(
        "an overlap is enough, for rotations on request",
        || json!({"rotation": {"overlap": "72h"}}),
        || json!({"rotation": {"overlap": "soon"}}),
        "overlap is a duration from 1s to 87600h in h, m, s and ms, in this order, such as 48h",
    ),
    row(
        "a workload to restart has a kind that can be restarted",
        || json!({"rotation": {"restart": [{"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "web"}]}}),
        || json!({"rotation": {"restart": [{"kind": "Job", "name": "web"}]}}),
        "Unsupported value: \"Job\": supported values: \"Deployment\", \"StatefulSet\", \"DaemonSet\"",
    ),
    row(
        "a workload to restart has a name",
        || json!({"rotation": {"restart": [{"kind": "DaemonSet", "name": "web.1"}]}}),
        || json!({"rotation": {"restart": [{"kind": "DaemonSet", "name": "../web"}]}}),
        "a name consists of lower case letters, digits, - and .",
    ),
    row(
        "a workload is named once",
        || workloads(20),
        || json!({"rotation": {"restart": [{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "web"}]}}),
        "Duplicate value",
    ),
    row(
        "at most twenty workloads are restarted",
        || workloads(20),
        || workloads(21),
        "Too many: 21: must have at most 20 items",
    ),
    row(
        "an interval is enough, and a duration",
        || json!({"rotation": {"interval": "720h"}}),
        || json!({"rotation": {"interval": "monthly"}}),
        "interval is a duration from 1m to 87600h in h, m, s and ms, in this order, such as 720h",
    ),
];
