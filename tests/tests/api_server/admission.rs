//! What the API server refuses and what it accepts, each with the message that a user sees.

use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::PostParams;
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use crate::images::{image, images, refusal, spec, stored};

const FREQUENCY: &str = "frequency must be whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or 1d";
const FREQUENCY_MAXIMUM: &str = "frequency must be at most 5200w";
const FREQUENCY_MINIMUM: &str = "frequency must be at least 10s";
const SOURCE_NAME: &str = "source.name must be a repository without scheme, tag or digest, such as \
     quay.io/argoproj/argocd; the tag goes into source.version";
const DESTINATION_NAME: &str = "destination.name must be a repository without scheme, tag or digest, such as \
     registry.example.com/argoproj/argocd; the tag goes into destination.version";
const VERSION: &str = "source.version must be a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), * for \
     every tag but pre-releases, or a digest (sha256: and 64 hexadecimal digits)";
const RANGE: &str = "source.version is an unreadable range; write comparators with dotted numbers, such as \
     >=2.13 <2.15, ~2.13 or ^2";
const PATTERN: &str = "source.version is an unreadable pattern; write dotted numbers with x for any number, such \
     as 2.13.x, v2.x.0 or 2.13.x-alpine";
const FIXED_FOR_PATTERN: &str = "destination.version must be empty, the same pattern as source.version, or hold \
     {tag}, when source.version is a pattern or a range: a fixed version would put every tag onto one (unless \
     source.select.latest is 1)";
const OTHER_PATTERN: &str = "destination.version may be a pattern only when source.version is the same pattern; \
     leave it out to keep each tag";
const TAG_FOR_DIGEST: &str = "destination.version must be a tag when source.version is a digest";
const DESTINATION_VERSION: &str =
    "destination.version must be empty, a tag, the same pattern as source.version, or hold {tag} once";
const SECRET_NAME: &str = "credentials.secretName must be the name of a Secret in the same namespace";
const CA_SECRET_NAME: &str = "tls.caSecretName must be the name of a Secret in the same namespace";
const CA_WITH_VERIFY: &str = "tls.caSecretName goes with tls.mode Verify only; leave one of them out";

