//! The chart in the network of a company: the values for a proxy do what the documentation says.

use crate::env::InstallEnv;
use crate::helm::{NAME, chart};
use iam_simulator::NAME_BEHIND_A_PROXY;
use std::net::SocketAddr;
use test_environment::{Asked, ConnectProxy};

/// `operator:p@ssword` as a client has to send it.
const AUTHORIZATION: &str = "Basic b3BlcmF0b3I6cEBzc3dvcmQ=";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_behind_a_proxy_with_a_password_does_the_main_job_and_reaches_the_api_server_directly() {
    let mut env = InstallEnv::new().await;
    let mut connection = env.connection();
    let endpoint = connection["spec"]["endpoint"].as_str().unwrap().replace("localhost", "127.0.0.1");
    let server: SocketAddr = endpoint.trim_start_matches("https://").parse().unwrap();
    let name = format!("{NAME_BEHIND_A_PROXY}:{}", server.port());
    let proxy = ConnectProxy::with_authorization([(name.as_str(), server)], AUTHORIZATION).unwrap();

    env.kubectl(&["create", "namespace", NAME]);
    let url = format!("--from-literal=httpsProxy=http://operator:p%40ssword@{}", proxy.address());
    env.kubectl(&["-n", NAME, "create", "secret", "generic", "proxy", &url]);
    let install = ["install", NAME, &chart().display().to_string(), "--set=proxy.existingSecret=proxy"];
    env.helm(NAME, &install).unwrap();
    env.roll_out().await;
    connection["spec"]["endpoint"] = format!("https://{name}").into();
    env.connect_by(&connection);
    let team = env.team("billing");
    env.apply_app("billing", &team).await;
    env.until_served("billing").await;

    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == Asked::Tunnel(name.clone())), "{asked:?}");
    let logs: String = env.operators.iter().map(test_environment::Operator::log).collect();
    assert!(logs.contains("requests go through proxies") && !logs.contains("p%40ssword"), "{logs}");
}
