//! What `run --watch` prints: what became of each tag as soon as it is known, and how each Image stands after a round. With
//! `-o json` each is a line of its own.

use imgop_copier::Copied;
use imgop_core::api::{Counts, TagFailure};
use imgop_core::copy::{Copy, Plan};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::kept::Kept;
use super::report::{Report, TagResult, print_last};
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::documents::RunFormat;
use crate::output::text::count;
use crate::preview::targets::Target;

/// The version of the lines that `-o json` prints: their fields only ever become more.
const API_VERSION: &str = "imgop.run/v1";

/// The most reasons of an Image that a line has.
const MAX_REASONS: usize = 10;

/// Prints events.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    ui: Ui,
    format: Option<RunFormat>,
}

/// A line.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.run/v1")]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    /// The version of the document.
    api_version: &'static str,
    /// When it happened.
    #[schemars(with = "String")]
    time: Timestamp,
    #[serde(flatten)]
    event: Event<'a>,
}

/// Something that happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    /// The files were read: this number of Images is kept.
    Files {
        /// How many.
        images: usize,
        /// Tags that two sources of an ImageMirror would become, so that none of them is copied.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schemars(default)]
        conflicts: Vec<&'a str>,
    },
    /// The files have changed and cannot be used; what they said before holds.
    FilesUnusable {
        /// Why.
        message: String,
    },
    /// A tag was copied, or could not be.
    Tag {
        /// The Image.
        image: String,
        /// The source repository.
        source: &'a str,
        /// The destination repository.
        destination: &'a str,
        #[serde(flatten)]
        result: &'a TagResult,
    },
    /// An Image was looked at, and what it lacked was copied.
    Round {
        /// The Image.
        image: &'a str,
        /// How many tags are in which state; nothing if the registries could not be asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        tags: Option<Counts>,
        /// Why not all is well.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// When it is looked at again, if it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        next: Option<Timestamp>,
    },
}

impl Events {
    /// Returns what prints in this format: JSON is a line for each event.
    pub fn new(ui: Ui, format: Option<RunFormat>) -> Self {
        Self { ui, format }
    }

    /// Reports how many Images the files have, and which tags of them are left out.
    pub fn files_read(self, images: usize, conflicts: &[CliError], now: Timestamp) -> Result<(), CliError> {
        for conflict in conflicts {
            self.ui.error_of_several(conflict);
        }
        if self.format != Some(RunFormat::Json) {
            self.ui.note(&format!("{} kept", count(images, "Image")));
        }
        let conflicts = conflicts.iter().map(|conflict| conflict.message.as_str()).collect();
        self.line(Event::Files { images, conflicts }, now)
    }

    /// Reports that files cannot be used any more.
    pub fn files_unusable(self, errors: &[CliError], now: Timestamp) -> Result<(), CliError> {
        for error in errors {
            self.ui.error(error);
        }
        self.ui.note("what the files said before still holds");
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        self.line(Event::FilesUnusable { message: messages.join("; ") }, now)
    }

    /// Reports what became of a copy.
    pub fn copied(
        self,
        target: &Target,
        copy: &Copy,
        outcome: Result<Copied, String>,
        now: Timestamp,
    ) -> Result<(), CliError> {
        let report = Report::of_one(&target.request, copy, outcome);
        print_last(self.ui, self.format, &report)?;
        let Report { source, destination, tags } = &report;
        tags.iter().try_for_each(|result| {
            self.line(Event::Tag { image: target.name(), source, destination, result }, now)
        })
    }

    /// Reports that the registries of an Image could not be looked at.
    pub fn look_failed(self, kept: &Kept, error: &CliError, now: Timestamp) -> Result<(), CliError> {
        let (image, next) = (kept.name(), kept.next().map(in_seconds));
        self.ui.error(&CliError { message: format!("{image}: {}", error.message), ..error.clone() });
        self.say(image, "not looked at", next);
        let message = Some(error.message.clone());
        self.line(Event::Round { image, tags: None, message, next }, now)
    }

    /// Reports how an Image stands after a round. `new` are failures that were not reported before.
    pub fn round_ended(
        self,
        kept: &Kept,
        plan: &Plan,
        new: &[TagFailure],
        now: Timestamp,
    ) -> Result<(), CliError> {
        let (image, next, tags) = (kept.name(), kept.next().map(in_seconds), plan.counts());
        for TagFailure { tag, message, .. } in new {
            self.ui.error_of_several(&CliError::failed(format!("{image}: {tag}: {message}")));
        }
        self.say(image, &stands(&tags), next);
        let message = reasons(plan);
        self.line(Event::Round { image, tags: Some(tags), message, next }, now)
    }

    fn say(self, image: &str, stands: &str, next: Option<Timestamp>) {
        let next = next.map_or_else(String::new, |next| format!("; next look at {next}"));
        self.ui.note(&format!("{image}: {stands}{next}"));
    }

    /// Prints the line of an event, where lines are wanted.
    fn line(self, event: Event<'_>, now: Timestamp) -> Result<(), CliError> {
        if self.format != Some(RunFormat::Json) {
            return Ok(());
        }
        let line = Line { api_version: API_VERSION, time: in_seconds(now), event };
        let line = serde_json::to_string(&line)
            .map_err(|error| CliError::failed(format!("cannot write an event: {error}")))?;
        self.ui.data(&line)
    }
}

/// Returns why tags are not as they are to be, each reason once; those whose copy failed are reported already.
fn reasons(plan: &Plan) -> Option<String> {
    let mut reasons: Vec<String> = Vec::new();
    for failure in plan.failures().filter(|failure| failure.tries() == 0) {
        if !reasons.contains(&failure.message) {
            reasons.push(failure.message.clone());
        }
    }
    let beyond = reasons.len().saturating_sub(MAX_REASONS);
    reasons.truncate(MAX_REASONS);
    reasons.extend((beyond > 0).then(|| format!("and {beyond} more")));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Returns how the tags of an Image stand.
fn stands(tags: &Counts) -> String {
    let number = |tags: u32| usize::try_from(tags).unwrap_or(usize::MAX);
    let mut text = format!("{} of {} up to date", tags.synced, count(number(tags.matched), "tag"));
    for (number, what) in [(tags.kept, "kept"), (tags.failed, "failed")] {
        if number > 0 {
            text = format!("{text}, {number} {what}");
        }
    }
    text
}

fn in_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
