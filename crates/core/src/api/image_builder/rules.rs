//! The grammars of an ImageBuilder's spec as rules of the API server (CEL), so that `kubectl apply` reports at
//! once what [`crate::build::BuildRequest`] would. Both must come to the same answer.
//!
//! The known exceptions: repositories of another registry in `image.additionalTags`; the same id, name, host or platform in two spellings; `useAwsIRSA` at registries that are not ECR's,
//! or beside `credentials`; time zones that there are not; ranges of a schedule that end before they begin, and days that
//! never come.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::api::rules::{IS_ADDRESS, host_pattern, name_pattern, reference_pattern};

/// How many labels or annotations there may be, and how long each may be.
pub(crate) const MAX_TEXTS: usize = 64;
pub(crate) const MAX_TEXT_LENGTH: usize = 4096;

/// Either `architecture` or `platforms` says what to build for.
pub(super) fn architecture_or_platforms() -> Rule {
    Rule::new("has(self.architecture) != (has(self.platforms) && size(self.platforms) > 0)").message(
        "either architecture (arm64, amd64 or both) or platforms must be given, and not both of them",
    )
}

/// There is a Dockerfile somewhere.
pub(super) fn something_to_build() -> Rule {
    Rule::new("has(self.source) || has(self.context)").message(
        "source must be the text of a Dockerfile when there is no context; give one of them, or both",
    )
}

/// The Dockerfile is in one place.
pub(super) fn source_or_dockerfile() -> Rule {
    Rule::new("!(has(self.source) && has(self.dockerfile))").message(
        "dockerfile is the path of a Dockerfile in the context and does not go with source, which is the text of \
         one; leave one of them out",
    )
}

/// A path needs something that it is in.
pub(super) fn dockerfile_needs_a_context() -> Rule {
    Rule::new("has(self.context) || !has(self.dockerfile)").message(
        "dockerfile is a path in the context; give a context, or the text of the Dockerfile in source",
    )
}

/// What is watched must be there.
pub(super) fn watched_source_needs_a_context() -> Rule {
    Rule::new("has(self.context) || !has(self.rebuildOn) || !('Source' in self.rebuildOn)").message(
        "rebuildOn Source watches the context; give a context, or leave Source out (a changed source starts a \
         build in any case)",
    )
}

/// Docker's format has no annotations.
pub(super) fn annotations_need_oci() -> Rule {
    Rule::new(
        "!has(self.image.annotations) || size(self.image.annotations) == 0 || !has(self.image.format) || \
         self.image.format == 'OCI'",
    )
    .message("image.annotations go with image.format OCI; leave the format out, or use image.labels")
}

/// Only a commit has a time.
pub(super) fn source_timestamp_needs_git() -> Rule {
    Rule::new(
        "!has(self.image.timestamp) || self.image.timestamp != 'SourceTimestamp' || has(self.context) && \
         has(self.context.git)",
    )
    .message("image.timestamp SourceTimestamp is the time of the commit and needs context.git; use Zero or seconds")
}

/// One place has the files.
pub(super) fn one_context() -> Rule {
    Rule::new("[has(self.git), has(self.configMap), has(self.image)].filter(given, given).size() == 1")
        .message("context must have one of git, configMap and image")
}

/// A path stays within the folder that it begins in.
pub(super) fn path(field: &str, example: &str) -> Rule {
    Rule::new(
        r"self != '' && !self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)|[\\x00-\\x1f\\x7f\\\\]')",
    )
    .message(&*format!("{field} must be a path below the context such as {example}, without .. in it"))
}

/// A tag.
pub(super) fn tag(field: &str) -> Rule {
    Rule::new(format!("self.matches('^{TAG}$')")).message(&*format!(
        "{field} must be a tag such as v1.2.0: at most 128 letters, digits, '_', '.' and '-'; it is fixed, without \
         x and without {{tag}}"
    ))
}

const TAG: &str = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}";

/// Each is a tag, or a repository with a tag or without.
pub(super) fn additional_tags() -> Rule {
    let name = name_pattern();
    let name = name.trim_start_matches('^').trim_end_matches('$').replace('$', "");
    Rule::new(format!(
        "self.all(t, t.matches('^{TAG}$') || t.contains('/') && t.matches('^{name}(:{TAG})?$'))"
    ))
    .message(
        "image.additionalTags must be tags (latest) or repositories of the same registry \
             (registry.example.com/team/other, registry.example.com/team/other:v1)",
    )
}

