//! The program between two registries that are not real.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_core::api::TlsMode;
use imgop_core::commands::document::to_arguments;
use imgop_fakes::{Graph, StoringRegistry};
use imgop_registry::reference::Digest;
use imgop_registry::{Allowances, PrivateAddresses};

use super::*;

/// Two registries, and the folder of a container.
struct Stage {
    source: StoringRegistry,
    destination: StoringRegistry,
    folder: tempfile::TempDir,
    log: Mutex<Vec<String>>,
}

impl Stage {
    async fn new(graph: &Graph) -> Self {
        let source = StoringRegistry::start().await;
        for blob in &graph.blobs {
            source.hold_blob("app", blob.clone());
        }
        for manifest in &graph.manifests {
            source.hold_manifest("app", &[], &manifest.media_type, manifest.bytes.clone());
        }
        Self {
            source,
            destination: StoringRegistry::start().await,
            folder: tempfile::tempdir().unwrap(),
            log: Mutex::default(),
        }
    }

    fn input(&self, items: Vec<CopyItem>) -> CopyInput {
        let endpoint = |registry: &StoringRegistry| CopyEndpoint {
            repository: registry.repository("app"),
            tls: TlsMode::Verify,
            auth_file: None,
            ca_file: None,
            allowances: Allowances::default(),
            requests: Some(4),
        };
        CopyInput {
            source: endpoint(&self.source),
            destination: endpoint(&self.destination),
            is_new: true,
            items,
            seconds: 60,
            requests: 8,
            private_addresses: PrivateAddresses::Everywhere,
            loopback: true,
            uploads: Vec::new(),
        }
    }

    fn places(&self) -> Places {
        let folder = self.folder.path();
        Places { report: folder.join("report"), journal: folder.join("uploads.json") }
    }

    async fn run(&self, input: &CopyInput, stop: CancellationToken) -> Result<Ended, StartError> {
        let places = self.places();
        let log = |line: &str| self.log.lock().unwrap().push(line.to_owned());
        run(&to_arguments(input).unwrap(), &places, stop, &log).await
    }

    fn report(&self) -> CopyReport {
        let text = std::fs::read_to_string(self.folder.path().join("report")).unwrap();
        CopyReport::read(&text).unwrap()
    }
}

fn item(name: &str, digest: &Digest) -> CopyItem {
    CopyItem { name: name.to_owned(), digest: digest.clone(), tag: None }
}

fn items_of(graph: &Graph) -> Vec<CopyItem> {
    graph.tags.iter().map(|(tag, digest)| item(tag, digest)).collect()
}

/// One image with a layer of this number of MiB.
fn one_image(mebibytes: usize) -> Graph {
    let mut graph = Graph::default();
    let mut random = fastrand::Rng::with_seed(7);
    let layer: Vec<u8> = (0..mebibytes << 20).map(|_| random.u8(..)).collect();
    let (config, layer) = (graph.blob("{}"), graph.blob(layer));
    let manifest = graph.oci_image(&config, &[layer]);
    graph.tags.push(("v1".to_owned(), manifest.digest));
    graph
}

