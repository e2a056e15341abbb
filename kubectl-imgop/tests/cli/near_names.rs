//! Names of objects that do not exist, and the ones that were probably meant.

use crate::fake_cluster::{FakeCluster, image, list, names, not_found, refused};

/// A cluster with the Images `argocd-v2-13-x` and `nginx` and the ImageBuilder `api-server`.
fn cluster() -> FakeCluster {
    FakeCluster::with_builders(|request| match request.split('?').next().unwrap_or_default() {
        "GET /apis/skopeo.io/v1alpha1/namespaces/ci/images" => names(&["argocd-v2-13-x", "nginx"]),
        "GET /apis/buildah.io/v1alpha1/namespaces/ci/imagebuilders" => names(&["api-server"]),
        "GET /apis/skopeo.io/v1alpha1/namespaces/ci/images/nginx" => (200, image("nginx", "True", "there")),
        path if path.ends_with("/imagemirrors") || path.ends_with("/workloadmirrors") => names(&[]),
        path if path.ends_with("/events") => list("EventList", "v1", &[]),
        path if path.ends_with("/jobs") => list("JobList", "batch/v1", &[]),
        path => {
            refused(404, "NotFound", &format!("{} not found", path.rsplit('/').next().unwrap_or_default()))
        }
    })
}

#[test]
fn verbs_that_take_a_name_suggest_the_one_that_was_meant() {
    let cluster = cluster();
    for (verb, typed, meant) in [
        ("describe", "ngnix", "nginx"),
        ("history", "argocd", "argocd-v2-13-x"),
        ("describe", "api-sever", "imagebuilder/api-server"),
        ("logs", "imagebuilder/api-sever", "imagebuilder/api-server"),
        ("sync", "image/ngnix", "nginx"),
        ("suspend", "nginxx", "nginx"),
        ("delete --yes", "ngnix", "nginx"),
    ] {
        let run = cluster.program.run(&format!("{verb} {typed}"));
        assert_eq!(run.code, 1, "{run}");
        assert!(run.stderr.contains(&format!("hint: do you mean {meant}?\n")), "{verb} {typed}: {run}");
    }
    insta::assert_snapshot!(cluster.program.run("describe ngnix"));
    // Nothing was changed by a name that only nearly fits.
    assert_eq!(cluster.bodies(), [""; 0]);
}

#[test]
fn nothing_is_suggested_where_no_name_is_near_or_none_may_be_listed() {
    let far = cluster().program.run("describe postgres");
    assert!(far.code == 1 && !far.stderr.contains("do you mean"), "{far}");
    let denied = FakeCluster::with_builders(|request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images") => refused(403, "Forbidden", "images is forbidden"),
        _ => not_found("ngnix"),
    });
    let run = denied.program.run("describe ngnix");
    assert!(
        run.code == 1 && !run.stderr.contains("do you mean") && !run.stderr.contains("forbidden"),
        "{run}"
    );
}
