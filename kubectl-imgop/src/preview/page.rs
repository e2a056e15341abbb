//! A preview for people: a sign and a word for each tag, and one sentence that sums it up.

use imgop_core::copy::TagState;
use jiff::Timestamp;

use super::document::{Action, Report, TagReport};
use super::rows::tags;
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::table::Table;
use crate::output::text::{bytes, count};

/// Follows the summary of a suspended Image.
const SUSPENDED: &str = "The Image is suspended: nothing is copied until it is resumed.";

/// Follows where the user may list the Images of one namespace alone.
const IN_NAMESPACE_ONLY: &str = "Images of other namespaces were not compared: you may not list them. Where one of \
                                 them gives a tag other content, each overwrites what the other put.";

/// What is said of tags that could not be compared.
const NOT_CHECKED: &str = "not checked";

/// What to print.
#[derive(Debug, Clone, Copy)]
pub struct PageOptions {
    /// Whole digests.
    pub wide: bool,
    /// The lines around the table.
    pub headers: bool,
    /// One line for each tag that is left out.
    pub excluded: bool,
    /// The verb that prints it.
    pub verb: Verb,
}

/// A verb that prints previews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `preview`.
    Preview,
    /// `copy`, which has fewer flags.
    Copy,
}

impl Verb {
    /// Returns what lists the tags that are left out.
    fn show_excluded(self) -> &'static str {
        match self {
            Self::Preview => "add --show-excluded",
            Self::Copy => "preview it with --show-excluded",
        }
    }
}

/// Prints a preview.
pub fn print(ui: Ui, report: &Report, options: PageOptions) -> Result<(), CliError> {
    if options.headers {
        ui.table(&heading(report), false)?;
        ui.data("\n")?;
    }
    if !report.tags.is_empty() {
        ui.table(&tags(report, options.wide, Timestamp::now()), options.headers)?;
        ui.data(if options.headers { "\n" } else { "" })?;
    }
    if options.headers {
        ui.data(&summary(report))?;
        ui.data(run_keeps(report).unwrap_or_default())?;
        ui.data(&transfer(report))?;
        ui.data(&rest(report))?;
        ui.data(&report.prune.as_ref().map(|prune| format!("Prune: {prune}.")).unwrap_or_default())?;
        ui.data(&unchecked(report).join("\n"))?;
        ui.data(if report.conflicts_in_namespace_only { IN_NAMESPACE_ONLY } else { "" })?;
        ui.data(not_asked(report).unwrap_or_default())?;
    }
    if options.excluded && !report.excluded.is_empty() {
        ui.data(if options.headers { "\n" } else { "" })?;
        ui.table(&excluded(report), options.headers)?;
    } else if options.headers
        && let Some(text) = excluded_summary(report, options.verb.show_excluded())
    {
        ui.data(&text)?;
    }
    Ok(())
}

fn heading(report: &Report) -> Table {
    let mut table = Table::new([]);
    if let Some(image) = &report.image {
        table.row(["IMAGE".to_owned(), image.to_string()]);
    }
    let listed = report.listed.map(|n| count(n, "tag")).unwrap_or_default();
    table.row(["SOURCE".to_owned(), report.source.clone(), listed]);
    table.row(["VERSION".to_owned(), report.version.clone(), report.narrowing.clone()]);
    if let Some(destination) = &report.destination {
        table.row(["DESTINATION".to_owned(), destination.clone(), report.creation.clone()]);
    }
    table
}

/// Returns how much is sent, and how much the destination has already.
fn transfer(report: &Report) -> String {
    let Some(transfer) = report.transfer else { return String::new() };
    let present = match transfer.present_bytes {
        0 => String::new(),
        present => format!("; the destination has {} of the layers already", bytes(present)),
    };
    format!("To send: {}{present}.", bytes(transfer.sent_bytes))
}

/// Returns that `run` does less than an agent, if so.
fn run_keeps(report: &Report) -> Option<&'static str> {
    let is_overwritten = |tag: &TagReport| tag.state == TagState::Differs && tag.is_copied();
    (report.run_keeps && report.tags.iter().any(is_overwritten)).then_some(
        "The agent overwrites what differs, as no copy of it is recorded; kubectl imgop run leaves a tag that is there \
         as it is: mode OnceByTag.",
    )
}

/// Returns that nothing is copied whatever the registries have, if so.
fn rest(report: &Report) -> String {
    let name = report.image.as_ref().map_or("NAME", |image| &image.name);
    match report {
        _ if report.suspended => SUSPENDED.to_owned(),
        _ if report.done => format!(
            "The Image is done: mode OneShot copies nothing more until its spec changes or kubectl imgop sync \
             {name} asks for it."
        ),
        _ => String::new(),
    }
}

