//! The verbs that install imgop and enable namespaces, where no API server is needed: `tests/api_server/installation` has
//! the rest.

use serde_json::json;

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::program::Program;

#[test]
fn manifests_are_printed_without_a_cluster_with_what_is_chosen() {
    let program = Program::new();
    let flags =
        "--dry-run=client -o yaml -n mirrors --set max-jobs=7 --image r.example.com/imgop/agent:0.1.0";
    let run = program.run(&format!("install {flags}"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    for text in ["name: MAX_JOBS", "image: r.example.com/imgop/agent:0.1.0", "namespace: mirrors"] {
        assert!(run.stdout.contains(text), "{text} in {run}");
    }
    assert!(!run.stdout.contains("imgop-system"), "{run}");
    let names = program.run("install --dry-run=client -o name");
    assert_eq!(names.stdout.lines().next(), Some("namespace/imgop-system"), "{names}");
    assert_eq!(names.stdout.lines().last(), Some("deployment.apps/imgop-agent"), "{names}");
}

#[test]
fn what_cannot_be_done_is_refused_before_a_cluster_is_asked() {
    let program = Program::new();
    insta::assert_snapshot!(program.run("install --dry-run=server -o yaml"), @"
    exit code: 2
    ----- stderr -----
    error: -o prints manifests without asking a cluster: give --dry-run=client with it
    ");
    insta::assert_snapshot!(program.run("uninstall"), @"
    exit code: 2
    ----- stderr -----
    error: cannot ask for confirmation without a terminal; add --yes to uninstall
    ");
    insta::assert_snapshot!(program.run("enable"), @"
    exit code: 2
    ----- stderr -----
    error: missing: NAMESPACE

    hint: for example: kubectl imgop enable team-a
    hint: kubectl imgop enable --list shows those that are enabled
    ");
    let both = program.run("enable team --without-secrets --builds");
    assert!(
        both.code == 2 && both.stderr.contains("'--without-secrets' cannot be used with '--builds'"),
        "{both}"
    );
    let setting = program.run("install --set MAX_JOB=7");
    assert!(setting.code == 2 && setting.stderr.contains("did you mean MAX_JOBS?"), "{setting}");
}

#[test]
fn several_agents_are_told_apart_by_their_namespace() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("/deployments") => {
            let agent =
                |namespace: &str| json!({ "metadata": { "name": "imgop-agent", "namespace": namespace } });
            list("DeploymentList", "apps/v1", &[agent("a"), agent("b")])
        }
        _ => refused(404, "NotFound", "not found"),
    });
    insta::assert_snapshot!(cluster.program.run("upgrade"), @"
    exit code: 1
    ----- stderr -----
    error: there are agents in several namespaces: a, b

    hint: name one of them with -n
    ");
}

#[test]
fn a_cluster_that_does_not_answer_is_the_diagnosis() {
    let program = Program::new();
    program.file("kubeconfig", &crate::fake_cluster::kubeconfig("http://127.0.0.1:1"));
    let run = program.run("doctor");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("cannot reach the API server"), "{run}");
}

/// What an API server says of itself.
fn version() -> (u16, serde_json::Value) {
    let version = json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "",
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "" });
    (200, version)
}

#[test]
fn what_a_user_may_not_look_at_is_unknown_and_no_failure() {
    let cluster = FakeCluster::with_builders(|request| match request.split('?').next().unwrap_or_default() {
        "GET /version" => version(),
        path if path.ends_with("/images") => list("ImageList", "skopeo.io/v1alpha1", &[]),
        path if path.ends_with("/imagebuilders") => list("ImageBuilderList", "buildah.io/v1alpha1", &[]),
        path if path.ends_with("/selfsubjectaccessreviews") => (
            201,
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {},
                "status": { "allowed": true } }),
        ),
        _ => refused(
            403,
            "Forbidden",
            "User \"dev\" cannot list resource \"x\" in API group \"\" at the cluster scope",
        ),
    });
    let run = cluster.program.run("doctor -o json");
    assert_eq!(run.code, 0, "{run}");
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let result = |area: &str| {
        let checks = found["checks"].as_array().unwrap();
        checks.iter().find(|check| check["area"] == area).unwrap()["result"].as_str().unwrap().to_owned()
    };
    let areas = ["cluster", "crd", "agent", "policies", "your rights", "namespace"];
    assert_eq!(areas.map(result), ["OK", "OK", "UNKNOWN", "UNKNOWN", "OK", "UNKNOWN"], "{run}");
}

/// Marks of Helm and of the `HelmRelease` of Flux that has used it.
fn marks_of_flux() -> serde_json::Value {
    json!({
        "labels": { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": "imgop-agent",
            "helm.toolkit.fluxcd.io/name": "mirror", "helm.toolkit.fluxcd.io/namespace": "flux-system" },
        "annotations": { "meta.helm.sh/release-name": "mirror", "meta.helm.sh/release-namespace": "ops",
            "helm.sh/resource-policy": "keep" },
    })
}

