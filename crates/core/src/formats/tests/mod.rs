mod bad_input;
mod changes;
mod losses;

use super::*;
use crate::api::ImageMirrorSpec;
use crate::inventory::Inventory;

fn content(text: &str, format: Format) -> Content {
    read(text, format).unwrap()
}

/// What it copies, each row a line.
fn rows(content: Content) -> Vec<String> {
    let part = content.into_part("file");
    let inventory = Inventory::read(&ImageMirrorSpec::default(), &[part]).unwrap();
    inventory.rows().into_iter().map(|row| format!("{} {}", row.source, row.destination)).collect()
}

fn notes(content: &Content) -> String {
    content.notes.iter().map(|note| note.in_file("file")).collect::<Vec<_>>().join("\n")
}

const CONFIG: &str = "\
Artifacts:
- {SourceArtifact: quay.io/tools/widget, Tags: ['1.0', v1.1], TargetArtifactName: widget}
- {SourceArtifact: quay.io/tools/gadget, Tags: ['1.0'], TargetRepositories: [registry.corp/mirror]}
- {SourceArtifact: registry.k8s.io/pause, Tags: ['3.10', '3.9'], DoNotMirror: ['3.9']}
- {SourceArtifact: a/b, Tags: [x], DoNotMirror: true}
- {SourceArtifact: acme/mirrored-a-c, Tags: [x], TargetArtifactName: mirrored-a-c}
Repositories:
- {BaseUrl: docker.io/acme, Registry: docker.io, DefaultTarget: true}
- {BaseUrl: registry.corp/mirror, Registry: registry.corp, DefaultTarget: false}
- {BaseUrl: registry.corp:5000/mirror, Registry: 'registry.corp:5000', DefaultTarget: true}
";

#[test]
fn a_configuration_has_the_same_rows_as_an_inventory_and_by_way_of_regsync_yaml() {
    let config = rancher::read(CONFIG).unwrap().config;
    let expected: Vec<String> =
        config.rows().0.into_iter().map(|row| format!("{} {}", row.source, row.target)).collect();
    assert_eq!(rows(content(CONFIG, Format::Rancher)), expected);
    assert_eq!(rows(content(&config.regsync(None), Format::Regsync)), expected);
}

#[test]
fn a_mirror_becomes_the_configuration_that_it_came_from() {
    let config = rancher::read(CONFIG).unwrap().config;
    let Content { targets, entries, .. } = content(CONFIG, Format::Rancher);
    let spec = ImageMirrorSpec { targets, ..ImageMirrorSpec::default() };
    let like = rancher::read(&config.without_entries().formatted()).unwrap().config;
    let back = rancher::Config::of_mirror(&spec, &entries, Some(like)).unwrap();
    assert_eq!(back.formatted(), config.formatted());
    assert_eq!(back.regsync(None), config.regsync(None));
    let alone = rancher::Config::of_mirror(&spec, &entries, None).unwrap();
    assert_eq!(alone.rows(), config.rows());
}

/// All fields that regsync 0.11.7 has.
const REGSYNC: &str = r#"version: 1
creds:
- registry: registry.corp
  user: u
  pass: '{{ env "P" }}'
  tls: disabled
  repoAuth: true
  reqConcurrent: 3
- registry: quay.io
  credHelper: docker-credential-x
  tls: insecure
  clientCert: c
  clientKey: k
  regcert: r
  hostname: h
  token: t
  credExpire: 1h
  credHost: c
  pathPrefix: p
  mirrors: [m]
  priority: 1
  api: x
  apiOpts: {a: b}
  blobChunk: 1
  blobMax: 1
  reqPerSec: 1.5
defaults:
  backup: old-{{.Ref.Tag}}
  interval: 1h0m0s
  ratelimit: {min: 100, retry: 15m}
  parallel: 4
  digestTags: true
  referrers: true
  referrerFilters: [{artifactType: a, annotations: {a: b}}]
  referrerSource: s
  referrerTarget: t
  referrerSlow: true
  fastCheck: true
  forceRecursive: true
  includeExternal: true
  mediaTypes: [m]
  hooks: {pre: {type: url, params: [x]}}
  blobLimit: 1
  cacheCount: 500
  cacheTime: 5m
  skipDockerConfig: true
  userAgent: me
