//! The metrics of resources: apps by readiness, the age of their secrets, connections. A collector computes them from the
//! watched resources at each scrape, so that they cannot be out of date.

use super::families::{Computed, FAMILIES, Source};
use super::labels::{AppLabels, ConnectionLabels, ConnectionStateLabels, Mode, Readiness};
use crate::cluster::cached::CachedApp;
use crate::consumers::Overlap;
use crate::crd::{
    Condition, ConditionStatus, ConditionType, IamConnection, ManagementPolicy, OrgOAuthApp, RotationStatus,
};
use crate::reason::Reason;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The resources as the watches keep them.
pub(super) struct Stores {
    pub(crate) apps: Vec<Store<CachedApp>>,
    pub(crate) connections: Store<IamConnection>,
}

/// Computes the metrics of resources, once there are watches.
#[derive(Clone, Default)]
pub(super) struct WatchedResources(Arc<OnceLock<Stores>>);

impl WatchedResources {
    pub(super) fn set(&self, stores: Stores) {
        self.0.get_or_init(|| stores);
    }

    pub(super) fn get(&self) -> Option<&Stores> {
        self.0.get()
    }
}

impl fmt::Debug for WatchedResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedResources")
    }
}

impl Collector for WatchedResources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(stores) = self.get() else { return Ok(()) };
        let apps: Vec<_> = stores.apps.iter().flat_map(Store::state).collect();
        let connections = stores.connections.state();
        let apps = apps.iter().map(|app| app.outline());
        ComputedGauges::of(apps, connections.iter().map(Arc::as_ref), Timestamp::now()).encode(encoder)
    }
}

/// The gauges of one scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct ComputedGauges {
    pub(crate) apps: Family<AppLabels, Gauge>,
    pub(crate) oldest_secret_age: Family<ConnectionLabels, Gauge>,
    pub(crate) rotations_overdue: Family<ConnectionLabels, Gauge>,
    pub(crate) stale_consumers: Family<ConnectionLabels, Gauge>,
    pub(crate) connection_ready: Family<ConnectionStateLabels, Gauge>,
    pub(crate) credentials_expiration: Family<ConnectionLabels, Gauge>,
}

impl ComputedGauges {
    pub(super) fn of<'a>(
        apps: impl Iterator<Item = &'a OrgOAuthApp>,
        connections: impl Iterator<Item = &'a IamConnection>,
        now: Timestamp,
    ) -> Self {
        let gauges = Self::default();
        let mut known = BTreeSet::new();
        for connection in connections {
            gauges.add_connection(connection);
            known.insert(connection.name_any());
        }
        for app in apps {
            // Teams choose what they refer to; only what exists becomes a series.
            let name = Some(&app.spec.connection_ref.name).filter(|name| known.contains(*name));
            gauges.add_app(app, name.cloned().unwrap_or_default(), now);
        }
        gauges
    }

    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &FAMILIES {
            let Source::Computed(computed) = family.source else { continue };
            match computed {
                Computed::Apps => family.encode(&mut encoder, &self.apps)?,
                Computed::OldestClientSecretAge => family.encode(&mut encoder, &self.oldest_secret_age)?,
                Computed::RotationsOverdue => family.encode(&mut encoder, &self.rotations_overdue)?,
                Computed::StaleConsumers => family.encode(&mut encoder, &self.stale_consumers)?,
                Computed::ConnectionReady => family.encode(&mut encoder, &self.connection_ready)?,
                Computed::CredentialsExpiration => family.encode(&mut encoder, &self.credentials_expiration)?,
            }
        }
        Ok(())
    }

    fn add_connection(&self, connection: &IamConnection) {
        let name = connection.name_any();
        for ready in Readiness::VALUES {
            for mode in Mode::VALUES {
                self.apps.get_or_create(&AppLabels { connection: name.clone(), ready, mode }).set(0);
            }
        }
        let of = ConnectionLabels { connection: name.clone() };
        self.rotations_overdue.get_or_create(&of).set(0);
        self.stale_consumers.get_or_create(&of).set(0);
        let Some(status) = &connection.status else { return };
        if let Some((reason, is_ready)) = status.condition(ConditionType::Ready).and_then(known_state) {
            let of = ConnectionStateLabels { connection: name, reason: reason.as_str() };
            self.connection_ready.get_or_create(&of).set(i64::from(is_ready));
        }
        if let Some(at) = status.credentials.as_ref().and_then(|credentials| credentials.expires_at.as_ref()) {
            self.credentials_expiration.get_or_create(&of).set(at.0.as_second());
        }
    }

    fn add_app(&self, app: &OrgOAuthApp, connection: String, now: Timestamp) {
        let ready = readiness(app.condition(ConditionType::Ready)).as_str();
        let mode = mode(app);
        self.apps.get_or_create(&AppLabels { connection: connection.clone(), ready, mode: mode.as_str() }).inc();
        let rotation = app.status.as_ref().and_then(|status| status.rotation.as_ref());
        let of = ConnectionLabels { connection };
        let is_managed = mode == Mode::Full;
        if is_managed && rotation.is_some_and(|rotation| has_stale_consumers(rotation, now)) {
            self.stale_consumers.get_or_create(&of).inc();
        }
        let Some(rotation) = rotation.filter(|_| app.spec.rotation.is_some()) else { return };
        if let Some(rotated_at) = &rotation.rotated_at {
            let oldest = self.oldest_secret_age.get_or_create(&of);
            oldest.set(oldest.get().max(now.as_second() - rotated_at.0.as_second()));
        }
        if is_managed && rotation.next_at.as_ref().is_some_and(|due| due.0 < now) {
            self.rotations_overdue.get_or_create(&of).inc();
        }
    }
}

