//! Verbs without a name, and waits, on a terminal.

use imgop_terminal::{CTRL_C, DOWN, ENTER, ESC};
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list};
use crate::program::Program;
use crate::terminal;

fn two_images() -> FakeCluster {
    FakeCluster::start(|request| match request {
        request if request.contains("watch=") => (200, Value::Null),
        request if request.contains("/jobs") => list("JobList", "batch/v1", &[]),
        request if request.contains("/events") => list("EventList", "v1", &[]),
        request if request.contains("/images/argocd") => (200, image("argocd", "Unknown", "under way")),
        request if request.contains("/images/nginx") => (200, image("nginx", "True", "there")),
        _ => list(
            "ImageList",
            "skopeo.io/v1alpha1",
            &[image("argocd", "Unknown", "under way"), image("nginx", "True", "there")],
        ),
    })
}

#[test]
fn an_image_is_picked_by_a_part_of_its_name() {
    let cluster = two_images();
    let mut terminal = terminal::start(&cluster.program, "describe", 100);
    terminal.wait_for("argocd  OneShot");
    terminal.press("ngi");
    terminal.wait_until("only nginx", |shown| !shown.contains("argocd"));
    terminal.press(&format!("{DOWN}{ENTER}"));
    let left = terminal.end();
    assert!(
        left.code == 0 && left.is_restored && left.text.contains("Name:          nginx"),
        "{}",
        left.text
    );
}

#[test]
fn several_images_are_picked_and_a_deletion_is_confirmed() {
    let cluster = two_images();
    let mut terminal = terminal::start(&cluster.program, "delete", 100);
    terminal.answer("Which ones", &format!(" {DOWN} {ENTER}"));
    terminal.answer("Delete 2 Images in namespace ci: argocd, nginx?", ENTER);
    let left = terminal.end();
    assert!(
        left.code == 1 && left.is_restored && left.text.contains("Nothing was deleted."),
        "{}",
        left.text
    );
    assert!(cluster.bodies().is_empty());
}

#[test]
fn picking_nothing_does_nothing() {
    for (verb, keys) in [("sync", ESC), ("sync", ENTER), ("logs", ESC), ("suspend", CTRL_C)] {
        let cluster = two_images();
        let mut terminal = terminal::start(&cluster.program, verb, 60);
        terminal.answer(if verb == "logs" { "Name" } else { "Which ones" }, keys);
        let left = terminal.end();
        assert_eq!((left.code, left.is_restored), (130, true), "{verb}: {}", left.text);
        assert!(cluster.bodies().is_empty());
    }
}

#[test]
fn without_a_terminal_a_name_is_missing() {
    for verb in ["describe", "history", "logs", "sync", "delete --yes", "delete", "suspend"] {
        let run = Program::new().run(verb);
        assert!(run.code == 2 && run.stderr.starts_with("error: missing: NAME"), "{verb}: {run}");
    }
}

#[test]
fn ctrl_c_in_a_wait_says_that_the_agent_goes_on() {
    let mut stuck = image("argocd", "Unknown", "2 of 5 tags are there");
    stuck["status"]["conditions"][1]["status"] = json!("False");
    let cluster = FakeCluster::start(move |request| match request {
        request if request.contains("watch=") => (200, Value::Null),
        request if request.contains("/images/argocd") => (200, stuck.clone()),
        _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&stuck)),
    });
    let mut terminal = terminal::start(&cluster.program, "wait argocd", 100);
    terminal.wait_for("2 of 5 tags are there");
    terminal.press(CTRL_C);
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (130, true), "{}", left.text);
    assert!(
        left.text.contains("The agent goes on by itself. To wait again: kubectl imgop wait argocd -n ci"),
        "{}",
        left.text
    );
}

