//! What the arguments come to, before a cluster is asked: everything that is submitted.

use std::collections::BTreeSet;

use imgop_core::api::{BuiltImage, Context, ImageBuilderSpec, ImageContext};
use imgop_core::build::BuildRequest;
use imgop_core::build::step::MAX_STEP_INPUT_BYTES;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::BuildArgs;
use super::local_context::{Carrier, ContextArchive, LocalContext, Origin};
use super::secrets::Secrets;
use super::source::{LocalDockerfile, Source};
use super::spec::{Given, derived_name, destination, push_access, spec};
use super::standard_input::StandardInput;
use crate::args::BuilderArgs;
use crate::cli_error::CliError;
use crate::kinds::{Erased, ObjectRef};
use crate::output::text::bytes;

/// The platform where neither a flag nor the cluster says one.
const DEFAULT_PLATFORM: &str = "linux/amd64";
/// Bytes of a Job that are left for what the cluster adds: digests of base images, registries.
const OF_THE_CLUSTER: usize = 16 << 10;
/// Fields of a spec that always have a value.
const WITH_DEFAULTS: [&str; 5] =
    ["frequency", "minInterval", "timeout", "successfulBuildsHistoryLimit", "failedBuildsHistoryLimit"];

/// What is to be submitted.
#[derive(Debug)]
pub struct Draft {
    /// The ImageBuilder.
    pub object: ObjectRef,
    /// Its spec.
    pub spec: ImageBuilderSpec,
    /// The same, parsed.
    pub request: BuildRequest,
    /// The Dockerfile, if it is one of this machine.
    pub dockerfile: Option<LocalDockerfile>,
    /// The files of the context.
    pub config_map: Option<ConfigMap>,
    /// The paths of the files of the context, where they are known and all are copied from.
    pub files: Option<BTreeSet<String>>,
    /// The files of the context, where no ConfigMap holds them.
    pub archive: Option<ContextArchive>,
    /// The secrets of this machine.
    pub secret: Option<Secret>,
    /// What of the folder the build does without.
    pub losses: Vec<String>,
}

impl Draft {
    /// Reads everything that the arguments name.
    pub fn read(args: &BuildArgs) -> Result<Self, CliError> {
        let flags = &args.builder;
        let source = Source::of(args.place.as_deref(), flags)?;
        let name = args.name.clone().or_else(|| derived_name(flags)).unwrap_or_default();
        let variable = |name: &str| std::env::var(name).ok();
        let (dockerfile, files) = files(source, &name, args)?;
        let Secrets { of_spec, object: secret } = Secrets::read(&flags.secrets, &name, variable)?;
        let Files { context, config_map, archive, losses, paths } = files;
        let files = paths.filter(|_| flags.sub_path.is_none());
        let given = Given {
            dockerfile: dockerfile.as_ref(),
            context,
            secrets: of_spec,
            platforms: vec![DEFAULT_PLATFORM.to_owned()],
        };
        let (spec, request) = spec(flags, given, variable)?;
        check_length(&spec)?;
        let object = ObjectRef { kind: Erased::<imgop_core::api::ImageBuilder>::REF, name };
        Ok(Self { object, spec, request, dockerfile, config_map, files, archive, secret, losses })
    }

    /// Builds for other platforms than the default one.
    pub fn set_platforms(&mut self, platforms: Vec<String>) -> Result<(), CliError> {
        self.spec.platforms = platforms;
        self.request =
            BuildRequest::parse(&self.spec).map_err(|error| CliError::failed(error.to_string()))?;
        Ok(())
    }

