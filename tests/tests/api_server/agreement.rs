//! The CRD's rules and imgop's own parser give the same verdict: what the API server stores the
//! agent can act on, and what the agent could act on the API server does not refuse.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_core::api::{Destination, Image, ImageSpec, Mode, Overwrite, Publish, Source, Tls};
use imgop_core::plan::CopyRequest;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::PostParams;
use kube::{Api, Error};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Reason, RngAlgorithm, TestRng, TestRunner};

/// Parts of which a kind of text is made: those that are mostly right, and those that mostly are not.
struct Parts {
    right: &'static [&'static str],
    wrong: &'static [&'static str],
}

const NAME: Parts = Parts {
    right: &[
        "a",
        "b1",
        "quay.io",
        "docker.io",
        "localhost",
        "10.0.0.1",
        ":5000",
        "/",
        "/",
        "/",
        ".",
        "-",
        "__",
    ],
    wrong: &[
        "Host.io",
        "LOCALHOST",
        "UPPER",
        "[::1]",
        "[1::",
        "[::g]",
        ":0",
        ":65535",
        ":65536",
        ":00080",
        ":",
        "..",
        "_",
        "___",
        "---",
        "._",
        "@",
        " ",
        "é",
        "://",
    ],
};

const VERSION: Parts = Parts {
    right: &["v", "x", "2", "13", ".", ".", "2.13.x", "v2.13.x", "-alpine", "-rc1", "latest", "{tag}"],
    wrong: &["V", "X", "*", "x", "-", "_", "sha256:", "{", "}", "y", "(", " ", "$", "é", "..", "vv"],
};

const FREQUENCY: Parts = Parts {
    right: &["10s", "1h30m", "30s", "1d", "2w", "00"],
    wrong: &[
        "0",
        "5",
        "9",
        "5200",
        "5201",
        "99999999999999999999",
        "s",
        "m",
        "h",
        "d",
        "w",
        "M",
        "ms",
        ".",
        "-",
        "+",
        " ",
    ],
};

fn text(parts: &Parts, most: usize) -> impl Strategy<Value = String> + use<> {
    let part = prop_oneof![4 => prop::sample::select(parts.right), 1 => prop::sample::select(parts.wrong)];
    prop::collection::vec(part, 0..=most).prop_map(|parts| parts.concat())
}

/// Specs of which one or two fields are made up.
fn specs() -> impl Strategy<Value = ImageSpec> {
    let versions = (
        prop_oneof![
            1 => Just("v2.13.1".to_owned()),
            1 => Just("v2.13.x".to_owned()),
            1 => Just(format!("sha256:{}", "0".repeat(64))),
            6 => text(&VERSION, 6),
        ],
        prop_oneof![
            1 => Just(None),
            2 => Just(Some("v2.13.x".to_owned())),
            4 => text(&VERSION, 4).prop_map(Some),
        ],
    );
    prop_oneof![
        3 => text(&NAME, 7).prop_map(|name| with(|spec| spec.source.name = name)),
        1 => text(&NAME, 7).prop_map(|name| with(|spec| spec.destination.name = name)),
        2 => text(&FREQUENCY, 5).prop_map(|frequency| with(|spec| spec.frequency = frequency)),
        5 => versions.prop_map(|(source, destination)| with(|spec| {
            spec.source.version = source;
            spec.destination.version = destination;
        })),
        1 => versions_of_one_repository(),
    ]
}

/// A repository copied onto itself is right only when the tags change.
fn versions_of_one_repository() -> impl Strategy<Value = ImageSpec> {
    let source = prop::sample::select(vec!["v2.13.1", "v2.13.x"]);
    let destination = prop::sample::select(vec![
        None,
        Some(""),
        Some("v2.13.1"),
        Some("v2.13.x"),
        Some("{tag}"),
        Some("{tag}-corp"),
        Some("stable"),
    ]);
    (source, destination).prop_map(|(source, destination)| {
        with(|spec| {
            spec.destination.name.clone_from(&spec.source.name);
            source.clone_into(&mut spec.source.version);
            spec.destination.version = destination.map(str::to_owned);
        })
    })
}

/// A good spec, edited.
fn with(edit: impl FnOnce(&mut ImageSpec)) -> ImageSpec {
    let mut spec = ImageSpec {
        mode: Mode::Recurrent,
        frequency: "5m".into(),
        suspend: false,
        allow_candidate_release: false,
        source: Source {
            name: "quay.io/argoproj/argocd".into(),
            version: "v2.13.1".into(),
            use_aws_irsa: false,
            credentials: None,
            tls: Tls::default(),
        },
        destination: Destination {
            name: "registry.example.com/argoproj/argocd".into(),
            version: None,
            overwrite: Overwrite::default(),
            publish: Publish::default(),
            use_aws_irsa: false,
            credentials: None,
            tls: Tls::default(),
        },
    };
    edit(&mut spec);
    spec
}

/// The same specs in each run, so that a test that was green does not turn red by chance;
/// `PROPTEST_CASES` asks for more of them.
fn generated(least: usize) -> Result<Vec<ImageSpec>, Reason> {
    let config = ProptestConfig::default();
    let count = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases as usize } else { least };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = specs();
    (0..count).map(|_| Ok(strategy.new_tree(&mut runner)?.current())).collect()
}

/// `Some` with what is wrong when the API server and the parser disagree.
async fn disagreement(api: &Api<Image>, spec: &ImageSpec) -> anyhow::Result<Option<String>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let server = match api.create(&dry_run, &Image::new("generated", spec.clone())).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 422 => Err(status.message),
        Err(other) => return Err(other.into()),
    };
    let parser = CopyRequest::parse(spec).map(drop).map_err(|error| error.to_string());
    if server.is_ok() == parser.is_ok() {
        return Ok(None);
    }
    Ok(Some(format!(
        "source {:?} {:?}, destination {:?} {:?}, frequency {:?}\n  API server: {}\n  parser: {}",
        spec.source.name,
        spec.source.version,
        spec.destination.name,
        spec.destination.version,
        spec.frequency,
        server.err().unwrap_or_else(|| "accepted".to_owned()),
        parser.err().unwrap_or_else(|| "accepted".to_owned()),
    )))
}

#[tokio::test]
async fn the_api_server_and_the_parser_agree_on_generated_specs() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api: Api<Image> = Api::namespaced(client.clone(), &namespace);
        let specs = generated(1000).unwrap();
        let disagreements: Vec<String> = stream::iter(&specs)
            .map(|spec| disagreement(&api, spec))
            .buffer_unordered(8)
            .try_filter_map(|said| async { Ok(said) })
            .try_collect()
            .await?;
        let accepted = specs.iter().filter(|spec| CopyRequest::parse(spec).is_ok()).count();
        assert!(
            disagreements.is_empty(),
            "{} of {}:\n{}",
            disagreements.len(),
            specs.len(),
            disagreements.join("\n")
        );
        assert!(accepted * 10 > specs.len(), "only {accepted} of {} are good", specs.len());
        Ok(())
    })
    .await
}
