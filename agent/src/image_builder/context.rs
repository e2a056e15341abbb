//! The `ConfigMaps` that a build is made from: files of its context, and values for ARGs.

use std::collections::BTreeMap;

use imgop_core::build::step::files_digest;
use imgop_core::build::{
    ArgValue, BuildContext, BuildFailure, BuildRequest, DockerfilePlace, ObservedInputs,
};
use imgop_registry::reference::Digest;

use super::Pass;
use super::access::GET_CONFIG_MAPS;
use super::halt::Halt;
use crate::cluster::config_maps::{ConfigMapFiles, is_forbidden};

/// What the `ConfigMaps` of a build hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ConfigMapContents {
    /// The files of the context by their paths, if it is a ConfigMap.
    pub files: Option<ConfigMapFiles>,
    /// Values for ARGs, those of the spec included.
    pub arguments: BTreeMap<String, String>,
}

impl ConfigMapContents {
    /// Returns the digest of the files of the context; none if it is no ConfigMap.
    pub fn files_digest(&self) -> Option<Digest> {
        let files = self.files.as_ref()?;
        Some(files_digest(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))))
    }

    /// Returns the digest of the values that arguments take from ConfigMaps; none if none does.
    pub fn arguments_digest(&self, request: &BuildRequest) -> Option<Digest> {
        let is_named = |(_, value): &(&String, &ArgValue)| matches!(value, ArgValue::ConfigMap(_));
        let named = request.arguments.iter().filter(is_named);
        let values: BTreeMap<&String, &String> =
            named.filter_map(|(name, _)| self.arguments.get_key_value(name)).collect();
        // Texts by text are always written.
        let text = serde_json::to_string(&values).unwrap_or_default();
        (!values.is_empty()).then(|| Digest::of(text.as_bytes()))
    }

    /// Returns whether a build of these inputs is made from them.
    pub fn are_of(&self, request: &BuildRequest, inputs: &ObservedInputs) -> bool {
        let is_same_files = self.files.is_none() || self.files_digest() == inputs.context;
        is_same_files && self.arguments_digest(request) == inputs.arguments
    }

    /// Returns the text of the Dockerfile where it is known without a pod.
    pub fn dockerfile(&self, request: &BuildRequest) -> Result<Option<Vec<u8>>, Halt> {
        let named: Vec<&str> = match &request.dockerfile {
            DockerfilePlace::Inline(text) => return Ok(Some(text.clone().into_bytes())),
            DockerfilePlace::Path(path) => vec![path],
            DockerfilePlace::Default => DockerfilePlace::DEFAULT_NAMES.to_vec(),
        };
        let Some(files) = &self.files else { return Ok(None) };
        let below = |path: &str| match &request.sub_path {
            Some(folder) => format!("{}/{path}", folder.trim_end_matches('/')),
            None => path.to_owned(),
        };
        let found = named.iter().find_map(|path| files.get(&below(path)));
        found.map(|text| Some(text.clone())).ok_or_else(|| {
            let (named, has) = (named.join(" and no "), files.keys().take(10).cloned().collect::<Vec<_>>());
            let message = format!(
                "the ConfigMap of the context has no {named}; it has {}; name the file in spec.dockerfile",
                has.join(", ")
            );
            Halt::of(BuildFailure::ContextInvalid, message)
        })
    }
}

impl Pass<'_> {
    /// Reads the `ConfigMaps` that the spec names.
    pub(super) async fn config_maps(&self, request: &BuildRequest) -> Result<ConfigMapContents, Halt> {
        let mut contents = ConfigMapContents::default();
        if let BuildContext::ConfigMap { name, items } = &request.context {
            let files = self.config_map("context.configMap", name).await?;
            contents.files = Some(selected("context.configMap", name, files, items)?);
        }
        for (name, value) in &request.arguments {
            let text = match value {
                ArgValue::Text(text) => text.clone(),
                ArgValue::ConfigMap(reference) => {
                    let field = format!("buildArgs ({name})");
                    let mut files = self.config_map(&field, &reference.name).await?;
                    let bytes = files.remove(&reference.key);
                    let bytes = bytes.ok_or_else(|| no_key(&field, &reference.name, &reference.key))?;
                    String::from_utf8(bytes).map_err(|_| {
                        let key = &reference.key;
                        let message = format!("spec.{field}: key {key:?} is no text; name another one");
                        Halt::of(BuildFailure::ContextInvalid, message)
                    })?
                }
            };
            contents.arguments.insert(name.clone(), text);
        }
        Ok(contents)
    }

    async fn config_map(&self, field: &str, name: &str) -> Result<ConfigMapFiles, Halt> {
        match self.agent().config_maps.get(self.namespace(), name).await {
            Ok(Some(files)) => Ok(files),
            Ok(None) => {
                let message = format!(
                    "spec.{field} names ConfigMap {name:?}, which does not exist in this namespace; create it, or correct the name"
                );
                Err(Halt::of(BuildFailure::ContextInvalid, message))
            }
            Err(error) if is_forbidden(&error) => Err(Halt::MissingRight(GET_CONFIG_MAPS)),
            Err(error) => Err(Halt::Api(error)),
        }
    }
}

