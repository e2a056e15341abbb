//! The grammars of an ImageBuilder's spec that are its own: paths, git's names, labels, keys.

use super::ImageReference;
use imgop_registry::reference::{RegistryHost, Repository};

/// Whether a path stays within the folder that it begins in.
pub(super) fn path(text: &str) -> Result<(), &'static str> {
    let is_below = !text.is_empty()
        && !text.starts_with('/')
        && text.split('/').all(|part| part != "..")
        && !text.bytes().any(|b| b < 0x20 || b == 0x7f || b == b'\\');
    if is_below {
        Ok(())
    } else {
        Err("it must be a path below the context, without .. in it and without / in front")
    }
}

/// Whether a URL is one of git's without a password. It is not quoted: it may hold one.
pub(super) fn git_url(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).or_else(|| {
        let rest = text.strip_prefix("ssh://")?;
        let Some((user, host)) = rest.split_once('@') else { return Some(rest) };
        Some(if is_user(user) { host } else { rest })
    });
    let is_url = rest.and_then(|rest| rest.split_once('/')).is_some_and(|(host, path)| {
        is_host(host)
            && !path.is_empty()
            && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~%!$&()*+,;=:@/-".contains(&b))
    });
    if is_url {
        Ok(())
    } else {
        Err(
            "it must be https://host/path, http://host/path or ssh://git@host/path without a password; credentials \
             go into context.git.credentials",
        )
    }
}

fn is_user(user: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    user.bytes().next().is_some_and(is_first) && user.bytes().all(|b| is_first(b) || matches!(b, b'.' | b'-'))
}

/// A host with an optional port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_address =
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let is_end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    is_end(name.bytes().next())
        && is_end(name.bytes().last())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether git can resolve a text to a commit, and takes it for no option (git-check-ref-format).
pub(super) fn git_revision(text: &str) -> Result<(), &'static str> {
    let is_revision = !text.is_empty()
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && !text.bytes().any(|b| b <= 0x20 || b == 0x7f || b"~^:?*[\\".contains(&b));
    if is_revision {
        Ok(())
    } else {
        Err("it must be a branch, a tag, a commit or a whole name such as refs/pull/7/head")
    }
}

/// Whether a text is the name or the number of a stage.
pub(super) fn target(text: &str) -> Result<(), &'static str> {
    let is_target = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if is_target {
        Ok(())
    } else {
        Err("it must be the name or the number of a stage of the Dockerfile, such as final or 0")
    }
}

/// Whether a text is the name of an ARG.
pub(super) fn argument_name(text: &str) -> Result<(), &'static str> {
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let is_name = text.len() <= 256
        && text.bytes().next().is_some_and(is_first)
        && text.bytes().all(|b| is_first(b) || b.is_ascii_digit());
    if is_name { Ok(()) } else { Err("it must be letters, digits and _, and must not begin with a digit") }
}

/// Whether a text is a key of a ConfigMap or Secret, or the id of a build's secret.
pub(super) fn key(text: &str) -> Result<(), &'static str> {
    let is_key = !text.is_empty()
        && !matches!(text, "." | "..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if is_key { Ok(()) } else { Err("it must be letters, digits, '.', '_' and '-'") }
}

/// Whether Buildah keeps a label as it is: it reads names and values once more as words of a Dockerfile, fails at
/// a `${` that it does not know, and takes the first `=` for the end of the name.
pub(super) fn label(name: &str, value: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.contains(['=', '$']) {
        return Err("a name must not be empty and must not hold = or $");
    }
    if value.match_indices("${").all(|(start, _)| is_readable_substitution(&value[start + 2..])) {
        Ok(())
    } else {
        Err(
            "a value may hold ${ only as ${NAME}, ${}, ${NAME:-text} or ${NAME:+text}: Buildah reads anything else \
             as a mistake",
        )
    }
}

/// Whether a text begins with what may stand behind `${`.
fn is_readable_substitution(text: &str) -> bool {
    let Some((inside, _)) = text.split_once('}') else { return false };
    let name_end = match inside.as_bytes().first() {
        Some(b) if b.is_ascii_digit() => 1,
        _ => inside.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    let behind = &inside[name_end..];
    behind.is_empty() || (behind.starts_with(":-") || behind.starts_with(":+")) && !behind.contains('$')
}

/// Reads a registry as references name it.
pub(super) fn host(text: &str) -> Result<RegistryHost, &'static str> {
    const PROBLEM: &str = "it must be a registry as references name it, such as quay.io, registry.example.com:5000 or docker.io";
    let repository: Repository = format!("{text}/x").parse().map_err(|_| PROBLEM)?;
    // A word without dot or port is the first part of a path at Docker Hub.
    let is_host = repository.path() == "x" || repository.path() == "library/x";
    if is_host && !text.contains('/') { Ok(repository.host().clone()) } else { Err(PROBLEM) }
}

/// Reads an image with a tag or a digest.
pub(super) fn image(text: &str) -> Result<ImageReference, imgop_registry::reference::ReferenceError> {
    text.parse()
}
