//! `run --watch`: the process goes on until a signal ends it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::Program;
use crate::run_files::Case;

/// A process that prints a line for each event.
struct Watching {
    process: Child,
    events: BufReader<ChildStdout>,
}

impl Watching {
    fn start(program: &Program, file: &std::path::Path) -> Self {
        let mut command = watch(program, file);
        let mut process =
            command.args(["-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let events = BufReader::new(process.stdout.take().unwrap());
        Self { process, events }
    }

    /// Returns the next event, as soon as there is one.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.events.read_line(&mut line).unwrap() > 0, "it has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Returns what kind of event is next, and which Image it is of.
    fn next_of(&mut self) -> (String, Option<String>) {
        let event = self.next();
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        (text("event").unwrap(), text("image"))
    }

    /// Ends it as another program does. Returns its exit code.
    fn end(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.process.wait().unwrap().code()
    }
}

/// Returns the command that keeps what a file says.
fn watch(program: &Program, file: &std::path::Path) -> Command {
    let mut command = Command::new(cargo_bin!("kubectl-imgop"));
    command
        .env_clear()
        .envs(program.environment())
        .args(["run", "--watch", "-f"])
        .arg(file)
        .stdin(Stdio::null());
    command
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn of(event: &str, image: &str) -> (String, Option<String>) {
    (event.to_owned(), Some(image.to_owned()))
}

#[test]
fn images_are_kept_until_a_signal_and_a_file_that_is_broken_meanwhile_changes_nothing() {
    let case = Case::new();
    let file = case.program.file("images.yaml", &case.image("one", ""));
    let mut watching = Watching::start(&case.program, &file);
    assert_eq!(watching.next()["images"], 1);
    let tag = watching.next();
    assert_eq!((tag["event"].as_str(), tag["result"].as_str()), (Some("tag"), Some("copied")));
    let round = watching.next();
    assert_eq!((round["image"].as_str(), round["tags"]["synced"].as_u64()), (Some("one"), Some(1)));
    assert_eq!(round["next"], Value::Null, "mode OneShot is done");
    case.program.file("images.yaml", "kind: Image\napiVersion: skopeo.io/v1alpha1\nspec: {mode: Never}\n");
    let broken = watching.next();
    assert_eq!(broken["event"], "filesUnusable");
    assert!(broken["message"].as_str().unwrap().contains("images.yaml: Image "), "{broken}");
    let both = [case.image("one", ""), case.image("two", "frequency: 1h")].concat();
    case.program.file(
        "images.yaml",
        &both.replace("mode: OneShot", "mode: Recurrent").replacen("Recurrent", "OneShot", 1),
    );
    assert_eq!(watching.next()["images"], 2);
    assert_eq!(watching.next_of(), of("tag", "two"));
    let round = watching.next();
    assert_eq!(round["image"], "two", "the other one is done");
    assert!(round["next"].is_string(), "{round}");
    assert_eq!(watching.end(), Some(0));
    assert!(case.destination.manifests("mirror/two").contains_key("1.0"));
}

#[test]
fn what_cannot_be_reached_is_reported_and_the_others_are_kept() {
    let case = Case::new();
    let file = case.program.file("images.yaml", &[case.image("absent", ""), case.image("one", "")].concat());
    let mut watching = Watching::start(&case.program, &file);
    assert_eq!(watching.next()["images"], 2);
    let failed = watching.next();
    assert_eq!(failed["image"], "absent");
    assert!(failed["message"].is_string() && failed["next"].is_string(), "{failed}");
    assert_eq!(watching.next_of(), of("tag", "one"));
    assert_eq!(watching.next_of(), of("round", "one"));
    assert_eq!(watching.end(), Some(0));
}

#[test]
fn people_are_told_why_a_tag_is_not_copied_before_how_the_image_stands() {
    let case = Case::new();
    let second = case.image("two", "").replace("mirror/two", "mirror/one");
    let file = case.program.file("images.yaml", &[case.image("one", ""), second].concat());
    let mut command = watch(&case.program, &file);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("two: 0 of 1")).collect();
    let last = said.pop().unwrap();
    assert!(last.starts_with("error: two: 1.0: the tag belongs to one, which stands before it"), "{last}");
    kill(Pid::from_raw(process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_tag_of_two_sources_of_an_inventory_keeps_the_others_from_nothing() {
    let case = Case::new();
    let (source, destination) = (case.source.address, case.destination.address);
    let entry = |path: &str, name: &str| {
        format!("  - {{source: \"{source}/{path}\", tags: [\"1.0\"], targetName: {name}}}\n")
    };
    let mirror = format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: acme}}\nspec:\n  targets: [{{repository: \
         \"{destination}/mirror\", default: true}}]\n  entries:\n{}{}{}",
        entry("one", "x"),
        entry("two", "x"),
        entry("two", "good")
    );
    let file = case.program.file("mirror.yaml", &mirror);
    let mut watching = Watching::start(&case.program, &file);
    let files = watching.next();
    let conflict = files["conflicts"][0].as_str().unwrap();
    assert!(conflict.contains("mirror/x:1.0 would be "), "{files}");
    let tag = watching.next();
    assert_eq!(tag["destination"].as_str().unwrap(), format!("{destination}/mirror/good"));
    assert_eq!(watching.end(), Some(0));
}

#[test]
fn what_is_wrong_at_the_beginning_ends_it() {
    let program = Program::new();
    let file = program.file("images.yaml", "kind: Image\napiVersion: skopeo.io/v1alpha1\nspec: {}\n");
    let broken = program.run(&format!("run --watch -f {}", file.display()));
    assert_eq!((broken.code, broken.stdout.as_str()), (1, ""), "{broken}");
    let stdin = program.run("run --watch -f -");
    assert!(stdin.code == 2 && stdin.stderr.contains("give a file in place of -"), "{stdin}");
    let yaml = program.run("run --watch -o yaml -f images.yaml");
    assert!(yaml.code == 2 && yaml.stderr.contains("-o json or -o name"), "{yaml}");
}