/// Returns the files that a context takes of a ConfigMap, by their paths.
fn selected(
    field: &str,
    name: &str,
    mut files: ConfigMapFiles,
    items: &BTreeMap<String, (String, Option<u32>)>,
) -> Result<ConfigMapFiles, Halt> {
    if items.is_empty() {
        return Ok(files);
    }
    let of_item = |(path, (key, _)): (&String, &(String, Option<u32>))| match files.get(key) {
        Some(bytes) => Ok((path.clone(), bytes.clone())),
        None => Err(no_key(field, name, key)),
    };
    let selected = items.iter().map(of_item).collect();
    files.clear();
    selected
}

fn no_key(field: &str, name: &str, key: &str) -> Halt {
    let message =
        format!("spec.{field} names ConfigMap {name:?}, which has no key {key:?}; add it, or name another");
    Halt::of(BuildFailure::ContextInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_builder::tests::fixtures::builder;

    fn request_of(
        context: &serde_json::Value,
        edit: impl FnOnce(&mut imgop_core::api::ImageBuilderSpec),
    ) -> BuildRequest {
        let builder = builder(|spec| {
            spec.source = None;
            spec.context = Some(serde_json::from_value(context.clone()).unwrap());
            edit(spec);
        });
        BuildRequest::parse(&builder.spec).unwrap()
    }

    fn contents(files: &[(&str, &str)]) -> ConfigMapContents {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        ConfigMapContents { files: Some(files.collect()), arguments: BTreeMap::new() }
    }

    #[test]
    fn the_dockerfile_of_a_config_map_is_found_and_a_missing_one_is_named() {
        let plain = request_of(&serde_json::json!({ "configMap": { "name": "files" } }), |_| ());
        let text =
            |contents: &ConfigMapContents| contents.dockerfile(&plain).map_err(|halt| halt.to_string());
        assert_eq!(text(&contents(&[("Dockerfile", "FROM a"), ("x", "")])), Ok(Some(b"FROM a".to_vec())));
        assert_eq!(text(&contents(&[("Containerfile", "FROM b")])), Ok(Some(b"FROM b".to_vec())));
        insta::assert_snapshot!(text(&contents(&[("run.sh", "")])).unwrap_err(), @"the ConfigMap of the context has no Dockerfile and no Containerfile; it has run.sh; name the file in spec.dockerfile");
    }

    #[test]
    fn files_and_values_of_arguments_have_a_digest_each() {
        let request = request_of(&serde_json::json!({ "configMap": { "name": "files" } }), |spec| {
            let from = serde_json::json!([
                { "name": "A", "valueFrom": { "configMapKeyRef": { "name": "values", "key": "a" } } },
                { "name": "B", "value": "b" } ]);
            spec.build_args = serde_json::from_value(from).unwrap();
        });
        let with = |file: &str, a: &str, b: &str| ConfigMapContents {
            arguments: [("A".to_owned(), a.to_owned()), ("B".to_owned(), b.to_owned())].into(),
            ..contents(&[("f", file)])
        };
        let digests =
            |contents: ConfigMapContents| (contents.files_digest(), contents.arguments_digest(&request));
        let (files, values) = digests(with("1", "1", "1"));
        assert!(files.is_some() && values.is_some());
        let (other_files, same_values) = digests(with("2", "1", "1"));
        assert_eq!((other_files == files, same_values), (false, values.clone()));
        let (same_files, other_values) = digests(with("1", "2", "1"));
        assert_eq!((same_files, other_values == values), (files, false));
        assert_eq!(digests(with("1", "1", "2")).1, values, "what stands in the spec is no part of it");
        assert_eq!(digests(ConfigMapContents::default()), (None, None));
    }
}
