//! The files that a Dockerfile copies from its context, where that is known. Pure.

use std::collections::BTreeSet;

use imgop_core::build::dockerfile::{Dockerfile, Instruction, Keyword, Problem, Severity};

/// What begins a source that is no plain path of the context: arguments, patterns, quotes, here-documents.
const NOT_PLAIN: [char; 9] = ['$', '*', '?', '[', '"', '\'', '\\', '<', '#'];

/// Returns what these stages copy and is not among the files. What only a build can tell is left out: paths with
/// arguments and patterns, and what is fetched.
pub fn missing(file: &Dockerfile, stages: &BTreeSet<usize>, files: &BTreeSet<String>) -> Vec<Problem> {
    let needed = file.stages().iter().enumerate().filter(|(number, _)| stages.contains(number));
    let instructions = needed.flat_map(|(_, stage)| file.instructions(stage));
    let problem = |instruction: &Instruction, source: &str| Problem {
        position: instruction.position,
        severity: Severity::Invalid,
        message: format!("there is no {source} in the context"),
        fix: "its path is that in the folder, and the ignore file must not name it".to_owned(),
    };
    instructions
        .flat_map(|instruction| {
            let sources = sources(instruction).into_iter().filter(|source| !is_there(source, files));
            sources.map(|source| problem(instruction, source)).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the plain paths that an instruction copies from the context.
fn sources(instruction: &Instruction) -> Vec<&str> {
    if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
        return Vec::new();
    }
    let words: Vec<&str> = instruction.text.split_whitespace().skip(1).collect();
    let flags = words.iter().take_while(|word| word.starts_with("--")).count();
    let (flags, paths) = words.split_at(flags);
    let is_of_context = !flags.iter().any(|flag| flag.starts_with("--from"));
    let is_plain = |path: &&str| !path.contains(NOT_PLAIN) && !path.contains("..") && !path.contains(':');
    match paths.split_last() {
        Some((target, sources)) if is_of_context && sources.iter().chain([target]).all(is_plain) => {
            sources.to_vec()
        }
        _ => Vec::new(),
    }
}

fn is_there(source: &str, files: &BTreeSet<String>) -> bool {
    let names: Vec<&str> = source.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let path = names.join("/");
    let folder = format!("{path}/");
    path.is_empty() || files.iter().any(|file| *file == path || file.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILDAH: imgop_core::build::dockerfile::BuildahVersion =
        imgop_core::build::dockerfile::BuildahVersion { major: 1, minor: 28 };

    #[test]
    fn what_is_copied_and_is_not_there_is_named_and_what_only_a_build_knows_is_not() {
        let text = "FROM a AS unneeded\nCOPY gone /\nFROM b\nCOPY ./conf/ run.sh ./conf//./a /x/\nCOPY . /\nCOPY --chown=1 nofile conf/none /\n\
                    COPY --from=0 other /\nCOPY *.txt $X /\nADD https://example.com/a /\n";
        let file = Dockerfile::parse(text.as_bytes(), BUILDAH);
        let files = ["conf/a", "run.sh"].map(str::to_owned).into();
        let missing = missing(&file, &[1].into(), &files);
        let shown: Vec<String> = missing
            .iter()
            .map(|problem| format!("{}: {}; {}", problem.position.line, problem.message, problem.fix))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        6: there is no nofile in the context; its path is that in the folder, and the ignore file must not name it
        6: there is no conf/none in the context; its path is that in the folder, and the ignore file must not name it
        ");
    }
}
