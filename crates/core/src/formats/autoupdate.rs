//! `autoupdate.yaml` of rancher/artifact-mirror, as far as its canonical form goes: entries in the order of their names.

use super::yaml::{self, Fields, Node, Out, Value};
use super::{FormatError, Problem};

/// Whether a text is one: a list of objects with a name.
pub fn looks_like_one(text: &str) -> bool {
    let Ok(Some(Node { value: Value::List(list), .. })) = yaml::read(text) else { return false };
    let has_name = |node: &Node| matches!(&node.value, Value::Map(map) if map.iter().any(|(key, _)| key.name.eq_ignore_ascii_case("Name")));
    list.iter().all(has_name)
}

/// Returns its canonical form. Comments are dropped, as the original drops them.
///
/// # Errors
/// Where it is no list, or an entry has no name.
pub fn formatted(text: &str) -> Result<String, FormatError> {
    let Some(document) = yaml::read(text)? else { return Ok("[]\n".to_owned()) };
    let list = match document.value {
        Value::List(list) => list,
        other => {
            let problem = Problem::Type { expected: "a list of entries", found: other.kind() };
            return Err(FormatError { line: document.line, field: String::new(), problem });
        }
    };
    let mut named = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        let out = yaml::to_out(&node);
        let (_, name) = Fields::of(node, format!("[{at}]"))?.required_text("Name")?;
        named.push((name, out));
    }
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Out::List(named.into_iter().map(|(_, out)| out).collect()).document())
}
