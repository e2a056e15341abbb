//! What cannot be used of each format: one message with file, line and field, and what to write.

use super::super::{Format, FormatError, Problem, read};
use super::content;

/// Returns the message of each case, in the order of the table.
fn messages(format: Format, cases: &[String]) -> String {
    let message = |text: &String| {
        let error = read(text, format).expect_err(text);
        assert!(error.line > 0 && (!error.field.is_empty() || is_of_whole_file(&error)), "{error:?}");
        error.in_file("file")
    };
    cases.iter().map(message).collect::<Vec<_>>().join("\n")
}

/// Whether no field is concerned: what is wrong is a name of a field, or that the text is no document.
fn is_of_whole_file(error: &FormatError) -> bool {
    matches!(
        error.problem,
        Problem::Syntax(_)
            | Problem::SeveralDocuments
            | Problem::DuplicateKey { .. }
            | Problem::UnknownKey { .. }
            | Problem::Missing(_)
            | Problem::Type { expected: "an object", .. }
    )
}

fn cases(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is wrong in any YAML, with a key that the format has.
fn of_yaml(key: &str) -> Vec<String> {
    vec![
        format!("{key}: [\n"),
        format!("{key}: []\n---\n{key}: []\n"),
        format!("{key}: []\n{key}: []\n"),
        "- a\n".to_owned(),
    ]
}

#[test]
fn of_ranchers_configuration() {
    let bad = |text: &str| {
        format!("Artifacts:\n{text}Repositories:\n- {{BaseUrl: docker.io/acme, DefaultTarget: true}}\n")
    };
    let long = "n".repeat(256);
    let mut cases = vec![
        bad("- {SourceArtifact: 'x/y:1.0', Tags: [a]}\n"),
        bad("- {SourceArtifact: 'x/y@sha256:00', Tags: [a]}\n"),
        bad("- {SourceArtifact: y, Tags: [a]}\n"),
        bad("- {SourceArtifact: x/y, Tags: [a], TargetRepositories: [v.io/x]}\n"),
        bad("- {SourceArtifact: x/y, Tags: [a], DoNotMirror: 'true'}\n"),
        bad("- {SourceArtifact: x/y, Tags: ['1'], DoNotMirror: [1]}\n"),
        bad("- {SourceArtifact: x/y, Tags: [a], DoNotMirror: [a, a]}\n"),
        bad("- {SourceArtifact: x/y, Tags: [a], TargetArtifactName: A}\n"),
        bad(&format!("- {{SourceArtifact: x/y, Tags: [a], TargetArtifactName: {long}}}\n")),
        bad("- {SourceArtifact: x/y, Tags: ['a/b']}\n"),
        bad("- {SourceArtifact: x/y, Tags: [[a]]}\n"),
        bad("- {SourceArtifact: x/y, Tags: a}\n"),
        bad("- {SourceArtifact: x/y, Tag: [a]}\n"),
        bad("- {SourceArtifact: x/y, Tags: [a], tags: [b]}\n"),
        bad("- SourceArtifact: x/y\n  Tags: [a]\n  Tags: [b]\n"),
        bad("- {Tags: [a]}\n"),
        bad("- x/y\n"),
    ];
    cases.extend(self::cases(&[
        "Artifacts: []\nImages: []\n",
        "Artifacts: []\nRepositories:\n- {EnvVarPrefix: X}\n",
        "Artifacts: []\nRepositories:\n- {BaseUrl: 'docker.io/acme:1'}\n",
        "Artifacts: []\nRepositories:\n- {BaseUrl: docker.io/acme, DefaultTarget: maybe}\n",
        "Artifacts: []\nRepositories:\n- {BaseUrl: docker.io/acme, ReqConcurrent: many}\n",
        "Artifacts: []\nRepositories:\n- {BaseUrl: docker.io/acme, Target: true, DefaultTarget: true}\n",
    ]));
    cases.extend(of_yaml("Artifacts"));
    insta::assert_snapshot!(messages(Format::Rancher, &cases));
}

#[test]
fn of_regsync() {
    let step = |text: &str| format!("sync:\n- {{{text}}}\n");
    let long = "n".repeat(256);
    let mut cases = vec![
        step("source: 'x/y:1.0', target: r.io/y, type: repository"),
        step("source: x/y, target: 'r.io/y@sha256:00', type: repository"),
        step("source: x/Y, target: r.io/y, type: repository"),
        step(&format!("source: x/y, target: r.io/{long}, type: repository")),
        step("source: 'x/y:a b', target: 'r.io/y:1', type: image"),
        step("source: 'x/y:1', target: 'r.io/:1', type: image"),
        step("source: x/y, target: r.io/y"),
        step("source: x/y, type: repository"),
        step("target: r.io/y, type: repository"),
        step("source: x/y, target: r.io/y, type: mirror"),
        step("source: [x/y], target: r.io/y, type: repository"),
        step("source: x/y, target: r.io/y, type: repository, tag: {allow: [a]}"),
        step("source: x/y, target: r.io/y, type: repository, tags: {allowed: [a]}"),
        step("source: x/y, target: r.io/y, type: repository, tags: [a]"),
        step("source: x/y, target: r.io/y, type: repository, tags: {allow: [[a]]}"),
        step("source: x/y, target: r.io/y, type: repository, tagSets: [{allow: a}]"),
        step("source: x/y, target: r.io/y, type: repository, platform: linux"),
        step("source: x/y, target: r.io/y, type: repository, platforms: [linux/amd64, ARM]"),
        step("source: x/y, target: r.io/y, type: repository, referrers: perhaps"),
        step("source: x/y, target: r.io/y, type: repository, Type: image"),
        "sync:\n- source: x/y\n  target: r.io/y\n  source: x/z\n".to_owned(),
        "sync:\n- x/y\n".to_owned(),
    ];
    cases.extend(self::cases(&[
        "",
        "version: 2\nsync: []\n",
        "version: one\nsync: []\n",
        "sync: {}\n",
        "sync: []\nsnyc: []\n",
        "creds:\n- {user: u}\nsync: []\n",
        "creds:\n- {registry: 'https://r.io', tls: disabled}\nsync: []\n",
        "creds:\n- {registry: r.io, tls: off}\nsync: []\n",
        "creds:\n- {registry: r.io, usr: u}\nsync: []\n",
        "defaults: {intervall: 1h}\nsync: []\n",
        "defaults: [a]\nsync: []\n",
    ]));
    cases.extend(of_yaml("sync"));
    insta::assert_snapshot!(messages(Format::Regsync, &cases));
}

#[test]
fn of_an_images_list() {
    let long = "n".repeat(256);
    let cases = cases(&[
        "# list\n\nx/y acme/y\n",
        "x/y acme/y 1 2\n",
        "x/y:1.0 acme/y 1.0\n",
        "x/Y acme/y 1.0\n",
        "x/y acme/y@sha256:00 1.0\n",
        &format!("x/y acme/{long} 1.0\n"),
        "x/y acme/y 1/0\n",
        "x/y acme/y sha256:00\n",
        "x/y acme/y 1.0\nx/y acme/y 1.1 # newest\n",
    ]);
    let messages =
        cases.iter().map(|text| read(text, Format::ImagesList).unwrap_err().in_file("images-list"));
    insta::assert_snapshot!(messages.collect::<Vec<_>>().join("\n"));
}

#[test]
fn of_skopeo_sync() {
    let of = |text: &str| format!("quay.io:\n  {text}\n");
    let long = "n".repeat(256);
    let mut cases = vec![
        of("images: {'x/y:1.0': []}"),
        of("images: {x/Y: ['1.0']}"),
        of(&format!("images: {{{long}: ['1.0']}}")),
        of("images: {x/y: ['1/0']}"),
        of("images: {x/y: ['sha256:00']}"),
        of("images: {x/y: [[a]]}"),
        of("images: {x/y: a}"),
        of("images: [x/y]"),
        of("imgaes: {x/y: []}"),
        of("images-by-semver: {x/y: ['>=1']}"),
        of("images-by-semver: {x/Y: '>=1'}"),
        of("tls-verify: maybe"),
        of("images: {}\n  Images: {}"),
        of("images:\n    x/y: []\n    x/y: []"),
        "quay.io: [x/y]\n".to_owned(),
        "registry: {images: {x/y: []}}\n".to_owned(),
        "https://quay.io: {images: {x/y: []}}\n".to_owned(),
    ];
    cases.extend(of_yaml("quay.io").into_iter().filter(|text| !text.ends_with("[]\nquay.io: []\n")));
    cases.push("quay.io: {}\nquay.io: {}\n".to_owned());
    insta::assert_snapshot!(messages(Format::SkopeoSync, &cases));
}

#[test]
fn of_dregsy() {
    let task = |source: &str, mapping: &str| {
        format!(
            "tasks:\n- name: one\n  source: {{{source}}}\n  target: {{registry: r.io}}\n  mappings:\n  - {{{mapping}}}\n"
        )
    };
    let mapping = |text: &str| task("registry: quay.io", text);
    let long = "n".repeat(256);
    let mut cases = vec![
        mapping("from: 'x/y:1.0'"),
        mapping("from: x/Y"),
        mapping("from: x/y, to: X"),
        mapping(&format!("from: x/y, to: {long}")),
        mapping("to: x/y"),
        mapping("from: x/y, tags: ['1/0']"),
        mapping("from: x/y, tags: ['1.0', 'sha256:00']"),
        mapping("from: x/y, tags: [[a]]"),
        mapping("from: x/y, tags: a"),
        mapping("from: x/y, tag: [a]"),
        mapping("from: x/y, FROM: x/z"),
        task("registry: 'https://quay.io'", "from: x/y"),
        task("registry: registry", "from: x/y"),
        task("auth: abc", "from: x/y"),
        task("registry: quay.io, skip-tls-verify: maybe", "from: x/y"),
        task("registry: quay.io, auht: abc", "from: x/y"),
    ];
    cases.extend(self::cases(&[
        "",
        "tasks:\n- {name: one, interval: soon, source: {registry: quay.io}, target: {registry: r.io}}\n",
        "tasks:\n- {name: one, target: {registry: r.io}}\n",
        "tasks:\n- {name: one, source: quay.io, target: {registry: r.io}}\n",
        "tasks:\n- {name: one, source: {registry: quay.io}, target: {registry: r.io}, mapping: []}\n",
        "tasks:\n- {name: one, source: {registry: quay.io}, target: {registry: r.io}, mappings: {from: x/y}}\n",
        "tasks:\n- one\n",
        "tasks: {}\n",
        "tasks: []\ntaks: []\n",
    ]));
    cases.extend(of_yaml("tasks"));
    insta::assert_snapshot!(messages(Format::Dregsy, &cases));
}

#[test]
fn of_image_syncer() {
    let long = "n".repeat(256);
    let mut cases = cases(&[
        "quay.io/x/Y: r.io/y\n",
        "'quay.io/x/y:1,a/b': r.io/y\n",
        "quay.io/x/y: r.io/Y\n",
        "quay.io/x/y: {to: r.io/y}\n",
        "quay.io/x/y: [[r.io/y]]\n",
        &format!("quay.io/x/y: r.io/{long}\n"),
        "images: {quay.io/x/y: r.io/y}\nimags: {}\n",
        "images: [quay.io/x/y]\n",
    ]);
    cases.extend(of_yaml("images").into_iter().take(3));
    insta::assert_snapshot!(messages(Format::ImageSyncer, &cases));
}

#[test]
fn what_is_no_text_for_yaml_stays_the_tag_that_it_is_in_every_format() {
    let digits = [
        ("Artifacts:\n- {SourceArtifact: x/y, Tags: [3.10]}\n", Format::Rancher),
        (
            "sync:\n- {source: x/y, target: r.io/y, type: repository, tags: {allow: [3.10]}}\n",
            Format::Regsync,
        ),
        ("quay.io: {images: {x/y: [3.10]}}\n", Format::SkopeoSync),
        (
            "tasks:\n- {source: {registry: quay.io}, target: {registry: r.io}, mappings: [{from: x/y, tags: [3.10]}]}\n",
            Format::Dregsy,
        ),
    ];
    for (text, format) in digits {
        let content = content(text, format);
        assert_eq!(content.entries[0].entry.tags, ["3.10"], "{text}");
        // Only rancher's own tool reads the number 3.1: it takes YAML for JSON. The others read text.
        assert_eq!(content.notes.len(), usize::from(format == Format::Rancher), "{:?}", content.notes);
    }
}