/// An Image, the field that is wrong with it, and the words that say so.
struct Bad {
    set: Vec<(&'static str, Value)>,
    field: &'static str,
    says: &'static str,
}

/// One field is wrong, and the message is about that field.
fn bad(field: &'static str, value: impl Into<Value>, says: &'static str) -> Bad {
    Bad { set: vec![(field, value.into())], field, says }
}

/// Each version is good, but they do not go together.
fn versions(source: &str, destination: &str, says: &'static str) -> Bad {
    let set = vec![("source.version", source.into()), ("destination.version", destination.into())];
    Bad { set, field: "destination.version", says }
}

async fn every_one_is_refused(cases: Vec<Bad>) -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api = images(&client, &namespace);
        let mut wrong = Vec::new();
        for Bad { set, field, says } in &cases {
            let said = refusal(&api, &image(&spec(set))).await;
            let of_field = |cause: &StatusCause| cause.field == format!("spec.{field}");
            let found = said.as_deref().unwrap_or_default();
            if !found.iter().any(|cause| of_field(cause) && cause.message.contains(says)) {
                wrong.push(format!("{set:?}\n  should say of {field}: {says}\n  but: {said:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(stored(&api).await?, 0, "nothing of this is stored");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b16_frequencies_that_cannot_be_read_or_are_out_of_bounds_are_refused() -> anyhow::Result<()> {
    let unreadable = [
        "", "5", "1.5d", "-5m", "+5m", " 5m", "5m ", "5 m", "1week", "7days", "1M", "1y", "m", "1h30", "５m",
    ];
    let too_short = ["0s", "5s", "9s", "4s5s", "0m", "0d0h", "0w"];
    let too_long = ["5201w", "5200w1s", "99999999999999999999s", "18446744073709551615w1w"];
    let cases = unreadable.iter().map(|text| bad("frequency", *text, FREQUENCY));
    let short = too_short.iter().map(|text| bad("frequency", *text, FREQUENCY_MINIMUM));
    let long = too_long.iter().map(|text| bad("frequency", *text, FREQUENCY_MAXIMUM));
    every_one_is_refused(cases.chain(short).chain(long).collect()).await
}

#[tokio::test]
async fn schedules_and_time_zones_that_cannot_be_read_or_do_not_go_together_are_refused() -> anyhow::Result<()>
{
    const SCHEDULE: &str =
        "schedule must be cron's five fields (minute, hour, day of the month, month, day of the week)";
    const TIME_ZONE: &str = "timeZone must be a name of the IANA database, such as Europe/Berlin or UTC";
    let schedules = [
        "",
        "0 3 * *",
        "0 0 3 * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 8",
        "0 3 * * MONDAY",
        "@reboot",
        "@every 5m",
        "5m",
        "TZ=UTC 0 3 * * *",
        "0 3 L * *",
        "0 3 ? * *",
        "*/0 * * * *",
        "0 */24 * * *",
        "1,,2 * * * *",
        "0 3 * JANFEB *",
        "0 3 * * ５",
    ];
    let zones = ["", "Local", "+02:00", "/etc/passwd", "Europe//Berlin", "Europe/Berlin ", "../x", "Zürich"];
    let zone = |zone: &&str| Bad {
        set: vec![("schedule", "@daily".into()), ("timeZone", (*zone).into())],
        field: "timeZone",
        says: TIME_ZONE,
    };
    let both = |field, set: &[(&'static str, &str)], says| Bad {
        set: set.iter().map(|(field, value)| (*field, (*value).into())).collect(),
        field,
        says,
    };
    let together = [
        both(
            "schedule",
            &[("schedule", "@daily"), ("frequency", "1h")],
            "schedule does not go with frequency; leave one of them out",
        ),
        both("timeZone", &[("timeZone", "Europe/Berlin")], "timeZone goes with schedule only"),
        both(
            "schedule",
            &[("schedule", "@daily"), ("mode", "OneShot")],
            "schedule goes with the modes OnceByTag and Recurrent; OneShot copies once",
        ),
        bad("schedule", "0 ".repeat(65), "Too long"),
    ];
    let cases = schedules.iter().map(|text| bad("schedule", *text, SCHEDULE));
    every_one_is_refused(cases.chain(zones.iter().map(zone)).chain(together).collect()).await
}

#[tokio::test]
async fn names_that_are_no_repositories_are_refused() -> anyhow::Result<()> {
    let texts = [
        "docker://quay.io/argoproj/argocd",
        "https://quay.io/argoproj/argocd",
        "quay.io/argoproj/argocd:v2.13.1",
        "quay.io/argoproj/argocd@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "quay.io/Argoproj/argocd",
        "Argoproj/argocd",
        "quay.io/argoproj//argocd",
        "quay.io/argoproj/",
        "/argoproj/argocd",
        "quay.io",
        "a b",
        "--all",
        "$(id)",
    ];
    let mut cases = vec![
        bad(
            "source.name",
            "",
            "source.name must not be empty; give a repository such as quay.io/argoproj/argocd",
        ),
        bad(
            "destination.name",
            "",
            "destination.name must not be empty; give a repository such as registry.example.com/argoproj/argocd",
        ),
        bad(
            "source.name",
            format!("quay.io/{}", "a".repeat(248)),
            "Too long: may not be more than 255 bytes",
        ),
    ];
    // A bare host name is a good path on Docker Hub, so it is no mistake that can be seen here.
    for text in texts.iter().filter(|text| **text != "quay.io") {
        cases.push(bad("source.name", *text, SOURCE_NAME));
        cases.push(bad("destination.name", *text, DESTINATION_NAME));
    }
    every_one_is_refused(cases).await
}

#[tokio::test]
async fn b8_patterns_and_ranges_that_cannot_be_read_are_refused() -> anyhow::Result<()> {
    let patterns = ["2.x.y", "2.**", "v.x", "2.x.", "x.y", "2.x-", "2.13*", "vv.x"];
    let ranges =
        [">=", ">=2.x", "2.13 <2.15", ">=2.13 || <2", "!=2.13", ">=2.13,x", "a b", ">=2..13", "~", "^v"];
    let texts = [".x", "(", "2.1[23].x", "-x", "sha256:abc", "$(id)", "2.x-$(id)"];
    let cases = patterns.iter().map(|text| bad("source.version", *text, PATTERN));
    let cases = cases.chain(ranges.iter().map(|text| bad("source.version", *text, RANGE)));
    let cases = cases.chain(texts.iter().map(|text| bad("source.version", *text, VERSION)));
    let empty = bad(
        "source.version",
        "",
        "source.version must not be empty; give a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), \
         * for every tag but pre-releases, or a digest",
    );
    every_one_is_refused(cases.chain([empty]).collect()).await
}

#[tokio::test]
async fn tags_that_never_move_are_declared_by_what_can_be_read() -> anyhow::Result<()> {
    let says = "source.immutableTags must be tags (v2.13.1), patterns (v2.13.x), ranges (>=2.13 <2.15), or * for all";
    let unreadable = ["2.x.y", "", "(", ">=x", "a b", "sha256:abc", "2.**"];
    let cases = unreadable.iter().map(|text| bad("source.immutableTags", json!(["v1.0.0", text]), says));
    every_one_is_refused(cases.collect()).await?;
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api = images(&client, &namespace);
        for good in
            [json!(["*"]), json!(["x.x.x", "v2.13.1", ">=2.13 <2.15", "^2", "latest", "2.13.x-alpine"])]
        {
            let good = image(&spec(&[("source.immutableTags", good)]));
            api.create(&PostParams { dry_run: true, ..PostParams::default() }, &good).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b1_a_destination_version_that_would_put_tags_onto_one_is_refused() -> anyhow::Result<()> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let cases = vec![
        versions("v2.13.x", "stable", FIXED_FOR_PATTERN),
        versions("v2.13.x", "v2.13.1", FIXED_FOR_PATTERN),
        versions("*", "latest", FIXED_FOR_PATTERN),
        versions(">=2.13 <2.15", "stable", FIXED_FOR_PATTERN),
        versions(">=2.13 <2.15", ">=2.13 <2.14", OTHER_PATTERN),
        versions("v2.13.1", ">=2.13", OTHER_PATTERN),
        versions("v2.13.x", "2.13.x", OTHER_PATTERN),
        versions("v2.13.1", "v2.13.x", OTHER_PATTERN),
        versions(&digest, "", TAG_FOR_DIGEST),
        versions(&digest, "{tag}", TAG_FOR_DIGEST),
        Bad {
            set: vec![("source.version", digest.as_str().into())],
            field: "destination.version",
            says: TAG_FOR_DIGEST,
        },
        bad("destination.version", "a b", OTHER_PATTERN),
        bad("destination.version", "-x", DESTINATION_VERSION),
        bad("destination.version", "{tag", DESTINATION_VERSION),
        bad("destination.version", "{name}", DESTINATION_VERSION),
        bad("destination.version", "{tag}{tag}", DESTINATION_VERSION),
        bad("destination.version", digest.as_str(), DESTINATION_VERSION),
        bad("destination.version", "a".repeat(129), "Too long: may not be more than 128 bytes"),
    ];
    every_one_is_refused(cases).await
}

#[tokio::test]
async fn tags_that_cannot_be_read_or_do_not_go_with_what_else_is_given_are_refused() -> anyhow::Result<()> {
    const ONE_OF_BOTH: &str =
        "give one of source.version (a tag, a pattern, a range or a digest) and source.tags";
    let digest = format!("sha256:{}", "0".repeat(64));
    let with = |others: &[(&'static str, Value)], field, says| Bad {
        set: [("source", json!({ "name": "quay.io/argoproj/argocd", "tags": ["v2.13.1", "v2.13.2"] }))]
            .into_iter()
            .chain(others.iter().cloned())
            .collect(),
        field,
        says,
    };
    let list = |texts: Value| Bad {
        set: vec![("source", json!({ "name": "quay.io/argoproj/argocd", "tags": texts }))],
        field: "source.tags[0]",
        says: "should match",
    };
    let mut cases: Vec<Bad> = ["", "*", ">=2", "a b", "-a", "1.0@sha256:12", "1.0@", "sha256:12", "1@2"]
        .iter()
        .map(|text| list(json!([text])))
        .collect();
    cases.push(list(json!(["a".repeat(129)])));
    cases.push(list(json!([format!("-a@{digest}")])));
    cases.push(Bad { says: "Too long: may not be more than 200", ..list(json!(["a".repeat(201)])) });
    let many: Vec<String> = (0..1001).map(|n| format!("v{n}")).collect();
    cases.push(Bad { field: "source.tags", says: "Too many: 1001", ..list(json!(many)) });
    cases.push(Bad { field: "source", says: ONE_OF_BOTH, ..list(json!([])) });
    cases.push(Bad { set: vec![("source", json!({ "name": "a/b" }))], field: "source", says: ONE_OF_BOTH });
    cases.push(with(&[("source.version", "v1".into())], "source", ONE_OF_BOTH));
    let fixed = "destination.version must be empty or hold {tag} when source.tags is given";
    cases.push(with(&[("destination.version", "stable".into())], "destination.version", fixed));
    cases.push(with(&[("destination.version", "v2.13.x".into())], "destination.version", fixed));
    let select = "source.select.include, exclude and latest go with source.version only";
    for (field, value) in [("latest", json!(1)), ("include", json!(["a"])), ("exclude", json!(["a"]))] {
        cases.push(with(&[("source.select", json!({ field: value }))], "source.select", select));
    }
    let itself = [("destination.name", "quay.io/argoproj/argocd".into())];
    cases.push(with(&itself, "destination.name", "there is nothing to copy"));
    every_one_is_refused(cases).await
}

#[tokio::test]
async fn a_repository_is_not_copied_onto_itself_unless_tags_change() -> anyhow::Result<()> {
    let same = |versions: &[(&'static str, &str)]| Bad {
        set: [("destination.name", "quay.io/argoproj/argocd".into())]
            .into_iter()
            .chain(versions.iter().map(|(field, version)| (*field, (*version).into())))
            .collect(),
        field: "destination.name",
        says: "there is nothing to copy; give another repository or another destination.version",
    };
    every_one_is_refused(vec![
        same(&[]),
        same(&[("destination.version", "")]),
        same(&[("destination.version", "v2.13.1")]),
        same(&[("destination.version", "{tag}")]),
        same(&[("source.version", "v2.13.x"), ("destination.version", "v2.13.x")]),
    ])
    .await
}

#[tokio::test]
async fn unknown_words_and_wrong_types_are_refused() -> anyhow::Result<()> {
    let cases = vec![
        bad("mode", "Sometimes", r#"supported values: "OneShot", "OnceByTag", "Recurrent""#),
        bad("mode", "recurrent", r#"supported values: "OneShot", "OnceByTag", "Recurrent""#),
        bad("mode", "", r#"supported values: "OneShot", "OnceByTag", "Recurrent""#),
        bad("source.tls.mode", "Insecure", r#"supported values: "Verify", "SkipVerify", "PlainHTTP""#),
        bad("destination.tls.mode", "insecure", r#"supported values: "Verify", "SkipVerify", "PlainHTTP""#),
        bad("destination.overwrite", "Always", r#"supported values: "IfDifferent", "IfMissing""#),
        bad("destination.publish", "Never", r#"supported values: "Staged", "Direct""#),
        bad("source.select.latest", 0, "source.select.latest must be at least 1; leave it out for all tags"),
        bad("source.select.latest", -1, "should be greater than or equal to 0"),
        bad("frequency", 300, "must be of type string"),
        bad("suspend", "yes", "must be of type boolean"),
        bad("source", "quay.io/argoproj/argocd:v2.13.1", "must be of type object"),
        bad("source.name", Value::Null, "Required value"),
    ];
    every_one_is_refused(cases).await
}

#[tokio::test]
async fn secrets_that_cannot_be_meant_are_refused() -> anyhow::Result<()> {
    let ca_and = |mode: &str| json!({ "caSecretName": "ca", "mode": mode });
    let mut cases = Vec::new();
    for (credentials, tls, ca) in [
        ("source.credentials.secretName", "source.tls", "source.tls.caSecretName"),
        ("destination.credentials.secretName", "destination.tls", "destination.tls.caSecretName"),
    ] {
        for name in ["", "Upper", "a/b", "-a", "a-", "other-namespace/secret"] {
            cases.push(bad(credentials, name, SECRET_NAME));
        }
        for name in ["", "Upper", "other-namespace/ca"] {
            cases.push(bad(ca, name, CA_SECRET_NAME));
        }
        cases.push(bad(credentials, "a".repeat(254), "Too long: may not be more than 253 bytes"));
        cases.push(bad(tls, ca_and("SkipVerify"), CA_WITH_VERIFY));
        cases.push(bad(tls, ca_and("PlainHTTP"), CA_WITH_VERIFY));
    }
    cases.push(Bad {
        set: vec![("source.credentials", json!({}))],
        field: "source.credentials.secretName",
        says: "Required value",
    });
    every_one_is_refused(cases).await
}

#[tokio::test]
async fn every_mistake_of_a_manifest_is_said_at_once() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let object = image(&spec(&[
            ("frequency", "1.5d".into()),
            ("source.name", "docker://x".into()),
            ("source.version", "2.x.y".into()),
            ("destination.name", "".into()),
        ]));
        let causes = refusal(&images(&client, &namespace), &object).await.unwrap();
        let mut fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["spec.destination.name", "spec.frequency", "spec.source.name", "spec.source.version"]
        );
        Ok(())
    })
    .await
}
