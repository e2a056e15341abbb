//! Waits in a namespace that is not enabled.

use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_terminal::CTRL_C;
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list};
use crate::terminal;

const HINT: &str = "an administrator's command: kubectl imgop enable ci; ";
const NAMES: [&str; 3] = ["a", "b", "c"];

fn not_enabled(name: &str) -> Value {
    let mut refused = image(name, "False", "the agent may not work in namespace ci");
    refused["status"]["conditions"][0]["reason"] = json!("NamespaceNotEnabled");
    // The agent has handled the last sync that was requested.
    refused["metadata"]["annotations"] = json!({ "imgop.skopeo.io/requested-at": "later" });
    refused["status"]["lastHandledRequestedAt"] = json!("later");
    refused
}

/// A cluster with Images in a namespace that is not enabled, to which watches are answered so.
fn cluster(watched: impl Fn() -> Value + Send + Sync + 'static) -> FakeCluster {
    FakeCluster::start(move |request| {
        match NAMES.iter().find(|name| request.contains(&format!("/images/{name}"))) {
            Some(name) => (200, not_enabled(name)),
            None if request.contains("watch=") => (200, watched()),
            None => list("ImageList", "skopeo.io/v1alpha1", &NAMES.map(not_enabled)),
        }
    })
}

#[test]
fn how_it_is_enabled_is_said_once_however_many_wait_for_it() {
    let watches = AtomicUsize::new(0);
    let cluster = cluster(move || {
        let name = NAMES[watches.fetch_add(1, Ordering::Relaxed) % NAMES.len()];
        let mut ready = image(name, "True", "there");
        ready["metadata"]["resourceVersion"] = json!("2");
        json!({ "type": "MODIFIED", "object": ready })
    });
    for (arguments, code) in
        [("wait --all", 0), ("wait a", 0), ("wait --all --timeout 0", 1), ("wait a --timeout 0", 1)]
    {
        let run = cluster.program.run(arguments);
        assert_eq!((run.code, run.stderr.matches(HINT).count()), (code, 1), "{arguments}: {run}");
    }
}

#[test]
fn a_sync_that_is_refused_names_how_it_is_enabled_once_however_many_are_synced() {
    let cluster = cluster(|| Value::Null);
    for (arguments, refused) in [("sync --all", 3), ("sync a b", 2), ("sync a", 1)] {
        let run = cluster.program.run(arguments);
        let errors = run.stderr.matches("is not ready: the agent may not work in namespace ci").count();
        assert_eq!(
            (run.code, errors, run.stderr.matches(HINT).count()),
            (1, refused, 1),
            "{arguments}: {run}"
        );
    }
}

#[test]
fn a_terminal_shows_how_it_is_enabled() {
    let cluster = cluster(|| Value::Null);
    let mut terminal = terminal::start(&cluster.program, "wait a", 200);
    terminal.wait_for(HINT);
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code, 130);
}
