//! What `run --watch` prints: what became of each tag as soon as it is known, and how each Image stands after a round. With
//! `-o json` each is a line of its own.

use imgop_copier::Copied;
use imgop_core::api::Counts;
use imgop_core::copy::{Copy, Plan};
use jiff::Timestamp;
use serde::Serialize;

use super::kept::Kept;
use super::report::{Report, TagResult, print_last};
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::documents::ObjectFormat;
use crate::output::text::count;
use crate::preview::targets::Target;

/// The version of the lines that `-o json` prints: their fields only ever become more.
const API_VERSION: &str = "imgop.run/v1";

/// Prints events.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    ui: Ui,
    format: Option<ObjectFormat>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    api_version: &'static str,
    time: Timestamp,
    #[serde(flatten)]
    event: Event<'a>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    /// The files were read: this number of Images is kept.
    Files { images: usize },
    /// The files have changed and cannot be used; what they said before holds.
    FilesUnusable { message: String },
    /// A tag was copied, or could not be.
    Tag {
        image: String,
        source: &'a str,
        destination: &'a str,
        #[serde(flatten)]
        result: &'a TagResult,
    },
    /// An Image was looked at, and what it lacked was copied.
    Round {
        image: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tags: Option<Counts>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
    },
}

impl Events {
    /// Returns what prints in this format: JSON is a line for each event.
    pub fn new(ui: Ui, format: Option<ObjectFormat>) -> Self {
        Self { ui, format }
    }

    /// Reports how many Images the files have.
    pub fn files_read(self, images: usize, now: Timestamp) -> Result<(), CliError> {
        if self.format != Some(ObjectFormat::Json) {
            self.ui.note(&format!("{} kept", count(images, "Image")));
        }
        self.line(Event::Files { images }, now)
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
        let message = Some(error.message.as_str());
        self.line(Event::Round { image, tags: None, message, next }, now)
    }

    /// Reports how an Image stands after a round.
    pub fn round_ended(self, kept: &Kept, plan: &Plan, now: Timestamp) -> Result<(), CliError> {
        let (image, next, tags) = (kept.name(), kept.next().map(in_seconds), plan.counts());
        self.say(image, &stands(&tags), next);
        // Those whose copy failed are said already.
        let message = plan.failures().find(|failure| failure.tries() == 0);
        let message = message.map(|failure| failure.message.as_str());
        self.line(Event::Round { image, tags: Some(tags), message, next }, now)
    }

    fn say(self, image: &str, stands: &str, next: Option<Timestamp>) {
        let next = next.map_or_else(String::new, |next| format!("; next look at {next}"));
        self.ui.note(&format!("{image}: {stands}{next}"));
    }

    /// Prints the line of an event, where lines are wanted.
    fn line(self, event: Event<'_>, now: Timestamp) -> Result<(), CliError> {
        if self.format != Some(ObjectFormat::Json) {
            return Ok(());
        }
        let line = Line { api_version: API_VERSION, time: in_seconds(now), event };
        let line = serde_json::to_string(&line)
            .map_err(|error| CliError::failed(format!("cannot write an event: {error}")))?;
        self.ui.data(&line)
    }
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