sync:
- {source: quay.io/a/b:1.0, target: registry.corp/m/a/b:1.0, type: image}
- {source: quay.io/a/b:1.1, target: registry.corp/m/a/b:1.1, type: image, fastCheck: false}
- {source: quay.io/a/c, target: registry.corp/m/a/c, type: repository, tags: {allow: ['v1\.0', latest]}}
- {source: quay.io/a/d, target: registry.corp/m/a/d, type: repository, tags: {semverRange: ['>=1.2 <2']}}
- {source: quay.io/a/e, target: registry.corp/m/a/e, type: repository}
- {source: 'quay.io/a/f@sha256:0000000000000000000000000000000000000000000000000000000000000000', target: registry.corp/m/a/f:pinned, type: image}
- {source: quay.io/a/g:1, target: registry.corp/m/a/g:2, type: image}
- {source: quay.io/a/h, target: registry.corp/m/a/h, type: repository, tags: {allow: ['v.*']}}
- {source: quay.io/a/i, target: registry.corp/m/a/i, type: repository, tags: {deny: ['v.*']}}
- {source: quay.io, target: registry.corp/m, type: registry, repos: {allow: [a]}}
- {source: '{{ .Sync }}', target: registry.corp/m/x, type: repository}
- {source: 'ocidir://x', target: registry.corp/m/x, type: repository}
- {source: quay.io/a/j, target: registry.corp/m/a/j, type: repository, tagSets: [{allow: [a]}, {semverRange: ['>1']}]}
- {source: quay.io/a/k:1, target: registry.corp/m/a/k:1, type: image, schedule: '0 3 * * *', platform: linux/amd64}
"#;

