//! `copy` without arguments, on a terminal.

use imgop_fakes::{Background, Catalog, CatalogRegistry};
use imgop_terminal::{CTRL_C, DOWN, ENTER, ESC, Left, Terminal};
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list, names};
use crate::preview::{destination, source};
use crate::program::Program;
use crate::terminal;

/// A cluster whose namespace has an Image and a Secret, and both registries.
struct Place {
    cluster: FakeCluster,
    source: Background<CatalogRegistry>,
    destination: Background<CatalogRegistry>,
}

impl Place {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// Returns a place where this is done to the Image before it is there; it gets the address of the destination too.
    fn with(change: impl FnOnce(&mut Value, &str)) -> Self {
        let (source, destination) = (source(), destination());
        let mut used = image("old", "True", "there");
        used["spec"]["source"]["name"] = json!(format!("{}/argoproj/argocd", source.address));
        used["spec"]["destination"]["name"] = json!(format!("{}/mirror/argocd", destination.address));
        change(&mut used, &destination.address);
        let cluster = FakeCluster::start(move |request| match request {
            request if request.contains("/secrets?") => names(&["pull", "push"]),
            request if request.contains("/deployments") => (403, json!({ "code": 403, "message": "no" })),
            request if request.starts_with("PATCH") => (201, image("argocd", "True", "there")),
            request if request.contains("/images/") => {
                (404, json!({ "kind": "Status", "code": 404, "reason": "NotFound", "message": "no" }))
            }
            _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&used)),
        });
        Self { cluster, source, destination }
    }

    fn start(&self, arguments: &str, columns: u16) -> Terminal {
        terminal::start(&self.cluster.program, arguments, columns)
    }

    /// Returns what was submitted.
    fn submitted(&self) -> Vec<Value> {
        self.cluster.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

/// The questions, each with the keys that answer it.
fn answers(place: &Place) -> Vec<(&'static str, String)> {
    vec![
        ("Copy from", format!("{DOWN}{ENTER}")),
        ("Version or pattern", format!("v2.13.x{ENTER}")),
        ("leave any out?", format!("{DOWN} {ENTER}")),
        ("Platforms", ENTER.to_owned()),
        ("Copy to", format!("\u{15}{}/mirror/argocd{ENTER}", place.destination.address)),
        ("Credentials for the destination", ENTER.to_owned()),
        ("When", ENTER.to_owned()),
        ("Check the source every", format!("\u{15}1h{ENTER}")),
        ("overwrite", "y".to_owned()),
    ]
}

fn answer_all(terminal: &mut Terminal, place: &Place, number: usize) {
    for (question, keys) in answers(place).iter().take(number) {
        terminal.answer(question, keys);
    }
}

/// Returns the command that is printed at the end.
fn printed_command(left: &Left) -> String {
    let text = left.text.replace('\n', "");
    let (_, command) = text.split_once("without questions:  kubectl imgop ").unwrap();
    command.split("and as a manifest").next().unwrap().to_owned()
}

#[test]
fn the_object_of_the_dialog_is_that_of_the_printed_command() {
    let place = Place::new();
    let mut terminal = place.start("copy", 200);
    answer_all(&mut terminal, &place, 9);
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (0, true), "{}", left.text);
    let command = printed_command(&left).replace('\'', "");
    let run = place.cluster.program.run(&command);
    assert_eq!(run.code, 0, "{command}\n{run}");
    let submitted = place.submitted();
    assert_eq!(submitted.len(), 2, "{submitted:?}");
    assert_eq!(submitted[0], submitted[1], "{command}");
    let text = submitted[0]
        .to_string()
        .replace(&place.source.address, "source")
        .replace(&place.destination.address, "mirror");
    insta::assert_snapshot!(text, @r#"{"apiVersion":"skopeo.io/v1alpha1","kind":"Image","metadata":{"name":"argocd-v2-13-x","namespace":"ci"},"spec":{"destination":{"name":"mirror/mirror/argocd"},"frequency":"1h","mode":"OnceByTag","source":{"name":"source/argoproj/argocd","select":{"exclude":["v2\\.13\\.2"]},"version":"v2.13.x"}}}"#);
}

#[test]
fn ctrl_c_at_any_question_restores_the_terminal_and_submits_nothing() {
    let place = Place::new();
    let number = answers(&place).len();
    for asked in 0..number {
        let mut terminal = place.start("copy", 100);
        answer_all(&mut terminal, &place, asked);
        terminal.answer(answers(&place)[asked].0, CTRL_C);
        let left = terminal.end();
        assert_eq!((left.code, left.is_restored), (130, true), "question {asked}:\n{}", left.text);
    }
    assert_eq!(place.submitted(), Vec::<Value>::new());
}

/// Leaves a question.
type Leave = fn(&mut Terminal);

/// How a question is left, and the exit code.
const LEAVING: [(Leave, i32); 2] = [(|terminal| terminal.press(CTRL_C), 130), (Terminal::terminate, 143)];

#[test]
fn a_signal_at_a_typed_or_chosen_question_restores_the_terminal() {
    let place = Place::new();
    // A line that is typed, tags that are marked, one of several, yes or no.
    for asked in [1, 2, 3, 8] {
        let mut terminal = place.start("copy", 60);
        answer_all(&mut terminal, &place, asked);
        terminal.wait_for_question(answers(&place)[asked].0);
        terminal.terminate();
        let left = terminal.end();
        assert_eq!((left.code, left.is_restored), (143, true), "question {asked}:\n{}", left.text);
    }
    assert_eq!(place.submitted(), Vec::<Value>::new());
}

#[test]
fn questions_that_not_every_source_has_are_left_as_the_others() {
    let place =
        Place::with(|used, _| used["spec"]["source"]["credentials"] = json!({ "secretName": "pull" }));
    let entry = |architecture: &str| {
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
            "digest": format!("sha256:{}", architecture.repeat(64)),
            "platform": { "os": "linux", "architecture": architecture } })
    };
    let index = json!({ "schemaVersion": 2, "manifests": [entry("a"), entry("b")] }).to_string();
    let platforms = Catalog::default().with("app", &[("1.0", index.as_str())]).start_in_background();
    for (leave, code) in LEAVING {
        let mut terminal = place.start("copy", 60);
        terminal.answer("Copy from", &format!("{DOWN}{ENTER}"));
        terminal.wait_for_question("Credentials for the source");
        leave(&mut terminal);
        let left = terminal.end();
        assert_eq!((left.code, left.is_restored), (code, true), "{}", left.text);
        let mut terminal = place.start(&format!("copy {}/app", platforms.address), 60);
        terminal.answer("Version or pattern", &format!("1.0{ENTER}"));
        terminal.answer("Platforms", &format!("{DOWN}{ENTER}"));
        terminal.wait_for_question("Platforms to copy");
        leave(&mut terminal);
        let left = terminal.end();
        assert_eq!((left.code, left.is_restored), (code, true), "{}", left.text);
    }
    assert_eq!(place.submitted(), Vec::<Value>::new());
}

