//! The network of a company: proxies, a certificate authority of its own, IPv6.

use crate::cluster::plane;
use crate::commands::{Ran, run_with};
use crate::env::TenantEnv;
use control_plane::Scratch;
use iam_simulator::NAME_BEHIND_A_PROXY;
use iam_simulator::types::Flavor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use test_environment::{Asked, ConnectProxy};

const USER: &str = "operator";
const PASSWORD: &str = "Pass-of-the-proxy";
/// Both of them, as a client has to send them.
const AUTHORIZATION: &str = "Basic b3BlcmF0b3I6UGFzcy1vZi10aGUtcHJveHk=";

/// Host and port of a URL that has both.
fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("https://").parse().unwrap()
}

fn url(proxy: &ConnectProxy) -> String {
    format!("http://{}", proxy.address())
}

fn tunnels(proxy: &ConnectProxy, to: &str) -> usize {
    proxy.asked().iter().filter(|asked| **asked == Asked::Tunnel(to.to_owned())).count()
}

/// The API under a name that only the proxy resolves, `host:port`, and where that is.
fn behind_a_proxy(env: &TenantEnv) -> (String, SocketAddr) {
    let server = address(&env.backend.endpoint(Flavor::Csp).replace("localhost", "127.0.0.1"));
    (format!("{NAME_BEHIND_A_PROXY}:{}", server.port()), server)
}

