//! A Prometheus that scrapes one operator every second.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control_plane::Supervised;
use serde_json::{Value, json};
use test_environment::Wait;

use crate::plot::Line;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server; it ends when it is dropped.
pub(super) struct Prometheus {
    process: Supervised,
    url: String,
    start: f64,
}

impl Prometheus {
    /// Keeps what it measures in `directory`.
    pub(super) fn start(program: &Path, directory: &Path, target: &str) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(directory)?;
        let config = directory.join("prometheus.yml");
        let job = json!({
            "job_name": "oauth-app-operator", "scrape_interval": "1s", "scrape_timeout": "1s",
            "static_configs": [{"targets": [target]}],
        });
        std::fs::write(&config, json!({"scrape_configs": [job]}).to_string())?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Supervised::spawn(&command, directory.join("prometheus.log"))?;
        Ok(Self { process, url: format!("http://{address}"), start: now() })
    }

    pub(super) async fn until_ready(&mut self) -> Result<(), Box<dyn Error>> {
        let ready = format!("{}/-/ready", self.url);
        let is_ready = async || {
            let is_ready = reqwest::get(&ready).await.is_ok_and(|response| response.status().is_success());
            (is_ready || !self.process.is_running()).then_some(is_ready)
        };
        if Wait::up_to(START_LIMIT).value(is_ready).await != Some(true) {
            return Err(format!("Prometheus does not become ready:\n{}", self.process.log_tail(20)).into());
        }
        self.start = now();
        Ok(())
    }

    /// Seconds since it was ready.
    pub(super) fn elapsed(&self) -> f64 {
        now() - self.start
    }

    /// The lines of a query from the start until now, named by the legend.
    pub(super) async fn range(&self, query: &str, legend: &str) -> Result<Vec<Line>, Box<dyn Error>> {
        let (start, end) = (self.start.to_string(), now().to_string());
        let form = [("query", query), ("start", &start), ("end", &end), ("step", "1")];
        let url = format!("{}/api/v1/query_range", self.url);
        let text = reqwest::Client::new().post(url).form(&form).send().await?.text().await?;
        let answer: Value = serde_json::from_str(&text)?;
        let found = answer["data"]["result"].as_array().ok_or_else(|| format!("{query}: {text}"))?;
        Ok(found.iter().map(|series| self.line(series, legend)).collect())
    }

    fn line(&self, series: &Value, legend: &str) -> Line {
        let labels = series["metric"].as_object().into_iter().flatten();
        let name = labels.fold(legend.to_owned(), |name, (label, value)| {
            name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
        });
        let points = series["values"].as_array().into_iter().flatten().filter_map(|point| {
            let value: f64 = point[1].as_str()?.parse().ok()?;
            value.is_finite().then_some((point[0].as_f64()? - self.start, value))
        });
        Line { name, points: points.collect() }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
