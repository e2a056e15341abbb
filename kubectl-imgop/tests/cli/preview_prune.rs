//! `preview` of an Image that prunes: people read below the table which tags of the destination are deleted.

use imgop_fakes::{Background, Catalog, CatalogRegistry};
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::program::Run;

fn registry(repository: &str) -> Background<CatalogRegistry> {
    Catalog::default().with(repository, &[("1.0", "zero"), ("1.1", "one")]).start_in_background()
}

/// Previews Image `app`, which is up to date and prunes like this.
fn preview(prune: &Value, status: &Value, more: &str) -> Run {
    let (source, destination) = (registry("app"), registry("mirror"));
    let (from, to) = (&source.address, &destination.address);
    let image = json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": "app", "namespace": "ci", "uid": "u", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "mode": "Recurrent", "source": { "name": format!("{from}/app"), "version": "1.x" },
            "destination": { "name": format!("{to}/mirror"), "prune": prune } },
        "status": { "observedGeneration": 1, "prune": status },
    });
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, image.clone()),
        path if path.ends_with("/images") => {
            list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
        }
        _ => refused(404, "NotFound", "not found"),
    });
    let run = cluster.program.run(&format!("preview app{more}"));
    run.naming(from, "source").naming(to, "mirror")
}

/// What the agent reports: two tags are to be deleted, and a third is not selected any more.
fn due() -> Value {
    let since = "2026-01-01T00:00:00Z";
    json!({ "destination": "r.corp/mirror", "unselected": { "0.7": since, "0.8": since, "0.9": since },
        "due": 2, "next": ["0.8", "0.7"] })
}

#[test]
fn a_preview_says_which_tags_are_deleted() {
    let run = preview(&json!({ "policy": "Delete", "keep": 3 }), &due(), "");
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    IMAGE         ci/app
    SOURCE        source........./app      2 tags
    VERSION       1.x
    DESTINATION   mirror........./mirror

        TAG   STATE        DIGEST         DESTINATION-DIGEST
    =   1.1   up-to-date   7692c3ad3540   7692c3ad3540
    =   1.0   up-to-date   f9194e73f9e9   f9194e73f9e9

    2 tags: 2 up to date.
    Prune: tags that this Image has put are deleted once they are not selected for 7d, the newest 3 of them stay: now 0.8, 0.7; 1 other tag not selected any more.
    ");
}

#[test]
fn a_preview_says_what_would_be_deleted_before_the_agent_has_reported_any() {
    let run = preview(&json!({ "minAge": "30d" }), &Value::Null, "");
    let rule = "\nPrune: tags that this Image has put would be deleted (policy DryRun) once they are not selected for 30d.\n";
    assert!(run.code == 0 && run.stdout.contains(rule), "{run}");
}

#[test]
fn the_document_of_a_preview_is_about_copies_alone() {
    let run = preview(&json!({ "policy": "Delete" }), &due(), " -o json");
    insta::assert_snapshot!(run, @r#"
    exit code: 0
    ----- stdout -----
    {
        "apiVersion": "imgop.preview/v1",
        "image": {
            "namespace": "ci",
            "name": "app"
        },
        "source": "source........./app",
        "destination": "mirror........./mirror",
        "version": "1.x",
        "listed": 2,
        "tags": [
            {
                "tag": "1.1",
                "destinationTag": "1.1",
                "state": "up-to-date",
                "action": "none",
                "sourceDigest": "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
                "destinationDigest": "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
            },
            {
                "tag": "1.0",
                "destinationTag": "1.0",
                "state": "up-to-date",
                "action": "none",
                "sourceDigest": "sha256:f9194e73f9e9459e3450ea10a179cdf77aafa695beecd3b9344a98d111622243",
                "destinationDigest": "sha256:f9194e73f9e9459e3450ea10a179cdf77aafa695beecd3b9344a98d111622243"
            }
        ],
        "excluded": []
    }
    "#);
}
