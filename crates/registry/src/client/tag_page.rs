//! The tags of one page, parsed within bounds.
//!
//! A list is complete or an error: acting on a part of it could move a tag backwards or delete what
//! only looks gone.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::tag_list::TAG_OVERHEAD;
use crate::error::{Failure, Reason};
use crate::reference::Tag;
use crate::settings::MAX_TAGS_VARIABLE;

/// Bytes of a name that can be sent back to ask for what follows it. A tag has up to 128.
const MAX_LAST_NAME: usize = 512;

/// What is known of the page that was added last.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Names on it, those that are no tags included.
    pub(super) names: usize,
    /// The last of its names, unless it is too long to be sent back.
    pub(super) last: Option<String>,
}

/// The tags found so far, without duplicates, in the order of their names.
#[derive(Debug)]
pub(super) struct TagSet {
    tags: BTreeSet<Tag>,
    /// Bytes that they take.
    pub(super) bytes: usize,
    page: Page,
    limit: usize,
    overflow: bool,
    /// Names that the specification forbids; they are left out and never used for anything.
    pub(super) invalid: usize,
}

impl TagSet {
    pub(super) fn new(limit: usize) -> Self {
        Self { tags: BTreeSet::new(), bytes: 0, page: Page::default(), limit, overflow: false, invalid: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    pub(super) fn into_vec(self) -> Vec<Tag> {
        self.tags.into_iter().collect()
    }

    /// Adds the tags of `{"name": …, "tags": [ … ]}` (distribution-spec, "Listing Tags"). Registries
    /// write `null` for an empty list.
    pub(super) fn add_page(&mut self, body: &[u8]) -> Result<Page, Failure> {
        self.page = Page::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let outcome = PageSeed(self).deserialize(&mut json).and_then(|()| json.end());
        if self.overflow {
            let detail =
                format!("the repository has more than {} tags; raise {MAX_TAGS_VARIABLE}", self.limit);
            return Err(Failure::new(Reason::TooLarge { limit: self.limit }, detail));
        }
        outcome.map_err(|error| Failure::protocol(format!("not a tag list: {}", describe(&error))))?;
        let last = self.page.last.take().filter(|last| last.len() <= MAX_LAST_NAME);
        Ok(Page { last, ..self.page })
    }

    fn add(&mut self, name: &str) {
        self.page.names += 1;
        let last = self.page.last.get_or_insert_default();
        last.clear();
        last.push_str(name);
        match name.parse::<Tag>() {
            Ok(tag) => {
                if self.tags.insert(tag) {
                    self.bytes += name.len() + TAG_OVERHEAD;
                }
            }
            Err(_) => self.invalid += 1,
        }
        self.overflow = self.tags.len() + self.invalid > self.limit;
    }
}

/// Returns where the JSON is invalid, without quoting it.
fn describe(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "it ends too early".to_owned();
    }
    if error.is_data() {
        return "it is JSON of another shape".to_owned();
    }
    format!("no JSON at line {}, column {}", error.line(), error.column())
}

struct PageSeed<'a>(&'a mut TagSet);

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "tags" {
                seen = true;
                map.next_value_seed(NamesSeed(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        // An error object has no tags either, and it must not look like an empty repository.
        if seen { Ok(()) } else { Err(A::Error::missing_field("tags")) }
    }
}

struct NamesSeed<'a>(&'a mut TagSet);

impl<'de> DeserializeSeed<'de> for NamesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NamesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<(), A::Error> {
        while names.next_element_seed(NameSeed(self.0))?.is_some() {
            if self.0.overflow {
                return Err(A::Error::custom("too many"));
            }
        }
        Ok(())
    }
}

/// One name, parsed where it stands: most of a hostile list is never copied.
struct NameSeed<'a>(&'a mut TagSet);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.add(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<String>, String> {
        let mut set = TagSet::new(5);
        set.add_page(body.as_bytes()).map_err(|failure| failure.to_string())?;
        Ok(set.into_vec().into_iter().map(String::from).collect())
    }

    #[test]
    fn null_is_an_empty_list_and_order_and_duplicates_do_not_matter() {
        assert_eq!(read(r#"{"name":"a","tags":null}"#), Ok(vec![]));
        assert_eq!(
            read(r#"{"tags":["b","a","b","--x","$(id)"],"extra":{"tags":["no"]}}"#).unwrap(),
            ["a", "b"]
        );
    }

    #[test]
    fn everything_else_is_an_error_that_quotes_nothing() {
        for bad in [
            "",
            "null",
            "[]",
            "<html>secret</html>",
            r#"{"tags":["a","b"#,
            r#"{"tags":["a", 5]}"#,
            r#"{"tags":"a"}"#,
            r#"{"tags":{"a":1}}"#,
            r#"{"name":"a"}"#,
            r#"{"errors":[{"code":"UNKNOWN"}]}"#,
            r#"{"tags":["a"]} trailing"#,
            "\u{feff}{\"tags\":[]}",
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with("not a tag list: ") && !error.contains("secret"), "{bad}: {error}");
        }
    }

    #[test]
    fn too_many_names_are_an_error_with_the_number() {
        assert_eq!(
            read(r#"{"tags":["1","2","3","4","5","6"]}"#).unwrap_err(),
            "the repository has more than 5 tags; raise REGISTRY_MAX_TAGS"
        );
        assert!(read(r#"{"tags":["-","-","-","-","-","-"]}"#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body in r#"([{}\[\]",:]|tags|null|[a-z0-9]|\\u00e9|[ -~]){0,60}"#) {
            let _ = read(&body);
        }
    }
}
