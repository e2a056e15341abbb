//! `FROM`.

use super::super::instruction::{Detail, From};
use super::super::words::{Word, between_spaces};
use super::{FlagRule, Reader};

const FIX: &str = "write FROM image:tag, FROM image:tag AS name, or FROM scratch";

impl Reader<'_> {
    pub(super) fn stage_base(&mut self) -> Detail {
        let platform = self.flags(&[FlagRule::value("platform")]).pop();
        let platform =
            platform.and_then(|flag| Some(self.located(flag.value.as_deref()?, flag.start..flag.end)));
        if let Some(platform) = &platform {
            self.check_word(&Word { text: platform.text.clone(), start: self.from, end: self.from });
        }
        let words = between_spaces(&self.line.text, self.from);
        let (image, name) = match words.as_slice() {
            [image] => (image, None),
            [image, r#as, name] if r#as.text.eq_ignore_ascii_case("AS") => (image, Some(name)),
            [_, r#as] if r#as.text.eq_ignore_ascii_case("AS") => {
                self.invalid(r#as.start, "AS needs the name of the stage", FIX);
                return Detail::Plain;
            }
            [] => {
                self.too_little("an image", FIX);
                return Detail::Plain;
            }
            [_, second, ..] => {
                self.invalid(second.start, "FROM takes one image, and AS name behind it", FIX);
                return Detail::Plain;
            }
        };
        self.check_word(image);
        if let Some(name) = name {
            self.check_stage_name(name);
        }
        Detail::From(Box::new(From {
            image: self.located(&image.text, image.start..image.end),
            platform,
            name: name.map(|name| name.text.clone()),
        }))
    }

    fn check_stage_name(&mut self, name: &Word) {
        let is_name = name.text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && name.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !name.text.eq_ignore_ascii_case("scratch");
        if !is_name {
            let shown: String = name.text.chars().take(40).collect();
            self.invalid(
                name.start,
                format!("{shown:?} is no name for a stage"),
                "begin it with a letter and use letters, digits, '.', '_' and '-'; scratch is taken",
            );
        }
    }
}
