use super::*;
use crate::crd::Api;
use crate::iam::Operation;
use crate::lease::guard::LeadershipGuard;
use futures::FutureExt;
use reqwest::Method;

fn settings(endpoint: &str, ca_pem: Option<&str>) -> Settings {
    Settings {
        api: Api::CloudServices,
        endpoint: endpoint.parse().unwrap(),
        ca_pem: ca_pem.map(|pem| pem.as_bytes().to_vec()),
        max_in_flight: 8,
        requests_per_second: None,
        timeout: Duration::from_secs(1),
        metrics: ConnectionMetrics::default(),
        guard: LeadershipGuard::Open,
    }
}

fn path(endpoint: &str, segments: &[&str]) -> Result<String, TransportError> {
    let request = Request::new(Operation::ReadApp, Method::GET, segments);
    url(&endpoint.parse().unwrap(), &request).map(|url| url.to_string())
}

#[test]
fn ids_are_escaped_in_paths() {
    let base = "https://iam.example.com";
    assert_eq!(path(base, &["v2", "orgs", "a-b_C9"]).unwrap(), "https://iam.example.com/v2/orgs/a-b_C9");
    let cases = [
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b", "a%20b"),
        ("50%", "50%25"),
        ("%2e%2e", "%252e%252e"),
        ("ä", "%C3%A4"),
        ("a\\b", "a%5Cb"),
        ("...", "..."),
    ];
    for (id, escaped) in cases {
        assert_eq!(path(base, &["orgs", id, "x"]).unwrap(), format!("{base}/orgs/{escaped}/x"), "{id}");
    }
    for id in ["", ".", "..", "a\nb", "a\tb", "\0"] {
        assert!(matches!(path(base, &["orgs", id, "x"]), Err(TransportError::InvalidPath)), "{id:?}");
    }
}

#[test]
fn the_endpoint_keeps_its_prefix() {
    for base in ["https://iam.example.com/cphub/api/auth", "https://iam.example.com/cphub/api/auth/"] {
        assert_eq!(path(base, &["v2"]).unwrap(), "https://iam.example.com/cphub/api/auth/v2");
    }
}

#[test]
fn unsafe_endpoints_are_refused() {
    for endpoint in [
        "http://iam.example.com",
        "https://iam.example.com?a=b",
        "https://iam.example.com#a",
        "https://user@iam.example.com",
        "https://:word@iam.example.com",
        "mailto:iam@example.com",
    ] {
        let Err(error) = Transport::new(&settings(endpoint, None)) else { panic!("{endpoint}") };
        assert!(matches!(error, SettingsError::Endpoint(_)), "{error}");
        assert!(error.to_string().starts_with("the endpoint must"), "{error}");
    }
}

#[test]
fn a_ca_bundle_that_cannot_be_trusted_as_a_whole_is_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let sequence_only = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let good = iam_simulator::Simulator::spawn().ca_pem().to_owned();
    assert!(Transport::new(&settings("https://iam.example.com", Some(&good))).is_ok());
    for pem in
        ["", "no certificate", broken, sequence_only, &format!("{good}{broken}"), &format!("{good}{sequence_only}")]
    {
        let Err(error) = Transport::new(&settings("https://iam.example.com", Some(pem))) else { panic!("{pem}") };
        assert!(error.to_string().starts_with("the CA bundle cannot be used: "), "{error}");
    }
}

#[tokio::test]
async fn large_answers_are_bounded_in_size_and_number() {
    let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
    let response = |size: usize| Response::from(axum::http::Response::new(vec![b'x'; size]));
    let size = async |size, limit| read(response(size), limit, &large).await.unwrap().map(|body| body.len());
    assert_eq!(size(LARGEST, LARGEST).await, Some(LARGEST));
    assert_eq!(size(LARGEST + 1, LARGEST).await, None);
    assert_eq!(size(LARGEST_PAGE + 1, LARGEST_PAGE).await, None);
    let pages = [0; LARGE_AT_ONCE].map(|_| read(response(LARGEST_PAGE), LARGEST_PAGE, &large).now_or_never());
    assert!(pages.iter().all(Option::is_some));
    assert!(read(response(LARGEST_PAGE), LARGEST_PAGE, &large).now_or_never().is_none());
    assert!(read(response(LARGEST), LARGEST_PAGE, &large).now_or_never().is_some(), "an ordinary page does not wait");
    drop(pages);
    assert!(read(response(LARGEST_PAGE), LARGEST_PAGE, &large).now_or_never().is_some());
}

#[tokio::test]
async fn a_refused_connection_is_an_unavailable_api() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let transport = Transport::new(&settings(&format!("https://127.0.0.1:{port}"), None)).unwrap();
    let request = Request::new(Operation::ReadApp, Method::GET, &["orgs", "hidden-org"]);
    let Err(error) = transport.send(&request, None, KnownSecrets::default()).await else { panic!() };
    let Error::Unavailable(said) = error.during(request.operation) else { panic!() };
    assert!(said.starts_with("read app: cannot connect: "), "{said}");
    assert!(!said.contains("hidden-org"), "{said}");
}
