//! The same Dockerfile with every image by its digest, which means the same to every version of Buildah.

use std::fmt::Write as _;
use std::ops::Range;

use imgop_registry::reference::{Digest, Repository};

use super::instruction::Located;
use super::resolve::{Place, Refers, Use};
use super::{Dockerfile, Feature, NeededImage, Resolved, Stage};

/// A part of the file and what replaces it.
struct Replacement {
    place: Range<usize>,
    text: String,
}

impl Dockerfile {
    /// Returns the file with every image that a build needs by the digest of its manifest for the platform.
    /// `FROM --platform` is left out for versions of Buildah that apply it to later stages too; newer ones find no image
    /// of another platform without it. Stages are called as
    /// they are written, stages that are not needed are empty, and lines keep their numbers. Returns none
    /// if an image has no digest.
    pub fn pinned(
        &self,
        resolved: &Resolved,
        digest_of: impl Fn(&NeededImage) -> Option<(Repository, Digest)>,
    ) -> Option<String> {
        let mut replacements = self.escape_first();
        for used in &resolved.uses {
            let mut reference = self.reference(&used.refers, resolved, &digest_of)?;
            if let (Place::From, Refers::Image(_, platform), true) =
                (&used.place, &used.refers, self.buildah.has(Feature::StagePlatform))
            {
                reference = format!("--platform={platform} {reference}");
            }
            replacements.push(self.replacement(used, &reference)?);
        }
        let unneeded = self.stages().iter().filter(|stage| !resolved.stages.contains(&stage.number));
        replacements.extend(unneeded.filter_map(|stage| self.emptied(stage)));
        replacements.sort_by_key(|replacement| replacement.place.start);
        let (mut text, mut end) = (String::new(), 0);
        for replacement in replacements {
            text.push_str(self.source.text.get(end..replacement.place.start)?);
            text.push_str(&replacement.text);
            end = replacement.place.end;
        }
        text.push_str(self.source.text.get(end..)?);
        Some(text)
    }

    /// Returns how a stage or an image is named in the pinned file.
    fn reference(
        &self,
        refers: &Refers,
        resolved: &Resolved,
        digest_of: &impl Fn(&NeededImage) -> Option<(Repository, Digest)>,
    ) -> Option<String> {
        match refers {
            Refers::Scratch => Some("scratch".to_owned()),
            Refers::Stage(number) => self.stages().get(*number).map(Stage::label),
            Refers::Image(image, platform) => {
                let is_this = |needed: &&NeededImage| &needed.image == image && &needed.platform == platform;
                let (repository, digest) = digest_of(resolved.images.iter().find(is_this)?)?;
                Some(format!("{repository}@{digest}"))
            }
        }
    }

    fn replacement(&self, used: &Use, reference: &str) -> Option<Replacement> {
        match &used.place {
            Place::From => self.base(self.stages().get(used.stage)?, reference),
            Place::Copy(from) => {
                let text = format!("--from={reference}{}", self.line_ends(&from.word, true));
                Some(Replacement { place: from.word.clone(), text })
            }
            Place::Mount { from, value } => self.mount(from, value, reference),
        }
    }

    /// Returns the FROM of a stage with this image.
    fn base(&self, stage: &Stage, reference: &str) -> Option<Replacement> {
        let place = self.instructions(stage).first()?.span.clone();
        Some(Replacement { text: self.first_line(stage, reference, &place), place })
    }

    /// Returns a stage that is not needed without its instructions: old versions of Buildah read them all the
    /// same, and panic at `COPY --from=9`.
    fn emptied(&self, stage: &Stage) -> Option<Replacement> {
        let instructions = self.instructions(stage);
        let place = instructions.first()?.span.start..instructions.last()?.span.end;
        Some(Replacement { text: self.first_line(stage, "scratch", &place), place })
    }

    /// Returns the FROM of a stage in place of this part of the file.
    fn first_line(&self, stage: &Stage, reference: &str, place: &Range<usize>) -> String {
        let mut text = format!("FROM {reference}");
        if let Some(name) = &stage.name {
            // A String takes whatever is written.
            let _ = write!(text, " AS {name}");
        }
        text.push_str(&self.line_ends(place, false));
        text
    }

    /// Returns a mount whose `from` is this, written anew: the option may be continued over a line, or stand between
    /// quotes. None if it has signs that would need them.
    fn mount(&self, from: &Located, value: &str, reference: &str) -> Option<Replacement> {
        let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || "\"'\\`$".contains(c);
        if value.contains(needs_quotes) && !self.is_written_so(from, value) {
            return None;
        }
        let option = |option: &str| match option.split_once('=') {
            Some(("from", _)) => format!("from={reference}"),
            _ => option.to_owned(),
        };
        let options: Vec<String> = value.split(',').map(option).collect();
        let text = format!("--mount={}{}", options.join(","), self.line_ends(&from.word, true));
        Some(Replacement { place: from.word.clone(), text })
    }

    /// Whether a mount stands in the file as it is read, without quotes and escapes.
    fn is_written_so(&self, from: &Located, value: &str) -> bool {
        self.source.text.get(from.word.clone()).and_then(|word| word.strip_prefix("--mount=")) == Some(value)
    }

    /// Returns as many line ends as a part of the file has, so that later lines keep their numbers. Within an
    /// instruction they are continued.
    fn line_ends(&self, place: &Range<usize>, is_within: bool) -> String {
        let count = self.source.text.get(place.clone()).unwrap_or_default().matches('\n').count();
        let end = if is_within { format!(" {}\n", self.directives.escape) } else { "\n".to_owned() };
        end.repeat(count)
    }

    /// Returns the directive `escape` as the first line: Buildah sees it nowhere else.
    fn escape_first(&self) -> Vec<Replacement> {
        let Some(late) = self.directives.late_escape.clone() else { return Vec::new() };
        let first_line = self.source.text.lines().next().unwrap_or_default();
        vec![
            Replacement { place: 0..first_line.len(), text: "# escape=`".to_owned() },
            Replacement { place: late, text: first_line.to_owned() },
        ]
    }
}
