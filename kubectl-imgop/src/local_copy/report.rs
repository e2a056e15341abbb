//! What became of each tag: a line for each on stdout as soon as it is known, or one document at the end.

use imgop_copier::{Copied, Progress};
use imgop_core::copy::{Copy, CopyRequest, Plan, PlannedTag, TagAction};
use imgop_registry::reference::{Digest, Tag};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::{CliError, Outcome};
use crate::local_build::Built;
use crate::output::Ui;
use crate::output::documents::{RunFormat, json, yaml};
use crate::output::text::{bytes, count};

/// The version of the document that `-o json` prints: its fields only ever become more.
const API_VERSION: &str = "imgop.copy/v1";

/// The document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.copy/v1")]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    /// The version of the document.
    api_version: &'static str,
    /// What became of the tags of each source and destination.
    copies: &'a [Report],
    /// What could not be looked at at all.
    #[serde(skip_serializing_if = "<[Failed]>::is_empty")]
    #[schemars(default)]
    failed: &'a [Failed],
    /// How much was moved; nothing of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<Transfer>,
    /// What became of ImageBuilders.
    #[serde(skip_serializing_if = "<[Built]>::is_empty")]
    #[schemars(default)]
    builds: &'a [Built],
}

/// What could not be looked at at all.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The Image, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why.
    pub error: String,
}

/// What became of the tags of one source and destination.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The source repository.
    pub source: String,
    /// The destination repository.
    pub destination: String,
    /// The tags.
    pub tags: Vec<TagResult>,
}

/// What became of one tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagResult {
    /// The tag, or the digest, at the source.
    tag: String,
    /// The tag at the destination.
    destination_tag: String,
    /// What became of it.
    result: TagOutcome,
    /// What the destination has now, or would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    digest: Option<Digest>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TagOutcome {
    /// It was copied.
    Copied,
    /// It is missing or differs, and a dry run copies nothing.
    WouldCopy,
    /// The destination has it.
    UpToDate,
    /// The destination has the tag; what it shows was not compared (mode OnceByTag, or a tag of immutableTags).
    Present,
    /// The destination has other content, which is not replaced.
    Kept,
    /// It is too young.
    Waits,
    /// It could not be copied.
    Failed,
}

/// How much was moved.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    /// Bytes that were sent.
    sent_bytes: u64,
    /// Bytes that an earlier upload had sent, and that were not sent again.
    resumed_bytes: u64,
    /// Blobs that were sent.
    sent_blobs: u64,
    /// Blobs that the registry took from another repository of its own.
    mounted_blobs: u64,
}

/// What became of all tags.
pub struct Reports {
    ui: Ui,
    format: Option<RunFormat>,
    all: Vec<Report>,
    failed: Vec<Failed>,
    transfer: Option<Transfer>,
}

impl TagOutcome {
    fn words(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::WouldCopy => "would be copied",
            Self::UpToDate => "is up to date",
            Self::Present => "is there already, and was not compared",
            Self::Kept => "kept with other content",
            Self::Waits => "waits until it is old enough",
            Self::Failed => "failed",
        }
    }
}

impl Report {
    /// Returns a report without tags.
    pub fn new(request: &CopyRequest) -> Self {
        let (source, destination) = (request.source.to_string(), request.destination.to_string());
        Self { source, destination, tags: Vec::new() }
    }

    /// Returns the report of one copy.
    pub fn of_one(request: &CopyRequest, copy: &Copy, outcome: Result<Copied, String>) -> Self {
        let mut report = Self::new(request);
        report.add_ended(copy, outcome);
        report
    }

    fn add_ended(&mut self, copy: &Copy, outcome: Result<Copied, String>) {
        let (result, digest, reason) = match outcome {
            Ok(Copied::Done(digest)) => (TagOutcome::Copied, Some(digest), None),
            Ok(Copied::Kept(digest)) => (TagOutcome::Kept, Some(digest), None),
            Err(why) => (TagOutcome::Failed, None, Some(why)),
        };
        self.add(&copy.source_ref.to_string(), &copy.destination_tag, result, digest, reason);
    }

    fn add(
        &mut self,
        source: &str,
        tag: &Tag,
        result: TagOutcome,
        digest: Option<Digest>,
        reason: Option<String>,
    ) {
        let (tag, destination_tag) = (source.to_owned(), tag.to_string());
        self.tags.push(TagResult { tag, destination_tag, result, digest, reason });
    }
}

impl Reports {
    /// Returns that nothing is known yet.
    pub fn new(ui: Ui, format: Option<RunFormat>) -> Self {
        Self { ui, format, all: Vec::new(), failed: Vec::new(), transfer: None }
    }

    /// Keeps a report, which gets the next place.
    pub fn keep(&mut self, report: Report) {
        self.all.push(report);
    }

    /// Adds what could not be looked at. Its name is empty where it is no Image.
    pub fn add_failed(&mut self, name: &str, error: &CliError) {
        let image = (!name.is_empty()).then(|| name.to_owned());
        self.failed.push(Failed { image, error: error.message.clone() });
    }

