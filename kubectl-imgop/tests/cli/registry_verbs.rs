//! `tags`, `search` and `quota`, which ask registries alone.

use imgop_fakes::{Background, Catalog, DockerHub, ScriptedRegistry, Seen, json, numbered_tags};
use serde_json::{Value, json as value};

use crate::preview::source;
use crate::program::{Program, Run};

fn tags(more: &[&str]) -> Run {
    let source = source();
    let repository = format!("{}/argoproj/argocd{}", source.address, more[0]);
    let run = Program::new().run_with(&[&["tags", &repository], &more[1..]].concat());
    run.naming(&source.address, "source")
}

#[test]
fn tags_are_listed_newest_first_with_the_pattern_of_their_release_line() {
    insta::assert_snapshot!(tags(&[""]), @"
    exit code: 0
    ----- stdout -----
    TAG              PATTERN
    v2.13.11-rc1     v2.13.x-rc1
    v2.13.10         v2.13.x
    v2.13.2          v2.13.x
    v2.13.1          v2.13.x
    2.13.1           2.13.x
    v2.13.1-alpine   v2.13.x-alpine
    v2.13.0          v2.13.x
    latest           <none>
    ");
}

#[test]
fn how_the_connection_is_secured_has_the_words_of_a_copy_too() {
    let [own, of_copy] = ["--tls", "--source-tls"].map(|flag| tags(&["", flag, "PlainHTTP", "--limit", "1"]));
    assert_eq!((own.code, own.to_string()), (0, of_copy.to_string()));
}

#[test]
fn versions_mark_the_tags_that_they_select() {
    insta::assert_snapshot!(tags(&["", "--versions", "v2.13.x", "--versions", ">=2.13.1 <3", "--limit", "5"]), @"
    exit code: 0
    ----- stdout -----
    TAG            PATTERN       SELECTED-BY
    v2.13.11-rc1   v2.13.x-rc1
    v2.13.10       v2.13.x       v2.13.x, >=2.13.1 <3
    v2.13.2        v2.13.x       v2.13.x, >=2.13.1 <3
    v2.13.1        v2.13.x       v2.13.x, >=2.13.1 <3
    2.13.1         2.13.x        >=2.13.1 <3
    ----- stderr -----
    3 more tags; --limit 0 lists all
    ");
}

#[test]
fn a_version_behind_the_repository_lists_what_it_selects() {
    let run = tags(&[":v2.13.x", "--no-headers"]);
    assert_eq!(run.stdout.lines().count(), 4, "{run}");
    let run = tags(&[":v9.x.x"]);
    assert!(
        run.code == 1 && run.stderr.contains("no tag of source........./argoproj/argocd matches v9.x.x"),
        "{run}"
    );
    let document: Value = serde_json::from_str(&tags(&[":v2.13.x", "-o", "json"]).stdout).unwrap();
    assert_eq!((&document["apiVersion"], &document["number"]), (&"imgop.tags/v1".into(), &8.into()));
    assert_eq!(document["tags"][0]["tag"], "v2.13.10");
}

#[test]
fn a_repository_that_is_not_there_is_no_side_of_a_copy() {
    let registry = Catalog::default().start_in_background();
    let run = Program::new().run(&format!("tags {}/no/such", registry.address));
    assert!(run.code == 1 && run.stderr.starts_with("error: cannot list the tags of "), "{run}");
}

#[test]
fn what_cannot_be_listed_or_compared_comes_with_what_to_do() {
    let registry = source();
    let address = &registry.address;
    for arguments in [
        format!("tags {address}/argoproj/argocd:v9.x.x"),
        format!("tags {address}/argoproj/argocd@sha256:{}", "0".repeat(64)),
        "tags registry.corp:5000".to_owned(),
        format!("tags {address}/no/such"),
        format!("verify {address}/argoproj/argocd:v2.13.x"),
        format!("verify {address}/argoproj/argocd:v9.x.x {address}/mirror/argocd"),
        format!("quota {address}/UPPER"),
        "quota registry.corp:5000".to_owned(),
        "quota 127.0.0.1:1/a/b".to_owned(),
        "search".to_owned(),
        "search x --registry example.com".to_owned(),
    ] {
        let run = Program::new().run(&arguments).naming(address, "source");
        let name = arguments.replace(address, "source").replace([' ', '/', ':', '@', '.'], "-");
        insta::assert_snapshot!(format!("error-{}", &name[..name.len().min(60)]), run);
    }
}

fn api(answer: impl Fn(&Seen) -> Value + Send + Sync + 'static) -> Background<ScriptedRegistry> {
    Background::of(ScriptedRegistry::start(move |seen| json(200, answer(seen).to_string())))
}

#[test]
fn a_search_lists_the_repositories_of_all_three_registries() {
    let hub = api(|_| {
        value!({ "results": [{ "repo_name": "nginx", "short_description": "Official build of Nginx.",
        "star_count": 20_000, "pull_count": 9_000, "is_official": true }] })
    });
    let quay = api(|_| {
        value!({ "results": [{ "kind": "repository", "name": "nginx", "stars": 3,
        "namespace": { "name": "team" }, "description": "\u{1b}[2Jof a team" }] })
    });
    let ecr = api(|_| {
        value!({ "repositoryCatalogSearchResultList": [{ "repositoryName": "nginx/nginx",
        "primaryRegistryAliasName": "docker", "repositoryDescription": "Web server", "downloadCount": 7,
        "registryVerified": true }] })
    });
    let apis = [("docker.io", &hub), ("quay.io", &quay), ("public.ecr.aws", &ecr)];
    let apis: Vec<String> =
        apis.iter().map(|(host, api)| format!("--search-api {host}=http://{}/", api.address)).collect();
    insta::assert_snapshot!(Program::new().run(&format!("search nginx {}", apis.join(" "))), @r"
    exit code: 0
    ----- stdout -----
    REPOSITORY                          STARS    PULLS    OFFICIAL   DESCRIPTION
    docker.io/library/nginx             20000    9000     yes        Official build of Nginx.
    public.ecr.aws/docker/nginx/nginx   <none>   7        yes        Web server
    quay.io/team/nginx                  3        <none>   no         \u{1b}[2Jof a team
    ");
    let one = Program::new().run(&format!("search nginx --registry quay.io -o json {}", apis.join(" ")));
    let document: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(document["repositories"].as_array().unwrap().len(), 1, "{one}");
}

#[test]
fn a_registry_that_cannot_be_searched_is_a_warning_and_an_error_if_it_is_the_only_one() {
    let quay = api(|_| value!({ "message": "no" }));
    let hub = api(|_| value!({ "results": [] }));
    let (quay, hub) =
        (format!("quay.io=http://{}/", quay.address), format!("docker.io=http://{}/", hub.address));
    let apis = format!("--search-api {quay} --search-api {hub}");
    let run = Program::new().run(&format!("search x --registry quay.io --registry docker.io {apis}"));
    assert!(run.code == 0 && run.stderr.contains("warning: cannot search quay.io"), "{run}");
    assert!(run.stderr.contains("No repository found for x."), "{run}");
    let run = Program::new().run(&format!("search x --registry quay.io {apis}"));
    assert!(run.code == 1 && run.stderr.contains("error: cannot search quay.io"), "{run}");
}

#[test]
fn a_quota_is_what_the_registry_reports_and_costs_no_pull() {
    let hub = Background::of(DockerHub::start(numbered_tags("1.", 3)));
    let other = Catalog::default().start_in_background();
    let (one, two) = (hub.registry.address.to_string(), other.address.clone());
    let run = Program::new().run(&format!("quota {one}/team/app {two}/a/b"));
    let run = run.naming(&one, "counting").naming(&two, "plain");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    assert!(run.stdout.contains("counting.......   100         100      6h"), "{run}");
    assert!(
        run.stdout.contains("plain..........   <none>      <none>   <none>   it reports no quota"),
        "{run}"
    );
    assert_eq!(hub.pulls(), 0);
    let run = Program::new().run(&format!("quota {one}/team/app -o json"));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["registries"][0]["windowSeconds"], 21600, "{run}");
}

#[test]
fn the_registries_of_the_images_of_a_namespace_are_asked() {
    let registry = Catalog::default().start_in_background();
    let address = registry.address.clone();
    let image = value!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": "app", "namespace": "ci" },
        "spec": { "mode": "OneShot", "source": { "name": format!("{address}/a"), "version": "1" },
            "destination": { "name": format!("{address}/b") } } });
    let cluster = crate::fake_cluster::FakeCluster::start(move |_| {
        crate::fake_cluster::list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
    });
    let run = cluster.program.run("quota --no-headers").naming(&address, "registry");
    assert!(run.code == 0 && run.stdout.starts_with("registry......."), "{run}");
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
}

#[test]
fn without_a_cluster_it_is_said_how_a_registry_is_asked_all_the_same() {
    let run = Program::new().run("quota");
    assert!(run.code != 0 && run.stderr.contains("kubectl imgop quota REPOSITORY"), "{run}");
}

#[test]
fn a_certificate_of_this_machine_that_is_not_trusted_is_named_where_https_is_asked_for() {
    let (registry, ca) = Background::of_pair(ScriptedRegistry::start_tls(&["127.0.0.1"], |_| {
        json(200, r#"{"tags":["1.0"]}"#)
    }));
    let program = Program::new();
    program.file("ca.crt", &String::from_utf8(ca).unwrap());
    let tags = |flags: &str| {
        program
            .run(&format!("tags {}/a{flags}", registry.address))
            .naming(&registry.address.to_string(), "registry")
    };
    insta::assert_snapshot!(tags(" --tls Verify"), @"
    exit code: 1
    ----- stderr -----
    error: cannot list the tags of registry......./a: no CA that is trusted here has signed the host's certificate

    hint: trust the certificate of its CA on this machine: --ca-file FILE
    hint: to accept any certificate, if the network is trusted: --tls SkipVerify
    ");
    assert_eq!(tags(" --ca-file ca.crt").code, 0);
    assert_eq!(registry.seen().len(), 1, "nothing is asked without TLS");
}
