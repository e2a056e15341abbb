//! The grammars of specs as rules of the API server (CEL), so that `kubectl apply` reports at once what
//! [`crate::copy::CopyRequest`] would. What kinds share is in [`crate::api::rules`].
//!
//! Both must come to the same answer; `tests/tests/api_server/agreement.rs` asks a real API server.
//! The known exceptions: `useAwsIRSA` at registries that are not ECR's, or beside `credentials`; the same
//! repository written in two ways; `destination.create` at registries that are not ECR's, without `useAwsIRSA`, or
//! with policies that are no JSON; IPv4 addresses written as IPv6 ones; templates of more than 128 characters;
//! ranges that nothing can be in or whose suffixes differ; time zones that there are not; ranges of a schedule that end
//! before they begin, and days that never come; and regular expressions.

use kube::core::Rule;

use crate::api::rules::{COUNTABLE_DURATION, DURATION, SECONDS};

/// Whether this text looks like a pattern (see [`crate::selection::Pattern::looks_like`]): it holds a star,
/// one of its dotted parts before the first dash is an x, or an x stands behind a digit and a dot.
fn is_pattern(text: &str) -> String {
    format!("{text}.matches('[*]|^v?([^-.]*[.])*[xX]([.][^-]*)?(-.*)?$|{MISPLACED_X}')")
}

/// An x in the place of a number; behind the dotted numbers it stands for nothing.
const MISPLACED_X: &str = "[0-9][.][xX]([^A-Za-z0-9]|$)";

/// Whether this text is a pattern that can be read (see [`crate::selection::Pattern`]).
fn is_readable_pattern(text: &str) -> String {
    format!("({text}.matches('{READABLE_PATTERN}') && !{text}.matches('-.*{MISPLACED_X}'))")
}

/// Whether this text looks like a range (see [`crate::selection::Range::looks_like`]).
fn is_range(text: &str) -> String {
    format!("{text}.matches('[<>=~^, ]')")
}

/// What a tag, a pattern, or a text that looks like one, is made of.
const TAG_OR_PATTERN: &str = "self.matches('^[A-Za-z0-9_*][A-Za-z0-9._*-]*$')";

/// Patterns that can be read (see [`crate::selection::Pattern`]).
const READABLE_PATTERN: &str = "^v?([0-9]+|[xX*])([.]([0-9]+|[xX*]))*(-[A-Za-z0-9._-]+)?$";

/// Ranges that can be read (see [`crate::selection::Range`]).
const READABLE_RANGE: &str = r"^ *((>=?|<=?|==?|~|[\\^]) *v?[0-9]+([.][0-9]+)*(-[A-Za-z0-9._-]+)?[ ,]*)+$";

/// Each of `source.immutableTags` is a tag, a readable pattern, a readable range, a digest or a star.
pub(super) fn immutable_tags() -> Rule {
    let (is_pattern, is_readable) = (is_pattern("t"), is_readable_pattern("t"));
    Rule::new(format!(
        "self.all(t, t == '*' || {is_readable} || t.matches('{READABLE_RANGE}') || \
         t.matches('^sha256:[0-9a-f]{{64}}$') || t.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$') && !{is_pattern})"
    ))
    .message(
        "source.immutableTags must be tags (v2.13.1), patterns (v2.13.x), ranges (>=2.13 <2.15), or * for all",
    )
}

/// `source.version` is one of the five things that it may be.
pub(super) fn source_version() -> Rule {
    let is_range = is_range("self");
    Rule::new(format!(
        "self == '' || {TAG_OR_PATTERN} || {is_range} || self.matches('^sha256:[0-9a-f]{{64}}$')"
    ))
    .message(
        "source.version must be a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), * for every tag but \
         pre-releases, or a digest (sha256: and 64 hexadecimal digits)",
    )
}

/// `source.version` can be read if it is a range (see [`crate::selection::Range`]).
pub(super) fn readable_range() -> Rule {
    let is_range = is_range("self");
    Rule::new(format!(
        "!{is_range} || self.matches('{READABLE_RANGE}')"
    ))
    .message(
        "source.version is an unreadable range; write comparators with dotted numbers, such as >=2.13 <2.15, ~2.13 \
         or ^2",
    )
}

/// `source.version` can be read if it is a pattern (see [`crate::selection::Pattern`]).
pub(super) fn readable_pattern() -> Rule {
    Rule::new(format!(
        "!({TAG_OR_PATTERN} && {}) || {}",
        is_pattern("self"),
        is_readable_pattern("self")
    ))
    .message(
        "source.version is an unreadable pattern; write dotted numbers with x for any number, such as 2.13.x, \
         v2.x.0 or 2.13.x-alpine",
    )
}

/// `destination.version` is, by itself, a tag, a pattern, a range or a template.
pub(super) fn destination_version() -> Rule {
    let is_range = is_range("self");
    Rule::new(format!(
        "self == '' || {TAG_OR_PATTERN} || {is_range} && !self.matches('[{{}}]') || \
         self.matches('^([A-Za-z0-9_][A-Za-z0-9._-]*)?[{{]tag[}}][A-Za-z0-9._-]*$')"
    ))
    .message(
        "destination.version must be empty, a tag, the same pattern as source.version, or hold {tag} once",
    )
}

/// Each of `source.tags`: a tag, a tag with a content, or a content. A pattern of the schema and no rule, whose
/// cost would count for each of a thousand.
pub(super) const EXACT_TAG: &str =
    "^([A-Za-z0-9_][A-Za-z0-9._-]{0,127}(@sha256:[0-9a-f]{64})?|sha256:[0-9a-f]{64})$";

