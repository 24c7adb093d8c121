//! What `/metrics` says at one moment, read as Prometheus reads it.

use crate::env::TenantEnv;
use std::collections::BTreeMap;
use std::time::Instant;

/// Every series with its value.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    pub at: Instant,
    pub text: String,
    pub series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Waits until the endpoint is served, after a start or another one.
    pub(crate) async fn of(env: &TenantEnv) -> Self {
        let served = async || Self::now(env).await.is_some();
        env.until("/metrics is served", served).await;
        Self::now(env).await.expect("it was served a moment ago")
    }

    async fn now(env: &TenantEnv) -> Option<Self> {
        let answer = env.operator().get("/metrics").await?;
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Some(Self::read(answer.text().await.ok()?, &env.connection_name()))
    }

    /// All operators see all connections; those of other tests are left out.
    pub(crate) fn read(text: String, connection: &str) -> Self {
        let ours = |line: &str| match line.split_once("{connection=\"") {
            Some((_, rest)) => rest.starts_with('"') || rest.starts_with(&format!("{connection}\"")),
            None => true,
        };
        let lines = text.lines().filter(|line| !line.starts_with('#') && ours(line));
        let parts = lines.map(|line| line.rsplit_once(' ').expect("a value"));
        let series = parts.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect();
        Self { at: Instant::now(), text, series }
    }

    /// The sum of the series of this name that have all of these labels; nothing where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let named = |series: &str| series.split('{').next() == Some(&format!("oauth_app_operator_{name}"));
        let labelled =
            |series: &str| labels.iter().all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")));
        let found = self.series.iter().filter(|(series, _)| named(series) && labelled(series));
        found.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }
}

impl TenantEnv {
    /// Looks until the sum of these series is so.
    pub(crate) async fn until_metric(&self, name: &str, labels: &[(&str, &str)], is: impl Fn(f64) -> bool) {
        let sum = async || Scrape::now(self).await.and_then(|scrape| scrape.sum(name, labels));
        self.until(&format!("{name} {labels:?}"), async || sum().await.is_some_and(&is)).await;
    }
}