/// The reason of `Ready` and whether it is true, unless that is not known. What one organization gets says nothing about the
/// connection: a team chooses its organization.
fn known_state(ready: &Condition) -> Option<(Reason, bool)> {
    let reason = Reason::named(&ready.reason)?;
    let is_known = match (ready.status, reason) {
        (ConditionStatus::Unknown, Reason::Pending | Reason::CredentialsUnavailable) => false,
        (ConditionStatus::True | ConditionStatus::False | ConditionStatus::Unknown, _) => true,
    };
    is_known.then_some((reason, ready.status == ConditionStatus::True))
}

/// A deletion goes on whatever the spec says.
fn mode(app: &OrgOAuthApp) -> Mode {
    match (app.metadata.deletion_timestamp.is_some(), app.spec.suspend, app.spec.management_policy) {
        (true, ..) | (false, false, ManagementPolicy::Full) => Mode::Full,
        (false, true, _) => Mode::Suspended,
        (false, false, ManagementPolicy::Observe) => Mode::Observe,
    }
}

/// Whether pods still hold the previous secret, which ends soon. Right after a rotation all of them do.
fn has_stale_consumers(rotation: &RotationStatus, now: Timestamp) -> bool {
    let overlap = rotation.rotated_at.as_ref().zip(rotation.previous_expires_at.as_ref());
    let overlap = overlap.map(|(began, ends)| Overlap { began: began.0, ends: ends.0 });
    let is_ending = overlap.is_some_and(|overlap| overlap.runs(now) && overlap.last_quarter() <= now);
    is_ending && rotation.stale_consumer_count.is_some_and(|count| count > 0)
}