fn row(ran: &Ran, check: &str) -> Value {
    let rows = ran.json()["rows"].as_array().unwrap().clone();
    // The last one: that of the connection comes after that of the cluster.
    rows.into_iter().rfind(|row| row["check"] == check).unwrap_or_else(|| panic!("no row {check}: {ran:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_allows_only_the_endpoint_an_app_is_served_and_the_password_is_nowhere() {
    let env = TenantEnv::new("proxy-main", Flavor::Csp).await;
    env.hide(PASSWORD);
    env.hide(AUTHORIZATION.trim_start_matches("Basic "));
    let (name, server) = behind_a_proxy(&env);
    let proxy = ConnectProxy::with_authorization([(name.as_str(), server)], AUTHORIZATION).unwrap();
    let variables = [
        ("HTTPS_PROXY", format!("http://{USER}:{PASSWORD}@{}", proxy.address())),
        ("NO_PROXY", "127.0.0.0/8".to_owned()),
    ];
    for (variable, value) in &variables {
        env.operator().set(variable, value);
    }
    env.give_credentials().await;
    env.connect(json!({"endpoint": format!("https://{name}")})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    assert!(env.operator().log().contains(&format!("HTTPS_PROXY={} NO_PROXY=127.0.0.0/8", proxy.address())));

    let check = ["check", "-o", "json", "--connection", &env.connection_name(), "--org", &env.org];
    let checked = run_with(&variables, &check);
    assert_eq!(checked.status, 0, "{checked:?}");
    let shown = format!("requests go through proxy {} (HTTPS_PROXY)", proxy.address());
    assert_eq!(row(&checked, "proxy")["found"], shown);
    for step in ["DNS", "TCP", "TLS", "token", "list"] {
        assert_eq!(row(&checked, step)["result"], "ok", "{step}: {checked:?}");
    }
    env.assert_no_leak_in("the check", &(checked.out + &checked.err));

    // The name has no address elsewhere, so whatever reached the API came through here.
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == Asked::Tunnel(name.clone())), "{asked:?}");
    let direct = run_with(&[], &check);
    assert_eq!((direct.status, &row(&direct, "DNS")["result"]), (2, &json!("failed")), "{direct:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_the_api_is_named_in_status_and_by_the_check() {
    let env = TenantEnv::new("proxy-refuses", Flavor::Csp).await;
    env.hide(PASSWORD);
    let (name, server) = behind_a_proxy(&env);
    let proxy = ConnectProxy::with_authorization([("elsewhere:443", server)], AUTHORIZATION).unwrap();
    let shown = format!("proxy {} (https_proxy)", proxy.address());
    let variables = |credentials: &str| {
        let url = format!("http://{credentials}{}", proxy.address());
        [("https_proxy", url), ("no_proxy", "127.0.0.1".to_owned())]
    };
    for (variable, value) in variables(&format!("{USER}:{PASSWORD}@")) {
        env.operator().set(variable, &value);
    }
    env.give_credentials().await;
    env.connect(json!({"endpoint": format!("https://{name}")})).await;
    env.create("billing", json!({})).await;
    env.operator().start().unwrap();
    let message = env.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    assert!(message.contains(&format!("{shown} refuses to connect to {name}")), "{message}");

    let check = ["check", "-o", "json", "--connection", &env.connection_name(), "--org", &env.org];
    let refused = row(&run_with(&variables(&format!("{USER}:{PASSWORD}@")), &check), "TLS");
    assert_eq!(refused["found"], format!("cannot connect: {shown} refuses to connect to {name}"));
    assert!(refused["whatToDo"].to_string().contains(&format!("allow {name} in the proxy")), "{refused}");
    let unauthorized = row(&run_with(&variables(""), &check), "TLS");
    assert!(unauthorized["found"].to_string().contains("demands a user and a password"), "{unauthorized}");
    let gone = [("https_proxy", "http://no-such-proxy.invalid:3128".to_owned()), ("no_proxy", "127.0.0.1".into())];
    let gone = row(&run_with(&gone, &check), "DNS");
    assert!(gone["whatToDo"].to_string().contains("correct https_proxy, or the DNS"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_no_proxy_for_the_api_server_the_message_says_what_to_do() {
    let env = TenantEnv::new("proxy-no-exclusion", Flavor::Csp).await;
    let proxy = ConnectProxy::start([]).unwrap();
    env.operator().set("HTTPS_PROXY", &url(&proxy));
    env.operator().set("NO_PROXY", "");
    env.operator().start().unwrap();
    let server = address(plane().server());
    let said = format!(
        "cannot connect to the Kubernetes API server {server}: proxy {} (HTTPS_PROXY) refuses to connect to {server}; \
         if the API server is reached without a proxy, add {} to NO_PROXY",
        proxy.address(),
        server.ip(),
    );
    let message = "cannot reach the Kubernetes API server; retrying";
    env.until("the log says it", async || env.operator().logged(message, "error") == Some(said.clone())).await;
    assert_eq!(env.operator().status("/readyz").await, 503);

    let command = run_with(&[("HTTPS_PROXY", url(&proxy)), ("NO_PROXY", String::new())], &["status", "-A"]);
    assert_eq!(command.status, 1, "{command:?}");
    assert!(command.err.contains(&said), "{command:?}");
    assert!(proxy.asked().iter().all(|asked| *asked == Asked::Refused(format!("CONNECT {server}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_the_proxy_allows_is_reached_through_it() {
    let env = TenantEnv::new("proxy-kubernetes", Flavor::Csp).await;
    env.hide(PASSWORD);
    let server = address(plane().server());
    let (name, api) = behind_a_proxy(&env);
    let allowed = [(server.to_string(), server), (name.clone(), api)];
    let allowed = allowed.iter().map(|(name, address)| (name.as_str(), *address));
    let proxy = ConnectProxy::with_authorization(allowed, AUTHORIZATION).unwrap();
    env.operator().set("HTTPS_PROXY", &format!("http://{USER}:{PASSWORD}@{}", proxy.address()));
    env.operator().set("NO_PROXY", "");
    env.give_credentials().await;
    env.connect(json!({"endpoint": format!("https://{name}")})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    assert!(tunnels(&proxy, &server.to_string()) > 0 && tunnels(&proxy, &name) > 0, "{:?}", proxy.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_a_kubeconfig_precedes_the_variables() {
    let server = address(plane().server());
    let proxy = ConnectProxy::start([(server.to_string().as_str(), server)]).unwrap();
    let other = ConnectProxy::start([]).unwrap();
    let mut kubeconfig = plane().user("of-a-proxied-kubeconfig", Some("system:masters")).unwrap();
    kubeconfig.clusters[0].cluster.as_mut().unwrap().proxy_url = Some(url(&proxy));
    let kubeconfig = plane().write_kubeconfig("proxied", &kubeconfig).unwrap();
    // NO_PROXY names the address of the proxy, which is no destination.
    let mut command =
        test_environment::command(std::path::Path::new(env!("CARGO_BIN_EXE_oauth-app-operator")), &kubeconfig);
    let ran =
        command.env("HTTPS_PROXY", url(&other)).env("NO_PROXY", "127.0.0.1").args(["version", "-o", "json"]).output();
    let ran = String::from_utf8(ran.unwrap().stdout).unwrap();
    assert!(!ran.contains("problem"), "{ran}");
    assert!(tunnels(&proxy, &server.to_string()) > 0 && other.asked().is_empty(), "{:?}", other.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_no_proxy_ends_the_operator_and_its_value_is_not_shown() {
    let env = TenantEnv::new("proxy-invalid", Flavor::Csp).await;
    env.hide(PASSWORD);
    env.operator().set("ALL_PROXY", &format!("socks5://{USER}:{PASSWORD}@127.0.0.1:1080"));
    env.operator().start().unwrap();
    env.until("it ends", async || env.operator().ended().unwrap().is_some()).await;
    assert!(env.operator().log().contains("ALL_PROXY is not the URL of an HTTP proxy"), "{}", env.operator().log());
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_go_through_the_proxy_for_http() {
    let env = TenantEnv::new("proxy-traces", Flavor::Csp).await;
    let proxy = ConnectProxy::start([]).unwrap();
    env.operator().set("HTTP_PROXY", &url(&proxy));
    env.operator().set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318");
    env.operator().set("OTEL_BSP_SCHEDULE_DELAY", "100");
    env.give_credentials().await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let export = Asked::Refused("POST http://collector.invalid:4318/v1/traces".into());
    env.until("an export reaches the proxy", async || proxy.asked().contains(&export)).await;
    env.until_ready("billing").await;
    assert!(proxy.asked().iter().all(|asked| *asked == export), "HTTPS has no proxy here: {:?}", proxy.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn ssl_cert_file_replaces_the_authorities_of_connections_without_a_ca_bundle() {
    let env = TenantEnv::new("network-authority", Flavor::Csp).await;
    let files = Scratch::new().unwrap();
    let file = files.path().join("ca.crt");
    std::fs::write(&file, env.backend.ca_pem()).unwrap();
    env.give_credentials().await;
    env.connect(json!({"caBundle": null})).await;
    env.create("billing", json!({})).await;
    env.operator().start().unwrap();
    let message = env.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    assert!(message.contains("put the certificate authority of the API into spec.caBundle"), "{message}");
    env.operator().set("SSL_CERT_FILE", &file.display().to_string());
    env.operator().start().unwrap();
    env.until_ready("billing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_are_served_on_ipv6_and_on_ipv4() {
    let env = TenantEnv::new("network-ipv6", Flavor::Csp).await;
    env.operator().set("HTTP_ADDR", "[::]:0");
    env.operator().start().unwrap();
    env.until("it serves", async || env.operator().address().is_some()).await;
    let address: SocketAddr = env.operator().address().unwrap().parse().unwrap();
    let mut hosts = vec!["127.0.0.1"];
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        hosts.push("[::1]");
    } else {
        eprintln!("this machine has no IPv6: only the fallback to IPv4 is tested");
        assert!(address.is_ipv4(), "{address}");
    }
    for host in hosts {
        for path in ["healthz", "metrics"] {
            let served = reqwest::get(format!("http://{host}:{}/{path}", address.port())).await.unwrap();
            assert_eq!(served.status(), 200, "{host} {path}");
        }
    }
}
