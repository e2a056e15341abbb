//! What `manifests/chart/monitoring` holds, with `promtool` and a real Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use imgop_core::api::{Credentials, Image};
use imgop_fakes::{Catalog, CatalogRegistry};
use imgop_tests::dashboard::{self, have_data, panels, queries, text};
use imgop_tests::prometheus::Prometheus;
use imgop_tests::{programs, repository_root, wait};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::tenants::{Case, DEADLINE, image};

/// Panels that show nothing of an agent that has built nothing, has not asked Docker Hub and has no webhook; and no
/// container runs here whose time could be taken.
const MAY_BE_EMPTY: [&str; 6] = [
    "Duration of copies",
    "Pulls left at Docker Hub",
    "Builds",
    "Duration of builds",
    "Requests refused as too many",
    "Notifications",
];

const NAMESPACE: &str = "monitored";

fn monitoring(name: &str) -> PathBuf {
    repository_root().join("manifests/chart/monitoring").join(name)
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_server/monitoring").join(name)
}

/// Runs `promtool`, which must find nothing wrong.
fn promtool(arguments: &[&str], file: &Path) -> anyhow::Result<()> {
    programs::ensure_packages(&["prometheus"])?;
    let output =
        Command::new("promtool").args(arguments).arg(file).output().context("promtool does not start")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(())
}

/// The rules of the file of alerts.
fn rules() -> anyhow::Result<Vec<Value>> {
    let alerts: Value = serde_saphyr::from_str(&fs::read_to_string(monitoring("alerts.yaml"))?)?;
    let groups = alerts["groups"].as_array().context("no groups")?.iter();
    Ok(groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
}

#[test]
fn the_alerts_are_rules_that_fire_in_the_bad_case_and_are_quiet_in_a_healthy_one() -> anyhow::Result<()> {
    promtool(&["check", "rules"], &monitoring("alerts.yaml"))?;
    promtool(&["test", "rules"], &here("alerts_test.yaml"))
}

#[test]
fn the_rules_for_the_label_of_copycats_readme_count_each_registry_once() -> anyhow::Result<()> {
    let page = imgop_documents::Page::read("docs/monitoring.md");
    let is_rules = |text: &str| text.contains("record: k8s_copycat_registry_");
    let rules = page.blocks().into_iter().find(|block| is_rules(&block.text)).context("no rules")?.text;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("rules.yaml"), rules)?;
    let metrics = ["pull_success", "pull_error", "push_success", "push_error"];
    let metrics = metrics.map(|name| format!("k8s_copycat_registry_{name}_total"));
    let series = |name: &String| {
        let of = |registry: &str, pod: &str, count: u32| json!({ "series": format!("{name}{{registry=\"{registry}\", pod=\"{pod}\"}}"), "values": format!("{count}x5") });
        [of("quay.io", "a", 3), of("quay.io", "b", 2), of("docker.io", "b", 1)]
    };
    let expected = |name: &String| {
        let sample = |image: &str, value: u32| json!({ "labels": format!("{name}{{image=\"{image}\"}}"), "value": value });
        json!({ "expr": format!("{name}{{image!=\"\"}}"), "eval_time": "3m",
            "exp_samples": [sample("quay.io", 5), sample("docker.io", 1)] })
    };
    let all: Vec<Value> = metrics.iter().flat_map(series).collect();
    let tests = json!({ "rule_files": ["rules.yaml"], "tests": [{ "interval": "1m", "input_series": all,
        "promql_expr_test": metrics.iter().map(expected).collect::<Vec<_>>() }] });
    let file = folder.path().join("test.yaml");
    fs::write(&file, tests.to_string())?;
    promtool(&["test", "rules"], &file)
}

#[test]
fn each_alert_fires_in_some_case_and_has_a_place_in_the_documents() -> anyhow::Result<()> {
    let cases: Value = serde_saphyr::from_str(&fs::read_to_string(here("alerts_test.yaml"))?)?;
    let cases = cases["tests"].as_array().context("no tests")?;
    let of =
        |key: &'static str| cases.iter().flat_map(move |case| case[key].as_array().into_iter().flatten());
    let fires = |name: &str| {
        let by_rule = of("alert_rule_test").any(|test| {
            text(test, "alertname") == name
                && test["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty())
        });
        let samples =
            of("promql_expr_test").flat_map(|test| test["exp_samples"].as_array().into_iter().flatten());
        let named = format!("alertname=\"{name}\"");
        by_rule || samples.filter(|sample| text(sample, "labels").contains(&named)).count() > 0
    };
    let page = fs::read_to_string(repository_root().join("docs/monitoring.md"))?;
    for rule in rules()? {
        let name = text(&rule, "alert");
        ensure!(fires(name), "{name} fires in no test");
        let runbook = text(&rule["annotations"], "runbook_url");
        let anchor = format!("docs/monitoring.md#{}", name.to_lowercase());
        ensure!(runbook.ends_with(&anchor), "{name}: {runbook}");
        ensure!(page.lines().any(|line| line == format!("### {name}")), "docs/monitoring.md has no {name}");
    }
    Ok(())
}

#[test]
fn the_agent_exports_each_number_that_alerts_and_dashboard_ask_for() -> anyhow::Result<()> {
    let page = fs::read_to_string(repository_root().join("docs/configuration.md"))?;
    let exported: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `imgop_")?.split('`').next()).collect();
    let (rules, panels) = (rules()?, panels()?);
    let asked = rules.iter().map(|rule| text(rule, "expr")).chain(panels.iter().flat_map(queries));
    for query in asked {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for metric in words.filter_map(|word| word.strip_prefix("imgop_")) {
            let of_histogram =
                ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix));
            ensure!(
                exported.contains(metric) || of_histogram.is_some_and(|name| exported.contains(name)),
                "imgop_{metric} of {query} is not exported"
            );
        }
    }
    Ok(())
}

