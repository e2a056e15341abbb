use serde_json::{Value, json};

use super::*;
use crate::api::{BuiltImage, Context, GitContext};

fn spec() -> ImageBuilderSpec {
    let mut spec = ImageBuilderSpec::new(BuiltImage::new("registry.example.com/team/app", "v1"));
    spec.platforms = vec!["linux/amd64".into()];
    spec.source = Some("FROM scratch".into());
    spec
}

/// Returns what is wrong with a spec in which this field has this value.
fn problem(path: &str, value: Value) -> String {
    BuildRequest::parse(&edited(path, value)).map(|_| ()).unwrap_err().to_string()
}

fn edited(path: &str, value: Value) -> ImageBuilderSpec {
    let mut json = serde_json::to_value(spec()).unwrap();
    let mut place = &mut json;
    for part in path.split('.') {
        place = &mut place[part];
    }
    *place = value;
    serde_json::from_value(json).unwrap()
}

fn is_taken(path: &str, value: Value) -> bool {
    BuildRequest::parse(&edited(path, value)).is_ok()
}

#[test]
fn every_problem_is_reported_at_once_with_its_field() {
    let mut spec = spec();
    spec.image.name = "docker://x".into();
    spec.image.version = "-v1".into();
    spec.platforms = vec!["amd64".into()];
    spec.frequency = "1.5d".into();
    spec.timeout = "8d".into();
    spec.source = None;
    spec.target = Some("a b".into());
    let said = BuildRequest::parse(&spec).unwrap_err().to_string();
    for field in ["image.name", "image.version", "platforms", "frequency", "timeout", "source", "target"] {
        assert!(said.contains(&format!("spec.{field}: ")), "{field} in {said}");
    }
}