fn readiness(ready: Option<&Condition>) -> Readiness {
    match ready.map(|ready| ready.status) {
        Some(ConditionStatus::True) => Readiness::True,
        Some(ConditionStatus::False) => Readiness::False,
        Some(ConditionStatus::Unknown) | None => Readiness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-03-01T00:00:00Z";

    fn ready_condition(status: &str, reason: &str) -> Value {
        json!({"type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": NOW})
    }

    fn app(connection: &str, status: &str, spec: Value, rotation: Value) -> OrgOAuthApp {
        let mut all = json!({
            "connectionRef": {"name": connection}, "orgId": "o", "displayName": "a", "description": "",
            "grantTypes": [], "allowedScopes": {},
        });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let status = json!({"conditions": [ready_condition(status, "Provisioned")], "rotation": rotation});
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "a", "namespace": "n"}, "spec": all, "status": status,
        }))
        .unwrap()
    }

    fn connection(name: &str, status: &str) -> IamConnection {
        connection_because(name, status, "Provisioned")
    }

    fn connection_because(name: &str, status: &str, reason: &str) -> IamConnection {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": name},
            "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "credentials": {}},
            "status": {"conditions": [ready_condition(status, reason)]},
        }))
        .unwrap()
    }

    fn gauges(apps: &[OrgOAuthApp], connections: &[IamConnection]) -> ComputedGauges {
        ComputedGauges::of(apps.iter(), connections.iter(), NOW.parse().unwrap())
    }

    fn of(name: &str) -> ConnectionLabels {
        ConnectionLabels { connection: name.into() }
    }

    #[test]
    fn apps_are_counted_by_connection_and_readiness_and_an_invented_connection_makes_no_series() {
        let apps = [
            app("a", "True", json!({}), json!({})),
            app("a", "True", json!({}), json!({})),
            app("a", "False", json!({}), json!({})),
            app("made-up-1", "Unknown", json!({}), json!({})),
            app("made-up-2", "Unknown", json!({}), json!({})),
        ];
        let gauges = gauges(&apps, &[connection("a", "True"), connection("b", "True")]);
        let count = |name: &str, ready| {
            let of = AppLabels { connection: name.into(), ready, mode: "full" };
            gauges.apps.get(&of).map(|gauge| gauge.get())
        };
        assert_eq!([count("a", "true"), count("a", "false"), count("a", "unknown")], [Some(2), Some(1), Some(0)]);
        assert_eq!([count("b", "true"), count("", "unknown"), count("made-up-1", "unknown")], [Some(0), Some(2), None]);
    }

    #[test]
    fn apps_that_are_suspended_or_observed_are_counted_apart_and_have_nothing_overdue() {
        let stale = json!({"rotatedAt": "2026-02-28T21:00:00Z", "previousExpiresAt": "2026-03-01T01:00:00Z",
                           "staleConsumerCount": 2, "nextAt": "2026-02-28T00:00:00Z"});
        let rotating = |more: Value| {
            let mut spec = json!({"rotation": {"interval": "24h", "overlap": "1h"}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            app("a", "False", spec, stale.clone())
        };
        let mut deleted = rotating(json!({"suspend": true}));
        deleted.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
        let observed = rotating(json!({"managementPolicy": "Observe"}));
        let gauges = gauges(&[rotating(json!({"suspend": true})), observed, deleted], &[connection("a", "True")]);
        let count = |mode| gauges.apps.get(&AppLabels { connection: "a".into(), ready: "false", mode }).unwrap().get();
        assert_eq!([count("suspended"), count("observe"), count("full")], [1, 1, 1], "a deletion is not suspended");
        assert_eq!(gauges.rotations_overdue.get(&of("a")).unwrap().get(), 1);
        assert_eq!(gauges.stale_consumers.get(&of("a")).unwrap().get(), 1);
    }

    #[test]
    fn the_oldest_secret_that_is_rotated_gives_the_age_and_what_is_due_is_overdue() {
        let rotating = json!({"rotation": {"interval": "24h", "overlap": "1h"}});
        let suspended = json!({"rotation": {"interval": "24h", "overlap": "1h"}, "suspend": true});
        let at = |rotated: &str, next: &str| json!({"rotatedAt": rotated, "nextAt": next});
        let apps = [
            app("a", "True", rotating.clone(), at("2026-02-28T23:00:00Z", "2026-03-01T23:00:00Z")),
            app("a", "True", rotating, at("2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z")),
            app("b", "True", suspended, at("2026-02-28T23:59:00Z", "2026-02-28T23:59:30Z")),
            app("b", "True", json!({}), at("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z")),
        ];
        let gauges = gauges(&apps, &[connection("a", "True"), connection("b", "True"), connection("c", "True")]);
        let age = |name| gauges.oldest_secret_age.get(&of(name)).map(|gauge| gauge.get());
        let overdue = |name| gauges.rotations_overdue.get(&of(name)).map(|gauge| gauge.get());
        assert_eq!([age("a"), age("b"), age("c")], [Some(172_800), Some(60), None]);
        assert_eq!([overdue("a"), overdue("b"), overdue("c")], [Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn an_app_has_stale_consumers_once_a_quarter_of_the_overlap_is_left_and_until_it_ends() {
        let stale = |rotated: &str, expires: &str, count: i64| {
            let rotation = json!({"rotatedAt": rotated, "previousExpiresAt": expires, "staleConsumerCount": count});
            let gauges = gauges(&[app("a", "True", json!({}), rotation)], &[connection("a", "True")]);
            gauges.stale_consumers.get(&of("a")).map(|gauge| gauge.get())
        };
        assert_eq!(stale("2026-02-28T21:00:00Z", "2026-03-01T01:00:00Z", 2), Some(1));
        assert_eq!(stale("2026-02-28T21:00:01Z", "2026-03-01T01:00:01Z", 2), Some(0), "more than a quarter is left");
        assert_eq!(stale("2026-02-28T21:00:00Z", "2026-03-01T00:00:00Z", 2), Some(0), "it has ended");
        assert_eq!(stale("2026-02-28T21:00:00Z", "2026-03-01T01:00:00Z", 0), Some(0));
    }

    #[test]
    fn a_connection_is_ready_or_not_or_has_no_series() {
        let connections = [
            connection("good", "True"),
            connection_because("refused", "False", "CredentialsUnavailable"),
            connection_because("down", "Unknown", "ConnectionUnavailable"),
            connection_because("new", "Unknown", "Pending"),
            connection_because("wrong-organization", "Unknown", "CredentialsUnavailable"),
            connection_because("forged", "False", "invented"),
        ];
        let gauges = gauges(&[], &connections);
        let ready = |connection: &str, reason| {
            let of = ConnectionStateLabels { connection: connection.into(), reason };
            gauges.connection_ready.get(&of).map(|gauge| gauge.get())
        };
        assert_eq!(ready("good", "Provisioned"), Some(1));
        assert_eq!(ready("refused", "CredentialsUnavailable"), Some(0));
        assert_eq!(ready("down", "ConnectionUnavailable"), Some(0));
        assert_eq!(ready("new", "Pending"), None);
        assert_eq!(ready("wrong-organization", "CredentialsUnavailable"), None, "a team chose it");
        assert_eq!(ready("forged", "invented"), None);
    }

    #[test]
    fn the_expiry_of_credentials_is_a_time() {
        let mut expiring = connection("a", "True");
        expiring.status.as_mut().unwrap().credentials = serde_json::from_value(json!({"expiresAt": NOW})).unwrap();
        let gauges = gauges(&[], &[expiring, connection("b", "True")]);
        let at = |name| gauges.credentials_expiration.get(&of(name)).map(|gauge| gauge.get());
        assert_eq!([at("a"), at("b")], [Some(1_772_323_200), None]);
    }
}
