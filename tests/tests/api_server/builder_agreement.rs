//! The rules of ImageBuilder's CRD and imgop's own parser give the same verdict, as they do for Images.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_core::api::{ImageBuilder, ImageBuilderSpec};
use imgop_core::build::BuildRequest;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Error};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::agreement::{FREQUENCY, Parts, is_known_exception_of_times, text, times};

const PATH: Parts = Parts {
    right: &["a", "b.c", "/", "d-e", "Dockerfile", "_"],
    wrong: &["..", "/..", "../", "//", "\\", "\u{1}", " ", "é", ".", "/"],
};

const URL: Parts = Parts {
    right: &["https://", "git.example.com", "/", "team", "app.git", ":8443", "git@", "ssh://", "~", "[::1]"],
    wrong: &["http:/", "user:pw@", "file://", " ", "?", "#", "é", ":x", "-", "..", "@", "//"],
};

const REVISION: Parts = Parts {
    right: &["main", "refs/", "heads/", "v1.2", "-", "a1b2c3", "/", "_"],
    wrong: &["..", "@{", "~", "^", ":", "?", "*", "[", "\\", " ", "é", "@", "\u{7f}"],
};

const QUANTITY: Parts = Parts {
    right: &["1", "20", "Gi", "Mi", "500", "m", ".5", "k", "e3", "0"],
    wrong: &["-", "+", "gi", "B", " ", "e-10", "1e", ".", "Ki", "n", "E", "1e-12"],
};

const LABEL: Parts = Parts {
    right: &["a", "$HOME", "${HOME}", "${A:-b}", " ", "\"", "=", "\n", "é"],
    wrong: &["${", "${a b}", "${A:?e}", "$", "}", "\\${", "${A:x}", "${1}", "${}", "${A:+b}"],
};

const WORD: Parts = Parts {
    right: &["a", "B", "1", "_", "-", ".", "token"],
    wrong: &["..", " ", "/", ",", "é", "=", "$", ""],
};

