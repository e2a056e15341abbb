//! What the modes Observe and Plan ask, and that they make nothing.

use imgop_core::api::conditions::{READY, reasons};
use imgop_core::api::{
    Credentials, MirrorSource, Tls, TlsMode, UNUSED_SINCE_ANNOTATION, WorkloadMode, WorkloadTrigger,
};
use imgop_fakes::{Catalog, CatalogRegistry};

use super::stage::Stage;
use crate::children::WRITE_INTERVAL;
use crate::workload_mirror::Memory;
use crate::workload_mirror::workloads::testing::pod;

fn plain() -> Tls {
    Tls { mode: TlsMode::PlainHttp, ca_secret_name: None }
}

#[tokio::test]
async fn c5_c6_observe_sends_heads_alone_and_plan_sends_nothing_and_neither_makes_anything() {
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
    // In copycat a dry run asked registries.
    assert_eq!(registry.http.lines(), Vec::<String>::new());
    assert_eq!(stage.status().progress.as_deref(), Some("0/3"));

    stage.change(|spec| spec.mode = WorkloadMode::Observe);
    stage.settle().await;
    let asked = registry.http.lines();
    assert!(asked.iter().any(|line| line.starts_with("HEAD /v2/acme/app/manifests/")), "{asked:?}");
    // In copycat a dry run made repositories.
    assert!(asked.iter().all(|line| line.starts_with("HEAD ") || *line == "GET /v2/"), "{asked:?}");
    assert_eq!(stage.status().progress.as_deref(), Some("1/3"));
    assert_eq!(stage.status().failing.len(), 1, "the source has no tag 3");
    assert!(stage.condition(READY).message.contains("makes nothing"));
    stage.settle().await;
    assert_eq!(registry.http.lines().len(), asked.len(), "once a period");
    // What it may do it asks, too.
    let is_write = |line: &String| !line.starts_with("GET ") && !line.contains("/selfsubjectaccessreviews");
    let writes: Vec<String> = stage.api.requests().into_iter().filter(is_write).collect();
    assert_eq!(writes, Vec::<String>::new());
}

#[tokio::test]
async fn observe_says_what_it_could_not_look_at_and_why_and_is_not_ready() {
    let registry = Catalog::default().with("acme/app", &[("1", "one"), ("2", "two")]).start().await;
    let image = |tag: &str| format!("{}/acme/app:{tag}", registry.address);
    let mut stage = Stage::to(&format!("{}/mirror", registry.address), &[]);
    stage.workloads.lists_pods(&["1", "2"].map(|tag| pod("team-a", tag, &image(tag), "")));
    let source = MirrorSource { registry: registry.address.clone(), tls: plain(), ..MirrorSource::default() };
    stage.change(|spec| {
        spec.mode = WorkloadMode::Observe;
        spec.destination.tls = Some(plain());
        let tls = Tls { mode: TlsMode::SkipVerify, ..plain() };
        spec.sources = vec![MirrorSource { tls, ..source.clone() }];
    });
    let reported = |stage: &Stage| {
        let ready = stage.condition(READY);
        (ready.status.clone(), ready.reason.clone(), ready.message.clone())
    };
    stage.settle().await;
    let (status, reason, message) = reported(&stage);
    assert_eq!((&*status, &*reason), ("False", reasons::REGISTRY_UNREACHABLE));
    let first = format!("; the first: cannot look up {}: the server does not speak TLS", image("1"));
    assert!(message.starts_with("0 of 2 tags are") && message.contains(&first), "{message}");
    assert!(
        message.contains("spec.frequency has passed: 2 of 2 tags; the first")
            && message.contains(".tls.mode")
    );

    let credentials = Some(Credentials { secret_name: "absent".to_owned() });
    stage.change(|spec| spec.sources = vec![MirrorSource { credentials, ..source.clone() }]);
    stage.settle().await;
    let (status, reason, message) = reported(&stage);
    assert_eq!((&*status, &*reason), ("False", reasons::SECRET_UNUSABLE));
    assert!(message.contains("names Secret \"absent\", which does not exist"), "{message}");
    assert_eq!(stage.status().failing[0].reason, reasons::SECRET_UNUSABLE);

    stage.change(|spec| spec.sources = vec![source]);
    stage.settle().await;
    let (status, reason, message) = reported(&stage);
    assert_eq!((&*status, &*reason), ("True", reasons::SUCCEEDED));
    assert_eq!(message, "0 of 2 tags are at the destination; mode Observe makes nothing");
}

