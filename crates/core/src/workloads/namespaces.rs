//! In which namespaces workloads are looked at.

use std::collections::BTreeMap;

use imgop_registry::credentials::Glob;

use crate::api::{NamespaceSelector, WorkloadNamespaces};
use crate::spec_error::Problems;

/// In which namespaces workloads are looked at, as far as the spec says; what a namespace lets is another thing.
#[derive(Debug, Clone)]
pub struct NamespaceChoice {
    own: String,
    include: Vec<Name>,
    exclude: Vec<Name>,
    selector: Option<NamespaceSelector>,
}

#[derive(Debug, Clone)]
struct Name {
    written: String,
    /// None for a name in full.
    glob: Option<Glob>,
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let glob = if text.contains(['*', '?', '[', '\\']) { Some(Glob::parse(text)?) } else { None };
        Some(Self { written: text.to_owned(), glob })
    }

    fn fits(&self, namespace: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(namespace),
            None => self.written == namespace,
        }
    }
}

impl NamespaceChoice {
    pub(super) fn parse(spec: &WorkloadNamespaces, own: &str, problems: &mut Problems<String>) -> Self {
        let mut names = |field: &str, texts: &[String]| -> Vec<Name> {
            let names = texts.iter().enumerate().filter_map(|(i, text)| {
                let name = Name::parse(text).ok_or_else(|| {
                    format!("{text:?} is no pattern; write names with * and ?, such as team-*")
                });
                problems.keep(format!("namespaces.{field}[{i}]"), name)
            });
            names.collect()
        };
        let (include, exclude) = (names("include", &spec.include), names("exclude", &spec.exclude));
        Self { own: own.to_owned(), include, exclude, selector: spec.selector.clone() }
    }

    /// Whether it selects a namespace. A pattern that fits no namespace that there is selects none.
    pub fn selects(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        if self.exclude.iter().any(|name| name.fits(namespace)) {
            return false;
        }
        if self.is_own_alone() {
            return namespace == self.own;
        }
        self.include.iter().any(|name| name.fits(namespace))
            || self.selector.as_ref().is_some_and(|selector| selector.selects(labels))
    }

    /// Returns the namespaces that it can select, where the spec alone says which they are.
    pub fn named(&self) -> Option<Vec<&str>> {
        let names = match (&self.selector, self.is_own_alone()) {
            (_, true) => vec![self.own.as_str()],
            (None, false) if self.include.iter().all(|name| name.glob.is_none()) => {
                self.include.iter().map(|name| name.written.as_str()).collect()
            }
            _ => return None,
        };
        let is_excluded = |namespace: &str| self.exclude.iter().any(|name| name.fits(namespace));
        Some(names.into_iter().filter(|name| !is_excluded(name)).collect())
    }

    /// Returns the names and patterns that fit none of these namespaces, as they are written.
    pub fn without_namespace<'a>(&'a self, there: &[&str]) -> Vec<&'a str> {
        let fits_none = |name: &&Name| !there.iter().any(|namespace| name.fits(namespace));
        self.include.iter().filter(fits_none).map(|name| name.written.as_str()).collect()
    }

    fn is_own_alone(&self) -> bool {
        self.include.is_empty() && self.selector.is_none()
    }
}

/// Two choices are equal when they were written alike.
impl PartialEq for NamespaceChoice {
    fn eq(&self, other: &Self) -> bool {
        let written = |names: &[Name]| names.iter().map(|name| name.written.clone()).collect::<Vec<_>>();
        self.own == other.own
            && self.selector == other.selector
            && written(&self.include) == written(&other.include)
            && written(&self.exclude) == written(&other.exclude)
    }
}

impl Eq for NamespaceChoice {}
