//! The refs of a repository, as servers of protocol 2 and of older ones send them.

use std::collections::HashMap;

use super::is_commit;
use super::pkt_line::{PktLine, PktLineError, line, read as read_lines};
use crate::error::Failure;

/// What a server answers first.
pub(super) enum Advertisement {
    /// It speaks protocol 2, and sends refs when it is asked for them.
    Version2,
    /// All its refs, in an older protocol.
    Refs(Refs),
}

/// Refs, and what they point to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refs(HashMap<String, String>);

impl From<PktLineError> for Failure {
    fn from(error: PktLineError) -> Self {
        Self::protocol(error.to_string())
    }
}

/// Reads what a server answers first.
pub(super) fn read(bytes: &[u8]) -> Result<Advertisement, Failure> {
    let lines = read_lines(bytes)?;
    let data =
        || lines.iter().filter_map(|line| if let PktLine::Data(text) = line { Some(*text) } else { None });
    if data().any(|text| text == "version 2") {
        return Ok(Advertisement::Version2);
    }
    let mut texts = data();
    if texts.next() != Some("# service=git-upload-pack") {
        return Err(PktLineError.into());
    }
    let mut refs = Refs::default();
    for text in texts {
        // Behind the first ref stand what the server can do.
        let text = text.split('\0').next().unwrap_or_default();
        let Some((commit, name)) = text.split_once(' ').filter(|(commit, _)| is_commit(commit)) else {
            continue;
        };
        match name.strip_suffix("^{}") {
            Some(tag) => refs.0.insert(tag.to_owned(), commit.to_owned()),
            None => refs.0.insert(name.to_owned(), commit.to_owned()),
        };
    }
    Ok(Advertisement::Refs(refs))
}

/// Returns the request for the refs that begin with these names, in protocol 2.
pub(super) fn ls_refs(names: &[String]) -> String {
    let mut text = line("command=ls-refs");
    text.push_str(&line("agent=imgop"));
    text.push_str("0001");
    text.push_str(&line("peel"));
    for name in names {
        text.push_str(&line(&format!("ref-prefix {name}")));
    }
    text.push_str("0000");
    text
}

impl Refs {
    /// Reads the answer to [`ls_refs`].
    pub(super) fn of_version_2(bytes: &[u8]) -> Result<Self, Failure> {
        let mut refs = Self::default();
        for line in read_lines(bytes)? {
            let PktLine::Data(text) = line else { continue };
            let mut words = text.split(' ');
            let (Some(commit), Some(name)) = (words.next().filter(|word| is_commit(word)), words.next())
            else {
                // A branch without a commit.
                if text.starts_with("unborn ") {
                    continue;
                }
                return Err(PktLineError.into());
            };
            let peeled =
                words.find_map(|word| word.strip_prefix("peeled:")).filter(|commit| is_commit(commit));
            refs.0.insert(name.to_owned(), peeled.unwrap_or(commit).to_owned());
        }
        Ok(refs)
    }

    /// Returns the commit that a ref is, if it is there.
    pub(super) fn commit(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: &str) -> String {
        digit.repeat(40)
    }

    #[test]
    fn protocol_2_is_asked_for_prefixes_and_peels_tags() {
        let names = ["refs/tags/v1".to_owned()];
        insta::assert_snapshot!(ls_refs(&names).replace('\n', "|"), @"0014command=ls-refs|0010agent=imgop|00010009peel|001cref-prefix refs/tags/v1|0000");
        let answer = [
            line(&format!("{} refs/heads/main", oid("a"))),
            line(&format!("{} refs/tags/v1 peeled:{}", oid("b"), oid("c"))),
            "0000".to_owned(),
        ];
        let refs = Refs::of_version_2(answer.concat().as_bytes()).unwrap();
        assert_eq!(refs.commit("refs/heads/main"), Some(oid("a")));
        assert_eq!(refs.commit("refs/tags/v1"), Some(oid("c")), "the commit, and not the tag");
        assert_eq!(refs.commit("refs/heads/mai"), None);
        assert!(Refs::of_version_2(line("ERR no").as_bytes()).is_err());
    }

    #[test]
    fn an_older_server_sends_all_refs_at_once() {
        let answer = [
            line("# service=git-upload-pack"),
            "0000".to_owned(),
            line(&format!("{} HEAD\0multi_ack symref=HEAD:refs/heads/main", oid("a"))),
            line(&format!("{} refs/tags/v1", oid("b"))),
            line(&format!("{} refs/tags/v1^{{}}", oid("c"))),
            "0000".to_owned(),
        ];
        let Ok(Advertisement::Refs(refs)) = read(answer.concat().as_bytes()) else { panic!("no refs") };
        assert_eq!((refs.commit("HEAD"), refs.commit("refs/tags/v1")), (Some(oid("a")), Some(oid("c"))));
        assert!(read(b"<html>").is_err() && read(line("hello").as_bytes()).is_err());
    }
}
