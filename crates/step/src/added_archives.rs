//! Archives that ADD unpacks, and that have an entry for their own root: Buildah gives the folder of ADD the owner and the
//! permissions of that entry, also where it was there before. Docker leaves it as it is.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use imgop_core::build::dockerfile::{Dockerfile, Instruction, Keyword, Resolved};

use crate::context::below::open_file;

/// Bytes of an archive that are read for its first entry.
const MAX_READ: u64 = 1 << 20;

/// What the first entry of an archive says of its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Root {
    owner: (u64, u64),
    mode: u32,
}

/// Returns a warning for each archive of the context that is added and has such an entry. Names with variables or
/// wildcards are passed over.
pub fn warnings(file: &Dockerfile, resolved: &Resolved, context: &Path) -> Vec<String> {
    let needed = file.stages().iter().filter(|stage| resolved.stages.contains(&stage.number));
    let added = needed.flat_map(|stage| file.instructions(stage)).filter(|of| of.keyword == Keyword::Add);
    let found = added.flat_map(|instruction| {
        let sources = sources(&instruction.text).into_iter();
        sources.filter_map(move |source| Some(warning(instruction, &source, root_of(context, &source)?)))
    });
    found.collect()
}

fn warning(instruction: &Instruction, source: &str, root: Root) -> String {
    let Root { owner: (user, group), mode } = root;
    let position = instruction.position;
    format!(
        "Dockerfile {position}: ADD {source} gives its folder the owner {user}:{group} and the mode {mode:04o} that the \
         archive has for its root, as docker does not; set others with RUN after it"
    )
}

/// Returns what `ADD SOURCE… FOLDER` adds.
fn sources(text: &str) -> Vec<String> {
    let rest = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim();
    let mut words: Vec<String> = serde_json::from_str(rest).unwrap_or_else(|_| {
        rest.split_whitespace().skip_while(|word| word.starts_with("--")).map(str::to_owned).collect()
    });
    words.pop();
    words
}

/// Returns what an archive of the context says of its root, if it is one and says so.
fn root_of(context: &Path, source: &str) -> Option<Root> {
    let mut reader = BufReader::new(open_file(context, source.trim_start_matches('/')).ok()?);
    let is_gzip = reader.fill_buf().ok()?.starts_with(&[0x1f, 0x8b]);
    let tar: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    first_entry(tar.take(MAX_READ)).ok().flatten()
}

fn first_entry(tar: impl Read) -> io::Result<Option<Root>> {
    let mut archive = tar::Archive::new(tar);
    let Some(entry) = archive.entries()?.next().transpose()? else { return Ok(None) };
    if !entry.header().entry_type().is_dir()
        || entry.path()?.components().any(|part| part != Component::CurDir)
    {
        return Ok(None);
    }
    let header = entry.header();
    Ok(Some(Root {
        owner: (header.uid().unwrap_or_default(), header.gid().unwrap_or_default()),
        mode: header.mode()? & 0o7777,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_stands_between_flags_and_the_folder() {
        assert_eq!(sources("ADD --chown=a:b  a.tar b.tar  /d/"), ["a.tar", "b.tar"]);
        assert_eq!(sources("add [\"a b.tar\", \"/d/\"]"), ["a b.tar"]);
        assert_eq!(sources("ADD"), Vec::<String>::new());
    }

    #[test]
    fn only_the_first_entry_of_an_archive_can_be_its_root() {
        let of = |names: &[&str]| {
            let mut archive = tar::Builder::new(Vec::new());
            for name in names {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o40750);
                header.set_uid(7);
                header.set_gid(8);
                header.set_size(0);
                header.set_path(name).unwrap();
                header.set_cksum();
                archive.append(&header, io::empty()).unwrap();
            }
            first_entry(archive.into_inner().unwrap().as_slice()).unwrap()
        };
        assert_eq!(of(&["./", "./a"]), Some(Root { owner: (7, 8), mode: 0o750 }));
        assert_eq!((of(&["a/", "./"]), of(&[])), (None, None));
        assert!(first_entry(&b"FROM a"[..]).is_err());
    }
}
