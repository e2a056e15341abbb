//! A preview for people: a sign and a word for each tag, and one sentence that sums it up.

use anstyle::{AnsiColor, Style};
use imgop_core::copy::TagState;
use imgop_registry::reference::Digest;

use super::report::{Report, TagReport};
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::table::Table;
use crate::output::text::count;

/// Follows the summary of a suspended Image.
const SUSPENDED: &str = "The Image is suspended: nothing is copied until it is resumed.";

/// What to print.
#[derive(Debug, Clone, Copy)]
pub struct PageOptions {
    /// Whole digests.
    pub wide: bool,
    /// The lines around the table.
    pub headers: bool,
    /// One line for each tag that is left out.
    pub excluded: bool,
}

/// Prints a preview.
pub fn print(ui: Ui, report: &Report, options: PageOptions) -> Result<(), CliError> {
    if options.headers {
        ui.table(&heading(report), false)?;
        ui.data("\n")?;
    }
    if !report.tags.is_empty() {
        ui.table(&tags(report, options), options.headers)?;
        ui.data(if options.headers { "\n" } else { "" })?;
    }
    if options.headers {
        ui.data(&summary(report))?;
        ui.data(if report.suspended { SUSPENDED } else { "" })?;
        ui.data(&unchecked(report).join("\n"))?;
        ui.data(not_asked(report).unwrap_or_default())?;
    }
    if options.excluded && !report.excluded.is_empty() {
        ui.data(if options.headers { "\n" } else { "" })?;
        ui.table(&excluded(report), options.headers)?;
    } else if options.headers
        && let Some(text) = excluded_summary(report)
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
        table.row(["DESTINATION".to_owned(), destination.clone(), String::new()]);
    }
    table
}

fn tags(report: &Report, options: PageOptions) -> Table {
    let has_destination = report.destination.is_some();
    let renames = report.tags.iter().any(|t| t.destination_tag.as_ref().is_some_and(|d| *d != t.tag));
    let mut header = vec!["", "TAG", "STATE", "DIGEST"];
    if has_destination {
        header.extend(renames.then_some("DESTINATION-TAG"));
        header.push("DESTINATION-DIGEST");
    }
    let has_platforms = options.wide && report.tags.iter().any(|tag| !tag.platforms.is_empty());
    header.extend(has_platforms.then_some("PLATFORMS"));
    let has_referrers = report.tags.iter().any(|tag| tag.referrer_of.is_some());
    header.extend(has_referrers.then_some("REFERS-TO"));
    let mut table = Table::new(header);
    for tag in &report.tags {
        let (sign, colour, state) = state(report, tag);
        // What the destination should have, so that equal digests are equal on the page.
        let wanted = tag.content_digest.as_ref().or(tag.source_digest.as_ref());
        let mut cells =
            vec![sign.to_owned(), tag.tag.clone(), state, digest(wanted, tag.no_source_digest, options)];
        if has_destination {
            cells.extend(renames.then(|| tag.destination_tag.clone().unwrap_or_default()));
            cells.push(digest(tag.destination_digest.as_ref(), tag.no_destination_digest, options));
        }
        cells.extend(has_platforms.then(|| match tag.platforms.as_slice() {
            [] if tag.state == TagState::PlatformNotFound => "<none>".to_owned(),
            platforms => platforms.join(","),
        }));
        cells.extend(has_referrers.then(|| match &tag.referrer_of {
            None => String::new(),
            Some(subject) => digest(Some(subject), "", options),
        }));
        table.styled_row(colour.map_or_else(Style::new, AnsiColor::on_default), cells);
    }
    table
}

/// Returns the sign, the colour and the state of a tag.
fn state(report: &Report, tag: &TagReport) -> (&'static str, Option<AnsiColor>, String) {
    let word = tag.state_word.clone();
    match tag.state {
        _ if tag.conflict.is_some() => ("!", Some(AnsiColor::Red), format!("{word} (conflict)")),
        TagState::Missing => ("+", Some(AnsiColor::Green), word),
        TagState::UpToDate | TagState::AlreadySynced => ("=", None, word),
        TagState::Differs if report.keeps => ("=", None, format!("{word} (kept)")),
        TagState::Differs if tag.is_young => ("=", None, format!("{word} (too young)")),
        TagState::Differs => ("~", Some(AnsiColor::Yellow), word),
        TagState::NotFound | TagState::PlatformNotFound => ("!", Some(AnsiColor::Red), word),
        // Only the source was asked, and it has the tag.
        TagState::NotChecked if tag.is_at_source => ("", None, word),
        TagState::NotChecked => ("?", Some(AnsiColor::Red), word),
    }
}

