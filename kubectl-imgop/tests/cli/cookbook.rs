//! The examples of docs/cookbook.md: a manifest, and the command that makes the same.

use imgop_core::api::{Image, ImageSpec};
use imgop_documents::{Block, Page};

use crate::program::Program;

/// How many examples there are at least that stand in both ways.
const LEAST: usize = 8;

fn image(text: &str) -> Option<Image> {
    serde_saphyr::from_str::<Image>(text).ok().filter(|_| text.contains("kind: Image\n"))
}

/// Returns the arguments of a block that is one copy.
fn copy(block: &Block) -> Option<Vec<String>> {
    let text = format!("```sh\n{}```\n", block.text);
    let mut calls = Page { path: "cookbook.md".into(), text }.calls("kubectl imgop copy");
    (calls.len() == 1).then(|| calls.remove(0).words.split_off(2))
}

#[test]
fn a_manifest_of_the_cookbook_and_the_command_beside_it_are_the_same_image() {
    let blocks = Page::read("docs/cookbook.md").blocks();
    let program = Program::new();
    let mut compared = 0;
    for [manifest, command] in blocks.array_windows() {
        let (Some(written), Some(mut arguments)) = (image(&manifest.text), copy(command)) else { continue };
        // Where it goes is then said by an administrator of the cluster, and there is none.
        if written.spec.destination.name.is_empty() {
            continue;
        }
        arguments.extend(["--dry-run=client", "-o", "yaml"].map(str::to_owned));
        let run = program.run_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(run.code, 0, "line {}: {run}", command.line);
        let typed = image(&run.stdout).unwrap();
        let (typed, written): ((_, ImageSpec), (_, ImageSpec)) =
            ((typed.metadata.namespace, typed.spec), (written.metadata.namespace, written.spec));
        assert_eq!(typed, written, "line {}", command.line);
        compared += 1;
    }
    assert!(compared >= LEAST, "{compared}");
}