#[tokio::test]
async fn a_batch_reads_shared_layers_once_and_reports_each_item_by_its_number() {
    let graph = Graph::with_shared_layers();
    let stage = Stage::new(&graph).await;
    let mut items = items_of(&graph);
    let absent = Digest::of(b"absent");
    items.insert(1, item("gone", &absent));
    let ended = stage.run(&stage.input(items.clone()), CancellationToken::new()).await.unwrap();
    let report = stage.report();
    assert_eq!((ended, report.done.len(), report.failures()), (Ended::Failed, items.len() - 1, 1));
    assert_eq!(report.failure(1), Some(format!("the source does not have the manifest {absent}").as_str()));
    let held = stage.destination.manifests("app");
    assert!(graph.tags.iter().all(|(_, digest)| held.contains_key(digest.as_str())));
    assert!(graph.tags.iter().all(|(tag, _)| !held.contains_key(tag)), "the agent puts tags");
    assert_eq!(stage.source.count("GET /v2/app/blobs/"), graph.blobs.len());
    let log = stage.log.lock().unwrap();
    assert!(log.iter().any(|line| line.starts_with("gone: failed: the source")), "{log:?}");
    let copied = format!("{} of {} images copied; ", items.len() - 1, items.len());
    assert!(
        log.last().unwrap().starts_with(&copied) && log.last().unwrap().ends_with("; 1 failed"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_tag_is_put_where_the_item_names_one() {
    let graph = one_image(0);
    let stage = Stage::new(&graph).await;
    let items =
        items_of(&graph).into_iter().map(|item| CopyItem { tag: Some("v1".parse().unwrap()), ..item });
    let ended = stage.run(&stage.input(items.collect()), CancellationToken::new()).await.unwrap();
    assert_eq!(ended, Ended::Copied);
    assert!(stage.destination.manifests("app").contains_key("v1"));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_and_nothing_is_copied() {
    let graph = one_image(0);
    let stage = Stage::new(&graph).await;
    let mut input = stage.input(items_of(&graph));
    input.destination.auth_file = Some("/imgop/no/such/file".into());
    let error = stage.run(&input, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read /imgop/no/such/file: "), "{error}");
    let file = stage.folder.path().join("auth.json");
    std::fs::write(&file, "hunter2").unwrap();
    input.destination.auth_file = Some(file);
    let error = stage.run(&input, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.starts_with("the credentials in ") && !error.contains("hunter2"), "{error}");
    assert_eq!(stage.source.count(""), 0);
}

/// Asks a copy to end while its third chunk is sent.
async fn end_in_the_third_chunk(stage: &Stage, input: &CopyInput) -> Ended {
    let (stop, chunks) = (CancellationToken::new(), AtomicUsize::new(0));
    let stops = stop.clone();
    stage.destination.fail(move |_, line| {
        if line.starts_with("PATCH ") && chunks.fetch_add(1, Ordering::SeqCst) == 2 {
            stops.cancel();
        }
        None
    });
    let ended = stage.run(input, stop).await.unwrap();
    stage.destination.heal();
    ended
}

#[tokio::test]
async fn a_copy_that_is_asked_to_end_finishes_its_chunk_and_another_container_sends_the_rest_alone() {
    let graph = one_image(80);
    let stage = Stage::new(&graph).await;
    let mut input = stage.input(items_of(&graph));
    assert_eq!(end_in_the_third_chunk(&stage, &input).await, Ended::Interrupted);
    let left = stage.report();
    assert_eq!((left.done.len(), left.failures(), left.uploads.len()), (0, 0, 1));
    // The next pod has nothing of this one's files.
    std::fs::remove_file(stage.folder.path().join("uploads.json")).unwrap();
    stage.destination.fail(|_, _| None);
    (input.uploads, input.is_new) = (left.uploads, false);
    assert_eq!(stage.run(&input, CancellationToken::new()).await.unwrap(), Ended::Copied);
    let sent: usize = stage.destination.asked().iter().map(|asked| asked.sent).sum();
    assert!(sent <= (32 << 20) + 10, "{sent} bytes of 80 MiB were sent again");
    assert_eq!((stage.report().done.len(), stage.report().uploads.len()), (1, 0));
    let log = stage.log.lock().unwrap();
    assert!(log.iter().any(|line| line.contains("48.0 MiB resumed")), "{log:?}");
}

#[tokio::test]
async fn when_the_time_is_over_what_is_under_way_has_failed_with_the_settings_name_and_the_rest_is_left() {
    let mut graph = one_image(40);
    for number in 1..30 {
        let (config, layer) =
            (graph.blob(format!("{{\"number\":{number}}}")), graph.blob(format!("{number}")));
        let manifest = graph.oci_image(&config, &[layer]);
        graph.tags.push((format!("v{number}"), manifest.digest));
    }
    let stage = Stage::new(&graph).await;
    let over = CancellationToken::new();
    let ends = over.clone();
    // None has been answered yet.
    stage.source.fail(move |_, _| {
        ends.cancel();
        None
    });
    let input = stage.input(items_of(&graph));
    let log = |_: &str| ();
    let ended = run_until(&input, &stage.places(), CancellationToken::new(), over.cancelled(), &log).await;
    assert_eq!(ended.unwrap(), Ended::Failed);
    let report = stage.report();
    assert_eq!(report.failure(0), Some(TIME_OVER), "its layer has several chunks");
    let at_once = u32::try_from(Options::default().items).unwrap();
    for item in 0..30 {
        let has_begun = report.done.contains(item) || report.failure(item) == Some(TIME_OVER);
        assert_eq!((has_begun, report.left.contains(item)), (item < at_once, item >= at_once), "{item}");
    }
}
