//! From flags to the spec of an ImageBuilder, or to everything that is wrong with them.

use std::collections::BTreeMap;

use clap::ValueEnum as _;
use imgop_core::api::{
    BuildArg, BuildSecret, BuiltImage, Cache, CacheMode, Context, Credentials, ImageBuilderSpec,
    PullRegistry, Tls, TlsMode,
};
use imgop_core::build::BuildRequest;
use imgop_registry::reference::{Reference, Repository};

use super::source::LocalDockerfile;
use crate::args::{BuilderArgs, flag_of_job, is_registry};
use crate::cli_error::CliError;

/// What is known beside the flags.
#[derive(Debug)]
pub struct Given<'a> {
    /// The Dockerfile, if it is one of this machine.
    pub dockerfile: Option<&'a LocalDockerfile>,
    /// Where the other files come from.
    pub context: Option<Context>,
    /// The secrets.
    pub secrets: Vec<BuildSecret>,
    /// The platforms, if no flag names any.
    pub platforms: Vec<String>,
}

/// Returns the spec that the flags ask for, with the request that it is.
pub fn spec(
    flags: &BuilderArgs,
    given: Given<'_>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(ImageBuilderSpec, BuildRequest), CliError> {
    let mut problems: Vec<String> = Vec::new();
    let mut spec = ImageBuilderSpec::new(image(flags, &mut problems));
    let platforms = if flags.platforms.is_empty() { given.platforms } else { flags.platforms.clone() };
    spec.platforms = platforms;
    match given.dockerfile {
        Some(dockerfile) => spec.source = Some(dockerfile.text.clone()),
        None => spec.dockerfile.clone_from(&flags.file),
    }
    spec.context = given.context;
    spec.target.clone_from(&flags.target);
    spec.secrets = given.secrets;
    spec.build_args = flags.build_args.iter().filter_map(|text| argument(text, &variable)).collect();
    spec.registries = kept(flags.registries.iter().map(|text| registry(text)), &mut problems);
    spec.cache = cache(&flags.cache, &mut problems);
    spec.rebuild_on.clone_from(&flags.rebuild_on);
    spec.job_template = flags.jobs.template();
    if let Some(frequency) = &flags.frequency {
        spec.frequency.clone_from(frequency);
    }
    spec.schedule.clone_from(&flags.cron.schedule);
    spec.time_zone.clone_from(&flags.cron.time_zone);
    if let Some(min_interval) = &flags.min_interval {
        spec.min_interval.clone_from(min_interval);
    }
    let parsed = BuildRequest::parse(&spec);
    // A field that could not be filled in is a problem already.
    if problems.is_empty() {
        let of_spec = parsed.as_ref().err().into_iter().flat_map(|error| &error.problems);
        problems.extend(of_spec.map(|problem| {
            let message = problem.message.replace("image.name", "the first --tag");
            format!("{}: {message}", flag_of(&problem.field))
        }));
    }
    match (parsed, problems.as_slice()) {
        (Ok(request), []) => Ok((spec, request)),
        (_, [problem]) => Err(CliError::usage(problem)),
        (_, problems) => Err(CliError::usage(format!("invalid arguments:\n  {}", problems.join("\n  ")))),
    }
}

/// Returns the name of the ImageBuilder that writes to the first tag: the last part of the repository, so that
/// another tag changes the same one.
pub fn derived_name(flags: &BuilderArgs) -> Option<String> {
    let reference: Reference = flags.tags.first()?.parse().ok()?;
    let last = reference.repository.path().rsplit('/').next()?.to_owned();
    let name: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-').to_ascii_lowercase();
    (!name.is_empty()).then(|| name.chars().take(40).collect())
}

/// Returns the repository of the first tag, if it is one.
pub fn destination(flags: &BuilderArgs) -> Option<Repository> {
    let reference: Reference = flags.tags.first().filter(|tag| tag_problem(tag).is_none())?.parse().ok()?;
    Some(reference.repository)
}

