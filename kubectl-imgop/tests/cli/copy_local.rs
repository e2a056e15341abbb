//! `copy --local`: both registries are not real, the copy is.

use imgop_fakes::{Background, Graph, StoringRegistry};
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use crate::program::{Program, Run};

pub struct Case {
    pub source: Background<StoringRegistry>,
    pub destination: Background<StoringRegistry>,
    pub program: Program,
}

impl Case {
    pub fn new(graph: &Graph) -> Self {
        let start = || Background::of(StoringRegistry::start());
        let case = Self { source: start(), destination: start(), program: Program::new() };
        for blob in &graph.blobs {
            case.source.hold_blob("app", blob.clone());
        }
        for manifest in &graph.manifests {
            case.source.hold_manifest("app", &[], &manifest.media_type, manifest.bytes.clone());
        }
        for (tag, digest) in &graph.tags {
            let shown = graph.shown(digest);
            case.source.hold_manifest("app", &[tag], &shown.media_type, shown.bytes.clone());
        }
        case
    }

    /// Copies `app` in this version to `mirror/app`.
    pub fn copy(&self, version: &str, flags: &str) -> Run {
        let (source, destination) = (self.source.address, self.destination.address);
        self.program.run(&format!("copy --local {source}/app{version} {destination}/mirror/app {flags}"))
    }

    /// Returns what was printed, with the destination's address left out and in the order of the tags.
    fn lines(&self, run: &Run) -> Vec<String> {
        let address = self.destination.address.to_string();
        let mut lines: Vec<String> =
            run.stdout.lines().map(|line| line.replace(&address, "REGISTRY")).collect();
        lines.sort();
        lines
    }
}

