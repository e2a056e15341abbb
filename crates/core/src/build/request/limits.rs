//! How long, how much and how many: as the schema of the API server limits it. An older CRD, or a file, has no
//! such limits.

use std::time::Duration;

use crate::api::ImageBuilderSpec;
use crate::api::image_builder_rules::{MAX_TEXT_LENGTH, MAX_TEXTS};
use crate::api::job_template::grammar;
use crate::build::spec_checks::target;
use crate::quantity::{Quantity, positive};
use crate::spec_error::Problems;
use crate::time::{parse_duration, write_duration};

/// Reads `minInterval`.
pub(super) fn min_interval(spec: &ImageBuilderSpec, problems: &mut Problems<String>) -> Option<Duration> {
    let (minimum, maximum) = (Duration::from_secs(10), Duration::from_hours(365 * 24));
    duration("minInterval", Some(&spec.min_interval), minimum, maximum, problems)
}

/// Reads `timeout`.
pub(super) fn timeout(spec: &ImageBuilderSpec, problems: &mut Problems<String>) -> Option<Duration> {
    let (minimum, maximum) = (Duration::from_secs(10), Duration::from_hours(7 * 24));
    duration("timeout", Some(&spec.timeout), minimum, maximum, problems)
}

/// Reads a time within limits. An absent one is none.
pub(super) fn duration(
    field: &str,
    text: Option<&str>,
    minimum: Duration,
    maximum: Duration,
    problems: &mut Problems<String>,
) -> Option<Duration> {
    let text = text?;
    let written = |limit: Duration| {
        let mut written = String::new();
        // A String takes whatever is written.
        let _ = write_duration(limit, &mut written);
        written
    };
    let shown: String = text.chars().take(40).collect();
    let result = match parse_duration(text) {
        Ok(time) if time < minimum => Err(format!("{shown:?} is less than {}", written(minimum))),
        Ok(time) if time > maximum => Err(format!("{shown:?} is longer than {}", written(maximum))),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{shown:?}: {error}")),
    };
    problems.keep(field, result)
}

/// Reports what is too long, too much or too many.
pub(super) fn check(spec: &ImageBuilderSpec, problems: &mut Problems<String>) {
    if let Some(text) = &spec.target {
        problems.keep("target", target(text));
    }
    check_lengths(spec, problems);
    if spec.retries > 5 {
        problems.report("retries", "it must be from 0 to 5");
    }
    for (field, limit) in [
        ("successfulBuildsHistoryLimit", spec.successful_builds_history_limit),
        ("failedBuildsHistoryLimit", spec.failed_builds_history_limit),
    ] {
        if limit > 100 {
            problems.report(field, "it must be from 0 to 100");
        }
    }
    if let Some(size) = &spec.storage.size_limit {
        problems.keep("storage.sizeLimit", positive(size));
    }
    check_resources(spec, problems);
    for problem in grammar::problems(&spec.job_template) {
        problems.report(problem.field, problem.message);
    }
    check_counts(spec, problems);
    for (field, texts) in
        [("image.labels", &spec.image.labels), ("image.annotations", &spec.image.annotations)]
    {
        if texts.values().any(|text| text.chars().count() > MAX_TEXT_LENGTH) {
            problems.report(field, format!("a value has more than {MAX_TEXT_LENGTH} characters"));
        }
    }
}

/// Reports texts that are longer than the schema takes.
fn check_lengths(spec: &ImageBuilderSpec, problems: &mut Problems<String>) {
    let context = spec.context.as_ref();
    let git = context.and_then(|context| context.git.as_ref());
    let sub_path = context.and_then(|context| context.sub_path.as_ref());
    let mut check = |field: String, text: Option<&String>, most: usize| {
        if text.is_some_and(|text| text.chars().count() > most) {
            problems.report(field, format!("it has more than {most} characters"));
        }
    };
    check("schedule".to_owned(), spec.schedule.as_ref(), MAX_SCHEDULE);
    check("timeZone".to_owned(), spec.time_zone.as_ref(), MAX_TIME_ZONE);
    check("target".to_owned(), spec.target.as_ref(), MAX_TARGET);
    check("dockerfile".to_owned(), spec.dockerfile.as_ref(), MAX_PATH);
    check("context.subPath".to_owned(), sub_path, MAX_PATH);
    check("context.git.url".to_owned(), git.map(|git| &git.url), MAX_PATH);
    check("context.git.revision".to_owned(), git.and_then(|git| git.revision.as_ref()), MAX_REVISION);
    for (i, secret) in spec.secrets.iter().enumerate() {
        check(format!("secrets[{i}].id"), Some(&secret.id), MAX_TARGET);
        check(format!("secrets[{i}].key"), secret.key.as_ref(), MAX_KEY);
    }
    for (i, arg) in spec.build_args.iter().enumerate() {
        check(format!("buildArgs[{i}].value"), arg.value.as_ref(), MAX_ARGUMENT);
    }
}

const MAX_SCHEDULE: usize = 128;
const MAX_TIME_ZONE: usize = 64;
const MAX_TARGET: usize = 128;
const MAX_PATH: usize = 1024;
const MAX_REVISION: usize = 255;
const MAX_KEY: usize = 253;
const MAX_ARGUMENT: usize = 32_768;

/// Reports amounts that are none, and requests above their limits, which the API server would refuse as late as
/// with the pod.
fn check_resources(spec: &ImageBuilderSpec, problems: &mut Problems<String>) {
    for (name, limit, request) in spec.resources.pairs() {
        let mut amount = |side: &str, text: Option<&String>| -> Option<Quantity> {
            problems.keep(format!("resources.{side}.{name}"), positive(text?))
        };
        let (limit, request) = (amount("limits", limit), amount("requests", request));
        if limit.zip(request).is_some_and(|(limit, request)| request > limit) {
            let field = format!("resources.requests.{name}");
            problems.report(
                field,
                format!("it is more than resources.limits.{name}; lower it, or raise the limit"),
            );
        }
    }
}

fn check_counts(spec: &ImageBuilderSpec, problems: &mut Problems<String>) {
    let items = spec.context.as_ref().and_then(|context| context.config_map.as_ref());
    for (field, count, most) in [
        ("platforms", spec.platforms.len(), 8),
        ("image.additionalTags", spec.image.additional_tags.len(), 16),
        ("image.labels", spec.image.labels.len(), MAX_TEXTS),
        ("image.annotations", spec.image.annotations.len(), MAX_TEXTS),
        ("context.configMap.items", items.map_or(0, |config_map| config_map.items.len()), 256),
        ("buildArgs", spec.build_args.len(), 64),
        ("secrets", spec.secrets.len(), 16),
        ("registries", spec.registries.len(), 16),
    ] {
        if count > most {
            problems.report(field, format!("it has {count} entries; at most {most} are taken"));
        }
    }
}