#[test]
fn a_wait_is_one_line_that_is_drawn_again_with_its_time_and_what_is_copied() {
    let mut busy = image("argocd", "Unknown", "2 of 5 tags are there");
    busy["status"]["conditions"][1]["status"] = json!("False");
    let digest = format!("sha256:{}", "0".repeat(64));
    let copies = json!([{ "source": "v2.13.1", "destination": "v2.13.1", "attempt": 1, "digest": digest }]);
    let job = json!({ "metadata": { "name": "j", "annotations": { "imgop.skopeo.io/copies": copies.to_string() } },
        "status": { "active": 1 } });
    let cluster = FakeCluster::start(move |request| match request {
        request if request.contains("/jobs") => list("JobList", "batch/v1", std::slice::from_ref(&job)),
        request if request.contains("watch=") => (200, Value::Null),
        request if request.contains("/images/argocd") => (200, busy.clone()),
        _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&busy)),
    });
    let mut terminal = terminal::start(&cluster.program, "wait argocd", 100);
    terminal.wait_until("the time and the tag", |shown| {
        let is_whole = |line: &str| line.contains("s): copying v2.13.1; 2 of 5 tags are there");
        shown.lines().any(|line| line.starts_with("argocd (") && is_whole(line))
    });
    let seconds = |shown: &str| -> Option<u64> {
        let (_, after) = shown.split_once("argocd (")?;
        after.split_once("s)")?.0.parse().ok()
    };
    let before = seconds(&terminal.shown());
    terminal.wait_until("a later time", |shown| seconds(shown) > before);
    assert_eq!(terminal.shown().matches("argocd").count(), 1, "{}", terminal.shown());
    terminal.press(CTRL_C);
    let left = terminal.end();
    assert!(left.is_restored && !left.text.contains("copying"), "{}", left.text);
}

#[test]
fn a_wait_shows_how_many_bytes_the_agents_own_program_has_moved() {
    let mut busy = image("argocd", "Unknown", "2 of 5 tags are there");
    busy["status"]["conditions"][1]["status"] = json!("False");
    let digest = format!("sha256:{}", "0".repeat(64));
    let copies = json!([{ "source": "v2.13.1", "destination": "v2.13.1", "attempt": 1, "digest": digest }]);
    let job = json!({ "metadata": { "name": "j", "annotations": { "imgop.skopeo.io/copies": copies.to_string() } },
        "spec": { "template": { "spec": { "containers": [{ "name": "copy" }] } } }, "status": { "active": 1 } });
    let log = "0 of 1 image copied; 1.0 MiB read, 0 B sent\n0 of 1 image copied; 5.0 MiB read, 4.0 MiB sent\n\
               v1: copied\n";
    let cluster = FakeCluster::with_log(log, move |request| match request {
        request if request.contains("/pods?") => {
            list("PodList", "v1", &[json!({ "metadata": { "name": "p" } })])
        }
        request if request.contains("/jobs") => list("JobList", "batch/v1", std::slice::from_ref(&job)),
        request if request.contains("watch=") => (200, Value::Null),
        request if request.contains("/images/argocd") => (200, busy.clone()),
        _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&busy)),
    });
    let mut terminal = terminal::start(&cluster.program, "wait argocd", 140);
    let said = "copying v2.13.1 (0 of 1 image copied; 5.0 MiB read, 4.0 MiB sent); 2 of 5 tags are there";
    terminal.wait_until("the bytes", |shown| shown.contains(said));
    terminal.press(CTRL_C);
    assert!(terminal.end().is_restored);
}

#[test]
fn a_watched_list_is_one_table_that_is_kept_up_to_date() {
    let changed = image("argocd", "True", "5 of 5 tags are there");
    let cluster = FakeCluster::start(move |request| match request {
        request if request.contains("watch=") => {
            let mut changed = changed.clone();
            changed["metadata"]["resourceVersion"] = json!("2");
            (200, json!({ "type": "MODIFIED", "object": changed }))
        }
        _ => list(
            "ImageList",
            "skopeo.io/v1alpha1",
            &[image("argocd", "False", "4 of 5"), image("nginx", "True", "there")],
        ),
    });
    let mut terminal = terminal::start(&cluster.program, "list --watch", 150);
    terminal.wait_for("5 of 5 tags are there");
    let shown = terminal.shown();
    assert_eq!((shown.matches("NAME ").count(), shown.matches("argocd").count()), (1, 1), "{shown}");
    assert!(shown.contains("DESTINATION"), "there is room for it: {shown}");
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code, 130);
}

#[test]
fn a_list_shows_the_beginnings_of_messages_where_there_is_room() {
    let long = "registry.example.com denies access to team/app: the account may not pull there (HTTP 403)";
    let cluster =
        FakeCluster::start(move |_| list("ImageList", "skopeo.io/v1alpha1", &[image("a", "False", long)]));
    let listed = |columns: u16| terminal::start(&cluster.program, "list", columns).end().text;
    let (wide, narrow) = (listed(145), listed(80));
    assert!(
        wide.contains("DESTINATION") && wide.contains("registry.example.com d") && wide.contains('…'),
        "{wide}"
    );
    assert!(!narrow.contains("DESTINATION"), "{narrow}");
}
