//! The CRD's rules and imgop's own parser give the same verdict: what the API server stores the
//! agent can act on, and what the agent could act on the API server does not refuse.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_core::api::ImageSpec;
use imgop_core::copy::CopyRequest;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Error};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Reason, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::images::{image, images, spec};

/// Parts of which a kind of text is made: those that are mostly right, and those that mostly are not.
pub struct Parts {
    /// Mostly right.
    pub right: &'static [&'static str],
    /// Mostly wrong.
    pub wrong: &'static [&'static str],
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

const RANGE: Parts = Parts {
    right: &[">=", "<", "~", "^", "2", "13", ".", " ", ", ", "-alpine", "v2.13", ">=2.13 <2.15", "~2"],
    wrong: &["=", "==", "=>", "!", "|", ">", "<=", "x", "*", "-", "00", "sha256:", "{tag}", "\t", "é"],
};

pub const FREQUENCY: Parts = Parts {
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

/// Fields of a schedule.
const CRON: [&str; 32] = [
    "*", "*", "*", "0", "5", "07", "23", "24", "30", "31", "59", "60", "007", "*/5", "*/0", "*/40", "3/2",
    "1-5", "1-5/2", "5-1", "1,2", "1,", "*-5", "MON", "mon-fri", "SUN", "jan", "FEB-dec", "L", "?", "@daily",
    "",
];

const TIME_ZONE: Parts = Parts {
    right: &["Europe/Berlin", "UTC", "Etc/", "GMT", "+5", "America/", "New_York"],
    wrong: &["Local", "/", "//", " ", "é", "5", "-"],
};

/// Schedules with time zones. Only the parser knows which time zones there are, which ranges end before they begin, and
/// which days never come.
pub fn times() -> impl Strategy<Value = Fields> + use<> {
    let schedule = prop::collection::vec(prop::sample::select(&CRON[..]), 4..=6)
        .prop_map(|fields| fields.join(" "))
        .prop_filter("it is long enough to tell", |text| !text.trim().is_empty());
    let zone = prop_oneof![2 => Just(None), 1 => text(&TIME_ZONE, 2).prop_map(Some)];
    (prop::option::weighted(0.9, schedule), zone).prop_map(|(schedule, zone)| {
        let schedule = schedule.map(|schedule| ("schedule", Value::from(schedule)));
        schedule.into_iter().chain(zone.map(|zone| ("timeZone", Value::from(zone)))).collect()
    })
}

/// Whether only the parser can know what is wrong with a time.
pub fn is_known_exception_of_times(problem: &str) -> bool {
    ["ends before it begins", "never comes", "is no time zone"].iter().any(|known| problem.contains(known))
}

const PLATFORM: Parts = Parts {
    right: &["linux", "/", "/", "amd64", "arm64", "/v8", "linux/arm/v7", "windows/amd64"],
    wrong: &["Linux", ",", " ", "-", "_", ".", "*", "//", "é", "linux/amd64,linux/arm64"],
};

/// Texts of at most this number of parts.
pub fn text(parts: &Parts, most: usize) -> impl Strategy<Value = String> + use<> {
    let part = prop_oneof![4 => prop::sample::select(parts.right), 1 => prop::sample::select(parts.wrong)];
    prop::collection::vec(part, 0..=most).prop_map(|parts| parts.concat())
}

/// Fields of a spec, each named as `source.version`.
type Fields = Vec<(&'static str, Value)>;

/// One or two fields that are made up.
fn fields() -> impl Strategy<Value = Fields> {
    let field = |name: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |text| vec![(name, Value::from(text))])
    };
    let source = prop_oneof![
        1 => Just("v2.13.1".to_owned()),
        1 => Just("v2.13.x".to_owned()),
        1 => Just("~2.13".to_owned()),
        1 => Just(format!("sha256:{}", "0".repeat(64))),
        6 => text(&VERSION, 6),
        4 => text(&RANGE, 6),
    ];
    let destination = prop_oneof![
        1 => Just(Value::Null),
        2 => Just("v2.13.x".into()),
        1 => Just("~2.13".into()),
        4 => text(&VERSION, 4).prop_map(Value::from),
        1 => text(&RANGE, 4).prop_map(Value::from),
    ];
    let latest = prop::sample::select(vec![Value::Null, Value::Null, 1.into(), 2.into()]);
    let versions = (source, destination, latest).prop_map(|(source, destination, latest)| {
        vec![
            ("source.version", source.into()),
            ("source.select.latest", latest),
            ("destination.version", destination),
        ]
    });
    let tag = prop_oneof![
        3 => Just("v2.13.1".to_owned()),
        2 => Just(format!("1.27@sha256:{}", "0".repeat(64))),
        1 => Just(format!("sha256:{}", "0".repeat(64))),
        3 => text(&VERSION, 4),
    ];
    let destination = prop::sample::select(vec!["", "{tag}", "corp-{tag}", "stable", "v2.13.x"]);
    let tags = (prop::collection::vec(tag, 0..3), destination, prop::bool::ANY).prop_map(
        |(tags, destination, has_version)| {
            let version = if has_version { "v2.13.1".into() } else { Value::Null };
            vec![
                ("source.tags", tags.into()),
                ("source.version", version),
                ("destination.version", destination.into()),
            ]
        },
    );
    // A repository copied onto itself is right only when the tags change.
    let onto_itself = (
        prop::sample::select(vec!["v2.13.1", "v2.13.x", "~2.13"]),
        prop::sample::select(vec!["", "v2.13.1", "v2.13.x", "~2.13", "{tag}", "{tag}-corp", "stable"]),
    )
        .prop_map(|(source, destination)| {
            vec![
                ("destination.name", "quay.io/argoproj/argocd".into()),
                ("source.version", source.into()),
                ("destination.version", destination.into()),
            ]
        });
    prop_oneof![
        3 => field("source.name", text(&NAME, 7).boxed()),
        1 => field("destination.name", text(&NAME, 7).boxed()),
        2 => field("frequency", text(&FREQUENCY, 5).boxed()),
        2 => field("source.select.minAge", text(&FREQUENCY, 5).boxed()),
        4 => times(),
        2 => prop::collection::vec(text(&PLATFORM, 4), 0..3).prop_map(|all| vec![("platforms", all.into())]),
        6 => versions,
        3 => tags,
        1 => onto_itself,
    ]
}