    /// Adds the tags of a plan for which nothing is copied.
    pub fn add_untouched(&self, report: &mut Report, plan: &Plan) -> Result<(), CliError> {
        for PlannedTag { source_ref, destination_tag, action, .. } in &plan.tags {
            let (result, reason) = match action {
                TagAction::Copy(_) | TagAction::Publish(_) | TagAction::Wait => continue,
                TagAction::UpToDate => (TagOutcome::UpToDate, None),
                TagAction::AlreadySynced => (TagOutcome::Present, None),
                TagAction::Keep => (TagOutcome::Kept, None),
                TagAction::Young(_) => (TagOutcome::Waits, None),
                TagAction::BackOff(failure) | TagAction::RetryLater(failure) => {
                    (TagOutcome::Failed, Some(failure.message.clone()))
                }
            };
            report.add(&source_ref.to_string(), destination_tag, result, None, reason);
            self.print_last(report)?;
        }
        Ok(())
    }

    /// Adds a tag that a dry run leaves alone.
    pub fn would_copy(&self, report: &mut Report, copy: &Copy) -> Result<(), CliError> {
        let digest = Some(copy.digest.clone());
        let source = copy.source_ref.to_string();
        report.add(&source, &copy.destination_tag, TagOutcome::WouldCopy, digest, None);
        self.print_last(report)
    }

    /// Adds a tag whose copy has ended to the report at this place.
    pub fn ended(
        &mut self,
        place: usize,
        copy: &Copy,
        outcome: Result<Copied, String>,
    ) -> Result<(), CliError> {
        let Some(report) = self.all.get_mut(place) else { return Ok(()) };
        report.add_ended(copy, outcome);
        let (ui, format) = (self.ui, self.format);
        print_last(ui, format, report)
    }

    fn print_last(&self, report: &Report) -> Result<(), CliError> {
        print_last(self.ui, self.format, report)
    }

    /// Adds what was moved.
    pub fn count(&mut self, progress: &Progress) {
        self.transfer = Some(Transfer {
            sent_bytes: progress.sent_bytes(),
            resumed_bytes: progress.resumed_bytes(),
            sent_blobs: progress.sent_blobs(),
            mounted_blobs: progress.mounted_blobs(),
        });
    }

    /// Prints the document, or a last line for people, and returns how all ended.
    pub fn end(&self, builds: &[Built]) -> Result<Outcome, CliError> {
        let Self { all: copies, failed, transfer, .. } = self;
        let document = Document { api_version: API_VERSION, copies, failed, transfer: *transfer, builds };
        match self.format {
            Some(RunFormat::Json) => self.ui.data(&json(&document)?)?,
            Some(RunFormat::Yaml) => self.ui.data(&yaml(&document)?)?,
            Some(RunFormat::Name) => {
                builds.iter().flat_map(|built| &built.references).try_for_each(|name| self.ui.data(name))?;
            }
            None => {
                if let Some(last) = self.last_line() {
                    self.ui.note(&last);
                }
            }
        }
        Ok(if self.number_of(TagOutcome::Failed) > 0 { Outcome::NotReady } else { Outcome::Done })
    }

    fn number_of(&self, result: TagOutcome) -> usize {
        self.all.iter().flat_map(|report| &report.tags).filter(|tag| tag.result == result).count()
    }

    /// Returns what became of all; nothing where all that there is to say is the error of the only target.
    fn last_line(&self) -> Option<String> {
        let is_alone = self.all.is_empty() && self.failed.len() == 1;
        let failed = self.number_of(TagOutcome::Failed);
        let parts = [
            (!self.all.is_empty()).then(|| self.copied()),
            (failed > 0).then(|| format!("{} failed", count(failed, "tag"))),
            (!self.failed.is_empty() && !is_alone)
                .then(|| format!("{} could not be looked at", count(self.failed.len(), "object"))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Returns how many tags were copied, or would be by a dry run.
    fn copied(&self) -> String {
        let Some(Transfer { sent_bytes, sent_blobs, mounted_blobs, .. }) = self.transfer else {
            return format!("{} would be copied", count(self.number_of(TagOutcome::WouldCopy), "tag"));
        };
        let number = |blobs: u64| count(usize::try_from(blobs).unwrap_or(usize::MAX), "blob");
        let copied = count(self.number_of(TagOutcome::Copied), "tag");
        let text = format!("{copied} copied: {} sent in {}", bytes(sent_bytes), number(sent_blobs));
        if mounted_blobs > 0 { format!("{text}, {} mounted", number(mounted_blobs)) } else { text }
    }
}

/// Prints the line of the last tag, and why it failed.
pub fn print_last(ui: Ui, format: Option<RunFormat>, report: &Report) -> Result<(), CliError> {
    let Some(TagResult { destination_tag, result, reason, .. }) = report.tags.last() else { return Ok(()) };
    let reference = format!("{}:{destination_tag}", report.destination);
    if *result == TagOutcome::Failed {
        let why = reason.as_deref().unwrap_or_default();
        ui.error_of_several(&CliError::failed(format!("{reference}: {why}")));
    }
    match format {
        None => ui.data(&format!("{reference} {}", result.words())),
        Some(RunFormat::Name) if matches!(result, TagOutcome::Copied | TagOutcome::WouldCopy) => {
            ui.data(&reference)
        }
        Some(_) => Ok(()),
    }
}