/// An agent with an Image whose tag is there, and one whose copy is to fail.
async fn case() -> anyhow::Result<(Case, CatalogRegistry)> {
    let case = Case::with_namespaces(&[NAMESPACE]).await?;
    let there = [("1.0.0", "one")];
    let catalog = Catalog::default().with("app", &there).with("there", &there).with("missing", &[]);
    let registry = catalog.start().await;
    let at = |repository: &str| format!("{}/{repository}", registry.address);
    let images = [image("healthy", &at("app"), &at("there")), image("copied", &at("app"), &at("missing"))];
    case.create(NAMESPACE, images).await?;
    Ok((case, registry))
}

/// Ends the Job of the Image that is to be copied, as Kubernetes ends one whose pod failed.
async fn fail_the_job(case: &Case) -> anyhow::Result<()> {
    let jobs = Api::<Job>::namespaced(case.client().clone(), NAMESPACE);
    let first = async || anyhow::Ok(jobs.list(&ListParams::default()).await?.items.pop());
    let job = wait::poll("a Job is created", DEADLINE, first).await?.name_any();
    let now = jiff::Timestamp::now();
    let condition = |type_: &str| {
        json!({ "type": type_, "status": "True", "reason": "BackoffLimitExceeded", "message": "m",
            "lastTransitionTime": now })
    };
    let conditions = [condition("FailureTarget"), condition("Failed")];
    let status = json!({ "startTime": now, "failed": 1, "conditions": conditions });
    jobs.patch_status(&job, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    Ok(())
}

#[tokio::test]
async fn a_real_prometheus_is_quiet_until_an_image_is_stalled_and_the_dashboard_has_its_data()
-> anyhow::Result<()> {
    let (case, _registry) = case().await?;
    let settings = [("METRICS_NAME_OBJECTS", "true"), ("METRICS_NAME_REGISTRIES", "true")];
    let agent = case.agent(&settings).await?;
    ensure!(case.reason(NAMESPACE, "healthy").await? == "Succeeded");
    // Alerts are not waited for as long as in a cluster.
    let shortened = fs::read_to_string(monitoring("alerts.yaml"))?;
    let lines = shortened.lines().filter(|line| !line.trim_start().starts_with("for: "));
    let prometheus = Prometheus::start(case.server.folder(), &[agent.address()], lines).await?;
    let healthy = r#"imgop_object_state{name="healthy",state="Ready"}"#;
    prometheus.has(healthy).await?;
    prometheus.has(r#"imgop_object_state{name="copied",state="Reconciling"}"#).await?;
    prometheus.has_evaluated().await?;
    // An Image that was never copied is waited for during half a day.
    let firing = prometheus.firing().await?;
    ensure!(firing.iter().all(|alert| text(alert, "alertname") == "ImgopNeverSucceeded"), "{firing:?}");

    fail_the_job(&case).await?;
    let counted = prometheus.has(r#"imgop_copies_total{result="Failed",reason="CopyFailed"} == 1"#).await;
    if let Err(error) = counted {
        let status = case.images(NAMESPACE).get("copied").await?.status;
        let metrics = agent.metrics().await?;
        let copies: Vec<&str> =
            metrics.lines().filter(|line| line.starts_with("imgop_copies_total")).collect();
        return Err(error.context(format!("{copies:#?} {status:#?}")));
    }
    let mut stalled: Image = image("stalled", "127.0.0.1:1/app", "127.0.0.1:1/copy");
    stalled.spec.destination.credentials = Some(Credentials { secret_name: "none".to_owned() });
    case.create(NAMESPACE, [stalled]).await?;
    let alert = wait::poll("an alert fires", DEADLINE, async || {
        let firing = prometheus.firing().await?;
        Ok(firing.into_iter().find(|alert| text(alert, "alertname") == "ImgopObjectStalled"))
    })
    .await?;
    let labels = ["kind", "namespace", "name", "reason"].map(|label| text(&alert, label));
    ensure!(labels[..3] == ["Image", NAMESPACE, "stalled"], "{alert}");
    ensure!(!labels[3].is_empty(), "{alert}");

    have_data(&prometheus, &panels()?, &MAY_BE_EMPTY).await?;
    agent.stop().await
}

#[test]
fn the_picture_of_the_dashboard_has_all_of_its_panels() -> anyhow::Result<()> {
    let picture = fs::read_to_string(dashboard::path())?;
    for panel in panels()? {
        let title = dashboard::escaped(text(&panel, "title"));
        ensure!(picture.contains(&format!(">{title}<")), "docs/pictures/dashboard.svg lacks {title}");
    }
    Ok(())
}
