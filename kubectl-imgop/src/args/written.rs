//! References as they are typed, with what is wrong with them.

use imgop_registry::reference::Reference;

/// A reference of the command line, with its problems.
pub(super) struct Written {
    /// The repository, completed where it is one.
    pub name: String,
    /// What was typed.
    pub typed: String,
    /// The tag, pattern or digest.
    pub version: Option<String>,
    /// The tag of `name:tag@digest`, beside the digest as its version.
    pub tag: Option<String>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Written {
    /// Reads a reference. Names are completed (`docker.io/library/nginx`), so that one image has one name.
    pub fn read(text: &str) -> Self {
        let (bare, tag) = without_tag_of_digest(text);
        let problem = match bare.parse::<Reference>() {
            _ if is_registry(text) => {
                let bare = text.trim_end_matches('/');
                format!("{text:?} is a registry; write a repository in it, such as {bare}/argoproj/argocd")
            }
            Ok(Reference { repository, version }) => {
                let (name, typed) = (repository.to_string(), text.to_owned());
                return Self { name, typed, version, tag, problem: None };
            }
            Err(error) => error.to_string(),
        };
        Self {
            name: text.to_owned(),
            typed: text.to_owned(),
            version: None,
            tag: None,
            problem: Some(problem),
        }
    }
}

/// Returns what is wrong with a reference, if anything.
pub fn reference_problem(text: &str) -> Option<String> {
    Written::read(text).problem
}

/// Splits the tag off that `name:tag@digest` has beside its digest. As for docker and skopeo, the digest is
/// the content; the tag is only the name to give it.
fn without_tag_of_digest(text: &str) -> (String, Option<String>) {
    let with_tag = |(name, digest): (&str, &str)| {
        let (bare, tag) = name.rsplit_once(':')?;
        // A port is followed by a path.
        (!tag.contains('/')).then(|| (format!("{bare}@{digest}"), Some(tag.to_owned())))
    };
    text.split_once('@').and_then(with_tag).unwrap_or_else(|| (text.to_owned(), None))
}

/// Returns whether a text names a registry: `registry.corp:5000` would read as the tag 5000 of an image of
/// Docker Hub, which is never intended.
pub fn is_registry(text: &str) -> bool {
    let bare = text.trim_end_matches('/');
    let name = bare.split(':').next().unwrap_or(bare);
    !bare.contains(['/', '@']) && (name.contains('.') || name == "localhost")
}
