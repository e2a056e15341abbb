//! `build` without arguments, on a terminal.

use imgop_fakes::{Background, Catalog, CatalogRegistry};
use imgop_terminal::{CTRL_C, DOWN, ENTER, ESC, Left, Terminal};

use crate::build::cluster;
use crate::build_check::index;
use crate::fake_cluster::{FakeCluster, builder};
use crate::terminal;

/// A cluster, the registry with the base image, and a folder to build.
struct Place {
    cluster: FakeCluster,
    _registry: Background<CatalogRegistry>,
}

impl Place {
    fn new() -> Self {
        let registry = Catalog::default().with("busybox", &[("1", &index("amd64"))]).start_in_background();
        let cluster = cluster(builder("api", "True", "Succeeded", "build 2 is pushed"));
        cluster
            .program
            .file("app/Dockerfile", &format!("FROM {}/busybox:1\nCOPY run.sh /\n", registry.address));
        Self { cluster, _registry: registry }
    }

    /// Answers this many questions.
    fn answer(&self, number: usize) -> Terminal {
        let mut terminal = terminal::start(&self.cluster.program, "build", 160);
        for (question, keys) in answers().into_iter().take(number) {
            terminal.answer(question, &keys);
        }
        terminal
    }

    /// Returns whether anything was sent that changes something.
    fn is_untouched(&self) -> bool {
        self.cluster.bodies().is_empty()
    }
}

/// The questions, each with what is pressed.
fn answers() -> Vec<(&'static str, String)> {
    vec![
        ("Build", format!("ap{DOWN}{ENTER}")),
        ("Push to", format!("registry.example.com/team/api:1.4{ENTER}")),
        ("For which platforms", format!(" {ENTER}")),
        ("Secret with the credentials", format!("{DOWN}{ENTER}")),
        ("Build it?", "y".to_owned()),
    ]
}

fn end(terminal: Terminal, code: i32) -> Left {
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (code, true), "{}", left.text);
    left
}

#[test]
fn what_is_asked_is_built_as_by_the_printed_command() {
    let place = Place::new();
    let left = end(place.answer(5), 0);
    let command = "kubectl imgop build app --tag registry.example.com/team/api:1.4 --platform linux/amd64 --credentials push -n ci";
    assert!(left.text.contains(command), "{}", left.text);
    assert!(left.text.contains("an image for linux/amd64 as "), "{}", left.text);
    assert!(left.text.contains("sha256:0123456789abcdef"), "{}", left.text);
    let asked = place.cluster.bodies();
    let run = place.cluster.program.run(command.strip_prefix("kubectl imgop ").unwrap_or_default());
    assert_eq!(run.code, 0, "{run}");
    let all = place.cluster.bodies();
    assert!(asked[0].contains("ImageBuilder"), "{}", asked[0]);
    assert_eq!(asked[0], all[asked.len()], "the same ImageBuilder");
}

#[test]
fn ctrl_c_at_any_question_submits_nothing() {
    let place = Place::new();
    for asked in 0..answers().len() {
        let mut terminal = place.answer(asked);
        terminal.answer(answers()[asked].0, CTRL_C);
        end(terminal, 130);
    }
    assert!(place.is_untouched());
}

#[test]
fn a_plan_that_is_refused_submits_nothing_and_esc_asks_again() {
    let place = Place::new();
    let mut terminal = place.answer(4);
    terminal.answer("Build it?", ESC);
    terminal.answer("Secret with the credentials", ENTER);
    terminal.answer("Build it?", "n");
    let left = end(terminal, 1);
    assert!(left.text.contains("Nothing was submitted."), "{}", left.text);
    assert!(place.is_untouched());
}
