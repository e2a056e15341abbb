//! The table of a preview: a row for each tag, and a column for what is known of any of them.

use anstyle::{AnsiColor, Style};
use imgop_core::copy::TagState;
use imgop_registry::reference::Digest;
use jiff::Timestamp;

use super::document::{Action, Report, TagReport};
use crate::output::age::human;
use crate::output::table::Table;
use crate::output::text::{bytes, first_few};

/// Platforms that a row names where there is little room.
const MAX_PLATFORMS: usize = 2;

/// What makes the cell of a tag.
type Cell<'a> = Box<dyn Fn(&TagReport) -> String + 'a>;

/// Returns the table. `wide` shows whole digests, and all platforms.
pub fn tags(report: &Report, wide: bool, now: Timestamp) -> Table {
    let columns = columns(report, wide, now);
    let mut table = Table::new(columns.iter().map(|(header, _)| *header));
    for tag in &report.tags {
        let (_, colour, _) = state(tag);
        let cells = columns.iter().map(|(_, cell)| cell(tag));
        table.styled_row(colour.map_or_else(Style::new, AnsiColor::on_default), cells);
    }
    table
}

fn columns<'a>(report: &'a Report, wide: bool, now: Timestamp) -> Vec<(&'static str, Cell<'a>)> {
    let any = |is_known: &dyn Fn(&TagReport) -> bool| report.tags.iter().any(is_known);
    let renames = any(&|tag| tag.destination_tag.as_ref().is_some_and(|name| *name != tag.tag));
    let has_platforms = any(&|tag| !tag.platforms.is_empty())
        && (wide || any(&|tag| tag.size.is_some() || tag.created.is_some()));
    let mut columns: Vec<(&'static str, Cell<'a>)> = vec![
        ("", Box::new(|tag| state(tag).0.to_owned())),
        ("TAG", Box::new(|tag| tag.tag.clone())),
        ("STATE", Box::new(|tag| state(tag).2)),
    ];
    if any(&|tag| age(tag).is_some()) {
        columns.push(("AGE", Box::new(move |tag| since(age(tag), now))));
    }
    if any(&|tag| tag.size.is_some()) {
        columns.push(("SIZE", Box::new(|tag| tag.size.map(bytes).unwrap_or_default())));
    }
    // What the destination should have, so that equal digests are equal on the page.
    columns.push((
        "DIGEST",
        Box::new(move |tag| {
            let wanted = tag.content_digest.as_ref().or(tag.source_digest.as_ref());
            digest(wanted, tag.no_source_digest, wide)
        }),
    ));
    if report.destination.is_some() {
        if renames {
            columns
                .push(("DESTINATION-TAG", Box::new(|tag| tag.destination_tag.clone().unwrap_or_default())));
        }
        columns.push((
            "DESTINATION-DIGEST",
            Box::new(move |tag| digest(tag.destination_digest.as_ref(), tag.no_destination_digest, wide)),
        ));
    }
    if has_platforms {
        columns.push(("PLATFORMS", Box::new(move |tag| platforms(tag, wide))));
    }
    if any(&|tag| tag.referrer_of.is_some()) {
        let subject = move |tag: &TagReport| match &tag.referrer_of {
            Some(subject) => digest(Some(subject), "", wide),
            None => String::new(),
        };
        columns.push(("REFERS-TO", Box::new(subject)));
    }
    if any(&|tag| !tag.referrer_kinds.is_empty()) {
        columns.push(("KIND", Box::new(|tag| tag.referrer_kinds.join(", "))));
    }
    columns
}

/// Returns since when a tag shows its content; when the image was made, where that is not known.
fn age(tag: &TagReport) -> Option<Timestamp> {
    tag.pushed.or(tag.created)
}

fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map(|time| human(now.as_second() - time.as_second())).unwrap_or_default()
}

fn platforms(tag: &TagReport, wide: bool) -> String {
    let all = tag.platforms.as_slice();
    if all.is_empty() && tag.state == TagState::PlatformNotFound {
        return "<none>".to_owned();
    }
    if wide {
        return all.join(",");
    }
    let short = |platform: &String| platform.strip_prefix("linux/").unwrap_or(platform).to_owned();
    first_few(&all.iter().map(short).collect::<Vec<_>>(), MAX_PLATFORMS, 0)
}

/// Returns the sign, the colour and the state of a tag.
fn state(tag: &TagReport) -> (&'static str, Option<AnsiColor>, String) {
    let word = tag.state;
    let plain = word.to_string();
    match (tag.state, tag.action) {
        _ if tag.conflict.is_some() => ("!", Some(AnsiColor::Red), format!("{word} (conflict)")),
        (TagState::Missing | TagState::Differs, Some(Action::RetryLater)) => {
            ("!", Some(AnsiColor::Red), format!("{word} (failed)"))
        }
        (TagState::Missing, _) => ("+", Some(AnsiColor::Green), plain),
        (TagState::UpToDate | TagState::AlreadySynced, _) => ("=", None, plain),
        (TagState::Differs, Some(Action::Keep)) => ("=", None, format!("{word} (kept)")),
        (TagState::Differs, Some(Action::Wait)) => ("=", None, format!("{word} (too young)")),
        (TagState::Differs, _) => ("~", Some(AnsiColor::Yellow), plain),
        (TagState::NotFound | TagState::PlatformNotFound | TagState::FormatUnsupported, _) => {
            ("!", Some(AnsiColor::Red), plain)
        }
        (TagState::AtSource, _) => ("", None, plain),
        (TagState::NotChecked, _) => ("?", Some(AnsiColor::Red), plain),
    }
}

fn digest(digest: Option<&Digest>, otherwise: &str, wide: bool) -> String {
    match digest {
        None => otherwise.to_owned(),
        Some(digest) if wide => digest.to_string(),
        Some(digest) => digest.short().to_owned(),
    }
}
