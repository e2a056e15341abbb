//! The grammars that the specs of several kinds have in common, as rules of the API server (CEL).

use kube::core::Rule;

use crate::api::Frequency;

/// A host as in `quay.io`, `localhost` or `[::1]`, with the port that single words need to be hosts
/// (see [`imgop_registry::reference::RegistryHost`]), and the slash behind it. None is Docker Hub, and then
/// no dot may make the first part of a longer path look like a host.
pub(super) fn name_pattern() -> String {
    format!("^(({})/{PART}|{PART_WITHOUT_DOT}|{PART}$)(/{PART})*$", host_pattern())
}

/// One part of the path of a repository.
pub(super) fn path_part_pattern() -> &'static str {
    PART
}

const PART: &str = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*";
const PART_WITHOUT_DOT: &str = "[a-z0-9]+((_|__|-+)[a-z0-9]+)*";

/// A host with an optional port, as names of images have it.
pub(super) fn host_pattern() -> String {
    let label = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    let number = ":0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
    format!("(localhost|{label}([.]{label})+|[[][0-9a-fA-F:]+[]])({number})?|{label}{number}")
}

/// A registry, with or without the beginning of a path; a star may stand for the first labels of its name.
pub(super) fn registry_pattern() -> String {
    format!(
        "^(({})|[*]([.][a-zA-Z0-9]([a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?)+(:[0-9]{{1,5}})?)(/{PART})*$",
        host_pattern()
    )
}

/// A tag, or a digest, or both behind a repository; none of them may be missing or there.
pub(super) fn reference_pattern() -> String {
    let host = host_pattern();
    format!(
        "^((({host})/{PART}|{PART_WITHOUT_DOT})(/{PART})*|{PART})(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?\
         (@sha256:[0-9a-f]{{64}})?$"
    )
}

/// That an IPv6 address, in brackets at the beginning of a name, is one.
pub(super) const IS_ADDRESS: &str = "(!self.startsWith('[') || isIP(self.substring(1, self.indexOf(']'))))";

/// A field that holds a repository.
pub(super) fn repository(field: &str, example: &str) -> Rule {
    let (side, _) = field.split_once('.').unwrap_or((field, ""));
    Rule::new(format!("self == '' || self.matches('{}') && {IS_ADDRESS}", name_pattern())).message(&*format!(
        "{field} must be a repository without scheme, tag or digest, such as {example}; the tag goes into \
         {side}.version"
    ))
}

/// A prefix of destinations names a registry (see [`crate::default_destination::DestinationPrefix`]).
pub(super) fn destination_prefix() -> Rule {
    let host = host_pattern();
    Rule::new(format!(
        "self.replace('{{namespace}}', 'n').matches('^({host})(/{PART})*/?$') && !self.matches('^[^/]*[{{]') && \
         {IS_ADDRESS}"
    ))
    .message(
        "defaultDestination.prefix must be a registry, with or without the beginning of a path, such as \
         registry.example.com/mirror/{namespace}",
    )
}

/// Credentials come from one place.
pub(super) fn credentials_or_aws(field: &str) -> Rule {
    Rule::new("!has(self.credentials) || !has(self.useAwsIRSA) || !self.useAwsIRSA")
        .message(&*format!("{field}.useAwsIRSA does not go with credentials; leave one of them out"))
}

/// A field names a Secret in the namespace of the resource.
pub(super) fn secret_name(field: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message(&*format!("{field} must be the name of a Secret in the same namespace"))
}

/// Each of `platforms` is one (see [`imgop_registry::oci::PlatformSelector`]).
pub(super) fn platforms() -> Rule {
    Rule::new("self.all(p, p.matches('^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?$'))")
        .message(
            "platforms must be os/architecture or os/architecture/variant in lower case, such as linux/amd64 or \
             linux/arm/v7",
        )
}

/// A time of whole seconds, minutes, hours, days and weeks.
pub(super) const DURATION: &str = "self.matches('^([0-9]+[smhdw])+$')";

/// A number of more than ten digits is over the limit in every unit, and would be too large to
/// calculate with.
pub(super) const COUNTABLE_DURATION: &str = "self.matches('^(0*[0-9]{1,10}[smhdw])+$')";

/// The seconds of a time that is countable.
pub(super) const SECONDS: &str = "self.findAll('[0-9]+[smhdw]').map(part, int(part.substring(0, size(part) - 1)) * \
                       {'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}[part.substring(size(part) - 1)]).sum()";

