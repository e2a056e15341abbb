//! Which namespaces are watched.

use std::collections::BTreeSet;
use std::fmt;

/// Which namespaces are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them; must be asked for with `*`.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Namespaces {
    /// Returns whether a namespace is one of them.
    pub fn include(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(namespace),
        }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Named(names) => {
                f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Reads a list of namespaces. What names nothing is refused: it must never widen to everything, as an
/// empty list did in copycat.
pub(super) fn parse_namespaces(text: &str) -> Result<Namespaces, String> {
    if text.trim() == "*" {
        return Ok(Namespaces::All);
    }
    let names: BTreeSet<String> =
        text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        return Err("it names no namespace; write * for all of them".to_owned());
    }
    let is_label = |name: &str| {
        name.len() <= 63
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match names.iter().find(|name| !is_label(name)) {
        Some(bad) => Err(format!("{bad:?} is not the name of a namespace; * stands alone or not at all")),
        None => Ok(Namespaces::Named(names)),
    }
}
