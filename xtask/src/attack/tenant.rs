//! The attacker and its neighbor: each has ClusterRole `edit` in a namespace, and both may use one connection for all that
//! a grant can allow.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use iam_simulator::client::Control;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::core::ApiResource;
use kube::{Api, Client, Resource};
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::{Value, json};
use test_environment::{TestEnv, manifests};

/// The namespace of the neighbor, and its organization.
pub(super) const NEIGHBOR: &str = "neighbor";
/// The namespace of the attacker, and its organization.
pub(super) const ATTACKER: &str = "attacker";
/// Asks the operator to look at a resource.
pub(super) const RECONCILE: &str = "oauth-apps.dev/reconcile-requested-at";
/// Asks the operator for a new secret.
pub(super) const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";

const IDENTITY: &str = "the-operator";
const CONNECTION: &str = "default";

/// Creates the connection that both use.
pub(super) async fn connect(env: &TestEnv) -> Result<(), Box<dyn Error>> {
    env.control.seed_client(Flavor::Csp, NEIGHBOR, IDENTITY, IDENTITY).await?;
    for org in [NEIGHBOR, ATTACKER] {
        env.control.seed_org(Flavor::Csp, org, true).await?;
    }
    let spec = json!({
        "resyncInterval": "10s",
        "grants": [{
            "namespaces": {"from": "Names", "names": [ATTACKER, NEIGHBOR]}, "orgs": {"from": "All"},
            "allow": {"organizationRoles": ["*"], "adoption": true},
        }],
    });
    env.cluster.apply(&manifests::list(&[
        manifests::authority(CONNECTION, &env.backend),
        manifests::credentials(CONNECTION, IDENTITY, IDENTITY),
        manifests::connection(CONNECTION, &env.backend, Flavor::Csp, spec),
    ]))?;
    Ok(())
}

/// Somebody with a namespace.
pub(super) struct Tenant {
    client: Client,
    namespace: &'static str,
    accepted: AtomicUsize,
    refused: AtomicUsize,
}

impl Tenant {
    /// Makes the namespace, and the user.
    pub(super) async fn new(env: &TestEnv, namespace: &'static str) -> Result<Self, Box<dyn Error>> {
        env.cluster.kubectl(&["create", "namespace", namespace])?;
        let kubeconfig = Kubeconfig::read_from(env.cluster.namespace_editor(namespace)?)?;
        let client = control_plane::client(&kubeconfig).await?;
        Ok(Self { client, namespace, accepted: AtomicUsize::default(), refused: AtomicUsize::default() })
    }

    /// How many of its writes were accepted, and how many were not.
    pub(super) fn tally(&self) -> (usize, usize) {
        (self.accepted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Its resources, which it may read as they are.
    pub(super) fn apps(&self) -> Api<OrgOAuthApp> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// An object may be what its type does not allow.
    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &ApiResource::erase::<K>(&()))
    }

    pub(super) async fn create<K>(&self, object: Value) -> bool
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let Ok(object) = serde_json::from_value::<DynamicObject>(object) else { return self.counted(false) };
        self.counted(self.api::<K>().create(&PostParams::default(), &object).await.is_ok())
    }

    /// Merges the patch into an object that exists.
    pub(super) async fn change<K>(&self, name: &str, patch: Value) -> bool
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let patch = Patch::Merge(patch);
        self.counted(self.api::<K>().patch(name, &PatchParams::default(), &patch).await.is_ok())
    }

    pub(super) async fn annotate(&self, name: &str, annotation: &str, value: String) -> bool {
        self.change::<OrgOAuthApp>(name, json!({"metadata": {"annotations": {annotation: value}}})).await
    }

    pub(super) async fn delete<K>(&self, name: &str) -> bool
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.counted(self.api::<K>().delete(name, &DeleteParams::default()).await.is_ok())
    }

    fn counted(&self, is_accepted: bool) -> bool {
        let counter = if is_accepted { &self.accepted } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        is_accepted
    }
}

/// The one that attacks, and what stands on its side.
pub(super) struct Attacker {
    pub tenant: Tenant,
    /// The API that is hostile to those that ask about the organizations of the attacker.
    pub control: Control,
    /// Where the operator serves its metrics.
    pub address: String,
}

impl Attacker {
    pub(super) async fn new(env: &TestEnv) -> Result<Self, Box<dyn Error>> {
        let address = env.operator().address().ok_or("the operator does not say where it serves")?;
        Ok(Self { tenant: Tenant::new(env, ATTACKER).await?, control: env.control.clone(), address })
    }

    /// Lets the API do this to calls about an organization.
    pub(super) async fn fault(&self, org: &str, operation: Option<Operation>, action: Action) {
        let fault = Fault::always(action).org(org);
        let fault = operation.into_iter().fold(fault, Fault::on);
        // Without the fault the attack is weaker, which the table would not tell.
        if let Err(error) = self.control.fault(fault).await {
            eprintln!("error: the simulator does not do what it should: {error}");
        }
    }
}

/// The manifest of an app in this organization; `spec` is merged into it.
pub(super) fn app(name: &str, org: &str, spec: Value) -> Value {
    let mut app = manifests::app(name, json!({ "orgId": org }));
    manifests::merge(&mut app["spec"], spec);
    app
}

/// Makes these requests, so many at once and not more.
pub(super) async fn at_once<F: Future<Output = ()>>(
    in_flight: usize,
    numbers: impl Iterator<Item = usize>,
    request: impl Fn(usize) -> F,
) {
    stream::iter(numbers).for_each_concurrent(in_flight, request).await;
}
