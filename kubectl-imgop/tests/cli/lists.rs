//! `kubectl imgop list`: what it takes, and the documents that it prints.

use serde_json::Value;

use crate::fake_cluster::{FakeCluster, image, list};
use crate::program::Program;

#[test]
fn a_kind_is_a_list_also_of_one_object_and_an_object_that_is_named_is_none() {
    let cluster = FakeCluster::start(|request| {
        let path = request.split('?').next().unwrap_or_default();
        if path.ends_with("/images/a") {
            return (200, image("a", "True", "there"));
        }
        list("ImageList", "skopeo.io/v1alpha1", &[image("a", "True", "there")])
    });
    let document = |arguments: &str| -> Value {
        let run = cluster.program.run(arguments);
        assert_eq!(run.code, 0, "{run}");
        serde_json::from_str(&run.stdout).unwrap()
    };
    for arguments in ["list images -o json", "list -o json"] {
        let listed = document(arguments);
        assert_eq!(listed["kind"], "List", "{arguments}");
        assert_eq!(listed["items"][0]["metadata"]["name"], "a", "{arguments}");
    }
    let named = document("list image/a -o json");
    assert_eq!((&named["kind"], &named["metadata"]["name"]), (&"Image".into(), &"a".into()));
    let yaml = cluster.program.run("list images -o yaml").stdout;
    assert!(yaml.contains("kind: List\n"), "{yaml}");
}

#[test]
fn flags_that_go_with_a_kind_say_what_they_got_in_its_place() {
    for (arguments, said) in [
        ("list pods -A", "hint: pods is no kind of imgop, which has images, "),
        ("list secrets --selector team=web", "hint: secrets is no kind of imgop, which has images, "),
        ("list images imagebuilders -A", "--all-namespaces goes with one kind at a time"),
    ] {
        let run = Program::new().run(arguments);
        assert!(run.code == 2 && run.stderr.contains(said), "{run}");
    }
}