#[test]
fn a_dialog_goes_through_in_60_columns_and_while_the_terminal_changes_its_size() {
    let place = Place::new();
    let mut terminal = place.start("copy", 60);
    for (question, keys) in &answers(&place) {
        terminal.wait_for_question(question);
        terminal.resize(90);
        terminal.resize(60);
        terminal.interrupt_each_thread();
        terminal.answer(question, keys);
    }
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (0, true), "{}", left.text);
    assert_eq!(place.submitted().len(), 1);
}

#[test]
fn the_plan_shows_the_tags_that_belong_to_an_older_image() {
    // Another source, other content, the same tags.
    let place = Place::with(|used, destination| {
        used["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
        used["spec"]["source"] = json!({ "name": "quay.io/another/app", "version": "v2.13.1" });
        used["spec"]["destination"]["name"] = json!(format!("{destination}/mirror/argocd"));
    });
    let source = format!("{}/argoproj/argocd:v2.13.x", place.source.address);
    let destination = format!("{}/mirror/argocd", place.destination.address);
    let mut terminal = place.start(&format!("copy {source} --mode OneShot"), 160);
    terminal.answer("Copy to", &format!("\u{15}{destination}{ENTER}"));
    terminal.answer("Credentials for the destination", ENTER);
    terminal.answer("Copy 2 tags?", "n");
    let left = terminal.end();
    assert!(
        left.text.contains("differs (conflict)") && left.text.contains("1 owned by an older Image"),
        "{}",
        left.text
    );
}

#[test]
fn each_answer_can_be_taken_back() {
    let place = Place::new();
    let mut terminal = place.start("copy", 100);
    let answers = answers(&place);
    for (question, keys) in &answers[..8] {
        terminal.answer(question, keys);
    }
    terminal.wait_for_question("overwrite");
    // Back to the version, and on with another one.
    for (question, _) in answers[1..8].iter().rev() {
        terminal.press(ESC);
        terminal.wait_for_question(question);
    }
    terminal.answer("Version or pattern", &format!("latest{ENTER}"));
    terminal.answer("Platforms", ENTER);
    terminal.answer("Copy to", &answers[4].1);
    terminal.answer("Credentials for the destination", ENTER);
    terminal.answer("When", ENTER);
    terminal.answer("Copy 1 tag?", "y");
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (0, true), "{}", left.text);
    let spec = &place.submitted()[0]["spec"];
    assert_eq!((&spec["source"]["version"], &spec["mode"]), (&json!("latest"), &json!("OneShot")));
    assert!(spec["source"].get("select").is_none() && spec.get("frequency").is_none(), "{spec}");
}

