//! The spec of an ImageBuilder in words.

use imgop_core::api::{
    Architecture, Cache, CacheMode, Context, GitContext, ImageBuilder, ImageBuilderSpec, PullRegistry,
    RebuildOn,
};
use imgop_core::default_destination::as_reported;

use crate::kinds::endpoint_text::{access, in_brackets};
use crate::output::text::count;

/// Returns the reference that is written.
pub fn image(builder: &ImageBuilder) -> String {
    let builder = as_reported(builder.clone());
    let image = &builder.spec.image;
    let mut remarks = access(image.credentials.as_ref(), image.use_aws_irsa, image.endpoint().tls);
    let destination = builder.status.as_ref().and_then(|status| status.destination.as_ref());
    let from = destination.and_then(|destination| destination.defaults_from.as_deref());
    remarks.extend(from.map(|from| format!("default of {from}")));
    format!("{}:{}{}", image.name, image.version, in_brackets(&remarks))
}

/// Returns the platforms as they are given.
pub fn platforms(spec: &ImageBuilderSpec) -> String {
    match spec.architecture {
        Some(Architecture::Amd64) => "linux/amd64".to_owned(),
        Some(Architecture::Arm64) => "linux/arm64".to_owned(),
        Some(Architecture::Both) => "linux/amd64, linux/arm64".to_owned(),
        None => spec.platforms.join(", "),
    }
}

/// Returns where the Dockerfile is, and which stage is built.
pub fn dockerfile(spec: &ImageBuilderSpec) -> String {
    let place = match (&spec.source, &spec.dockerfile) {
        (Some(text), _) => format!("in the spec, {}", count(text.lines().count(), "line")),
        (None, Some(path)) => format!("{path} in the context"),
        (None, None) => "Dockerfile or Containerfile in the context".to_owned(),
    };
    match &spec.target {
        Some(target) => format!("{place}, stage {target}"),
        None => place,
    }
}

/// Returns where files come from.
pub fn context(context: Option<&Context>) -> String {
    let Some(context) = context else { return String::new() };
    let place = match (&context.git, &context.config_map, &context.image) {
        (Some(git), ..) => git_place(git),
        (None, Some(config_map), _) => format!("ConfigMap {}", config_map.name),
        (None, None, Some(image)) => {
            let remarks = access(image.credentials.as_ref(), false, &image.tls);
            format!("image {}{}", image.name, in_brackets(&remarks))
        }
        (None, None, None) => String::new(),
    };
    match &context.sub_path {
        Some(path) => format!("{place}, folder {path}"),
        None => place,
    }
}

fn git_place(git: &GitContext) -> String {
    let revision = git.revision.as_deref().map(|revision| format!("#{revision}")).unwrap_or_default();
    let mut remarks: Vec<String> = Vec::new();
    remarks.extend(git.credentials.as_ref().map(|c| format!("credentials in Secret {}", c.secret_name)));
    remarks.extend(git.submodules.then(|| "with submodules".to_owned()));
    remarks.extend(git.lfs.then(|| "with LFS".to_owned()));
    format!("{}{revision}{}", git.url, in_brackets(&remarks))
}

/// Returns the arguments. No value of one is secret: it ends in the image's history.
pub fn arguments(spec: &ImageBuilderSpec) -> String {
    let one = |arg: &imgop_core::api::BuildArg| match (&arg.value, &arg.value_from) {
        (Some(value), _) => format!("{}={value}", arg.name),
        (None, Some(from)) => match &from.config_map_key_ref {
            Some(key) => format!("{} from key {} of ConfigMap {}", arg.name, key.key, key.name),
            None => arg.name.clone(),
        },
        (None, None) => arg.name.clone(),
    };
    spec.build_args.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns the ids of secrets, and the Secrets that hold them.
pub fn secrets(spec: &ImageBuilderSpec) -> String {
    let one = |secret: &imgop_core::api::BuildSecret| {
        format!("{} (key {} of Secret {})", secret.id, secret.key(), secret.secret_name)
    };
    spec.secrets.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns the registries that the spec says how to reach.
pub fn registries(spec: &ImageBuilderSpec) -> String {
    let one = |registry: &PullRegistry| {
        let endpoint = registry.endpoint();
        let remarks = access(endpoint.credentials, endpoint.use_aws_irsa, endpoint.tls);
        format!("{}{}", registry.host, in_brackets(&remarks))
    };
    spec.registries.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns where layers of earlier builds are.
pub fn cache(cache: &Cache) -> String {
    match (cache.mode, &cache.repository, &cache.volume) {
        (CacheMode::None, ..) => String::new(),
        (CacheMode::Registry, repository, _) => repository.clone().unwrap_or_default(),
        (CacheMode::Volume, _, volume) => {
            format!("a volume of {} for each platform", volume.as_ref().map_or("", |volume| &volume.size))
        }
    }
}

/// Returns what starts builds by itself.
pub fn rebuilds(spec: &ImageBuilderSpec) -> String {
    let on = |which: &RebuildOn| match which {
        RebuildOn::Source => "a new source",
        RebuildOn::BaseImage => "a new base image",
    };
    let causes: Vec<&str> = spec.rebuild_on.iter().map(on).collect();
    let (when, least) = (spec.recurrence(), &spec.min_interval);
    let causes = if !causes.is_empty() {
        format!("for {}, checked {when}, at most every {least}", causes.join(" and "))
    } else if spec.schedule.is_some() {
        format!("{when}, at most every {least}")
    } else {
        "when the spec changes".to_owned()
    };
    if spec.suspend { format!("{causes}; suspended") } else { causes }
}