/// Returns one sentence that sums the tags up.
fn summary(report: &Report) -> String {
    if report.tags.is_empty() && report.excluded.iter().any(|excluded| excluded.is_young) {
        return format!("Every tag of {} that matches {} is too young.", report.source, report.version);
    }
    if report.tags.is_empty() {
        // What the source has instead stands in the warning.
        return "0 tags.".to_owned();
    }
    let number =
        |is_counted: &dyn Fn(&TagReport) -> bool| report.tags.iter().filter(|tag| is_counted(tag)).count();
    let acted = |state: TagState, action: Action| {
        number(&|tag| tag.conflict.is_none() && tag.state == state && tag.action == Some(action))
    };
    let in_state = |state: TagState| number(&|tag| tag.state == state);
    let parts = [
        (in_state(TagState::AtSource), "at the source"),
        (acted(TagState::Missing, Action::Copy), "to copy"),
        (in_state(TagState::UpToDate), "up to date"),
        (in_state(TagState::AlreadySynced), "already synced"),
        (acted(TagState::Differs, Action::Copy), "to be overwritten"),
        (number(&|tag| tag.action == Some(Action::RetryLater)), "to copy again after a failure"),
        (acted(TagState::Differs, Action::Keep), "differing and kept"),
        (acted(TagState::Differs, Action::Wait), "differing and kept for now: the new content is too young"),
        (in_state(TagState::NotFound), "not at the source"),
        (in_state(TagState::PlatformNotFound), "without a selected platform"),
        (in_state(TagState::FormatUnsupported), "in an unsupported format"),
        (number(&|tag| tag.conflict.is_some()), "owned by an older Image"),
        (in_state(TagState::NotChecked), "not checked"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("{}: {}.", count(report.tags.len(), "tag"), parts.join(", "))
}

/// Returns why tags could not be checked, are not changed, or lack the selected platforms: each reason once,
/// with the number of its tags.
fn unchecked(report: &Report) -> Vec<String> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let of_no_side = |text: &str| {
        let text =
            ["source: ", "destination: "].iter().find_map(|side| text.strip_prefix(side)).unwrap_or(text);
        without_tag(report, text)
    };
    let failure = report.failure.as_deref().map(of_no_side);
    for tag in &report.tags {
        let Some(reason) = tag.conflict.as_ref().or(tag.reason.as_ref()) else { continue };
        // What is the same for all tags but for their names is one reason.
        let mut reason = without_tag(report, reason);
        if let Some(destination_tag) = &tag.destination_tag {
            reason = reason.replace(&format!(":{destination_tag} belongs"), " belongs");
        }
        let what = match tag.state {
            _ if tag.conflict.is_some() => "not changed",
            TagState::PlatformNotFound => "without a selected platform",
            TagState::FormatUnsupported => "in an unsupported format",
            _ => match tag.action {
                Some(Action::RetryLater) => "failed and tried again later",
                Some(Action::Keep) => "kept",
                Some(Action::Wait) => "too young",
                _ => NOT_CHECKED,
            },
        };
        // The error says it.
        if what == NOT_CHECKED && failure.as_ref() == Some(&of_no_side(&reason)) {
            continue;
        }
        let reason = format!("{what}: {reason}");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, number)) => *number += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.into_iter().map(|(reason, n)| format!("{} {reason}", count(n, "tag"))).collect()
}

/// Returns a reason without the tag that it names: another one than its own, where one refusal is that of all.
fn without_tag(report: &Report, reason: &str) -> String {
    let repositories = std::iter::once(&report.source).chain(&report.destination);
    let mut text = reason.to_owned();
    for repository in repositories {
        let start = format!("{repository}:");
        if let Some((before, rest)) = text.split_once(&start)
            && let Some((tag, after)) = rest.split_once(": ")
            && !tag.contains(' ')
        {
            text = format!("{before}{repository}: {after}");
        }
    }
    text
}

/// Returns why digests are missing that were not requested.
fn not_asked(report: &Report) -> Option<&'static str> {
    let is_open = |tag: &TagReport| tag.source_digest.is_none() || tag.destination_digest.is_none();
    let mut synced = report.tags.iter().filter(|tag| tag.state == TagState::AlreadySynced);
    synced.any(is_open).then_some(
        "A digest that is empty was not requested: for a tag that is synced, or that never changes, it is enough \
         that the destination has it.",
    )
}

fn excluded(report: &Report) -> Table {
    let mut table = Table::new(["", "EXCLUDED", "REASON"]);
    for excluded in &report.excluded {
        table.row(["-".to_owned(), excluded.tag.clone(), excluded.reason.clone()]);
    }
    table
}

/// Returns how many tags are too young, how many nearly match, and what would include them.
fn excluded_summary(report: &Report, show: &str) -> Option<String> {
    let candidates = report.excluded.iter().filter(|e| e.is_candidate).count();
    let young = report.excluded.iter().filter(|e| e.is_young).count();
    let others = report.excluded.len() - candidates - young + report.excluded_beyond;
    let (are, them) = if candidates == 1 { ("is", "it") } else { ("are", "them") };
    let candidates = (candidates > 0).then(|| {
        format!(
            "{} {are} excluded; {} to include {them}.",
            count(candidates, "pre-release"),
            report.wording.candidates()
        )
    });
    let young = (young > 0).then(|| {
        let are = if young == 1 { "is" } else { "are" };
        format!("{} {are} too young; {show} to see until when.", count(young, "tag"))
    });
    let others = (others > 0).then(|| {
        let match_ = if others == 1 { "nearly matches" } else { "nearly match" };
        format!("{} {match_}; {show} to see why not.", count(others, "other tag"))
    });
    let lines: Vec<String> = young.into_iter().chain(candidates).chain(others).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
