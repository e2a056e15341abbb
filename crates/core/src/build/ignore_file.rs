//! Which files of a context an ignore file leaves out: the rules of `.dockerignore`.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The names of an ignore file for every Dockerfile.
const FOR_ALL: [&str; 2] = [".containerignore", ".dockerignore"];
/// Bytes that one pattern may take compiled.
const MAX_COMPILED: usize = 1 << 20;

/// An ignore file, read as Buildah reads it. A later pattern goes before an earlier one, and what it says of a folder
/// holds for all below it.
#[derive(Debug, Clone, Default)]
pub struct IgnoreFile {
    rules: Vec<Rule>,
}

/// Why an ignore file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {pattern:?} is not a pattern: {problem}")]
pub struct IgnoreFileError {
    line: usize,
    pattern: String,
    problem: &'static str,
}

/// One line.
#[derive(Debug, Clone)]
struct Rule {
    /// Whether it takes back what earlier ones leave out.
    keeps: bool,
    pattern: String,
    automaton: dense::DFA<Vec<u32>>,
}

impl IgnoreFile {
    /// Returns the names of the file, in the order in which they are looked for: that of one Dockerfile goes before
    /// that of all.
    pub fn names(dockerfile: Option<&str>) -> Vec<String> {
        let own = dockerfile.map(|path| [format!("{path}.containerignore"), format!("{path}.dockerignore")]);
        own.into_iter().flatten().chain(FOR_ALL.map(str::to_owned)).collect()
    }

    /// Reads an ignore file.
    pub fn parse(text: &str) -> Result<Self, IgnoreFileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let error = |problem| IgnoreFileError { line: number + 1, pattern: line.to_owned(), problem };
            rules.extend(Rule::parse(line).map_err(error)?);
        }
        Ok(Self { rules })
    }

    /// Whether it leaves out a file or a folder, whose path has slashes and begins below the context.
    pub fn ignores(&self, path: &str) -> bool {
        folders_above(path).any(|folder| self.ignores_all_in(folder)) || self.leaves_out(path)
    }

    /// Whether it leaves out a folder with everything in it. Buildah enters a folder that is left out only where the
    /// text of an exception begins with the folder's path: `!*/dir` keeps nothing of a folder that `*` leaves out.
    pub fn ignores_all_in(&self, folder: &str) -> bool {
        let may_enter = |rule: &Rule| rule.keeps && format!("{}/", rule.pattern).starts_with(folder);
        self.leaves_out(folder) && !self.rules.iter().any(may_enter)
    }

    fn leaves_out(&self, path: &str) -> bool {
        let mut is_left_out = false;
        for rule in &self.rules {
            // A rule that would change nothing need not be asked.
            if rule.keeps == is_left_out && rule.matches_at_or_above(path) {
                is_left_out = !rule.keeps;
            }
        }
        is_left_out
    }
}

impl Rule {
    /// Reads a line; none if there is no pattern in it.
    fn parse(line: &str) -> Result<Option<Self>, &'static str> {
        let line = line.trim();
        let (keeps, pattern) = match line.strip_prefix('!') {
            Some(rest) if rest.trim().is_empty() => return Err("write what is kept after the !"),
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let pattern = cleaned(pattern);
        if pattern.is_empty() {
            return Ok(None);
        }
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_COMPILED))
            .determinize_size_limit(Some(MAX_COMPILED));
        let built = dense::Builder::new()
            .configure(config)
            // Whole characters only where one is counted: automata of bytes are small.
            .syntax(syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true))
            .thompson(thompson::Config::new().utf8(false))
            .build(&expression(&pattern));
        match built {
            Ok(automaton) => Ok(Some(Self { keeps, pattern, automaton })),
            Err(_) => Err("write a * for any text, ? for one character, [a-z] for one of several"),
        }
    }

    /// Whether it matches a path, or a folder that the path is in.
    fn matches_at_or_above(&self, path: &str) -> bool {
        folders_above(path).chain([path]).any(|path| self.matches(path))
    }

    fn matches(&self, path: &str) -> bool {
        let found = self.automaton.try_search_fwd(&Input::new(path).anchored(Anchored::Yes));
        found.is_ok_and(|end| end.is_some_and(|end| end.offset() == path.len()))
    }
}

/// Returns the folders that a path is in, from the top.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// Returns a pattern without what changes nothing: a slash at its beginning or end, `.` and what `..` takes back.
fn cleaned(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns a pattern as a regular expression, as Docker does it (moby/patternmatcher): `*` stays in a folder, `**/` is
/// any number of folders, and `**` at the end is everything below.
fn expression(pattern: &str) -> String {
    let mut expression = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                if rest.peek() == Some(&'/') {
                    rest.next();
                }
                expression += if rest.peek().is_none() { ".*" } else { "(?:.*/)?" };
            }
            '*' => expression += "[^/]*",
            '?' => expression += "(?u:[^/])",
            '[' => expression += &class(&mut rest),
            '\\' => push_literal(&mut expression, rest.next().unwrap_or('\\')),
            c => push_literal(&mut expression, c),
        }
    }
    expression
}

/// Returns `[a-z]` or `[^a-z]`, whose first character is read; without its end it is no expression either.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut class = String::from("(?u:[");
    if rest.peek() == Some(&'^') {
        rest.next();
        class.push('^');
    }
    while let Some(c) = rest.next() {
        match c {
            ']' => {
                class += "])";
                break;
            }
            '-' => class.push('-'),
            '\\' => push_literal(&mut class, rest.next().unwrap_or('\\')),
            c => push_literal(&mut class, c),
        }
    }
    class
}

