//! The images in rendered YAML. Pure.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle};
use imgop_registry::reference::Reference;

use crate::formats::yaml::is_read_as_text;
use crate::sources::Note;

/// Notes that are kept: what is foreign may give cause for any number.
const MAX_NOTES: usize = 200;

/// What is found in one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartImages {
    /// A repository as it is written, without `docker.io/`, and a tag. Each once.
    pub images: Vec<(String, String)>,
    /// What was left out, 200 at most.
    pub notes: Vec<Note>,
    /// The images once more, to find one that is there already.
    known: HashSet<(String, String)>,
}

impl ChartImages {
    /// Adds an image, or a note that says why it is none.
    pub(in crate::sources) fn push(&mut self, text: &str) {
        match split(text) {
            Ok(image) => self.insert(image),
            Err(note) => self.note(note),
        }
    }

    /// Adds an image, unless it is there.
    pub(in crate::sources) fn insert(&mut self, image: (String, String)) {
        if self.known.insert(image.clone()) {
            self.images.push(image);
        }
    }

    /// Adds a note, unless it is there.
    pub(in crate::sources) fn note(&mut self, note: Note) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        other.images.into_iter().for_each(|image| self.insert(image));
        other.notes.into_iter().for_each(|note| self.note(note));
    }
}

/// Which names of fields hold images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Exactly,
    Containing,
}

/// Returns the images in YAML documents: values of fields `image`, or, if it is loose, of fields whose name contains that.
/// Text within text is not looked at.
///
/// # Errors
/// Where it is no YAML.
pub fn images_in(documents: &str, is_loose: bool) -> Result<ChartImages, String> {
    let names = if is_loose { Names::Containing } else { Names::Exactly };
    let mut walk = Walk { names, open: Vec::new(), found: ChartImages::default() };
    for next in Parser::new_from_str(documents) {
        let (event, _) = next.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        walk.take(event);
    }
    Ok(walk.found)
}

/// A list or an object whose end was not reached.
enum Open {
    List,
    /// With the field whose value comes next; none where a name comes next.
    Map(Option<String>),
}

struct Walk {
    names: Names,
    open: Vec<Open>,
    found: ChartImages,
}

impl Walk {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Scalar(text, style, _, _) => self.scalar(&text, style == ScalarStyle::Plain),
            Event::Alias(_) => self.complete(),
            Event::SequenceStart(..) => self.open.push(Open::List),
            Event::MappingStart(..) => self.open.push(Open::Map(None)),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.complete();
            }
            _ => {}
        }
    }

    fn scalar(&mut self, text: &str, is_plain: bool) {
        match self.open.last_mut() {
            Some(Open::Map(field @ None)) => *field = Some(text.to_owned()),
            Some(Open::Map(Some(field))) => {
                let is_image = match self.names {
                    Names::Exactly => field == "image",
                    Names::Containing => field.to_lowercase().contains("image"),
                };
                if is_image && (!is_plain || is_read_as_text(text)) {
                    self.image(text);
                }
                self.complete();
            }
            Some(Open::List) | None => {}
        }
    }

    /// A value is complete: the name of a field comes next. An object as a name is not looked at.
    fn complete(&mut self) {
        if let Some(Open::Map(field)) = self.open.last_mut() {
            *field = if field.is_none() { Some(String::new()) } else { None };
        }
    }

    fn image(&mut self, text: &str) {
        let is_loose = self.names == Names::Containing;
        match split(text) {
            Ok((repository, tag)) if is_loose && (tag == "latest" || repository.starts_with("rancher/")) => {}
            Ok(image) => self.found.insert(image),
            // In loose fields most text is no image.
            Err(_) if is_loose => {}
            Err(note) => self.found.note(note),
        }
    }
}

/// Splits a reference into a repository as it is written, without `docker.io/`, and a tag. A digest is dropped.
pub(in crate::sources) fn split(text: &str) -> Result<(String, String), Note> {
    let text = text.trim();
    let (tagged, _) = text.split_once('@').unwrap_or((text, ""));
    let reference = tagged.parse::<Reference>().map_err(|_| Note::NotAReference(text.to_owned()))?;
    let Some(tag) = reference.version else { return Err(Note::Untagged(tagged.to_owned())) };
    if tag.parse::<imgop_registry::reference::Tag>().is_err() {
        return Err(Note::NotAReference(text.to_owned()));
    }
    let repository = tagged.strip_suffix(&tag).and_then(|name| name.strip_suffix(':')).unwrap_or(tagged);
    let repository = repository.strip_prefix("docker.io/").unwrap_or(repository);
    Ok((repository.to_owned(), tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = "\
---
kind: Deployment
spec:
  containers:
  - image: ghcr.io/a/b:1@sha256:0000
  - image: host:5000/c:2
    imagePullPolicy: Always
  - {image: d}
---
kind: ConfigMap
data:
  config: |
    image: not/looked:at
  image: 5
---
kind: Pod
spec: {initContainers: [{image: 'docker.io/team/e:v1'}, {image: host:5000/c:2}, {image: \"a b\"}]}
";

    #[test]
    fn images_are_values_of_fields_image_in_all_documents() {
        let found = images_in(RENDERED, false).unwrap();
        let images: Vec<String> = found.images.iter().map(|(name, tag)| format!("{name} {tag}")).collect();
        assert_eq!(images, ["ghcr.io/a/b 1", "host:5000/c 2", "team/e v1"]);
        assert_eq!(found.notes, [Note::Untagged("d".to_owned()), Note::NotAReference("a b".to_owned())]);
    }

    #[test]
    fn loose_fields_contain_the_word_and_what_is_no_tagged_image_is_not_worth_a_note() {
        let text = "fooImage: a/b:1\nimages: {x: c/d:2}\nimagePullPolicy: Always\nimageY: e/f:latest\nimage: rancher/g:1\n";
        let found = images_in(text, true).unwrap();
        assert_eq!(found.images, [("a/b".to_owned(), "1".to_owned())]);
        assert_eq!(found.notes, []);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_a_line() {
        assert!(images_in("a: [\n", false).unwrap_err().starts_with("line "));
    }
}