/// The same specs in each run, so that a test that was green does not turn red by chance;
/// `PROPTEST_CASES` asks for more of them.
fn generated(least: usize) -> Result<Vec<Value>, Reason> {
    let config = ProptestConfig::default();
    let count = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases as usize } else { least };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = fields();
    (0..count).map(|_| Ok(spec(&strategy.new_tree(&mut runner)?.current()))).collect()
}

/// What the parser finds wrong, if anything.
fn parsed(spec: &Value) -> Result<(), String> {
    // A field that is null is one that is not there; for the API server too.
    let with_frequency = {
        let mut spec = spec.clone();
        if spec.get("frequency").is_none() {
            spec["frequency"] = "5m".into();
        }
        if let Some(source) = spec["source"].as_object_mut() {
            source.retain(|_, value| !value.is_null());
        }
        spec
    };
    let spec: ImageSpec = serde_json::from_value(with_frequency).map_err(|error| error.to_string())?;
    CopyRequest::parse(&spec).map(drop).map_err(|error| error.to_string())
}

/// Whether only the parser can know: a rule cannot compare the suffixes or the numbers of a range.
fn is_known_exception(problem: &str) -> bool {
    problem.contains("end in different suffixes")
        || problem.contains("no version is in the range")
        || problem.contains("are one tag at the destination")
        || is_known_exception_of_times(problem)
}

/// `Some` with what is wrong when the API server and the parser disagree.
async fn disagreement(api: &Api<DynamicObject>, spec: &Value) -> anyhow::Result<Option<String>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let server = match api.create(&dry_run, &image(spec)).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 422 => Err(status.message),
        Err(other) => return Err(other.into()),
    };
    let parser = parsed(spec);
    if server.is_ok() == parser.is_ok() || parser.as_ref().is_err_and(|problem| is_known_exception(problem)) {
        return Ok(None);
    }
    Ok(Some(format!("{spec}\n  API server: {server:?}\n  parser: {parser:?}")))
}

#[tokio::test]
async fn the_api_server_and_the_parser_agree_on_generated_specs() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api = images(&client, &namespace);
        let specs = generated(1000).unwrap();
        let disagreements: Vec<String> = stream::iter(&specs)
            .map(|spec| disagreement(&api, spec))
            .buffer_unordered(8)
            .try_filter_map(|said| async { Ok(said) })
            .try_collect()
            .await?;
        assert!(
            disagreements.is_empty(),
            "{} of {}:\n{}",
            disagreements.len(),
            specs.len(),
            disagreements.join("\n")
        );
        let accepted = specs.iter().filter(|spec| parsed(spec).is_ok()).count();
        assert!(accepted * 10 > specs.len(), "only {accepted} of {} are good", specs.len());
        Ok(())
    })
    .await
}