/// Adds a character that stands for itself.
fn push_literal(expression: &mut String, c: char) {
    // `\<` would be the beginning of a word.
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        expression.push('\\');
    }
    expression.push(c);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept<'a>(ignore_file: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let file = IgnoreFile::parse(ignore_file).unwrap();
        paths.iter().copied().filter(|path| !file.ignores(path)).collect()
    }

    const FILES: [&str; 5] = ["keep.txt", "drop.txt", "dir/one", "dir/two", ".env"];

    #[test]
    fn the_last_pattern_that_matches_decides() {
        assert_eq!(kept("**\n!./keep.txt", &FILES), ["keep.txt"]);
        assert_eq!(kept("dir\n!dir*/one", &["dir/one", "dir/two"]), ["dir/one"]);
        assert_eq!(kept("!keep.txt\n*.txt", &FILES), ["dir/one", "dir/two", ".env"]);
        assert_eq!(kept("*\n!dir\ndir/two", &FILES), ["dir/one"]);
    }

    #[test]
    fn blanks_comments_and_line_ends_of_windows_change_nothing() {
        let file = "\u{feff}# a comment\r\n\r\n  drop.txt  \r\n/dir/\r\n.env\r\n! keep.txt\r\n";
        assert_eq!(kept(file, &FILES), ["keep.txt"]);
        assert_eq!(kept("", &FILES), FILES);
        assert_eq!(kept(".\n/\n", &FILES), FILES, "the context itself is not left out");
    }

    #[test]
    fn stars_stay_in_their_folder_unless_there_are_two() {
        let paths = ["a.go", "x/a.go", "x/y/a.go", "x/y/a.gone"];
        assert_eq!(kept("*.go", &paths), ["x/a.go", "x/y/a.go", "x/y/a.gone"]);
        assert_eq!(kept("**/*.go", &paths), ["x/y/a.gone"]);
        assert_eq!(kept("*/*.go", &paths), ["a.go", "x/y/a.go", "x/y/a.gone"]);
        assert_eq!(kept("x/**", &paths), ["a.go"]);
        assert_eq!(kept("x/**/a.go", &paths), ["a.go", "x/y/a.gone"]);
        assert_eq!(kept("?.go\n[^a]/y", &paths), ["x/a.go"]);
        assert_eq!(kept("[a-c].go", &paths), ["x/a.go", "x/y/a.go", "x/y/a.gone"]);
        assert_eq!(kept("a.+(b){2}|c$\n\\*", &["a.+(b){2}|c$", "*", "ab"]), ["ab"]);
    }

    #[test]
    fn a_folder_that_is_left_out_is_entered_only_where_an_exception_begins_with_its_path() {
        let paths = ["other/dir/a", "dir/sub/a", "dir/a"];
        assert_eq!(kept("*\n!*/dir", &paths), [""; 0]);
        assert_eq!(kept("*\n!oth*/dir", &paths), [""; 0]);
        assert_eq!(kept("*\n!other/dir", &paths), ["other/dir/a"]);
        assert_eq!(kept("dir\n!dir*/a", &paths), ["other/dir/a", "dir/a"]);
        assert_eq!(kept("dir/sub\n!dir/s*/a", &paths), ["other/dir/a", "dir/a"]);
    }

    #[test]
    fn what_is_no_pattern_is_named_with_its_line() {
        let error = IgnoreFile::parse("a\n\n[b\n").unwrap_err().to_string();
        assert!(error.starts_with("line 3: \"[b\" is not a pattern: "), "{error}");
        assert!(IgnoreFile::parse("!").is_err() && IgnoreFile::parse("[z-a]").is_err());
    }

    #[test]
    fn the_ignore_file_of_a_dockerfile_goes_before_that_of_all() {
        let names = IgnoreFile::names(Some("sub/Dockerfile"));
        assert_eq!(names[0], "sub/Dockerfile.containerignore");
        assert_eq!(names[1..], ["sub/Dockerfile.dockerignore", ".containerignore", ".dockerignore"]);
        assert_eq!(IgnoreFile::names(None), [".containerignore", ".dockerignore"]);
    }

    proptest! {
        #[test]
        fn no_ignore_file_ends_in_a_panic_and_what_is_left_out_is_left_out_with_all_below(
            text in "[a-c*?!/#\\[\\]\\\\ .\n-]{0,30}", path in "[a-c]{1,2}(/[a-c]{1,2}){0,3}", below in "[a-c]{1,3}",
        ) {
            if let Ok(file) = IgnoreFile::parse(&text)
                && file.ignores_all_in(&path)
            {
                prop_assert!(file.ignores(&[path, below].join("/")));
            }
        }

        #[test]
        fn a_path_is_a_pattern_for_itself(path in "[a-zé0-9._ -]{1,8}(/[a-z.]{1,4}){0,3}") {
            prop_assume!(path.split('/').all(|part| !part.chars().all(|c| c == '.')));
            prop_assume!(path.trim() == path);
            let file = IgnoreFile::parse(&path).unwrap();
            let other = ["x", &path].concat();
            prop_assert!(file.ignores(&path) && !file.ignores(&other));
        }
    }
}
