//! The [`TestEnv`] of the demo, the attacks and the picture: each part a process of its own, installed as a user installs.
//! Everything ends with this process, however that ends.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use control_plane::ControlPlane;
use iam_simulator::process::Process;
use iam_simulator::types::Flavor;
use test_environment::{Backend, Deployment, OPERATOR_USER, TestEnv, install_crds};

use super::binaries::Binaries;
use super::narrator::Narrator;

const START_LIMIT: Duration = Duration::from_secs(30);

/// Starts everything and installs what `deploy/` holds.
pub(crate) async fn start(narrator: &Narrator, binaries: &Binaries) -> Result<TestEnv, Box<dyn Error>> {
    narrator.chapter("A control plane, the IAM simulator, the operator");
    let cluster = ControlPlane::start()?;
    let programs = "etcd, kube-apiserver and kube-controller-manager";
    let version = cluster.kubernetes().version();
    narrator.say("Kubernetes", format!("{programs} {version} are running: {}", cluster.server()));
    // Not the directory of the control plane itself: each has its own ca.crt.
    let backend = Backend::Process(Process::start(&binaries.simulator(), &cluster.directory().join("iam-simulator"))?);
    let url = backend.endpoint(Flavor::Csp);
    narrator.say("IAM API", format!("a simulator of the three APIs is running: {url}"));
    let mut env = TestEnv::new(Arc::new(cluster), backend);
    kubectl(narrator, &env, &["apply", "-k", "deploy"])?;
    // They are served at once then, and the garbage collector knows them.
    install_crds(&env.cluster)?;
    narrator.say(
        "demo",
        "there is no kubelet, so the Deployment gets no pod; its program runs as a process with the same permissions",
    );
    start_operator(narrator, binaries, &mut env).await?;
    Ok(env)
}

async fn start_operator(narrator: &Narrator, binaries: &Binaries, env: &mut TestEnv) -> Result<(), Box<dyn Error>> {
    let deployment = Deployment::read(&env.cluster)?.ok_or("there is no Deployment")?;
    let operator = deployment.replica(&env.cluster, &binaries.operator, "operator").await?;
    narrator.say("operator", format!("starts as {OPERATOR_USER}"));
    operator.start()?;
    operator.until_ready(START_LIMIT).await?;
    narrator.say("operator", format!("ready; it logs to {}", operator.log_file().display()));
    env.operators.push(operator);
    Ok(())
}

/// Stops everything, the operator as Kubernetes would. After a failure it shows the end of the operator's log.
pub(crate) fn stop(
    env: TestEnv,
    narrator: &Narrator,
    result: Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    narrator.chapter("The end");
    let operator = env.operator();
    if result.is_err() {
        narrator.say("operator", format!("the last lines of its log, {}:", operator.log_file().display()));
        narrator.quote(&operator.log_tail());
    }
    narrator.say("operator", format!("stopped by SIGTERM: {}", operator.stop()?));
    drop(env);
    narrator.say("demo", "everything is stopped and cleaned up");
    result
}

/// The file with the certificate of the simulator's authority.
pub(crate) fn authority_file(env: &TestEnv) -> PathBuf {
    env.cluster.directory().join("iam-simulator/ca.crt")
}

/// Runs kubectl as administrator, in view of the user.
pub(crate) fn kubectl(narrator: &Narrator, env: &TestEnv, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let words = arguments.iter().map(|word| if word.contains('{') { format!("'{word}'") } else { (*word).to_owned() });
    narrator.say("$", format!("kubectl {}", words.collect::<Vec<_>>().join(" ")));
    // In a process group of its own, so that Ctrl-C does not look like a failure of kubectl.
    let output = env.cluster.kubectl_command().args(arguments).process_group(0).output()?;
    narrator.quote(&String::from_utf8_lossy(&output.stdout));
    narrator.quote(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(format!("kubectl failed: {}", output.status).into()) }
}
