//! What the arguments come to, before a cluster is asked: everything that is submitted.

use imgop_core::api::ImageBuilderSpec;
use imgop_core::build::BuildRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::BuildArgs;
use super::local_context::LocalContext;
use super::secrets::Secrets;
use super::source::{LocalDockerfile, Source};
use super::spec::{Given, derived_name, spec};
use crate::args::BuilderArgs;
use crate::cli_error::CliError;
use crate::kinds::{Erased, ObjectRef};

/// The platform where neither a flag nor the cluster says one.
const DEFAULT_PLATFORM: &str = "linux/amd64";
/// Fields of a spec that are always written, and the flags that ask for them.
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
    /// The secrets of this machine.
    pub secret: Option<Secret>,
}

impl Draft {
    /// Reads everything that the arguments name.
    pub fn read(args: &BuildArgs) -> Result<Self, CliError> {
        let flags = &args.builder;
        let source = Source::of(args.place.as_deref(), flags)?;
        let dockerfile = source.dockerfile(flags.file.as_deref())?;
        let name = args.name.clone().or_else(|| derived_name(flags)).unwrap_or_default();
        let variable = |name: &str| std::env::var(name).ok();
        let Secrets { of_spec, object: secret } = Secrets::read(&flags.secrets, &name, variable)?;
        let (mut context, mut config_map) = (None, None);
        match &source {
            Source::Stdin => {}
            Source::Remote(remote) => context = Some(remote.clone()),
            Source::Folder(root) => {
                let file = dockerfile.as_ref().and_then(|dockerfile| dockerfile.file.as_deref());
                (context, config_map) = LocalContext::list(root, file)?.into_config_map(&name)?.unzip();
            }
        }
        let given = Given {
            dockerfile: dockerfile.as_ref(),
            context,
            secrets: of_spec,
            platforms: vec![DEFAULT_PLATFORM.to_owned()],
        };
        let (spec, request) = spec(flags, given, variable)?;
        let object = ObjectRef { kind: Erased::<imgop_core::api::ImageBuilder>::REF, name };
        Ok(Self { object, spec, request, dockerfile, config_map, secret })
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
            for field in
                WITH_DEFAULTS.iter().filter(|field| **field != "frequency" || flags.frequency.is_none())
            {
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