#[test]
fn each_field_of_regsync_is_carried_or_named() {
    let content = content(REGSYNC, Format::Regsync);
    insta::assert_snapshot!(notes(&content));
    assert_eq!(content.settings.frequency.as_deref(), Some("1h"));
    assert_eq!(content.settings.referrers, crate::api::Referrers::All);
    assert_eq!(content.targets[0].tls.as_ref().unwrap().mode, crate::api::TlsMode::PlainHttp);
    assert_eq!(content.sources[1].tls.mode, crate::api::TlsMode::SkipVerify);
    insta::assert_snapshot!(rows(content).join("\n"), @"
    quay.io/a/b:1.0 registry.corp/m/a/b:1.0
    quay.io/a/b:1.1 registry.corp/m/a/b:1.1
    quay.io/a/c:v1.0 registry.corp/m/a/c:v1.0
    quay.io/a/c:latest registry.corp/m/a/c:latest
    quay.io/a/d:>=1.2 <2 registry.corp/m/a/d
    quay.io/a/e:* registry.corp/m/a/e
    quay.io/a/f:pinned@sha256:0000000000000000000000000000000000000000000000000000000000000000 registry.corp/m/a/f:pinned
    quay.io/a/k:1 registry.corp/m/a/k:1
    ");
}

#[test]
fn patterns_and_ranges_become_repositories_of_regsync() {
    let rows =
        ["a/b:1.0 x/b:1.0", "a/b:2.x x/b:2.x", "a/b:v2.x.1-alpine3.1 x/b", "a/b:>=1 <2 x/b", "a/b:* x/b"];
    let rows = rows.into_iter().map(|row| {
        let (source, destination) = row.rsplit_once(' ').unwrap();
        crate::inventory::Row { source: source.to_owned(), destination: destination.to_owned() }
    });
    insta::assert_snapshot!(regsync::written(rows.collect(), "imgop"), @r"
    ##################################################
    # THIS FILE IS AUTO-GENERATED. DO NOT MODIFY IT.
    ##################################################
    creds: []
    defaults:
      userAgent: imgop
    sync:
    - source: a/b:1.0
      target: x/b:1.0
      type: image
    - source: a/b:2.x
      target: x/b:2.x
      type: image
    - source: a/b
      tags:
        allow:
        - v2\.[0-9]+\.1-alpine3\.1
      target: x/b
      type: repository
    - source: a/b
      tags:
        semverRange:
        - '>=1 <2'
      target: x/b
      type: repository
    - source: a/b
      target: x/b
      type: repository
    ");
}

#[test]
fn the_file_of_skopeo_sync_has_entries_without_targets() {
    let text = "\
registry.example.com:
  images:
    busybox: []
    redis: ['1.0', 2.0, 'sha256:0000000000000000000000000000000011111111111111111111111111111111']
  images-by-tag-regex: {nginx: '^1\\.13$'}
  images-by-semver: {alpine: '>= 3.12, < 3.20', odd: '~3 || ^5'}
  credentials: {username: u, password: p}
  tls-verify: false
  cert-dir: /certs
";
    let content = content(text, Format::SkopeoSync);
    insta::assert_snapshot!(notes(&content), @r#"
    file:6: registry.example.com.images-by-semver.odd: not carried: "~3 || ^5", which is no range of comparisons such as >=1.2 <2
    file:5: registry.example.com.images-by-tag-regex.nginx: not carried: tags by a regular expression; list the tags, or write a pattern or a range into entries[].tags
    file:7: registry.example.com.credentials: not carried: user and password; put them into a Secret and name it in sources[].credentials
    file:9: registry.example.com.cert-dir: not carried: certificates; put ca.crt into a Secret and name it in sources[].tls.caSecretName
    "#);
    let entries: Vec<String> =
        content.entries.iter().map(|e| format!("{} {:?}", e.entry.source, e.entry.tags)).collect();
    insta::assert_snapshot!(entries.join("\n"), @r#"
    registry.example.com/busybox ["*"]
    registry.example.com/redis ["1.0", "2.0", "sha256:0000000000000000000000000000000011111111111111111111111111111111"]
    registry.example.com/alpine [">= 3.12, < 3.20"]
    "#);
    assert_eq!(content.sources[0].tls.mode, crate::api::TlsMode::SkipVerify);
}

#[test]
fn the_tasks_of_dregsy_become_entries() {
    let text = "\
relay: skopeo
skopeo: {binary: skopeo}
tasks:
- name: one
  interval: 60
  verbose: true
  source: {registry: quay.io, auth: abc}
  target: {registry: registry.corp, skip-tls-verify: true}
  mappings:
  - {from: test/image, to: archive/test/image, tags: ['0.1.0', 'semver: >=1.31.0 <1.31.9', 'regex: 1.*']}
  - {from: test/other}
  - {from: 'regex:test/.*', to: 'regex:test,archive'}
";
    let content = content(text, Format::Dregsy);
    assert_eq!(content.settings.frequency.as_deref(), Some("60s"));
    insta::assert_snapshot!(notes(&content), @"
    file:1: relay: not carried: how dregsy copies
    file:2: skopeo: not carried: how dregsy copies
    file:6: tasks[0].verbose: not carried: what dregsy logs
    file:7: tasks[0].source.auth: not carried: user and password; put them into a Secret and name it in targets[].credentials or sources[].credentials
    file:10: tasks[0].mappings[0].tags[2]: not carried: tags by a regular expression or by their number; list the tags, or write a pattern or a range
    file:12: tasks[0].mappings[2].from: not carried: repositories by a regular expression; list them as entries
    ");
    insta::assert_snapshot!(rows(content).join("\n"), @"
    quay.io/test/image:0.1.0 registry.corp/archive/test/image:0.1.0
    quay.io/test/image:>=1.31.0 <1.31.9 registry.corp/archive/test/image
    quay.io/test/other:* registry.corp/test/other
    ");
}

#[test]
fn the_rules_of_image_syncer_become_entries() {
    let text = r#"{
  "auth": {"quay.io": {"username": "x", "password": "y"}},
  "registry": "registry.corp", "namespace": "mirror",
  "images": {
    "quay.io/a/b": "registry.corp/mirror/b",
    "quay.io/a/c:1,2": ["registry.corp/mirror/c", "other.corp/c"],
    "a/d:1": "",
    "a/e:1": "registry.corp/mirror/e:2",
    "a/f:/v.*/": "registry.corp/mirror/f"
  }
}"#;
    let content = content(text, Format::ImageSyncer);
    insta::assert_snapshot!(notes(&content), @"
    file:2: auth: not carried: users and passwords; put them into Secrets and name those in targets[].credentials and sources[].credentials
    file:8: images.a/e:1: not carried: another tag at the destination, 2; an ImageMirror keeps tags as they are
    file:9: images.a/f:/v.*/: not carried: tags by a regular expression; list the tags, or write a pattern or a range into entries[].tags
    ");
    insta::assert_snapshot!(rows(content).join("\n"), @"
    quay.io/a/b:* registry.corp/mirror/b
    quay.io/a/c:1 registry.corp/mirror/c:1
    quay.io/a/c:2 registry.corp/mirror/c:2
    quay.io/a/c:1 other.corp/c:1
    quay.io/a/c:2 other.corp/c:2
    a/d:1 registry.corp/mirror/d:1
    ");
}

#[test]
fn an_images_list_keeps_its_header_and_is_sorted_by_versions() {
    let list =
        "# header\n//\n\nb/b acme/b 1.10\n# in between\nb/b acme/b 1.9\na/b acme/z v1\na/b acme/b v1\n";
    let formatted = images_list::read(list).unwrap().formatted();
    insta::assert_snapshot!(formatted, @"
    # header
    //

    a/b acme/b v1
    a/b acme/z v1
    b/b acme/b 1.9
    b/b acme/b 1.10
    ");
    assert_eq!(images_list::read(&formatted).unwrap().formatted(), formatted);
    assert_eq!(rows(content(list, Format::ImagesList))[0], "b/b:1.10 docker.io/acme/b:1.10");
    let error = images_list::read("a/b acme/b 1\na/b acme/b\n").unwrap_err();
    assert_eq!(error.in_file("f"), "f:2: a line has three fields, SOURCE TARGET TAG, and this one has 2");
}

#[test]
fn autoupdate_yaml_is_sorted_by_name() {
    let text = "- Name: b\n  LatestOnly: true\n  Charts: {x: {e10: [a=1.0], e9: []}}\n- {name: a, x: null, n: 5, t: '5'}\n";
    insta::assert_snapshot!(autoupdate::formatted(text).unwrap(), @r#"
    - "n": 5
      name: a
      t: "5"
      x: null
    - Charts:
        x:
          e9: []
          e10:
          - a=1.0
      LatestOnly: true
      Name: b
    "#);
    assert!(autoupdate::looks_like_one(text) && !autoupdate::looks_like_one(CONFIG));
    let error = autoupdate::formatted("- Nam: b\n").unwrap_err();
    assert_eq!(error.in_file("f"), "f:1: [0]: Name is missing");
}

#[test]
fn a_format_is_told_by_its_fields() {
    for (text, format) in [
        (CONFIG, Format::Rancher),
        (REGSYNC, Format::Regsync),
        ("# x\na/b acme/b 1\n", Format::ImagesList),
        ("quay.io: {images: {a/b: []}}\n", Format::SkopeoSync),
        ("tasks: []\n", Format::Dregsy),
        ("quay.io/a/b:1: x/b\n", Format::ImageSyncer),
        ("Images: []\n", Format::Rancher),
        ("images: {a/b: c/d}\n", Format::ImageSyncer),
    ] {
        assert_eq!(detect(text).unwrap(), format, "{text}");
    }
    for text in ["", "- a\n", "a: 1\n"] {
        let error = detect(text).unwrap_err().in_file("f");
        assert_eq!(
            error,
            "f:1: whose file this is cannot be told from its fields: rancher's has Artifacts or Images, regsync's sync, dregsy's tasks"
        );
    }
}

#[test]
fn a_file_of_version_sources_comes_with_where_it_belongs() {
    let older = r#"{"tools": {"images": ["a/b"], "versionSource": "registry"}}"#;
    for text in ["- Name: x\n  LatestOnly: true\n", older] {
        let error = detect(text).unwrap_err().in_file("f");
        assert_eq!(
            error,
            "f:1: this file says where new versions are announced; kubectl imgop mirror update takes it as --sources"
        );
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let error = read(&"#".repeat(MAX_FILE_BYTES + 1), Format::Rancher).unwrap_err();
    assert_eq!(error.to_string(), "line 1: the file is larger than 4 MiB; split it");
    let tags: Vec<String> = (0..50_001).map(|tag| format!("  - t{tag}\n")).collect();
    let entry = format!("- SourceArtifact: a/z\n  Tags:\n{}Repositories:", tags.concat());
    let text = CONFIG.replace("\nRepositories:", &format!("\n{entry}"));
    let error = read(&text, Format::Rancher).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyRows { rows: 100_015, most: 100_000 });
}

#[test]
fn the_order_of_lines_is_that_of_sort_by_versions() {
    let sorted = [
        "",
        ".",
        "..",
        ".a",
        "a~",
        "a",
        "a.b",
        "a01",
        "a1",
        "a2",
        "a10",
        "a-1",
        "v1.9",
        "v1.10",
        "v1.10.tar",
    ];
    for pair in sorted.windows(2) {
        assert!(version_order::compare(pair[0], pair[1]).is_lt(), "{pair:?}");
    }
}