#[test]
fn a_helm_release_of_flux_that_is_gone_manages_nothing_and_what_helm_has_of_it_is_helms() {
    let run = |served: Option<&'static str>, verb: &str| {
        let mut agent = json!({ "metadata": marks_of_flux() });
        agent["metadata"]["name"] = json!("imgop-agent");
        agent["metadata"]["namespace"] = json!("ops");
        agent["metadata"]["annotations"].as_object_mut().unwrap().remove("helm.sh/resource-policy");
        let cluster = FakeCluster::start(move |request| match request {
            "GET /version" => version(),
            request if request.contains("/deployments") => {
                list("DeploymentList", "apps/v1", &[agent.clone()])
            }
            request if request.contains("/helmreleases/") => {
                let is_served = served.is_some_and(|version| request.contains(&format!("/{version}/")));
                assert!(request.contains("/namespaces/flux-system/helmreleases/mirror"), "{request}");
                let found = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": { "name": "mirror" } });
                if is_served { (200, found) } else { refused(404, "NotFound", "not found") }
            }
            _ => refused(404, "NotFound", "not found"),
        });
        cluster.program.run(verb)
    };
    for version in ["v2", "v2beta1"] {
        let there = run(Some(version), "upgrade").stderr;
        assert!(there.contains("imgop is managed by Flux (helmrelease mirror -n flux-system)"), "{there}");
    }
    let gone = run(None, "upgrade").stderr;
    assert!(gone.contains("imgop is managed by the Helm release mirror of namespace ops"), "{gone}");
    let words = "Flux has installed it by helmrelease mirror -n flux-system, which is gone";
    let [there, gone] = [Some("v2"), None].map(|served| run(served, "doctor -o json").stdout);
    assert!(gone.contains(words) && !there.contains(words), "{gone}");
}

#[test]
fn crds_that_a_helm_release_of_flux_has_left_behind_can_be_uninstalled() {
    let uninstalled = |is_there: bool| {
        let cluster = FakeCluster::with_builders(move |request| {
            if request.contains('?') {
                return list("List", "v1", &[]);
            }
            match request.rsplit('/').next().unwrap_or_default() {
                "images.skopeo.io" => {
                    let mut crd = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                        "metadata": marks_of_flux() });
                    crd["metadata"]["name"] = json!("images.skopeo.io");
                    (200, crd)
                }
                "mirror" if is_there => (
                    200,
                    json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                        "metadata": { "name": "mirror" } }),
                ),
                _ => refused(404, "NotFound", "not found"),
            }
        });
        cluster.program.run("uninstall --crds --dry-run")
    };
    let gone = uninstalled(false);
    assert!(
        gone.code == 0
            && gone.stdout.contains("delete  customresourcedefinition.apiextensions.k8s.io/images.skopeo.io"),
        "{gone}"
    );
    let there = uninstalled(true);
    assert!(there.code == 1 && there.stderr.contains("Flux (helmrelease mirror -n flux-system)"), "{there}");
}

/// A cluster of which imgop is gone, but for its namespace, a binding of users, and a service account where `is_account_left`;
/// this one cannot be deleted, and `ClusterRoleBindings` cannot be listed.
fn leftovers(is_account_left: bool) -> FakeCluster {
    let found = |kind: &str, name: &str| {
        json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name,
            "labels": { "app.kubernetes.io/part-of": "imgop" } } })
    };
    let binding = json!({ "metadata": { "name": "of-users", "namespace": "team" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "imgop-workload-mirror" },
        "subjects": [{ "kind": "Group", "name": "system:serviceaccounts:other" }] });
    FakeCluster::with_builders(move |request| match request {
        request if request.starts_with("DELETE ") => refused(403, "Forbidden", "nothing goes today"),
        request if request.contains("labelSelector=") => list("List", "v1", &[]),
        request if request.contains("/clusterrolebindings?") => refused(403, "Forbidden", "not for you"),
        request if request.contains("/rolebindings?") => {
            list("RoleBindingList", "rbac.authorization.k8s.io/v1", std::slice::from_ref(&binding))
        }
        request if request.contains('?') => list("List", "v1", &[]),
        "GET /api/v1/namespaces/imgop-system" => (200, found("Namespace", "imgop-system")),
        "GET /api/v1/namespaces/imgop-system/serviceaccounts/imgop-agent" if is_account_left => {
            (200, found("ServiceAccount", "imgop-agent"))
        }
        _ => refused(404, "NotFound", "not found"),
    })
}

#[test]
fn what_stays_is_named_where_nothing_is_left_to_delete_and_where_something_cannot_be_deleted() {
    let again = leftovers(false).program.run("uninstall --yes");
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "imgop is not installed: nothing to delete\n"),
        "{again}"
    );
    let stopped = leftovers(true).program.run("uninstall --yes");
    assert!(stopped.code == 1 && stopped.stderr.contains("nothing goes today"), "{stopped}");
    for run in [again, stopped] {
        for stays in [
            "namespace/imgop-system with all that is in it stays; to remove it: kubectl delete namespace imgop-system",
            "of-users -n team stays; to remove it: kubectl delete rolebinding of-users -n team",
            "clusterrolebindings.rbac.authorization.k8s.io by which workloads are seen may stay: not for you",
        ] {
            assert!(run.stderr.contains(stays), "{stays} in {run}");
        }
    }
}

#[test]
fn resources_that_cannot_be_counted_are_not_shown_as_none_without_a_word() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("/deployments") => {
            let agent = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" } });
            list("DeploymentList", "apps/v1", &[agent])
        }
        request if request.contains("/images?") => refused(403, "Forbidden", "not for you"),
        _ => list("List", "v1", &[]),
    });
    let run = cluster.program.run("enable --list");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");
    assert_eq!(
        run.stderr, "warning: Images are not counted: not for you\nNo namespace is enabled.\n",
        "a kind that the cluster does not have is no reason to warn: {run}"
    );
}
