//! What the modes Observe and Plan ask, and that they make nothing.

use imgop_core::api::conditions::READY;
use imgop_core::api::{MirrorSource, Tls, TlsMode, WorkloadMode};
use imgop_fakes::Catalog;

use super::stage::Stage;
use crate::workload_mirror::workloads::testing::pod;

fn plain() -> Tls {
    Tls { mode: TlsMode::PlainHttp, ca_secret_name: None }
}

#[tokio::test]
async fn observe_sends_heads_alone_and_plan_sends_nothing_and_neither_makes_anything() {
    let registry = Catalog::default()
        .with("acme/app", &[("1", "one"), ("2", "two")])
        .with("mirror/acme/app", &[("1", "one"), ("2", "other")])
        .start()
        .await;
    let image = |tag: &str| format!("{}/acme/app:{tag}", registry.address);
    let mut stage = Stage::to(&format!("{}/mirror", registry.address), &[]);
    stage.change(|spec| {
        spec.mode = WorkloadMode::Plan;
        spec.destination.tls = Some(plain());
        spec.sources = vec![MirrorSource {
            registry: registry.address.clone(),
            tls: plain(),
            ..MirrorSource::default()
        }];
    });
    let pods = ["1", "2", "3"].map(|tag| pod("team-a", tag, &image(tag), ""));
    stage.workloads.lists_pods(&pods);
    stage.settle().await;
    // C6: a dry run asked registries.
    assert_eq!(registry.http.lines(), Vec::<String>::new());
    assert_eq!(stage.status().progress.as_deref(), Some("0/3"));

    stage.change(|spec| spec.mode = WorkloadMode::Observe);
    stage.settle().await;
    let asked = registry.http.lines();
    assert!(asked.iter().any(|line| line.starts_with("HEAD /v2/acme/app/manifests/")), "{asked:?}");
    // C5: a dry run made repositories.
    assert!(asked.iter().all(|line| line.starts_with("HEAD ") || *line == "GET /v2/"), "{asked:?}");
    assert_eq!(stage.status().progress.as_deref(), Some("1/3"));
    assert_eq!(stage.status().failing.len(), 1, "the source has no tag 3");
    assert!(stage.condition(READY).message.contains("makes nothing"));
    stage.settle().await;
    assert_eq!(registry.http.lines().len(), asked.len(), "once a period");
    let writes: Vec<String> =
        stage.api.requests().into_iter().filter(|line| !line.starts_with("GET ")).collect();
    assert_eq!(writes, Vec::<String>::new());
}