/// One of the two fields says what is copied.
pub(super) fn version_or_tags() -> Rule {
    Rule::new("has(self.version) != (has(self.tags) && size(self.tags) > 0)").message(
        "give one of source.version (a tag, a pattern, a range or a digest) and source.tags (a list of exact tags)",
    )
}

/// Tags that are named are not selected again.
pub(super) fn no_selection_of_tags() -> Rule {
    Rule::new(
        "!has(self.tags) || !has(self.select) || \
         !(has(self.select.include) || has(self.select.exclude) || has(self.select.latest))",
    )
    .message(
        "source.select.include, exclude and latest go with source.version only; leave tags out of source.tags \
         instead",
    )
    .field_path(".select")
}

const SOURCE: &str = "self.source.version";

/// Rules about `source.version` are of no use where `source.tags` stands in its place.
const VERSION_IS_GIVEN: &str = "has(self.source.version)";
const DESTINATION: &str = "self.destination.version";

/// Absent, null and empty are the same.
const DESTINATION_IS_GIVEN: &str = "(has(self.destination.version) && self.destination.version != '')";

fn of_destination_version(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message).field_path(".destination.version")
}

/// A pattern or a range does not go with a fixed tag, unless it is narrowed to one tag.
pub(super) fn no_fixed_version_for_a_pattern() -> Rule {
    let (is_pattern, is_range) = (is_pattern(SOURCE), is_range(SOURCE));
    let is_other_pattern = self::is_pattern(DESTINATION);
    of_destination_version(
        format!(
            "!{VERSION_IS_GIVEN} || !({DESTINATION_IS_GIVEN} && ({is_pattern} || {is_range})) || {DESTINATION} == {SOURCE} || \
             {DESTINATION}.contains('{{') || {is_other_pattern} || {ONE_TAG}"
        ),
        "destination.version must be empty, the same pattern as source.version, or hold {tag}, when \
         source.version is a pattern or a range: a fixed version would put every tag onto one (unless \
         source.select.latest is 1)",
    )
}

const ONE_TAG: &str =
    "(has(self.source.select) && has(self.source.select.latest) && self.source.select.latest == 1)";

/// A pattern or a range at the destination is the source's.
pub(super) fn no_pattern_but_the_sources() -> Rule {
    let (is_pattern, is_range) = (is_pattern(DESTINATION), is_range(DESTINATION));
    of_destination_version(
        format!(
            "!{VERSION_IS_GIVEN} || !{DESTINATION_IS_GIVEN} || {DESTINATION} == {SOURCE} || {DESTINATION}.contains('{{') || \
             !({is_pattern} || {is_range})"
        ),
        "destination.version may be a pattern only when source.version is the same pattern; leave it out to keep \
         each tag",
    )
}

/// A digest has no tag that could be kept.
pub(super) fn a_tag_for_a_digest() -> Rule {
    of_destination_version(
        format!(
            "!{VERSION_IS_GIVEN} || !{SOURCE}.startsWith('sha256:') || \
             {DESTINATION_IS_GIVEN} && !{DESTINATION}.contains('{{')"
        ),
        "destination.version must be a tag when source.version is a digest",
    )
}

/// Several tags do not become one.
pub(super) fn no_fixed_version_for_tags() -> Rule {
    of_destination_version(
        format!(
            "!has(self.source.tags) || size(self.source.tags) == 0 || !{DESTINATION_IS_GIVEN} || \
             {DESTINATION}.contains('{{tag}}')"
        ),
        "destination.version must be empty or hold {tag} when source.tags is given",
    )
}

/// What is copied once has no times.
pub(super) fn schedule_of_what_recurs() -> Rule {
    Rule::new("!has(self.schedule) || self.mode != 'OneShot'")
        .message("schedule goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave schedule out")
        .field_path(".schedule")
}

/// What is copied once never selects anything else.
pub(super) fn prune_of_what_recurs() -> Rule {
    Rule::new("!has(self.destination.prune) || self.mode != 'OneShot'")
        .message("destination.prune goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave prune out")
        .field_path(".destination.prune")
}

/// A copy changes the repository or the tag.
pub(super) fn something_to_copy() -> Rule {
    Rule::new(format!(
        "!has(self.destination.name) || self.source.name != self.destination.name || \
         {DESTINATION_IS_GIVEN} && {DESTINATION} != '{{tag}}' && \
         !({VERSION_IS_GIVEN} && {DESTINATION} == {SOURCE})"
    ))
    .message(
        "destination.name is the same as source.name, and the tags stay the same: there is nothing to copy; give \
         another repository or another destination.version",
    )
    .field_path(".destination.name")
}

/// A minimum age can be read (see [`crate::api::MinAge`]); an empty one is none.
pub(in crate::api) fn min_age(field: &str) -> Rule {
    Rule::new(format!("self == '' || {DURATION}"))
        .message(&*format!("{field} must be whole numbers with s, m, h, d or w, such as 72h or 3d"))
}

/// A minimum age is not too short.
pub(in crate::api) fn min_age_minimum(field: &str) -> Rule {
    Rule::new(format!("!{COUNTABLE_DURATION} || {SECONDS} >= 60"))
        .message(&*format!("{field} must be at least 1m; leave it out to take tags at once"))
}

/// A minimum age is not too long.
pub(in crate::api) fn min_age_maximum(field: &str) -> Rule {
    Rule::new(format!("!{DURATION} || {COUNTABLE_DURATION} && {SECONDS} <= 365 * 86400"))
        .message(&*format!("{field} must be at most 365d"))
}
