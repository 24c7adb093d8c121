//! What `/metrics` says at one moment, read as Prometheus reads it.

use crate::process::address;
use crate::world::World;
use std::collections::BTreeMap;

/// Every series with its value.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    pub text: String,
    pub series: BTreeMap<String, f64>,
}

impl Scrape {
    pub async fn of(world: &World) -> Self {
        let address = address(&world.operator().log()).expect("the endpoint is served");
        let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::read(answer.text().await.unwrap())
    }

    fn read(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let parts = lines.map(|line| line.rsplit_once(' ').expect("a value"));
        let series = parts.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect();
        Self { text, series }
    }

    /// The sum of the series of this name that have all of these labels; nothing where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let named = |series: &str| series.split('{').next() == Some(&format!("oauth_app_operator_{name}"));
        let labelled =
            |series: &str| labels.iter().all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")));
        let found = self.series.iter().filter(|(series, _)| named(series) && labelled(series));
        found.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }
}

impl World {
    /// Looks until the sum of these series is so.
    pub async fn until_metric(&self, name: &str, labels: &[(&str, &str)], is: impl Fn(f64) -> bool) {
        self.until(&format!("{name} {labels:?}"), async || Scrape::of(self).await.sum(name, labels).is_some_and(&is))
            .await;
    }
}