/// A time can be read (see [`crate::time::parse_duration`]).
pub(super) fn duration(field: &str, examples: &str) -> Rule {
    Rule::new(DURATION)
        .message(&*format!("{field} must be whole numbers with s, m, h, d or w, such as {examples}"))
}

/// A time is not shorter than this, which is given in seconds and as people write it.
pub(super) fn duration_minimum(field: &str, seconds: u64, written: &str) -> Rule {
    Rule::new(format!("!{COUNTABLE_DURATION} || {SECONDS} >= {seconds}"))
        .message(&*format!("{field} must be at least {written}"))
}

/// A time is not longer than this, which is given in seconds and as people write it.
pub(super) fn duration_maximum(field: &str, seconds: &str, written: &str) -> Rule {
    Rule::new(format!("!{DURATION} || {COUNTABLE_DURATION} && {SECONDS} <= {seconds}"))
        .message(&*format!("{field} must be at most {written}"))
}

/// How often something is checked (see [`crate::api::Frequency`]).
pub(super) fn frequency() -> Rule {
    duration("frequency", "30s, 5m, 1h30m or 1d")
}

/// It is not checked too often.
pub(super) fn frequency_minimum() -> Rule {
    duration_minimum("frequency", 10, "10s")
}

/// It is checked at all.
pub(super) fn frequency_maximum() -> Rule {
    duration_maximum("frequency", "5200 * 604800", "5200w")
}

/// An amount that is more than nothing.
pub(super) fn amount(field: &str, example: &str) -> Rule {
    Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message(&*format!("{field} must be above 0, such as {example}"))
}

/// A request is not above its limit. Amounts that cannot be read have a message of their own.
pub(super) fn request_within_limit(name: &str) -> Rule {
    // CEL's name of a field with a dash.
    let field = name.replace('-', "__dash__");
    let is_given = |side: &str| {
        format!("has(self.{side}) && has(self.{side}.{field}) && isQuantity(self.{side}.{field})")
    };
    Rule::new(format!(
        "!({} && {}) || !quantity(self.requests.{field}).isGreaterThan(quantity(self.limits.{field}))",
        is_given("requests"),
        is_given("limits"),
    ))
    .message(&*format!(
        "resources.requests.{name} is more than resources.limits.{name}; lower it, or raise the limit"
    ))
}

/// Times can be read as cron's five fields (see [`crate::schedule::CronSchedule`]).
pub(super) fn schedule() -> Rule {
    const SPACE: &str = r"[ \\t\\r\\n]";
    const NAMED: &str = "@(hourly|daily|midnight|weekly|monthly|yearly|annually)";
    let fields = [
        list("[0-5]?[0-9]", "0?[1-9]|[1-5][0-9]"),
        list("[01]?[0-9]|2[0-3]", "0?[1-9]|1[0-9]|2[0-3]"),
        list("0?[1-9]|[12][0-9]|3[01]", "0?[1-9]|[12][0-9]|3[01]"),
        list("0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", "0?[1-9]|1[0-2]"),
        list("0?[0-7]|sun|mon|tue|wed|thu|fri|sat", "0?[1-7]"),
    ];
    let fields = fields.join(&format!("{SPACE}+"));
    Rule::new(format!("self.matches('(?i)^{SPACE}*({NAMED}|{fields}){SPACE}*$')")).message(
        "schedule must be cron's five fields (minute, hour, day of the month, month, day of the week), such as \
         0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly; a period goes \
         into frequency, a time zone into timeZone",
    )
}

/// A list of values, ranges and steps.
fn list(value: &str, step: &str) -> String {
    let part = format!("([*]|({value})(-({value}))?)(/({step}))?");
    format!("{part}(,{part})*")
}

/// A time zone may be one of the IANA database.
pub(super) fn time_zone() -> Rule {
    Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && self != 'Local'")
        .message("timeZone must be a name of the IANA database, such as Europe/Berlin or UTC")
}

/// One of both says when. The API server has filled the default of `frequency` in before it asks.
pub(super) fn frequency_or_schedule() -> Rule {
    Rule::new(format!(
        "!has(self.schedule) || !has(self.frequency) || self.frequency == '{}'",
        Frequency::DEFAULT_TEXT
    ))
    .message("schedule does not go with frequency; leave one of them out")
    .field_path(".schedule")
}

/// A time zone is that of a schedule.
pub(super) fn time_zone_of_a_schedule() -> Rule {
    Rule::new("has(self.schedule) || !has(self.timeZone)")
        .message("timeZone goes with schedule only; give a schedule, or leave it out")
        .field_path(".timeZone")
}