/// Returns how the cluster reaches the registry that is pushed to.
pub fn push_access(flags: &BuilderArgs) -> (Option<Credentials>, Tls) {
    let credentials = flags.credentials.clone().map(|secret_name| Credentials { secret_name });
    (credentials, Tls { mode: flags.tls.unwrap_or_default(), ca_secret_name: flags.ca_secret.clone() })
}

fn image(flags: &BuilderArgs, problems: &mut Vec<String>) -> BuiltImage {
    let mut image = BuiltImage::default();
    let Some((first, others)) = flags.tags.split_first() else {
        problems.push("--tag: it is missing; give the repository and the tag, such as -t registry.example.com/team/app:1.4".to_owned());
        return image;
    };
    match name_and_tag(first) {
        Ok((name, tag)) => (image.name, image.version) = (name, tag),
        Err(problem) => problems.push(format!("--tag: {problem}")),
    }
    for other in others {
        match name_and_tag(other) {
            Ok((name, tag)) if name == image.name => image.additional_tags.push(tag),
            Ok((name, tag)) => image.additional_tags.push(format!("{name}:{tag}")),
            Err(problem) => problems.push(format!("--tag: {problem}")),
        }
    }
    image.labels = pairs("--label", &flags.labels, problems);
    image.annotations = pairs("--annotation", &flags.annotations, problems);
    let (credentials, tls) = push_access(flags);
    let is_given = flags.tls.is_some() || flags.ca_secret.is_some();
    (image.credentials, image.tls) = (credentials, is_given.then_some(tls));
    image.format = flags.format;
    image.timestamp = flags.source_date_epoch.clone().filter(|text| !text.is_empty());
    image
}

/// Returns what is wrong with `NAME[:TAG]`, if anything.
pub fn tag_problem(text: &str) -> Option<String> {
    name_and_tag(text).err()
}

/// Reads `NAME[:TAG]`. Names are completed, so that one image has one name.
fn name_and_tag(text: &str) -> Result<(String, String), String> {
    if is_registry(text) {
        return Err(format!("{text:?} is a registry; write a repository in it, such as {text}/team/app"));
    }
    let Reference { repository, version } = text.parse().map_err(|error| format!("{error}"))?;
    match version {
        Some(digest) if digest.contains(':') => {
            Err(format!("{text:?} has a digest, which is known only once the image is built; give a tag"))
        }
        version => Ok((repository.to_string(), version.unwrap_or_else(|| "latest".to_owned()))),
    }
}

fn pairs(flag: &str, texts: &[String], problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        if name.is_empty() {
            Err(format!("{flag} {text:?}: write NAME=VALUE"))
        } else {
            Ok((name.to_owned(), value.to_owned()))
        }
    };
    kept(texts.iter().map(pair), problems).into_iter().collect()
}

/// Returns what could be read; the rest are problems.
fn kept<T>(read: impl Iterator<Item = Result<T, String>>, problems: &mut Vec<String>) -> Vec<T> {
    read.filter_map(|one| one.map_err(|problem| problems.push(problem)).ok()).collect()
}

/// Reads `NAME=VALUE`, or takes the value of the environment; without one the Dockerfile's default counts.
fn argument(text: &str, variable: impl Fn(&str) -> Option<String>) -> Option<BuildArg> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, variable(text)?),
    };
    Some(BuildArg { name: name.to_owned(), value: Some(value), value_from: None })
}

fn registry(text: &str) -> Result<PullRegistry, String> {
    const SYNTAX: &str =
        "write HOST, then what differs: ,credentials=SECRET ,tls=PlainHTTP ,ca-secret=SECRET";
    let problem = || format!("--registry {text:?}: {SYNTAX}");
    let mut parts = text.split(',');
    let host = parts.next().unwrap_or_default().to_owned();
    let mut registry = PullRegistry { host, ..PullRegistry::default() };
    for part in parts {
        match part.split_once('=') {
            Some(("credentials", name)) => {
                registry.credentials = Some(Credentials { secret_name: name.to_owned() });
            }
            Some(("tls", mode)) => {
                registry.tls.mode = TlsMode::from_str(mode, true).map_err(|_| problem())?;
            }
            Some(("ca-secret", name)) => registry.tls.ca_secret_name = Some(name.to_owned()),
            _ => return Err(problem()),
        }
    }
    Ok(registry)
}