/// Two tags of one image each, and one that shows what the first one shows.
fn three_tags() -> Graph {
    let mut graph = Graph::default();
    for version in ["1.0", "1.1"] {
        let config = graph.blob(format!(r#"{{"version":"{version}"}}"#));
        let layers = [graph.blob("shared"), graph.blob(format!("layer of {version}"))];
        let image = graph.oci_image(&config, &layers);
        graph.tags.push((version.to_owned(), image.digest));
    }
    graph.tags.push(("2.0".to_owned(), graph.tags[0].1.clone()));
    graph
}

#[test]
fn what_a_version_selects_is_copied_from_here_a_line_a_tag_and_is_up_to_date_then() {
    let graph = three_tags();
    let case = Case::new(&graph);
    let copied = case.copy(":1.x", "");
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    let lines = ["REGISTRY/mirror/app:1.0 copied", "REGISTRY/mirror/app:1.1 copied"];
    assert_eq!(case.lines(&copied), lines);
    assert!(copied.stderr.contains("2 tags copied: 64 B sent in 5 blobs"), "{}", copied.stderr);
    let held = case.destination.manifests("mirror/app");
    assert_eq!(held["1.1"].1, graph.shown(&graph.tags[1].1).bytes);
    case.destination.fail(|_, _| None);
    let again = case.copy(":1.x", "");
    let lines = ["REGISTRY/mirror/app:1.0 is up to date", "REGISTRY/mirror/app:1.1 is up to date"];
    assert_eq!((again.code, case.lines(&again)), (0, lines.map(str::to_owned).to_vec()));
    assert_eq!(case.destination.count("P"), 0, "nothing is written");
}

#[test]
fn a_hundred_tags_take_no_more_requests_than_the_protocol_needs() {
    let graph = Graph::with_shared_layers();
    let case = Case::new(&graph);
    let copied = case.copy("", "--versions *");
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    assert_eq!(copied.stdout.lines().count(), 100);
    let (source, destination) = (case.source.asked().len(), case.destination.asked().len());
    assert!(source + destination <= 820, "{source} at the source and {destination} at the destination");
}

#[test]
fn tags_of_six_platforms_take_no_more_requests_than_the_protocol_needs() {
    let case = Case::new(&Graph::of_six_platforms());
    let copied = case.copy("", "--versions *");
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    let (source, destination) = (case.source.asked().len(), case.destination.asked().len());
    assert!(source + destination <= 1_030, "{source} at the source and {destination} at the destination");
}

#[test]
fn an_image_is_looked_for_only_where_the_destination_has_tags_that_are_not_known() {
    for (others, looks) in [(&[][..], 0), (&["other"][..], 1)] {
        let case = Case::new(&three_tags());
        assert_eq!(case.copy(":1.0", "").code, 0);
        case.destination.hold_manifest("mirror/app", others, imgop_fakes::IMAGE, "{}");
        case.destination.fail(|_, _| None);
        assert_eq!(case.copy(":1.x", "").code, 0);
        assert!(case.destination.manifests("mirror/app").contains_key("1.1"));
        let looked = case.destination.count("HEAD /v2/mirror/app/manifests/sha256:");
        assert_eq!(looked, looks, "{others:?}: {:?}", case.destination.asked());
    }
}

#[test]
fn a_dry_run_says_what_would_be_copied_and_writes_nothing() {
    let case = Case::new(&three_tags());
    let dry = case.copy(":1.x", "--dry-run");
    let lines = ["REGISTRY/mirror/app:1.0 would be copied", "REGISTRY/mirror/app:1.1 would be copied"];
    assert_eq!((dry.code, case.lines(&dry)), (0, lines.map(str::to_owned).to_vec()));
    assert_eq!(case.destination.count("P"), 0);
    assert_eq!(case.source.count("GET /v2/app/manifests/"), 0, "no pull is counted");
}

#[test]
fn a_document_says_what_became_of_each_tag() {
    let case = Case::new(&three_tags());
    let copied = case.copy(":2.0", "-o json");
    let mut document: Value = serde_json::from_str(&copied.stdout).unwrap();
    document["copies"][0]["source"] = "SOURCE".into();
    document["copies"][0]["destination"] = "DESTINATION".into();
    let digest = std::mem::take(&mut document["copies"][0]["tags"][0]["digest"]);
    assert_eq!(digest.as_str().unwrap(), three_tags().tags[2].1.as_str());
    insta::assert_snapshot!(document.to_string(), @r#"{"apiVersion":"imgop.copy/v1","copies":[{"destination":"DESTINATION","source":"SOURCE","tags":[{"destinationTag":"2.0","digest":null,"result":"copied","tag":"2.0"}]}],"transfer":{"mountedBlobs":0,"resumedBytes":0,"sentBlobs":3,"sentBytes":35}}"#);
    let names = case.copy(":1.x", "-o name");
    assert_eq!(case.lines(&names), ["REGISTRY/mirror/app:1.0", "REGISTRY/mirror/app:1.1"]);
}

#[test]
fn a_tag_that_fails_is_said_and_the_others_are_copied() {
    let graph = three_tags();
    let case = Case::new(&graph);
    case.source.lose_blob("app", &Digest::of(b"layer of 1.0"));
    let run = case.copy(":1.x", "");
    let lines = ["REGISTRY/mirror/app:1.0 failed", "REGISTRY/mirror/app:1.1 copied"];
    assert_eq!((run.code, case.lines(&run)), (1, lines.map(str::to_owned).to_vec()));
    assert!(run.stderr.contains("mirror/app:1.0: cannot read sha256:"), "{}", run.stderr);
    assert!(!case.destination.manifests("mirror/app").contains_key("1.0"));
}

#[test]
fn what_is_there_stays_where_it_is_to_be_kept() {
    let case = Case::new(&three_tags());
    let own = case.destination.hold_manifest("mirror/app", &["1.0"], imgop_fakes::IMAGE, "{}");
    let run = case.copy(":1.x", "--overwrite IfMissing");
    let lines = ["REGISTRY/mirror/app:1.0 kept with other content", "REGISTRY/mirror/app:1.1 copied"];
    assert_eq!((run.code, case.lines(&run)), (0, lines.map(str::to_owned).to_vec()));
    assert_eq!(Digest::of(&case.destination.manifests("mirror/app")["1.0"].1), own);
}

/// A tag of two platforms, and the manifests of both.
fn two_platforms() -> (Graph, [Digest; 2]) {
    let mut graph = Graph::default();
    let images = ["amd64", "arm64"].map(|architecture| {
        let config = graph.blob(format!(r#"{{"architecture":"{architecture}"}}"#));
        let layers = [graph.blob(format!("layer of {architecture}"))];
        (architecture, graph.oci_image(&config, &layers))
    });
    let entries = images.each_ref().map(|(architecture, image)| {
        json!({ "mediaType": image.media_type, "digest": image.digest.as_str(), "size": image.bytes.len(),
            "platform": { "os": "linux", "architecture": architecture } })
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = graph.manifest(
        media_type,
        json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries }).to_string(),
    );
    graph.tags.push(("1.0".to_owned(), index.digest));
    (graph, images.map(|(_, image)| image.digest))
}

#[test]
fn only_the_wanted_platforms_are_copied() {
    let (graph, [amd64, arm64]) = two_platforms();
    let case = Case::new(&graph);
    let run = case.copy(":1.0", "--platforms linux/amd64");
    assert_eq!(run.code, 0, "{run}");
    let held = case.destination.manifests("mirror/app");
    let index: Value = serde_json::from_slice(&held["1.0"].1).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!((entries.len(), entries[0]["digest"].as_str()), (1, Some(amd64.as_str())), "{index}");
    assert!(held.contains_key(amd64.as_str()) && !held.contains_key(arm64.as_str()), "{:?}", held.keys());
    let other = case.copy(":1.0", "--platforms linux/s390x");
    assert!(other.code == 1 && other.stderr.contains("has platform linux/s390x"), "{other}");
    assert_eq!(case.copy(":1.0", "").code, 0);
    assert!(
        case.destination.manifests("mirror/app").contains_key(arm64.as_str()),
        "without it all are copied"
    );
}

#[test]
fn what_refers_to_a_tag_is_copied_only_where_it_is_wanted() {
    let mut graph = three_tags();
    let subject = graph.tags[0].1.clone();
    let (config, layers) = (graph.blob("{}"), [graph.blob("signature")]);
    let signature = graph.oci_image(&config, &layers);
    let tag = format!("{}.sig", subject.as_str().replace(':', "-"));
    graph.tags.push((tag.clone(), signature.digest));
    let case = Case::new(&graph);
    assert_eq!(case.copy(":1.0", "").code, 0);
    assert!(!case.destination.manifests("mirror/app").contains_key(&tag));
    let run = case.copy(":1.0", "--referrers All");
    assert_eq!(run.code, 0, "{run}");
    assert!(case.destination.manifests("mirror/app").contains_key(&tag), "{run}");
}

#[test]
fn more_tags_than_the_agents_limit_are_copied_where_that_is_wanted() {
    let mut graph = three_tags();
    let shown = graph.tags[0].1.clone();
    graph.tags.extend((0..501).map(|number| (format!("3.{number}"), shown.clone())));
    let case = Case::new(&graph);
    for flags in ["", "--dry-run"] {
        let refused = case.copy(":3.x", flags);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.stderr.contains("hint: to copy all of them: --max-tags 501\n"), "{refused}");
    }
    let dry = case.copy(":3.x", "--dry-run --max-tags 501");
    assert_eq!((dry.code, dry.stdout.lines().count()), (0, 501), "{}", dry.stderr);
}

#[test]
fn more_images_of_one_platform_than_a_job_has_containers_are_copied() {
    let (mut graph, mut entries) = (Graph::default(), Vec::new());
    for number in 0..41 {
        let config = graph.blob(format!(r#"{{"n":{number}}}"#));
        let image = graph.oci_image(&config, &[]);
        let architecture = if number == 0 { "arm64" } else { "amd64" };
        entries
            .push(json!({"mediaType": image.media_type, "digest": image.digest, "size": image.bytes.len(),
            "platform": {"os": "linux", "architecture": architecture}}));
    }
    let case = Case::new(&graph);
    let index = json!({"schemaVersion": 2, "mediaType": imgop_fakes::INDEX, "manifests": entries});
    case.source.hold_manifest("app", &["1.0"], imgop_fakes::INDEX, index.to_string());
    let run = case.copy(":1.0", "--platforms linux/amd64");
    assert_eq!(run.code, 0, "{}", run.stderr);
    // The images, the index, and its tag.
    assert_eq!(case.destination.manifests("mirror/app").len(), 40 + 2);
    assert_eq!(case.source.count("GET /v2/app/manifests/"), 40 + 1, "the index is read once");
}

#[test]
fn an_image_of_schema_1_is_said_not_to_be_copied() {
    let case = Case::new(&three_tags());
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    case.source.hold_manifest("app", &["1.2"], schema_1, r#"{"schemaVersion":1}"#);
    let run = case.copy(":1.x", "");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("mirror/app:1.2: ") && run.stderr.contains("chema 1"), "{}", run.stderr);
    assert_eq!(case.lines(&run).len(), 3, "the others are copied");
}

#[test]
fn what_only_an_agent_or_a_cluster_has_is_refused_with_the_flag() {
    let program = Program::new();
    for (flags, said) in [
        ("--mode Recurrent", "--mode is for the agent"),
        ("--frequency 1h", "--frequency is for the agent"),
        ("--dry-run=server", "--dry-run=server is for the agent"),
        ("--source-credentials a", "--source-credentials names a Secret, and --local asks no cluster"),
    ] {
        let run = program.run(&format!("copy --local quay.io/a/b:1 r.example.com/b {flags}"));
        assert_eq!(run.code, 2, "{flags}");
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let run = program.run("copy --local quay.io/a/b:1");
    assert!(run.code == 2 && run.stderr.contains("give SOURCE and DESTINATION"), "{}", run.stderr);
    let run = program.run("copy --authfile f quay.io/a/b:1 r.example.com/b");
    assert!(run.code == 2 && run.stderr.contains("--authfile goes with --local"), "{}", run.stderr);
}
