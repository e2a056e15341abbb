//! A Prometheus of this machine that scrapes agents: Debian's package.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::connect::use_ring;
use crate::{programs, testbed_scripts, wait};

/// How long it may take until it answers, or has what it is to have.
const DEADLINE: Duration = Duration::from_mins(3);

/// A Prometheus. It ends when this is dropped.
pub struct Prometheus {
    _process: Child,
    http: reqwest::Client,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one for these agents, with these lines of rules. Its process is recorded in the folder as those of an API server are, so that
    /// whatever ends that ends it too.
    pub async fn start<'a>(
        folder: &Path,
        agents: &[SocketAddr],
        rules: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<Self> {
        use_ring();
        tokio::task::spawn_blocking(|| programs::ensure_packages(&["prometheus"])).await??;
        // A free port; nothing else here takes one at this moment.
        let address = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?;
        let (rules_file, config, data) =
            (folder.join("alerts.yaml"), folder.join("prometheus.yaml"), folder.join("prometheus"));
        fs::write(&rules_file, rules.collect::<Vec<_>>().join("\n"))?;
        let settings = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules_file],
            "scrape_configs": [{
                "job_name": "imgop",
                "honor_labels": true,
                // Debian's package finds no pods by itself.
                "static_configs": [{ "targets": agents.iter().map(SocketAddr::to_string).collect::<Vec<_>>() }],
            }],
        });
        // JSON is YAML.
        fs::write(&config, settings.to_string())?;
        let log = folder.join("log/prometheus.log");
        let process = Command::new(testbed_scripts().join("lib/launch"))
            .arg(folder.join("run/prometheus"))
            .args([&log, &log])
            .args(["--", "prometheus", "--log.level=warn"])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("prometheus does not start")?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let prometheus = Self { _process: process, http, address };
        wait::poll("Prometheus is ready", DEADLINE, async || {
            Ok(prometheus.get("api/v1/status/buildinfo", &[]).await.is_ok().then_some(()))
        })
        .await
        .with_context(|| format!("see {}", log.display()))?;
        Ok(prometheus)
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("http://{}/{path}", self.address)).query(query).send().await?;
        let body: Value = answer.json().await?;
        ensure!(body["status"] == "success", "{}", body["error"]);
        Ok(body["data"].clone())
    }

    /// Returns what a query of the dashboard answers now.
    pub async fn query(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let query = in_full(query);
        let data = self.get("api/v1/query", &[("query", &query)]).await?;
        data["result"].as_array().cloned().context("no result")
    }

    /// Returns what it answers over the last minutes.
    pub async fn query_range(&self, query: &str, minutes: u32) -> anyhow::Result<Vec<Value>> {
        let (query, end) = (in_full(query), jiff::Timestamp::now().as_second());
        let (start, end) = ((end - i64::from(minutes) * 60).to_string(), end.to_string());
        let range = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "2s")];
        let data = self.get("api/v1/query_range", &range).await?;
        data["result"].as_array().cloned().context("no result")
    }

    /// Waits until a query answers anything.
    pub async fn has(&self, query: &str) -> anyhow::Result<()> {
        wait::poll(&format!("Prometheus has {query}"), DEADLINE, async || {
            Ok((!self.query(query).await?.is_empty()).then_some(()))
        })
        .await
    }

    /// Waits until all rules have been evaluated twice from now on.
    pub async fn has_evaluated(&self) -> anyhow::Result<()> {
        for _ in 0..2 {
            let since = jiff::Timestamp::now();
            wait::poll("all rules are evaluated", DEADLINE, async || {
                let rules = self.get("api/v1/rules", &[]).await?;
                let groups = rules["groups"].as_array().context("no groups")?;
                let is_new = |group: &Value| {
                    let at =
                        group["lastEvaluation"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
                    at.is_some_and(|at| at > since)
                };
                Ok((!groups.is_empty() && groups.iter().all(is_new)).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Returns the labels of the alerts that fire.
    pub async fn firing(&self) -> anyhow::Result<Vec<Value>> {
        let alerts = self.get("api/v1/alerts", &[]).await?;
        let alerts = alerts["alerts"].as_array().context("no alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing.map(|alert| alert["labels"].clone()).collect())
    }
}

/// Puts in what Grafana would.
fn in_full(query: &str) -> String {
    query.replace("$__rate_interval", "30s")
}