/// Reads `REPOSITORY` or `type=registry,ref=REPOSITORY`. `--cache-from` and `--cache-to` may name the same one.
fn cache(texts: &[String], problems: &mut Vec<String>) -> Cache {
    let mut repositories = kept(texts.iter().map(|text| cache_repository(text)), problems);
    repositories.dedup();
    match repositories.as_slice() {
        [] => Cache::default(),
        [only] => Cache { mode: CacheMode::Registry, repository: Some(only.clone()), ..Cache::default() },
        _ => {
            problems.push(
                "--cache-to: one repository is read and written; give the same in --cache-from".to_owned(),
            );
            Cache::default()
        }
    }
}

fn cache_repository(text: &str) -> Result<String, String> {
    let problem = |why: &str| format!("--cache-to {text:?}: {why}");
    let fields: Vec<(&str, &str)> = text.split(',').filter_map(|part| part.split_once('=')).collect();
    let repository = match fields.iter().find(|(name, _)| *name == "type") {
        None if fields.is_empty() => text,
        Some((_, "registry")) => {
            let reference = fields.iter().find(|(name, _)| *name == "ref");
            reference
                .map(|(_, repository)| *repository)
                .ok_or_else(|| problem("write type=registry,ref=REPOSITORY"))?
        }
        Some((_, kind)) => {
            return Err(problem(&format!(
                "layers of type {kind} would be lost with the pod; give a repository: type=registry,ref=REPOSITORY"
            )));
        }
        None => return Err(problem("write type=registry,ref=REPOSITORY")),
    };
    let Reference { repository, .. } = repository.parse().map_err(|error| problem(&format!("{error}")))?;
    Ok(repository.to_string())
}