#[test]
fn a_schedule_that_is_wrong_is_reported_with_its_field_and_the_part() {
    let problem = |path, value: &str| {
        let spec = ImageBuilderSpec { schedule: Some("@daily".into()), ..edited(path, value.into()) };
        BuildRequest::parse(&spec).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(problem("frequency", "5m"), Ok(()), "as a server fills it in");
    assert!(
        problem("frequency", "1h").unwrap_err().starts_with("spec.schedule: it does not go with frequency")
    );
    assert!(problem("timeZone", "Mars").unwrap_err().starts_with("spec.timeZone: \"Mars\" is no time zone"));
    let part = BuildRequest::parse(&edited("schedule", "0 25 * * *".into())).unwrap_err().to_string();
    assert!(part.starts_with("spec.schedule: \"25\" is no hour"), "{part}");
}

#[test]
fn there_is_one_way_to_say_what_is_built_for() {
    let problem = |architecture: Value, platforms: Value| {
        let mut spec = edited("architecture", architecture);
        spec.platforms = serde_json::from_value(platforms).unwrap();
        BuildRequest::parse(&spec).map(|request| request.platforms.len()).map_err(|error| error.to_string())
    };
    assert!(problem(Value::Null, json!([])).unwrap_err().contains("either architecture"));
    assert!(problem("both".into(), json!(["linux/amd64"])).unwrap_err().contains("not both of them"));
    assert_eq!(problem("both".into(), json!([])), Ok(2));
    let platforms = json!(["linux/arm64", "linux/amd64", "linux/arm64"]);
    assert_eq!(problem(Value::Null, platforms), Ok(2), "each once");
    let spellings = json!(["linux/arm64", "linux/arm64/v8", "linux/aarch64"]);
    assert_eq!(problem(Value::Null, spellings), Ok(1), "in whichever spelling");
    insta::assert_snapshot!(problem(Value::Null, json!(["Linux/amd64"])).unwrap_err(), @r#"spec.platforms: "Linux/amd64" is no platform; write os/architecture or os/architecture/variant in lower case, such as linux/amd64 or linux/arm/v7"#);
}

#[test]
fn a_dockerfile_is_in_one_place() {
    let parse = |source: Option<&str>, dockerfile: Option<&str>, context: bool| {
        let mut spec = spec();
        spec.source = source.map(str::to_owned);
        spec.dockerfile = dockerfile.map(str::to_owned);
        spec.context = context.then(|| Context {
            git: Some(GitContext::new("https://git.example.com/a.git")),
            ..Context::default()
        });
        BuildRequest::parse(&spec).map(|request| request.dockerfile).map_err(|error| error.to_string())
    };
    assert_eq!(parse(Some("FROM a"), None, true), Ok(DockerfilePlace::Inline("FROM a".into())));
    assert_eq!(parse(None, Some("b/c"), true), Ok(DockerfilePlace::Path("b/c".into())));
    assert_eq!(parse(None, None, true), Ok(DockerfilePlace::Default));
    assert!(parse(None, None, false).unwrap_err().contains("spec.source: it must be the text"));
    assert!(parse(Some(""), None, true).unwrap_err().contains("must not be empty"));
    assert!(parse(None, Some("b"), false).unwrap_err().contains("give a context"));
    assert!(parse(Some("FROM a"), Some("b"), true).unwrap_err().contains("leave one of them out"));
}

#[test]
fn paths_stay_below_the_context() {
    for bad in ["", "/etc/passwd", "..", "../x", "a/../../b", "a/..", "a\\..\\b", "a\nb"] {
        let context = json!({"git": {"url": "https://git.example.com/a"}, "subPath": bad});
        assert!(
            problem("context", context).contains("spec.context.subPath: it must be a path below"),
            "{bad}"
        );
    }
    for good in ["a", "services/api", "a/..b/c..", "./a", "with space"] {
        let context = json!({"git": {"url": "https://git.example.com/a"}, "subPath": good});
        assert!(is_taken("context", context), "{good}");
    }
}

#[test]
fn a_url_of_git_is_taken_without_a_password_and_never_quoted() {
    for good in [
        "https://git.example.com/team/app.git",
        "http://10.0.0.1:3000/a",
        "ssh://git@git.example.com/team/app.git",
        "ssh://git.example.com:2222/a",
        "https://[::1]:8080/a",
        "https://git.example.com/a/@scope/b",
    ] {
        assert!(is_taken("context", json!({"git": {"url": good}})), "{good}");
    }
    for bad in [
        "",
        "https://",
        "https://git.example.com",
        "https://git.example.com/",
        "https://user:CANARY@git.example.com/a",
        "https://CANARY@git.example.com/a",
        "ssh://git:CANARY@git.example.com/a",
        "git@github.com:a/b.git",
        "file:///etc",
        "ext::sh -c id",
        "https://git.example.com/a?x=CANARY",
        "https://git.example.com/a#b",
        "https://git.example.com/a b",
        "--upload-pack=id",
        "https://-x/a",
    ] {
        let said = problem("context", json!({"git": {"url": bad}}));
        assert!(said.starts_with("spec.context.git.url: it must be https://"), "{bad}: {said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}

#[test]
fn a_revision_is_no_option_and_no_expression() {
    let context = |revision: &str| json!({"git": {"url": "https://git.example.com/a", "revision": revision}});
    for good in ["main", "v1.2.0", "feature/x-1", "refs/pull/7/head", "0123abc", "größe", "a@b"] {
        assert!(is_taken("context", context(good)), "{good}");
    }
    for bad in
        ["", "-x", "--upload-pack=id", "a..b", "a b", "a~1", "a^", "a:b", "a@{1}", "a*", "a\\b", "a[b", "a\n"]
    {
        assert!(problem("context", context(bad)).contains("context.git.revision"), "{bad:?}");
    }
}

#[test]
fn a_secret_is_no_build_argument() {
    let from = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
    insta::assert_snapshot!(problem("buildArgs", from), @"spec.buildArgs[0]: valueFrom must have configMapKeyRef; a Secret would end in the image's history: name it in secrets and use RUN --mount=type=secret");
    assert!(problem("buildArgs", json!([{"name": "A"}])).contains("either value or valueFrom"));
    for name in ["", "1A", "A B", "A=B", "é"] {
        assert!(
            problem("buildArgs", json!([{"name": name, "value": ""}])).contains("buildArgs[0].name"),
            "{name}"
        );
    }
    let twice = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    assert!(problem("buildArgs", twice).contains(r#"buildArgs[1].name: "A" is given twice"#));
}

#[test]
fn the_id_of_a_secret_is_a_plain_word() {
    let secret = |id: &str| json!([{"id": id, "secretName": "s"}]);
    for good in ["token", ".npmrc", "a-b_c.d"] {
        assert!(is_taken("secrets", secret(good)), "{good}");
    }
    for bad in ["", "a/b", "..", ".", "a,b", "a b", "a=b"] {
        assert!(problem("secrets", secret(bad)).contains("secrets[0].id"), "{bad}");
    }
    assert!(
        problem("secrets", json!([{"id": "a", "secretName": "user:pw"}])).contains("secrets[0].secretName")
    );
    let request = BuildRequest::parse(&edited("secrets", secret("token"))).unwrap();
    assert_eq!(request.secrets["token"], ObjectKey { name: "s".into(), key: "token".into() });
}

#[test]
fn labels_that_buildah_would_misread_are_refused() {
    for good in
        ["$HOME ${HOME} $5 ${} ${1}", "${a:-d} ${a:+b}", "{\"k\":[1,\"é\"]}", "two\nlines", "", "$", "$$ $("]
    {
        assert!(is_taken("image.labels", json!({"org.example/a.b": good})), "{good:?}");
    }
    for bad in ["${", "${HOME} $5 ${", "${a b}", "${a#b}", "${a:x}", "${a:?e}", "$${", "${12}"] {
        let said = problem("image.labels", json!({"key": bad}));
        assert!(said.starts_with("spec.image.labels: \"key\": a value may hold ${ only"), "{bad}: {said}");
    }
    for bad in ["", "a=b", "a$b"] {
        assert!(problem("image.labels", json!({bad: "x"})).contains("a name must not be empty"), "{bad}");
    }
}

#[test]
fn the_format_is_the_one_that_can_hold_what_is_asked_for() {
    let format = |path: &str, value: Value| BuildRequest::parse(&edited(path, value)).unwrap().format;
    assert_eq!(format("image.format", Value::Null), Format::Docker);
    assert_eq!(format("image.annotations", json!({"a": "${"})), Format::Oci);
    assert_eq!(format("image.timestamp", "Zero".into()), Format::Oci);
    let mut spec = edited("image.annotations", json!({"a": "b"}));
    spec.image.format = Some(Format::Docker);
    assert!(BuildRequest::parse(&spec).unwrap_err().to_string().contains("they go with format OCI"));
}

#[test]
fn a_timestamp_is_a_word_or_seconds() {
    let timestamp =
        |text: &str| BuildRequest::parse(&edited("image.timestamp", text.into())).map(|r| r.timestamp);
    assert_eq!(timestamp("Zero").unwrap(), Some(Timestamp::Seconds(0)));
    assert_eq!(timestamp("1767225600").unwrap(), Some(Timestamp::Seconds(1_767_225_600)));
    assert!(!timestamp("BuildTimestamp").unwrap().unwrap().is_reproducible());
    for bad in ["", "zero", "-1", "2026-01-01T00:00:00Z", "123456789012", "SourceTimestamp"] {
        assert!(timestamp(bad).unwrap_err().to_string().contains("image.timestamp"), "{bad}");
    }
}

#[test]
fn more_tags_are_at_the_same_registry_and_each_once() {
    let tags = |tags: Value| {
        let request =
            BuildRequest::parse(&edited("image.additionalTags", tags)).map_err(|e| e.to_string())?;
        Ok::<_, String>(
            request
                .destination
                .tags
                .iter()
                .map(|(to, tag)| format!("{}:{tag}", to.path()))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        tags(json!(["latest", "v1", "registry.example.com/other", "registry.example.com:443/other/b:x"])),
        Ok(vec![
            "team/app:v1".to_owned(),
            "team/app:latest".to_owned(),
            "other:v1".to_owned(),
            "other/b:x".to_owned()
        ])
    );
    assert!(tags(json!(["quay.io/a/b:v1"])).unwrap_err().contains("is at another registry than image.name"));
    assert!(tags(json!(["a b"])).unwrap_err().contains("spec.image.additionalTags[0]"));
}

#[test]
fn amounts_are_more_than_nothing_and_requests_within_limits() {
    assert!(problem("resources", json!({"limits": {"memory": "0"}})).contains("resources.limits.memory"));
    assert!(problem("resources", json!({"requests": {"cpu": "2 cores"}})).contains("resources.requests.cpu"));
    let over = json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "1025Mi"}});
    insta::assert_snapshot!(problem("resources", over), @"spec.resources.requests.memory: it is more than resources.limits.memory; lower it, or raise the limit");
    assert!(problem("storage", json!({"sizeLimit": "none"})).contains("storage.sizeLimit"));
}

#[test]
fn a_cache_has_what_its_mode_needs_and_nothing_else() {
    assert!(is_taken("cache", json!({"mode": "Registry", "repository": "quay.io/a/cache", "ttl": "7d"})));
    assert!(is_taken("cache", json!({"mode": "Volume", "volume": {"size": "20Gi"}})));
    for (cache, said) in [
        (json!({"mode": "Registry"}), "spec.cache.repository: mode Registry needs it"),
        (json!({"mode": "Volume"}), "spec.cache.volume: mode Volume needs it"),
        (json!({"repository": "quay.io/a/cache"}), "go with mode Registry only"),
        (json!({"mode": "Volume", "volume": {"size": "1Gi"}, "ttl": "7d"}), "go with mode Registry only"),
        (json!({"volume": {"size": "1Gi"}}), "spec.cache.volume: it goes with mode Volume only"),
        (json!({"mode": "Registry", "repository": "a:b:c"}), "spec.cache.repository"),
        (json!({"mode": "Registry", "repository": "quay.io/a", "ttl": "1s"}), "is less than 1m"),
    ] {
        let problem = problem("cache", cache.clone());
        assert!(problem.contains(said), "{cache}: {problem}");
    }
}

#[test]
fn registries_are_hosts_and_each_is_named_once() {
    let hosts = |hosts: &[&str]| json!(hosts.iter().map(|host| json!({"host": host})).collect::<Vec<_>>());
    assert!(is_taken(
        "registries",
        hosts(&["quay.io", "docker.io", "localhost", "registry:5000", "10.0.0.1"])
    ));
    for bad in ["", "quay.io/a", "https://quay.io", "quay", "user@quay.io", "quay.io:x", "*.io"] {
        assert!(problem("registries", hosts(&[bad])).contains("registries[0].host"), "{bad}");
    }
    assert!(problem("registries", hosts(&["quay.io", "quay.io:443"])).contains("is given twice"));
}

#[test]
fn what_is_watched_must_be_there() {
    assert!(is_taken("rebuildOn", json!(["BaseImage"])));
    assert!(problem("rebuildOn", json!(["Source"])).contains("Source watches the context"));
}

#[test]
fn lists_and_numbers_have_limits() {
    let many =
        |count: usize, entry: fn(usize) -> Value| Value::from((0..count).map(entry).collect::<Vec<_>>());
    let args = many(65, |i| json!({"name": format!("A{i}"), "value": ""}));
    assert!(problem("buildArgs", args).contains("at most 64 are taken"));
    assert!(problem("image.additionalTags", many(17, |i| format!("t{i}").into())).contains("at most 16"));
    assert!(problem("retries", 6.into()).contains("spec.retries"));
    assert!(problem("failedBuildsHistoryLimit", 101.into()).contains("from 0 to 100"));
    assert!(problem("image.labels", json!({"a": "x".repeat(4097)})).contains("more than 4096"));
}

#[test]
fn texts_are_no_longer_than_the_api_server_takes() {
    let long = |length: usize| Value::from("a".repeat(length));
    assert!(is_taken("target", long(128)) && !is_taken("target", long(129)));
    let secret = |id: usize| json!([{ "id": "a".repeat(id), "secretName": "s" }]);
    assert!(is_taken("secrets", secret(128)) && !is_taken("secrets", secret(129)));
    let argument = |length: usize| json!([{ "name": "A", "value": "a".repeat(length) }]);
    assert!(is_taken("buildArgs", argument(32_768)) && !is_taken("buildArgs", argument(32_769)));
    let git = |length: usize| json!({ "git": { "url": format!("https://g/{}", "a".repeat(length - 10)) } });
    assert!(is_taken("context", git(1024)) && !is_taken("context", git(1025)));
    let revision = |length: usize| json!({ "git": { "url": "https://g/a", "revision": "a".repeat(length) } });
    assert!(is_taken("context", revision(255)) && !is_taken("context", revision(256)));
    let sub_path = |length: usize| json!({ "configMap": { "name": "a" }, "subPath": "a".repeat(length) });
    assert!(is_taken("context", sub_path(1024)) && !is_taken("context", sub_path(1025)));
}