#[tokio::test]
async fn what_observe_was_answered_stays_where_the_api_server_does_not_answer_for_the_rest() {
    let open = Catalog::default().with("acme/app", &[("1", "one")]).start().await;
    let closed = Catalog::default().with("acme/other", &[("1", "one")]).start().await;
    let mut stage = Stage::to(&format!("{}/mirror", open.address), &[]);
    let source = |at: &CatalogRegistry, credentials| MirrorSource {
        registry: at.address.clone(),
        tls: plain(),
        credentials,
        ..MirrorSource::default()
    };
    stage.change(|spec| {
        spec.mode = WorkloadMode::Observe;
        spec.destination.tls = Some(plain());
        let credentials = Some(Credentials { secret_name: "login".to_owned() });
        spec.sources = vec![source(&open, None), source(&closed, credentials)];
    });
    let (app, other) = (format!("{}/acme/app:1", open.address), format!("{}/acme/other:1", closed.address));
    stage.workloads.lists_pods(&[pod("team-a", "app", &app, ""), pod("team-a", "other", &other, "")]);
    stage.api.fail_with("GET", "/secrets/login", 500, "etcdserver: request timed out");
    for _ in 0..3 {
        stage.fails(60).await;
        assert_eq!(open.http.count("HEAD /v2/acme/app/"), 1, "once in all tries");
    }
    assert_eq!(closed.http.lines(), Vec::<String>::new());
    // Another spec is another look.
    stage.change(|spec| spec.sources.truncate(1));
    stage.settle().await;
    assert_eq!(open.http.count("HEAD /v2/acme/app/"), 2);
    assert_eq!(closed.http.count("HEAD /v2/acme/other/"), 1);
    assert!(stage.condition(READY).message.starts_with("0 of 2 tags are"));
}

/// An index of one platform.
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}"#;

/// A mirror whose prefix has `$arch`, and that reaches this registry.
fn by_architecture(registry: &CatalogRegistry) -> Stage {
    let source = MirrorSource { registry: registry.address.clone(), tls: plain(), ..MirrorSource::default() };
    let mut stage = Stage::to("r.example.com/mirror", &[]);
    stage.change(|spec| {
        spec.destination.prefix = "$arch".to_owned();
        spec.sources = vec![source];
    });
    stage
}

#[tokio::test]
async fn no_platforms_are_read_of_what_is_not_mirrored() {
    let tag: &[(&str, &str)] = &[("1", INDEX)];
    let has = Catalog::default().with("acme/app", tag).with("acme/excluded", tag).with("acme/beyond", tag);
    let registry = has.start().await;
    let mut stage = by_architecture(&registry);
    stage.change(|spec| {
        spec.exclude.images = vec!["*/acme/excluded".to_owned()];
        spec.limits.images = 1;
    });
    let pods = ["app", "excluded", "beyond"]
        .map(|name| pod("team-a", name, &format!("{}/acme/{name}:1", registry.address), ""));
    stage.workloads.lists_pods(&pods[..2]);
    assert_eq!(stage.settle().await, 1);
    stage.workloads.lists_pods(&pods);
    assert_eq!(stage.settle().await, 0);
    let asked = registry.http.lines();
    let is_of_app = |line: &String| line.contains("/acme/app/") || *line == "GET /v2/";
    assert!(!asked.is_empty() && asked.iter().all(is_of_app), "{asked:?}");
    // Copied only where a pod cannot pull it, none of it has a place to be found.
    stage.memory = Memory::default();
    stage.change(|spec| spec.triggers = vec![WorkloadTrigger::PullFailure]);
    stage.settle().await;
    assert_eq!(registry.http.lines().len(), asked.len());
}

