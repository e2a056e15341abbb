//! How much a spec may hold: as the schema of the API server limits it. An older CRD, or a file, has no such
//! limits.

use super::spec_field::SpecField;
use crate::api::job_template::grammar;
use crate::api::{ImageSpec, Select};
use crate::spec_error::Problems;

/// Entries of one list.
const MAX_ENTRIES: usize = 16;
/// Entries of `source.tags`.
const MAX_TAGS: usize = 1000;

/// Reports lists and texts that are too long, and a `latest` that selects nothing.
pub(super) fn check_limits(spec: &ImageSpec, problems: &mut Problems<SpecField>) {
    let empty = Select::default();
    let select = spec.source.select.as_ref().unwrap_or(&empty);
    let lists = [
        (SpecField::Platforms, "platforms", &spec.platforms, MAX_ENTRIES, 64),
        (SpecField::SourceTags, "tags", &spec.source.tags, MAX_TAGS, 200),
        (SpecField::ImmutableTags, "immutableTags", &spec.source.immutable_tags, MAX_ENTRIES, 128),
        (SpecField::Select, "include", &select.include, MAX_ENTRIES, 256),
        (SpecField::Select, "exclude", &select.exclude, MAX_ENTRIES, 256),
    ];
    for (field, name, list, max, max_length) in lists {
        problems.keep(field, check_list(name, list, max, max_length));
    }
    let texts = [
        (SpecField::Frequency, spec.frequency.as_str(), 64),
        (SpecField::Schedule, spec.schedule.as_deref().unwrap_or_default(), 128),
        (SpecField::TimeZone, spec.time_zone.as_deref().unwrap_or_default(), 64),
        (SpecField::MinAge, select.min_age.as_deref().unwrap_or_default(), 64),
        (SpecField::DestinationVersion, spec.destination.version.as_deref().unwrap_or_default(), 128),
    ];
    for (field, text, max) in texts {
        let length = text.chars().count();
        let too_long = || format!("it has {length} characters; at most {max} are taken");
        problems.keep(field, if length > max { Err(too_long()) } else { Ok(()) });
    }
    if select.latest == Some(0) {
        let result: Result<(), _> = Err("latest must be at least 1; leave it out for all tags");
        problems.keep(SpecField::Select, result);
    }
    for problem in grammar::problems(&spec.job_template) {
        problems.report(SpecField::JobTemplate(problem.field), problem.message);
    }
}

fn check_list(name: &str, list: &[String], max: usize, max_length: usize) -> Result<(), String> {
    let lengths = list.iter().map(|text| text.chars().count());
    match lengths.max() {
        _ if list.len() > max => Err(format!("{name} has {} entries; at most {max} are taken", list.len())),
        Some(longest) if longest > max_length => {
            Err(format!("an entry of {name} has {longest} characters; at most {max_length} are taken"))
        }
        _ => Ok(()),
    }
}