/// Returns the flag that a field of the spec comes from.
fn flag_of(field: &str) -> &str {
    const FLAGS: [(&str, &str); 22] = [
        ("context.image.tls.caSecretName", "--ca-secret"),
        ("context.image.tls", "--tls"),
        ("context.image", "--credentials"),
        ("image.credentials", "--credentials"),
        ("image.tls.caSecretName", "--ca-secret"),
        ("image.tls", "--tls"),
        ("image.labels", "--label"),
        ("image.annotations", "--annotation"),
        ("image.format", "--format"),
        ("image.timestamp", "--source-date-epoch"),
        ("image", "--tag"),
        ("platforms", "--platform"),
        ("architecture", "--platform"),
        ("dockerfile", "--file"),
        ("context.git.url", "the URL of the context"),
        ("context.git.revision", "--revision"),
        ("context.git", "--git-credentials"),
        ("context.subPath", "--sub-path"),
        ("buildArgs", "--build-arg"),
        ("secrets", "--secret"),
        ("registries", "--registry"),
        ("rebuildOn", "--rebuild-on"),
    ];
    match FLAGS.iter().find(|(prefix, _)| field.starts_with(prefix)) {
        Some((_, flag)) => flag,
        None => match field {
            "frequency" => "--frequency",
            "schedule" => "--schedule",
            "timeZone" => "--time-zone",
            "minInterval" => "--min-interval",
            "target" => "--target",
            "source" => "the Dockerfile",
            "context.configMap.name" => "--config-map",
            field if field.starts_with("cache") => "--cache-to",
            field if field.starts_with("jobTemplate") => flag_of_job(field),
            field => field,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flags: &BuilderArgs) -> Result<ImageBuilderSpec, String> {
        let dockerfile = LocalDockerfile { name: "x".into(), file: None, text: "FROM a".into() };
        let given = Given {
            dockerfile: Some(&dockerfile),
            context: None,
            secrets: Vec::new(),
            platforms: vec!["linux/amd64".into()],
        };
        let variable = |name: &str| (name == "SET").then(|| "a=b $HOME\n".to_owned());
        spec(flags, given, variable).map(|(spec, _)| spec).map_err(|error| error.message)
    }

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_tags_are_one_image() {
        let tags = words(&[
            "r.example.com/team/App".to_lowercase().as_str(),
            "r.example.com/team/app:1",
            "r.example.com/other:2",
        ]);
        let flags = BuilderArgs { tags, ..BuilderArgs::default() };
        let image = of(&flags).unwrap().image;
        assert_eq!((image.name.as_str(), image.version.as_str()), ("r.example.com/team/app", "latest"));
        assert_eq!(image.additional_tags, ["1", "r.example.com/other:2"]);
        assert_eq!(derived_name(&flags).as_deref(), Some("app"));
    }

    #[test]
    fn arguments_arrive_byte_for_byte_and_a_bare_one_is_of_the_environment() {
        let value = "b\"a'z $HOME $(id) `id` a,b=c \\ --label=evil\nsecond";
        let build_args = vec![format!("X={value}"), "Y=".into(), "SET".into(), "UNSET".into()];
        let flags = BuilderArgs { tags: words(&["r.example.com/a:1"]), build_args, ..BuilderArgs::default() };
        let args: Vec<(String, String)> =
            of(&flags).unwrap().build_args.into_iter().map(|arg| (arg.name, arg.value.unwrap())).collect();
        let expected = [("X", value), ("Y", ""), ("SET", "a=b $HOME\n")];
        assert_eq!(args, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_flag() {
        let problem = |change: &dyn Fn(&mut BuilderArgs)| {
            let mut flags = BuilderArgs { tags: words(&["r.example.com/a:1"]), ..BuilderArgs::default() };
            change(&mut flags);
            of(&flags).unwrap_err()
        };
        insta::assert_snapshot!(problem(&|flags| flags.tags.clear()), @"--tag: it is missing; give the repository and the tag, such as -t registry.example.com/team/app:1.4");
        insta::assert_snapshot!(problem(&|flags| flags.tags = words(&["registry.corp:5000"])), @r#"--tag: "registry.corp:5000" is a registry; write a repository in it, such as registry.corp:5000/team/app"#);
        insta::assert_snapshot!(problem(&|flags| flags.tags.push("quay.io/a:1".into())), @"--tag: quay.io/a is at another registry than the first --tag; copy it there with an Image, or name a repository at r.example.com");
        insta::assert_snapshot!(problem(&|flags| flags.build_args = words(&["1=2"])), @"--build-arg: it must be letters, digits and _, and must not begin with a digit");
        insta::assert_snapshot!(problem(&|flags| flags.cache = words(&["type=gha"])), @r#"--cache-to "type=gha": layers of type gha would be lost with the pod; give a repository: type=registry,ref=REPOSITORY"#);
        insta::assert_snapshot!(problem(&|flags| flags.platforms = words(&["amd"])), @r#"--platform: "amd" is no platform; write os/architecture or os/architecture/variant in lower case, such as linux/amd64 or linux/arm/v7"#);
        insta::assert_snapshot!(problem(&|flags| flags.registries = words(&["h,tls=no"])), @r#"--registry "h,tls=no": write HOST, then what differs: ,credentials=SECRET ,tls=PlainHTTP ,ca-secret=SECRET"#);
        insta::assert_snapshot!(problem(&|flags| flags.credentials = Some("user:hunter2".into())), @"--credentials: it must be the name of a Secret in the same namespace");
    }

    #[test]
    fn both_cache_flags_may_name_one_repository() {
        let cache = words(&["r.example.com/cache", "type=registry,ref=r.example.com/cache,mode=max"]);
        let flags = BuilderArgs { tags: words(&["r.example.com/a:1"]), cache, ..BuilderArgs::default() };
        assert_eq!(of(&flags).unwrap().cache.repository.as_deref(), Some("r.example.com/cache"));
    }
}