#[test]
fn the_tags_shrink_while_a_pattern_is_typed_and_the_page_follows_the_terminals_size() {
    let place = Place::new();
    let mut terminal = place.start(&format!("copy {}/argoproj/argocd", place.source.address), 100);
    terminal.wait_for("v2.13.11-rc1");
    terminal.press("v2.13.");
    terminal.wait_for("6 of 8 tags begin with v2.13.");
    terminal.press("x");
    terminal.wait_for("v2.13.x selects 4 of 8 tags");
    assert!(!terminal.shown().contains("alpine"), "{}", terminal.shown());
    terminal.resize(60);
    terminal.wait_for("Enter takes it, up and down choose, Ctrl-U clears the line…");
    insta::assert_snapshot!(terminal.shown(), @"
    ? Version or pattern: v2.13.x
      v2.13.10
      v2.13.2
      v2.13.1
      v2.13.0
    v2.13.x selects 4 of 8 tags
    Enter takes it, up and down choose, Ctrl-U clears the line…
    ");
    terminal.press(CTRL_C);
    assert!(terminal.end().is_restored);
}

#[test]
fn a_tag_that_the_source_does_not_have_is_not_taken() {
    let place = Place::new();
    let mut terminal = place.start(&format!("copy {}/argoproj/argocd", place.source.address), 100);
    terminal.answer("Version or pattern", &format!("v9{ENTER}"));
    terminal.wait_for("the source has no tag v9");
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code, 130);
}

