//! Where an image goes to: as k8s-copycat names it, and by the resource that its configuration becomes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::build::ImageReference;
use crate::selection::SourceRef;
use crate::workloads::{ImageUser, RunningPods, Situation, Usage, plan};

/// The digits of the digest that `HEX` stands for.
const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An image, and where it goes to below `registry.corp:5000/`.
struct Row {
    prefix: &'static str,
    path_map: Value,
    image: &'static str,
    /// What copycat makes of it.
    there: &'static str,
    /// What is made of it here; nothing where that is the same.
    here: &'static [&'static str],
    /// Why it is another one.
    why: &'static str,
}

fn same(prefix: &'static str, path_map: Value, image: &'static str, there: &'static str) -> Row {
    Row { prefix, path_map, image, there, here: &[], why: "as there" }
}

fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect()
}

fn regex(from: &str, to: &str) -> Value {
    json!([{ "from": from, "to": to, "regex": true }])
}

/// What both name alike.
fn alike() -> Vec<Row> {
    let none = || json!([]);
    let first = rules(&[("a/", "x/"), ("a/b/", "y/")]);
    vec![
        same("", none(), "nginx:1.27", "library/nginx:1.27"),
        same("", none(), "nginx", "library/nginx:latest"),
        same("mirror", none(), "docker.io/acme/app:1", "mirror/acme/app:1"),
        same("/mirror/", none(), "quay.io/argoproj/argocd:v2.13.0", "mirror/argoproj/argocd:v2.13.0"),
        same("$namespace", none(), "ghcr.io/acme/app:1", "team-a/acme/app:1"),
        same("x/$podname", none(), "acme/app:1", "x/web/acme/app:1"),
        same("$container_name", none(), "quay.io/a/b:1", "main/a/b:1"),
        same("$registry/$namespace", none(), "nginx:1", "docker.io/team-a/library/nginx:1"),
        same("$registry", none(), "r.corp:5000/a/b:1", "r.corp-5000/a/b:1"),
        same("$arch", none(), "nginx:1", "amd64-arm64/library/nginx:1"),
        same(
            "",
            rules(&[("group/project/", "prod/project/")]),
            "r.corp/group/project/app:1",
            "prod/project/app:1",
        ),
        same("", rules(&[("group/project/", "prod")]), "r.corp/group/projects/app:1", "group/projects/app:1"),
        same("m", rules(&[("library/", "")]), "nginx:1", "m/nginx:1"),
        same("m", first, "quay.io/a/b/c:1", "m/x/b/c:1"),
        same("", regex("^old/(.*)$", "new/$1"), "quay.io/old/team/app:2", "new/team/app:2"),
        same(
            "$namespace",
            regex("^([^/]+)/charts-(.+)$", "charts/$1/$2"),
            "acme/charts-web:1",
            "team-a/charts/acme/web:1",
        ),
    ]
}

/// What is named otherwise here, on purpose.
fn otherwise() -> Vec<Row> {
    let none = || json!([]);
    let within = || rules(&[("group/project", "prod/project")]);
    vec![
        Row {
            prefix: "$podname",
            path_map: none(),
            image: "acme/app:1",
            there: "web-7d9c4d-x2x/acme/app:1",
            here: &["web/acme/app:1"],
            why: "copycat names the pod where it looks at one; each pod of a Deployment is the Deployment here",
        },
        Row {
            prefix: "",
            path_map: within(),
            image: "r.corp/group/project/app:1",
            there: "prod/project//app:1",
            here: &["prod/project/app:1"],
            why: "C7: two slashes make no repository",
        },
        Row {
            prefix: "",
            path_map: within(),
            image: "r.corp/group/projects/app:1",
            there: "prod/project/s/app:1",
            here: &["group/projects/app:1"],
            why: "C7: a rule ends where a part of the path does",
        },
        Row {
            prefix: "",
            path_map: rules(&[("group/project/", "prod/")]),
            image: "r.corp/group/project:1",
            there: "group/project:1",
            here: &["prod:1"],
            why: "a rule fits its path itself, which stderr says",
        },
        Row {
            prefix: "",
            path_map: none(),
            image: "quay.io/a/b@sha256:HEX",
            there: "a/b:latest",
            here: &["a/b:pin-sha256-HEX"],
            why: "C3: different contents would replace each other",
        },
        Row {
            prefix: "",
            path_map: none(),
            image: "quay.io/a/b:1@sha256:HEX",
            there: "a/b:1",
            here: &["a/b:1", "a/b:pin-sha256-HEX"],
            why: "the digest has a tag of its own, besides",
        },
    ]
}

/// Returns where an image of a Deployment goes to by what copycat's configuration becomes.
fn targets(prefix: &str, path_map: &Value, image: &str) -> Vec<String> {
    let docker = json!({ "registry": "registry.corp:5000", "repoPrefix": prefix });
    let file = json!({ "targetKind": "docker", "docker": docker, "pathMap": path_map });
    let spec = migrate(Some(file), &[]).object["spec"].clone();
    let spec: WorkloadMirrorSpec = serde_json::from_value(spec).unwrap();
    let request = WorkloadRequest::parse(&spec, "mirror").unwrap();
    let reference: ImageReference = image.replace("HEX", HEX).parse().unwrap();
    let [kind, namespace, name, container] = ["Deployment", "team-a", "web", "main"].map(str::to_owned);
    let user = ImageUser { kind, namespace, name, container, is_opted_out: false };
    let mut usage = Usage::default();
    usage.add(reference.clone(), None, user, RunningPods::default());
    let (images, nodes) = (usage.into_images(), BTreeSet::new());
    let architectures = BTreeMap::from([(reference, "amd64-arm64".to_owned())]);
    let planned = plan(
        &request,
        &Situation {
            mirror: "copycat",
            used: &images,
            is_complete: true,
            children: &[],
            found: &[],
            targets: &[],
            max_tags: 1000,
            node_platforms: &nodes,
            architectures: &architectures,
            now: Timestamp::UNIX_EPOCH,
        },
    );
    let mut all = Vec::new();
    for child in &planned.children {
        let tags = child.tags.iter().filter_map(SourceRef::name);
        all.extend(tags.map(|tag| format!("{}:{tag}", child.destination).replace(HEX, "HEX")));
    }
    all.sort();
    all
}

#[test]
fn an_image_goes_where_copycat_brought_it_or_the_table_says_why_not() {
    for Row { prefix, path_map, image, there, here, why } in alike().into_iter().chain(otherwise()) {
        assert!(here != [there], "{image} goes to the same place: {there}");
        let expected = if here.is_empty() { vec![there] } else { here.to_vec() };
        let expected: Vec<String> =
            expected.into_iter().map(|to| format!("registry.corp:5000/{to}")).collect();
        assert_eq!(targets(prefix, &path_map, image), expected, "{prefix:?} {path_map} {image}: {why}");
    }
}