/// Fields of a spec by their paths.
type Fields = Vec<(&'static str, Value)>;

fn spec(fields: &[(&str, Value)]) -> Value {
    let mut spec = json!({
        "platforms": ["linux/amd64"],
        "image": { "name": "registry.example.com/team/app", "version": "v1" },
        "source": "FROM scratch",
    });
    for (path, value) in fields {
        let place = path.split('.').fold(&mut spec, |place, key| &mut place[key]);
        *place = value.clone();
    }
    spec
}

fn fields() -> impl Strategy<Value = Fields> {
    let one = |name: &'static str, parts: &'static Parts, most: usize| {
        text(parts, most).prop_map(move |text| vec![(name, Value::from(text))]).boxed()
    };
    let git = |name: &'static str, parts: &'static Parts| {
        text(parts, 6)
            .prop_map(move |text| {
                let url = if name == "url" { text.clone() } else { "https://git.example.com/a".to_owned() };
                let revision = if name == "revision" { Value::from(text) } else { Value::Null };
                vec![("context", json!({ "git": { "url": url, "revision": revision } }))]
            })
            .boxed()
    };
    let argument =
        text(&WORD, 4).prop_map(|name| vec![("buildArgs", json!([{ "name": name, "value": "" }]))]);
    let secret = text(&WORD, 4).prop_map(|id| vec![("secrets", json!([{ "id": id, "secretName": "s" }]))]);
    let labels = text(&LABEL, 5).prop_map(|value| vec![("image.labels", json!({ "a": value }))]);
    let tags = text(&WORD, 4).prop_map(|tag| vec![("image.additionalTags", json!([tag]))]);
    let timestamp = prop::sample::select(vec![
        "Zero",
        "0",
        "1767225600",
        "123456789012",
        "-1",
        "zero",
        "SourceTimestamp",
        "BuildTimestamp",
        "",
    ])
    .prop_map(|text| vec![("image.timestamp", Value::from(text))]);
    let sub_path = text(&PATH, 4)
        .prop_map(|path| vec![("context", json!({ "configMap": { "name": "files" }, "subPath": path }))]);
    prop_oneof![
        2 => one("target", &WORD, 4),
        1 => one("frequency", &FREQUENCY, 5),
        3 => times(),
        1 => one("minInterval", &FREQUENCY, 5),
        1 => one("timeout", &FREQUENCY, 5),
        2 => one("image.version", &WORD, 5),
        2 => one("storage.sizeLimit", &QUANTITY, 3),
        2 => one("resources.limits.memory", &QUANTITY, 3),
        3 => git("url", &URL),
        2 => git("revision", &REVISION),
        2 => argument,
        2 => secret,
        3 => labels,
        1 => tags,
        1 => timestamp,
        2 => sub_path,
    ]
}

/// Texts as long as they may be, and one longer.
fn lengths() -> Vec<Value> {
    let long = |length: usize| "a".repeat(length);
    let mut specs = Vec::new();
    for more in [0, 1] {
        specs.push(spec(&[("target", long(128 + more).into())]));
        specs.push(spec(&[("schedule", format!("0 3 * * *{}", " ".repeat(119 + more)).into())]));
        specs.push(spec(&[(
            "context",
            json!({ "configMap": { "name": "a" }, "subPath": long(1024 + more) }),
        )]));
        specs.push(spec(&[(
            "context",
            json!({ "git": { "url": format!("https://g/{}", long(1014 + more)) } }),
        )]));
        specs.push(spec(&[(
            "context",
            json!({ "git": { "url": "https://g/a", "revision": long(255 + more) } }),
        )]));
        specs.push(spec(&[("buildArgs", json!([{ "name": "A", "value": long(32_768 + more) }]))]));
        specs.push(spec(&[("secrets", json!([{ "id": long(128 + more), "secretName": "s" }]))]));
    }
    specs
}

/// What the parser finds wrong, if anything.
fn parsed(spec: &Value) -> Result<(), String> {
    let mut whole = spec.clone();
    for (field, default) in [
        ("frequency", json!("5m")),
        ("minInterval", json!("5m")),
        ("timeout", json!("1h")),
        ("successfulBuildsHistoryLimit", json!(1)),
        ("failedBuildsHistoryLimit", json!(3)),
    ] {
        if whole.get(field).is_none() {
            whole[field] = default;
        }
    }
    let spec: ImageBuilderSpec = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    BuildRequest::parse(&spec).map(drop).map_err(|error| error.to_string())
}

/// `Some` with what is wrong when the API server and the parser disagree.
async fn disagreement(api: &Api<DynamicObject>, spec: &Value) -> anyhow::Result<Option<String>> {
    let resource = ApiResource::erase::<ImageBuilder>(&());
    let mut builder = DynamicObject::new("", &resource).data(json!({ "spec": spec }));
    (builder.metadata.name, builder.metadata.generate_name) = (None, Some("test-".to_owned()));
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let server = match api.create(&dry_run, &builder).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 422 => Err(status.message),
        Err(other) => return Err(other.into()),
    };
    let parser = parsed(spec);
    let is_known = parser.as_ref().is_err_and(|problem| is_known_exception_of_times(problem));
    let agree = is_known || server.is_ok() == parser.is_ok();
    Ok((!agree).then(|| format!("{spec}\n  API server: {server:?}\n  parser: {parser:?}")))
}

#[tokio::test]
async fn the_api_server_and_the_parser_agree_on_generated_image_builders() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace: String| {
        let resource = ApiResource::erase::<ImageBuilder>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        // The same specs in each run, so that a test that was green does not turn red by chance.
        let mut runner = TestRunner::new_with_rng(
            ProptestConfig::default(),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let strategy = fields();
        let mut specs: Vec<Value> =
            (0..600).map(|_| spec(&strategy.new_tree(&mut runner).unwrap().current())).collect();
        specs.extend(lengths());
        let disagreements: Vec<String> = stream::iter(&specs)
            .map(|spec| disagreement(&api, spec))
            .buffer_unordered(8)
            .try_filter_map(|said| async { Ok(said) })
            .try_collect()
            .await?;
        let shown = disagreements.join("\n");
        assert!(disagreements.is_empty(), "{} of {}:\n{shown}", disagreements.len(), specs.len());
        let accepted = specs.iter().filter(|spec| parsed(spec).is_ok()).count();
        assert!(accepted * 10 > specs.len(), "only {accepted} of {} are good", specs.len());
        Ok(())
    })
    .await
}