#[test]
fn a_pattern_that_selects_nothing_says_why_and_is_taken_by_a_second_enter() {
    let place = Place::new();
    let source = format!("{}/argoproj/argocd", place.source.address);
    let destination = format!("{}/mirror/argocd", place.destination.address);
    let mut terminal = place.start(&format!("copy {source}"), 160);
    terminal.answer("Version or pattern", &format!("v2.x{ENTER}"));
    terminal.wait_for("v2.x selects no tag yet, Enter again takes it; near miss v2.13.10: it has 3 numbers, the pattern has 2");
    terminal.press(ENTER);
    terminal.answer("Copy to", &format!("\u{15}{destination}{ENTER}"));
    terminal.answer("Credentials for the destination", ENTER);
    terminal.answer("When", ENTER);
    terminal.answer("Check the source every", ENTER);
    terminal.answer("No tag would be copied now. Submit it?", ENTER);
    let left = terminal.end();
    assert!(left.code == 1 && left.text.contains("Nothing was submitted."), "{}", left.text);
    assert_eq!(left.text.to_lowercase().matches("no tag of").count(), 1, "{}", left.text);
}

#[test]
fn patterns_are_proposed_beside_the_tags() {
    let place = Place::new();
    let mut terminal = place.start(&format!("copy {}/argoproj/argocd", place.source.address), 100);
    terminal.wait_for("v2.13.x  selects 4 tags");
    terminal.wait_for("v2.13.11-rc1");
    assert!(!terminal.shown().contains("v2.13.x-rc1"), "{}", terminal.shown());
    terminal.answer("Version or pattern", &format!("v2.13.{DOWN}{ENTER}"));
    terminal.wait_for_question("leave any out?");
    terminal.press(CTRL_C);
    assert!(terminal.end().is_restored);
}

#[test]
fn the_plan_names_no_flag_that_copy_does_not_have() {
    let place = Place::new();
    let mut terminal = place.start("copy", 160);
    answer_all(&mut terminal, &place, 8);
    terminal.answer("overwrite", "n");
    let text = terminal.end().text;
    assert!(
        text.contains("3 other tags nearly match; preview it with --show-excluded to see why not."),
        "{text}"
    );
}

#[test]
fn a_manifest_that_is_not_submitted_has_the_name_that_the_plan_shows() {
    let place = Place::new();
    let mut terminal = place.start("copy", 160);
    answer_all(&mut terminal, &place, 8);
    terminal.answer("overwrite", "n");
    let text = terminal.end().text;
    assert!(text.contains("ci/argocd-v2-13-x") && text.contains("name: argocd-v2-13-x"), "{text}");
    assert!(!text.contains("argocd-v2-13-x-"), "{text}");
}

#[test]
fn no_is_the_default_where_something_is_overwritten() {
    let place = Place::new();
    let mut terminal = place.start("copy", 60);
    answer_all(&mut terminal, &place, 8);
    terminal.answer("overwrite", ENTER);
    let left = terminal.end();
    assert_eq!(left.code, 1, "{}", left.text);
    assert!(place.submitted().is_empty() && left.text.contains("kubectl imgop copy"), "{}", left.text);
}

#[test]
fn without_a_terminal_everything_that_is_missing_is_named_at_once() {
    insta::assert_snapshot!(Program::new().run("copy"), @"
    exit code: 2
    ----- stderr -----
    error: missing: SOURCE, the version of SOURCE (or --versions), DESTINATION

    hint: for example: kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd
    hint: on a terminal, kubectl imgop copy asks for what is missing
    ");
    insta::assert_snapshot!(Program::new().run("copy quay.io/a/b"), @"
    exit code: 2
    ----- stderr -----
    error: missing: the version of SOURCE (or --versions), DESTINATION

    hint: for example: kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd
    hint: on a terminal, kubectl imgop copy asks for what is missing
    ");
}

#[test]
fn a_terminal_is_not_asked_where_that_is_forbidden() {
    for (arguments, variable, value) in [
        ("copy --no-input", "A", ""),
        ("copy -o yaml", "A", ""),
        ("copy", "CI", "true"),
        ("copy", "TERM", "dumb"),
    ] {
        let program = Program::new().variable(variable, value);
        let left = terminal::start(&program, arguments, 100).end();
        assert!(left.code == 2 && left.text.contains("missing: SOURCE"), "{arguments}: {}", left.text);
    }
}
