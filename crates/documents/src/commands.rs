//! The commands in a script.

/// Words behind which another command begins, or none.
const ENDS: [&str; 9] = ["|", "||", "&&", ";", ">", ">>", "<", "2>", "&"];

/// Returns the calls of a program in a script, word by word. A program may be several words, such as `kubectl imgop`.
pub fn of_script(script: &str, program: &str) -> Vec<Vec<String>> {
    let program: Vec<&str> = program.split(' ').collect();
    script
        .replace("\\\n", " ")
        .lines()
        .filter_map(shlex::split)
        .flat_map(|words| {
            let parts = words.split(|word| ENDS.contains(&word.as_str()));
            let calls = parts.filter_map(|part| call(part, &program));
            calls.collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the words of a part of a line if it calls this program, without what stands before: a prompt, or values of
/// environment variables.
fn call(words: &[String], program: &[&str]) -> Option<Vec<String>> {
    let before =
        |word: &String| word == "$" || word.split_once('=').is_some_and(|(name, _)| !name.contains('-'));
    let begin = words.iter().position(|word| !before(word))?;
    let words = &words[begin..];
    words.iter().zip(program).all(|(word, part)| word == part).then_some(())?;
    (words.len() >= program.len()).then(|| words.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(script: &str) -> Vec<String> {
        of_script(script, "kubectl imgop").iter().map(|words| words.join("_")).collect()
    }

    #[test]
    fn calls_end_where_the_shell_ends_them() {
        assert_eq!(calls("git archive v1 | kubectl imgop build - -t a:1"), ["kubectl_imgop_build_-_-t_a:1"]);
        assert_eq!(calls("kubectl imgop build - < Dockerfile"), ["kubectl_imgop_build_-"]);
        assert_eq!(calls("A=b kubectl imgop list   # all of them"), ["kubectl_imgop_list"]);
        assert_eq!(
            calls("$ kubectl imgop copy 'a:v2 x' b && kubectl imgop list"),
            ["kubectl_imgop_copy_a:v2 x_b", "kubectl_imgop_list"]
        );
    }

    #[test]
    fn other_programs_are_left_alone() {
        assert_eq!(calls("kubectl get images\nkubectl\necho kubectl imgop list"), [""; 0]);
    }
}