/// No label's value is one that Buildah cannot read.
pub(super) fn labels() -> Rule {
    let word = "([A-Za-z_][A-Za-z0-9_]*|[0-9])?";
    let good = format!("[$]+([^${{]|[{{]{word}(:[-+][^}}$]*)?[}}])");
    Rule::new(format!(
        "self.all(key, key != '' && !key.contains('=') && !key.contains('$') && \
         self[key].matches('^(?s:[^$]|{good})*[$]*$'))"
    ))
    .message(
        "image.labels must have names without = and $, and in values ${ only as ${NAME}, ${}, ${NAME:-text} or \
         ${NAME:+text}: Buildah reads anything else as a mistake",
    )
}

/// A time for the image.
pub(super) fn timestamp() -> Rule {
    Rule::new("self in ['Zero', 'SourceTimestamp', 'BuildTimestamp'] || self.matches('^[0-9]{1,11}$')").message(
        "image.timestamp must be Zero, SourceTimestamp, BuildTimestamp, or seconds since 1970 in quotes, such as \
         \"1767225600\"",
    )
}

/// A stage.
pub(super) fn target() -> Rule {
    Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')")
        .message("target must be the name or the number of a stage of the Dockerfile, such as final or 0")
}

/// How many Jobs are kept.
pub(super) fn history_limit(field: &str) -> Rule {
    Rule::new("self >= 0 && self <= 100").message(&*format!("{field} must be from 0 to 100"))
}

/// The URL of a git repository without a password. The rule stands above the field, for the API server quotes a
/// field that has a wrong value.
pub(super) fn git_url() -> Rule {
    Rule::new(
        "self.url.matches('^(https?://|ssh://([A-Za-z0-9_][A-Za-z0-9._-]*@)?)\
         ([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[[][0-9a-fA-F:]+[]])(:[0-9]{1,5})?/[A-Za-z0-9._~%!$&()*+,;=:@/-]+$')",
    )
    .message(
        "context.git.url must be https://host/path, http://host/path or ssh://git@host/path without a password; \
         credentials go into context.git.credentials",
    )
    .field_path(".url")
}

/// What git can resolve to a commit.
pub(super) fn git_revision() -> Rule {
    Rule::new(
        r"self != '' && !self.startsWith('-') && !self.contains('..') && !self.contains('@{') && !self.matches('[\\x00-\\x20\\x7f~^:?*\\[\\\\]')",
    )
    .message(
        "context.git.revision must be a branch, a tag, a commit or a whole name such as refs/pull/7/head",
    )
}

/// The name of a ConfigMap.
pub(super) fn config_map_name(field: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message(&*format!("{field} must be the name of a ConfigMap in the same namespace"))
}

/// A key of a ConfigMap or of a Secret.
pub(super) fn config_map_key(field: &str) -> Rule {
    Rule::new("self.matches('^[A-Za-z0-9._-]+$') && !(self in ['.', '..'])")
        .message(&*format!("{field} must be a key: letters, digits, '.', '_' and '-'"))
}

/// An image with a tag or a digest.
pub(super) fn image_reference(field: &str) -> Rule {
    Rule::new(format!("self.matches('{}') && {IS_ADDRESS}", reference_pattern())).message(&*format!(
        "{field} must be an image such as registry.example.com/team/app:1, with a tag or a digest"
    ))
}

/// A registry.
pub(super) fn host() -> Rule {
    Rule::new(format!("self.matches('^({})$') && {IS_ADDRESS}", host_pattern())).message(
        "registries.host must be a registry as references name it, such as quay.io, registry.example.com:5000 or \
         docker.io",
    )
}

/// The repository goes with its mode.
pub(super) fn cache_repository() -> Rule {
    Rule::new(
        "has(self.mode) && self.mode == 'Registry' ? has(self.repository) : \
         !has(self.repository) && !has(self.credentials) && !has(self.ttl)",
    )
    .message(
        "cache.mode Registry needs cache.repository; without it leave repository, credentials and ttl out",
    )
}

/// The volume goes with its mode.
pub(super) fn cache_volume() -> Rule {
    Rule::new("(has(self.mode) && self.mode == 'Volume') == has(self.volume)")
        .message("cache.mode Volume needs cache.volume, and cache.volume goes with mode Volume only")
}

/// Texts by name, with a limit on their number and on their length.
pub(super) fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_TEXTS,
        "additionalProperties": {"type": "string", "maxLength": MAX_TEXT_LENGTH},
    })
}