#[tokio::test]
async fn before_it_is_known_where_an_image_goes_what_it_has_there_is_not_unused() {
    let registry = Catalog::default().with("acme/app", &[("1", INDEX)]).start().await;
    let mut stage = by_architecture(&registry);
    stage.workloads.lists_pods(&[pod("team-a", "web", &format!("{}/acme/app:1", registry.address), "")]);
    assert_eq!(stage.settle().await, 1);
    let before = stage.copied();
    assert!(before[0].contains("> r.example.com/mirror/amd64/acme/app 1"), "{before:?}");
    // Another process knows nothing of it, and the source is not reached.
    stage.memory = Memory::default();
    stage.change(|spec| spec.sources = Vec::new());
    stage.pass(11).await;
    stage.images.watch(stage.now);
    stage.pass(11).await;
    let annotations = stage.images.all()[0].metadata.annotations.clone().unwrap_or_default();
    assert!(!annotations.contains_key(UNUSED_SINCE_ANNOTATION), "{annotations:?}");
    assert_eq!(stage.copied(), before);
    // Another one has no place until it can be read, and keeps nothing else from being ready.
    let pods = ["app:1", "other:1"].map(|image| {
        pod("team-a", &image.replace(':', "-"), &format!("{}/acme/{image}", registry.address), "")
    });
    stage.workloads.lists_pods(&pods);
    stage.images.say(true, reasons::SUCCEEDED, stage.now);
    stage.pass(11).await;
    assert_eq!(stage.copied(), before);
    let ready = stage.condition(READY);
    assert_eq!(ready.status, "True", "{ready:?}");
    let why = format!("at their sources): 1; the first: there is no {}/acme/other:1", registry.address);
    assert!(ready.message.contains(&why), "{ready:?}");
}

#[tokio::test]
async fn images_that_cannot_be_read_do_not_keep_others_from_being_read_again() {
    let names: Vec<String> = (10..35).map(|number| format!("acme/app-{number}")).collect();
    // The last ones by name alone are there.
    let has = names[20..].iter().fold(Catalog::default(), |all, name| all.with(name, &[("1", INDEX)]));
    let registry = has.start().await;
    let mut stage = by_architecture(&registry);
    stage.change(|spec| spec.sources[0].tls.mode = TlsMode::SkipVerify);
    let image =
        |name: &String| pod("team-a", &name.replace('/', "-"), &format!("{}/{name}:1", registry.address), "");
    stage.workloads.lists_pods(&names.iter().map(image).collect::<Vec<_>>());
    let result = stage.pass(11).await;
    assert!(result.next.is_some_and(|wait| wait <= WRITE_INTERVAL), "{:?}", result.next);
    let result = stage.pass(11).await;
    assert!(result.next.is_none_or(|wait| wait > WRITE_INTERVAL), "none is due: {:?}", result.next);
    stage.change(|spec| spec.sources[0].tls = plain());
    for seconds in [11, 300] {
        stage.pass(seconds).await;
        stage.images.watch(stage.now);
    }
    assert_eq!(stage.copied().len(), 5, "{:?}", stage.copied());
}

#[tokio::test]
async fn an_image_whose_platforms_stay_unreadable_is_read_less_and_less_often() {
    let registry = Catalog::default().start().await;
    let mut stage = by_architecture(&registry);
    stage.change(|spec| spec.frequency = "1d".to_owned());
    stage.workloads.lists_pods(&[pod("team-a", "web", &format!("{}/acme/app:1", registry.address), "")]);
    let (mut read_at, mut count, mut next) = (Vec::new(), 0, None);
    for minute in 0..75 {
        next = stage.pass(60).await.next;
        let now = registry.http.count("GET /v2/acme/app/manifests/1");
        if now > count {
            read_at.push(minute);
        }
        count = now;
    }
    assert_eq!(read_at, [0, 5, 10, 15, 23, 39, 71], "minutes after the first read");
    assert!(next.is_some_and(|wait| wait.as_secs() > 50 * 60), "no pass is made for nothing: {next:?}");
}

#[tokio::test]
async fn why_platforms_cannot_be_read_is_said_and_with_a_spec_that_was_corrected_they_are_read_at_once() {
    let registry = Catalog::default().with("acme/app", &[("1", INDEX)]).start().await;
    let image = format!("{}/acme/app:1", registry.address);
    let mut stage = by_architecture(&registry);
    stage.change(|spec| spec.sources[0].tls.mode = TlsMode::SkipVerify);
    stage.workloads.lists_pods(&[pod("team-a", "web", &image, "")]);
    assert_eq!(stage.settle().await, 0);
    let ready = stage.condition(READY);
    let why = format!(": 1; the first: cannot read the manifest of {image}: the server does not speak TLS");
    assert!(ready.message.contains(&why), "{ready:?}");
    assert!(ready.message.contains("set spec.sources[].tls.mode to PlainHTTP"), "{ready:?}");
    stage.change(|spec| spec.sources[0].tls = plain());
    assert_eq!(stage.settle().await, 1);
    assert!(!stage.condition(READY).message.contains("without a place"));
}
