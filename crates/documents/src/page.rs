//! A page, and what stands on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::{commands, root};

/// Folders without pages of the project's own.
const OTHERS: [&str; 2] = ["target", "node_modules"];

/// A Markdown file.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it is in the project, such as `docs/install.md`.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

/// A block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line on which it begins, the first being 1.
    pub line: usize,
    /// The language that it names; empty without one.
    pub language: String,
    /// The code.
    pub text: String,
}

/// A call of a program that a page has its reader type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The line on which it stands, or the block that it is in.
    pub line: usize,
    /// The words of it, the program's name included.
    pub words: Vec<String>,
    /// Whether it is in a block of code: there it is whole, while a text may name only the verb.
    pub is_whole: bool,
}

impl Page {
    /// Returns all pages of the project, in the order of their paths.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let (root, mut files) = (root(), Vec::new());
        find(&root, &mut files);
        files.sort_unstable();
        let relative = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_owned();
        files
            .iter()
            .map(|file| Self { path: relative(file), text: std::fs::read_to_string(file).unwrap() })
            .collect()
    }

    /// Reads one page of the project.
    #[must_use]
    pub fn read(path: &str) -> Self {
        Self { path: path.into(), text: std::fs::read_to_string(root().join(path)).unwrap() }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, std::ops::Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).into_offset_iter()
    }

    /// Returns where its links and pictures lead, as written.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        self.events()
            .filter_map(|(event, _)| match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some(dest_url.into_string())
                }
                _ => None,
            })
            .collect()
    }

    /// Returns the anchors of its headings, as GitHub makes them.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let (mut anchors, mut heading) = (Vec::new(), None::<String>);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (event, _) in self.events() {
            match (event, &mut heading) {
                (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
                (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
                (Event::End(TagEnd::Heading(_)), _) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    let before = seen.entry(name.clone()).or_default();
                    anchors.push(if *before == 0 { name } else { format!("{name}-{before}") });
                    *before += 1;
                }
                _ => {}
            }
        }
        anchors
    }

    /// Returns its blocks of code.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open) = (Vec::new(), None::<Block>);
        for (event, range) in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::CodeBlock(kind)), _) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    let line = self.line_at(range.start);
                    open = Some(Block { line, language, text: String::new() });
                }
                (Event::Text(text), Some(block)) => block.text.push_str(&text),
                (Event::End(TagEnd::CodeBlock), _) => blocks.extend(open.take()),
                _ => {}
            }
        }
        blocks
    }

    /// Returns the manifests on it: blocks of YAML that are whole objects.
    #[must_use]
    pub fn manifests(&self) -> Vec<Block> {
        let blocks = self.blocks().into_iter();
        blocks.filter(|block| block.language == "yaml" && block.text.starts_with("apiVersion: ")).collect()
    }

    /// Returns the calls of a program on it: those in blocks of code, and those that stand in a text or a table and leave
    /// nothing out (`…`).
    #[must_use]
    pub fn calls(&self, program: &str) -> Vec<Call> {
        let is_script = |block: &Block| matches!(&*block.language, "" | "sh" | "console");
        let blocks = self.blocks().into_iter().filter(is_script);
        let blocks = blocks.map(|block| (block.line, block.text, true));
        let spans = self.events().filter_map(|(event, range)| match event {
            Event::Code(code) => Some((self.line_at(range.start), code.into_string(), false)),
            _ => None,
        });
        let spans = spans.filter(|(_, code, _)| !code.contains(['…', '[']) && !code.contains("..."));
        blocks
            .chain(spans)
            .flat_map(|(line, script, is_whole)| {
                let calls = commands::of_script(&script, program).into_iter();
                calls.map(move |words| Call { line, words, is_whole })
            })
            .collect()
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// Returns the rows of all tables on it: of each row its cells, without the marks of code.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), None::<String>);
        for (event, _) in self.events() {
            match (event, &mut cell) {
                (Event::Start(Tag::TableRow), _) => row = Vec::new(),
                (Event::Start(Tag::TableCell), _) => cell = Some(String::new()),
                (Event::Text(text) | Event::Code(text), Some(cell)) => cell.push_str(&text),
                (Event::End(TagEnd::TableCell), _) => row.extend(cell.take()),
                (Event::End(TagEnd::TableRow), _) => rows.push(std::mem::take(&mut row)),
                _ => {}
            }
        }
        rows
    }
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !OTHERS.contains(&&*name) {
            find(&path, files);
        } else if path.extension().is_some_and(|end| end == "md") {
            files.push(path);
        }
    }
}

/// Returns the anchor of a heading: lower case, blanks become hyphens, other marks are left out.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "page.md".into(), text: text.to_owned() }
    }

    #[test]
    fn anchors_are_as_github_makes_them() {
        let page = page("# The `a1`, by a *name*\n\n## Not yet\n\n## Not yet\n");
        assert_eq!(page.anchors(), ["the-a1-by-a-name", "not-yet", "not-yet-1"]);
    }

    #[test]
    fn links_pictures_and_references_are_found_and_none_in_code() {
        let page = page("[a](b.md#c) ![d](e.svg) [f][g] `[h](i.md)`\n\n[g]: j.md\n");
        assert_eq!(page.links(), ["b.md#c", "e.svg", "j.md"]);
    }

    #[test]
    fn commands_are_found_in_blocks_with_their_lines_and_in_text_where_nothing_is_left_out() {
        let page = page(
            "Run `imgop sync`, `imgop copy …`.\n\n```sh\nimgop list \\\n  -A\n```\n\n```yaml\nimgop no\n```\n",
        );
        let found = page.calls("imgop");
        let found: Vec<String> =
            found.iter().map(|call| format!("{} {}", call.line, call.words.join(" "))).collect();
        assert_eq!(found, ["3 imgop list -A", "1 imgop sync"]);
    }

    #[test]
    fn manifests_are_blocks_of_whole_objects() {
        let page = page("```yaml\napiVersion: a/v1\n```\n\n```yaml\nspec:\n  a: b\n```\n");
        assert_eq!(page.manifests().len(), 1);
    }
}