fn digest(digest: Option<&Digest>, otherwise: &str, options: PageOptions) -> String {
    match digest {
        None => otherwise.to_owned(),
        Some(digest) if options.wide => digest.to_string(),
        Some(digest) => digest.short().to_owned(),
    }
}

/// Returns one sentence that sums the tags up.
fn summary(report: &Report) -> String {
    if report.tags.is_empty() && report.excluded.iter().any(|excluded| excluded.is_young) {
        return format!("Every tag of {} that matches {} is too young.", report.source, report.version);
    }
    if report.tags.is_empty() {
        return format!("No tag of {} matches {}.", report.source, report.version);
    }
    let conflicts = report.tags.iter().filter(|tag| tag.conflict.is_some()).count();
    let is_free = |tag: &&TagReport| tag.conflict.is_none();
    let number =
        |state: TagState| report.tags.iter().filter(is_free).filter(|tag| tag.state == state).count();
    let young = report.tags.iter().filter(|tag| tag.is_young).count();
    let differing = if report.keeps { "differing and kept" } else { "to be overwritten" };
    let mut parts = vec![
        (number(TagState::Missing), "to copy"),
        (number(TagState::UpToDate), "up to date"),
        (number(TagState::AlreadySynced), "already synced"),
        (number(TagState::Differs) - young, differing),
        (young, "differing and kept for now: the new content is too young"),
        (number(TagState::NotFound), "not at the source"),
        (number(TagState::PlatformNotFound), "without a selected platform"),
        (conflicts, "owned by an older Image"),
    ];
    if report.destination.is_none() {
        let without = number(TagState::PlatformNotFound);
        let present = report.tags.iter().filter(|tag| tag.is_at_source).count();
        parts = vec![
            (present, "at the source"),
            (number(TagState::NotFound), "not at the source"),
            (without, "without a selected platform"),
        ];
    }
    parts.push((report.unchecked(), "not checked"));
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("{}: {}.", count(report.tags.len(), "tag"), parts.join(", "))
}

/// Returns why tags could not be checked, are not changed, or lack the selected platforms: each reason once,
/// with the number of its tags.
fn unchecked(report: &Report) -> Vec<String> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let is_shown = |tag: &&TagReport| !tag.is_at_source;
    for tag in report.tags.iter().filter(is_shown) {
        let Some(reason) = tag.conflict.as_ref().or(tag.reason.as_ref()) else { continue };
        // What is the same for all tags but for their names is one reason.
        let mut reason = reason.replace(&format!(":{}: ", tag.tag), ": ");
        if let Some(destination_tag) = &tag.destination_tag {
            reason = reason.replace(&format!(":{destination_tag}: "), ": ");
            reason = reason.replace(&format!(":{destination_tag} belongs"), " belongs");
        }
        let what = match tag.state {
            _ if tag.conflict.is_some() => "not changed",
            TagState::PlatformNotFound => "without a selected platform",
            TagState::Differs => "too young",
            _ => "not checked",
        };
        let reason = format!("{what}: {reason}");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, number)) => *number += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.into_iter().map(|(reason, n)| format!("{} {reason}", count(n, "tag"))).collect()
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
fn excluded_summary(report: &Report) -> Option<String> {
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
        format!("{} {are} too young; add --show-excluded to see until when.", count(young, "tag"))
    });
    let others = (others > 0).then(|| {
        let match_ = if others == 1 { "nearly matches" } else { "nearly match" };
        format!("{} {match_}; add --show-excluded to see why not.", count(others, "other tag"))
    });
    let lines: Vec<String> = young.into_iter().chain(candidates).chain(others).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
