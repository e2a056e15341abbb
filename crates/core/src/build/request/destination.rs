//! What is built, and where it goes.

use std::collections::BTreeSet;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Repository, Tag};

use super::{Destination, Timestamp};
use crate::api::{Architecture, BuiltImage, Format, ImageBuilderSpec};
use crate::build::spec_checks::label;
use crate::creation::{CreationFields, creation};
use crate::spec_error::{EndpointFields, Problems, aws_credentials, check_endpoint};

/// Reads `architecture` or `platforms`.
pub(super) fn platforms(
    spec: &ImageBuilderSpec,
    problems: &mut Problems<String>,
) -> Option<Vec<PlatformSelector>> {
    let named: &[&str] = match spec.architecture {
        Some(Architecture::Amd64) => &["linux/amd64"],
        Some(Architecture::Arm64) => &["linux/arm64"],
        Some(Architecture::Both) => &["linux/amd64", "linux/arm64"],
        None => &[],
    };
    if spec.architecture.is_some() != spec.platforms.is_empty() {
        problems.report(
            "architecture",
            "either architecture (arm64, amd64 or both) or platforms must be given, and not both of them",
        );
        return None;
    }
    let texts = named.iter().copied().chain(spec.platforms.iter().map(String::as_str));
    // Two spellings of one would be two entries of the index, and what TARGETARCH says is the usual one.
    let read = |text: &str| text.parse().map(|platform: PlatformSelector| platform.normalized());
    let platforms: Result<BTreeSet<PlatformSelector>, _> = texts.map(read).collect();
    problems.keep("platforms", platforms).map(|platforms| platforms.into_iter().collect())
}

/// Reads where the image goes, and checks what it is given.
pub(super) fn read(image: &BuiltImage, problems: &mut Problems<String>) -> Option<Destination> {
    let repository = problems.keep("image.name", image.name.parse::<Repository>());
    let version = problems.keep("image.version", image.version.parse::<Tag>());
    let fields = EndpointFields {
        secret: "image.credentials.secretName".to_owned(),
        ca_secret: "image.tls.caSecretName".to_owned(),
        tls: "image.tls".to_owned(),
    };
    check_endpoint(image.endpoint(), fields, problems);
    if image.use_aws_irsa {
        let result = aws_credentials(repository.as_ref(), image.credentials.as_ref());
        problems.keep("image.useAwsIRSA", result);
    }
    let fields = CreationFields {
        create: "image.create".to_owned(),
        lifecycle_policy: "image.create.lifecyclePolicy".to_owned(),
        access_policy: "image.create.accessPolicy".to_owned(),
        tags: "image.create.tags".to_owned(),
        role_arn: "image.create.roleArn".to_owned(),
    };
    let create = creation(image.create.as_deref(), image.endpoint(), repository.as_ref(), fields, problems);
    for (name, value) in &image.labels {
        problems.keep("image.labels", label(name, value).map_err(|problem| format!("{name:?}: {problem}")));
    }
    if image.annotations.keys().any(String::is_empty) {
        problems.report("image.annotations", "an annotation must have a name");
    }
    if image.format == Some(Format::Docker) && !image.annotations.is_empty() {
        problems.report("image.annotations", "they go with format OCI; leave the format out, or use labels");
    }
    let (repository, version) = (repository?, version?);
    let mut tags = vec![(repository.clone(), version.clone())];
    for (i, text) in image.additional_tags.iter().enumerate() {
        let tag = additional_tag(text, &repository, &version);
        let tag = problems.keep(format!("image.additionalTags[{i}]"), tag);
        tags.extend(tag.filter(|tag| !tags.contains(tag)));
    }
    Some(Destination { repository, tags, publish: image.publish, create })
}

/// Reads a tag, or a repository with a tag or without.
fn additional_tag(text: &str, main: &Repository, version: &Tag) -> Result<(Repository, Tag), String> {
    let Some(last) = text.rsplit_once('/').map(|(_, last)| last) else {
        return Ok((main.clone(), text.parse().map_err(|error| format!("{error}"))?));
    };
    let (name, tag) = match last.split_once(':') {
        Some((_, tag)) => (&text[..text.len() - tag.len() - 1], Some(tag)),
        None => (text, None),
    };
    let repository: Repository = name.parse().map_err(|error| format!("{error}"))?;
    let tag = tag.map(str::parse::<Tag>).transpose().map_err(|error| error.to_string())?;
    if repository.host().is_same_place(main.host()) {
        Ok((repository, tag.unwrap_or_else(|| version.clone())))
    } else {
        Err(format!(
            "{repository} is at another registry than image.name; copy it there with an Image, or name a \
             repository at {}",
            main.host()
        ))
    }
}

/// Returns the format: what is asked for, else the one that can hold what is asked for.
pub(super) fn format(image: &BuiltImage) -> Format {
    let needs_oci = !image.annotations.is_empty() || image.timestamp.is_some();
    image.format.unwrap_or(if needs_oci { Format::Oci } else { Format::Docker })
}

/// Reads `image.timestamp`.
pub(super) fn timestamp(spec: &ImageBuilderSpec, problems: &mut Problems<String>) -> Option<Timestamp> {
    let text = spec.image.timestamp.as_ref()?;
    let has_commit = spec.context.as_ref().is_some_and(|context| context.git.is_some());
    let result = match text.as_str() {
        "Zero" => Ok(Timestamp::Seconds(0)),
        "BuildTimestamp" => Ok(Timestamp::Build),
        "SourceTimestamp" if has_commit => Ok(Timestamp::Source),
        "SourceTimestamp" => {
            Err("SourceTimestamp is the time of the commit and needs context.git; use Zero or seconds")
        }
        seconds if seconds.len() <= 11 && seconds.bytes().all(|b| b.is_ascii_digit()) => {
            seconds.parse().map(Timestamp::Seconds).map_err(|_| NO_TIMESTAMP)
        }
        _ => Err(NO_TIMESTAMP),
    };
    problems.keep("image.timestamp", result)
}

const NO_TIMESTAMP: &str = "it must be Zero, SourceTimestamp, BuildTimestamp, or seconds since 1970 in quotes, such as \"1767225600\"";