    /// Returns the manifest. Fields that no flag asks for are left to their defaults, and to other managers.
    pub fn manifest(&self, flags: &BuilderArgs, namespace: Option<&str>) -> Result<Value, CliError> {
        let mut spec = serde_json::to_value(&self.spec)
            .map_err(|error| CliError::failed(format!("cannot write the ImageBuilder: {error}")))?;
        if let Some(fields) = spec.as_object_mut() {
            let is_given = |field: &str| match field {
                "frequency" => flags.frequency.is_some(),
                "minInterval" => flags.min_interval.is_some(),
                _ => false,
            };
            for field in WITH_DEFAULTS.iter().filter(|field| !is_given(field)) {
                fields.remove(*field);
            }
        }
        let mut metadata = json!({ "name": self.object.name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        let types = self.object.kind.resource();
        Ok(json!({ "apiVersion": types.api_version, "kind": types.kind, "metadata": metadata, "spec": spec }))
    }

    /// Returns the manifest of the ConfigMap.
    pub fn config_map_manifest(&self, namespace: Option<&str>) -> Result<Option<Value>, CliError> {
        let Some(config_map) = &self.config_map else { return Ok(None) };
        let mut config_map = config_map.clone();
        config_map.metadata.namespace = namespace.map(str::to_owned);
        serde_json::to_value(&config_map)
            .map(Some)
            .map_err(|error| CliError::failed(format!("cannot write the ConfigMap: {error}")))
    }
}

/// Reads the Dockerfile, if it is one of this machine, and the files.
fn files(source: Source, name: &str, args: &BuildArgs) -> Result<(Option<LocalDockerfile>, Files), CliError> {
    let file = args.builder.file.as_deref();
    if source == Source::Stdin {
        return Ok(match StandardInput::read(std::io::stdin().lock(), file)? {
            StandardInput::Dockerfile(dockerfile) => (Some(dockerfile), Files::none()),
            StandardInput::Archive(archive, dockerfile) => {
                let files = Files::read(archive.list(&dockerfile)?, name, args)?;
                (Some(dockerfile), files)
            }
        });
    }
    let dockerfile = source.dockerfile(file)?;
    let path = dockerfile.as_ref().and_then(|dockerfile| dockerfile.file.as_deref());
    let files = match source {
        Source::Folder(root) => Files::read(LocalContext::list(&root, path, Origin::Folder)?, name, args)?,
        Source::Remote(context) => Files { context: Some(context), ..Files::default() },
        Source::Stdin => Files::none(),
    };
    Ok((dockerfile, files))
}

/// Where the files of a context are, or go.
#[derive(Debug, Default)]
struct Files {
    context: Option<Context>,
    config_map: Option<ConfigMap>,
    archive: Option<ContextArchive>,
    losses: Vec<String>,
    /// The paths, where they are known.
    paths: Option<BTreeSet<String>>,
}

impl Files {
    /// There are none.
    fn none() -> Self {
        Self { paths: Some(BTreeSet::new()), ..Self::default() }
    }

    /// Reads a folder of this machine. For a check alone it is not packed.
    fn read(folder: LocalContext, name: &str, args: &BuildArgs) -> Result<Self, CliError> {
        match (folder.carrier()?, destination(&args.builder)) {
            (Carrier::ConfigMap, _) => {
                let losses = folder.losses();
                let (context, config_map) = folder.into_config_map(name)?;
                let items = context.config_map.iter().flat_map(|config_map| &config_map.items);
                let paths = Some(items.map(|item| item.path.clone()).collect());
                let (context, config_map) = (Some(context), Some(config_map));
                Ok(Self { context, config_map, losses, paths, archive: None })
            }
            // A wrong --tag is reported with the other flags.
            (Carrier::Image(why), Some(repository)) if !args.check => {
                let archive = folder.into_archive(repository, why)?;
                let (credentials, tls) = push_access(&args.builder);
                let image = ImageContext { name: archive.name(), credentials, tls };
                let context = Context { image: Some(image), ..Context::default() };
                Ok(Self { context: Some(context), archive: Some(archive), ..Self::default() })
            }
            (Carrier::Nothing, _) => Ok(Self::none()),
            (Carrier::Image(_), _) => Ok(Self::default()),
        }
    }
}

/// Fails for what the agent would refuse: Dockerfile, arguments and names of files stand in the Job.
fn check_length(spec: &ImageBuilderSpec) -> Result<(), CliError> {
    let BuiltImage { labels, annotations, .. } = &spec.image;
    let text = json!([spec.source, spec.build_args, spec.context, labels, annotations]).to_string();
    // In a Job a dollar sign is written in six letters.
    let length = text.len() + 5 * text.matches('$').count();
    if length <= MAX_STEP_INPUT_BYTES - OF_THE_CLUSTER {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "Dockerfile, --build-arg, --label, --annotation and the names of files have {} together; {} fit into a Job",
        bytes(length as u64),
        bytes((MAX_STEP_INPUT_BYTES - OF_THE_CLUSTER) as u64)
    ))
    .hinted("a longer Dockerfile comes from git: kubectl imgop build https://host/app.git#branch -t …"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_a_job_is_refused_before_it_is_sent() {
        let spec = |source: String| ImageBuilderSpec {
            source: Some(source),
            ..ImageBuilderSpec::new(BuiltImage::default())
        };
        assert!(check_length(&spec("x".repeat(100 << 10))).is_ok());
        let error = check_length(&spec("$".repeat(20 << 10))).unwrap_err();
        assert!(error.message.contains("fit into a Job") && error.hints[0].contains("git"), "{error}");
    }
}
