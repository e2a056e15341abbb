//! `docs/configuration.md` and `manifests/agent-settings.txt` are generated from the settings and metrics of the agent;
//! these tests are also the generator.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use imgop_agent::controller::{ReadyGate, Reconcile as _, Report, Watched};
use imgop_agent::heartbeat::Heartbeat;
use imgop_agent::image::Images;
use imgop_agent::image_builder::ImageBuilders;
use imgop_agent::image_operator_names::{self, DockerHubQuota};
use imgop_agent::leader_election::Leadership;
use imgop_agent::metrics::{Ended, Metrics, OfKind};
use imgop_agent::notifications::{Notifications, Webhook};
use imgop_agent::{Agent, Config, OF_KINDS};
use imgop_core::api::{Image, ImageBuilder, ImageBuilderSpec, ImageBuilderStatus};

const SETTINGS: &str = "# Settings and metrics of the agent

Generated from the code by `make docs`; do not edit.

## Settings

Each is an environment variable of the container `agent` in the Deployment `imgop-agent`, and a flag of the program
(`MAX_JOBS` is `--max-jobs`). A value that cannot be read, or a flag that does not exist, keeps the agent from starting.

| variable | default | |
|---|---|---|
";

const METRICS: &str = "
## Metrics

At `/metrics` on the address of `LISTEN`, in Prometheus' format. The label `kind` is the kind of the objects, such as
`Image`. Objects are named only with `METRICS_NAME_OBJECTS=true`, and registries only with `METRICS_NAME_REGISTRIES=true`.
[What they mean, and what to do with them](monitoring.md).

| metric | type | |
|---|---|---|
";

fn settings() -> String {
    let mut text = SETTINGS.to_owned();
    for setting in Config::command().get_arguments() {
        let Some(variable) = setting.get_env().and_then(|name| name.to_str()) else { continue };
        let help = setting.get_help().unwrap().to_string().replace('|', "\\|");
        let default = match setting.get_default_values().first().and_then(|value| value.to_str()) {
            Some("") => "empty".to_owned(),
            Some(value) => format!("`{value}`"),
            None if setting.is_required_set() => "required".to_owned(),
            None => "none".to_owned(),
        };
        writeln!(text, "| `{variable}` | {default} | {help} |").unwrap();
    }
    text
}

/// What is reported at the end of a build.
fn ended_build() -> Report<ImageBuilderStatus> {
    let build =
        serde_json::json!({ "number": 1, "reason": "Created", "result": "Succeeded", "duration": {} });
    let history = vec![serde_json::from_value(build).unwrap()];
    let status = ImageBuilderStatus { history, ..ImageBuilderStatus::default() };
    Report { status, names: Vec::new(), is_progress: false, completed: None }
}

/// Adds what the process shows of itself.
fn watch(metrics: &Metrics, agent: &Agent, ready_gate: &ReadyGate) {
    metrics.watch_heartbeat(Heartbeat::new());
    metrics.collect(Leadership::unelected());
    metrics.watch_ready_gate(ready_gate.clone());
    metrics.watch_registries(agent.registries.clone(), true);
    metrics.watch_log(|| 0);
    metrics.watch_turns(agent.turns.clone());
    metrics.watch_objects(agent.config.metrics.max_object_series());
    metrics.watch_jobs(agent.jobs.clone());
    let registries = agent.registries.clone();
    image_operator_names::export(metrics, &agent.config.metrics, || DockerHubQuota(registries.clone()));
    let webhook = Webhook::new(&agent.config.notifications).unwrap();
    drop(Notifications::new(&agent.config.notifications, webhook, metrics));
}

fn metrics() -> String {
    let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let config = Config::parse_from([
        "imgop-agent",
        "--watch-namespaces=*",
        "--skopeo-image=skopeo:1",
        "--metrics-name-objects=true",
        "--notification-url=http://127.0.0.1:1",
    ]);
    let (metrics, ready_gate) = (Metrics::new(), ReadyGate::default());
    let agent = Arc::new(Agent::new(client, config, metrics.clone(), OF_KINDS));
    watch(&metrics, &agent, &ready_gate);
    // What is counted by label is exported once it is not zero.
    let of_kind = OfKind::of::<Image>();
    for family in
        [&metrics.reconciliations, &metrics.api_failures, &metrics.jobs_created, &metrics.status_writes]
    {
        drop(family.get_or_create(&of_kind));
    }
    drop(metrics.last_success.get_or_create(&of_kind));
    drop(metrics.reconciliation_seconds.get_or_create(&of_kind));
    drop(metrics.syncs.get_or_create(&Ended { kind: of_kind.kind, reason: String::new() }));
    let images = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let builders = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let builders = ImageBuilders::new(agent.clone(), builders.objects(), images.objects());
    builders.reported(
        &ImageBuilder::new("app", ImageBuilderSpec::default()),
        &ended_build(),
        jiff::Timestamp::UNIX_EPOCH,
    );
    let _images = Images::new(agent, images.objects());
    let exported = metrics.text().unwrap();
    let type_of = |name: &str| {
        let line = exported.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        line.unwrap_or_default().to_owned()
    };
    let mut rows: Vec<String> = exported
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .map(|(name, help)| {
            let type_ = type_of(name);
            let suffix = match type_.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            format!("| `{name}{suffix}` | {type_} | {} |", help.trim_end_matches('.'))
        })
        .collect();
    rows.sort_unstable();
    format!("{METRICS}{}\n", rows.join("\n"))
}

#[tokio::test]
async fn the_page_of_settings_and_metrics_is_current() {
    let text = settings() + &metrics();
    assert_current("docs/configuration.md", &text);
}

/// `kubectl imgop install --set` checks names by this list: it knows nothing of the agent's code.
#[test]
fn the_list_of_settings_is_current() {
    let command = Config::command();
    let names: Vec<&str> =
        command.get_arguments().filter_map(|setting| setting.get_env()?.to_str()).collect();
    assert_current("manifests/agent-settings.txt", &format!("{}\n", names.join("\n")));
}

fn assert_current(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("IMGOP_UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(on_disk == text, "{file} is out of date; run `make docs`");
}
