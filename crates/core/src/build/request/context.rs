//! Where Dockerfile and files come from.

use std::collections::BTreeMap;

use super::{BuildContext, DockerfilePlace};
use crate::api::{
    ConfigMapContext, Context, EndpointRef, GitContext, ImageBuilderSpec, ImageContext, RebuildOn,
};
use crate::build::spec_checks::{git_revision, git_url, image, key, path};
use crate::spec_error::{EndpointFields, Problems, check_endpoint, is_object_name, secret_name};

/// Reads where the Dockerfile is.
pub(super) fn dockerfile(
    spec: &ImageBuilderSpec,
    problems: &mut Problems<String>,
) -> Option<DockerfilePlace> {
    if spec.rebuild_on.contains(&RebuildOn::Source) && spec.context.is_none() {
        problems.report(
            "rebuildOn",
            "Source watches the context; give a context, or leave Source out (a changed source starts a build in \
             any case)",
        );
    }
    match (&spec.source, &spec.dockerfile, &spec.context) {
        (Some(_), Some(_), _) => {
            problems.report(
                "dockerfile",
                "it is the path of a Dockerfile in the context and does not go with source, which is the text of \
                 one; leave one of them out",
            );
            None
        }
        (None, None, None) => {
            problems.report(
                "source",
                "it must be the text of a Dockerfile when there is no context; give one of them, or both",
            );
            None
        }
        (None, Some(_), None) => {
            problems.report(
                "dockerfile",
                "it is a path in the context; give a context, or the text of the Dockerfile in source",
            );
            None
        }
        (Some(text), None, _) if text.is_empty() => {
            problems.report(
                "source",
                "it must not be empty; give the text of a Dockerfile, or leave it out and give a context",
            );
            None
        }
        (Some(text), None, _) => Some(DockerfilePlace::Inline(text.clone())),
        (None, Some(text), Some(_)) => {
            problems.keep("dockerfile", path(text))?;
            Some(DockerfilePlace::Path(text.clone()))
        }
        (None, None, Some(_)) => Some(DockerfilePlace::Default),
    }
}

/// Reads where files come from.
pub(super) fn read(context: Option<&Context>, problems: &mut Problems<String>) -> Option<BuildContext> {
    let Some(context) = context else { return Some(BuildContext::Empty) };
    if let Some(sub_path) = &context.sub_path {
        problems.keep("context.subPath", path(sub_path));
    }
    match (&context.git, &context.config_map, &context.image) {
        (Some(git), None, None) => git_context(git, problems),
        (None, Some(config_map), None) => Some(config_map_context(config_map, problems)),
        (None, None, Some(image)) => image_context(image, problems),
        _ => {
            problems.report("context", "it must have one of git, configMap and image");
            None
        }
    }
}

fn git_context(git: &GitContext, problems: &mut Problems<String>) -> Option<BuildContext> {
    if let Some(credentials) = &git.credentials {
        problems.keep("context.git.credentials.secretName", secret_name(&credentials.secret_name));
    }
    if let Some(revision) = &git.revision {
        problems.keep("context.git.revision", git_revision(revision));
    }
    problems.keep("context.git.url", git_url(&git.url))?;
    Some(BuildContext::Git {
        url: git.url.clone(),
        revision: git.revision.clone(),
        submodules: git.submodules,
        lfs: git.lfs,
        depth: git.depth,
        secret: git.credentials.as_ref().map(|credentials| credentials.secret_name.clone()),
    })
}

fn config_map_context(context: &ConfigMapContext, problems: &mut Problems<String>) -> BuildContext {
    if !is_object_name(&context.name) {
        problems.report("context.configMap.name", "it must be the name of a ConfigMap in the same namespace");
    }
    let mut items = BTreeMap::new();
    for (i, item) in context.items.iter().enumerate() {
        let field = |name: &str| format!("context.configMap.items[{i}].{name}");
        problems.keep(field("key"), key(&item.key));
        problems.keep(field("path"), path(&item.path));
        if item.mode.is_some_and(|mode| mode > 0o777) {
            problems.report(field("mode"), "it must be from 0000 to 0777 (511)");
        }
        if items.insert(item.path.clone(), (item.key.clone(), item.mode)).is_some() {
            problems.report(field("path"), format!("{:?} is the path of another item already", item.path));
        }
    }
    BuildContext::ConfigMap { name: context.name.clone(), items }
}

fn image_context(context: &ImageContext, problems: &mut Problems<String>) -> Option<BuildContext> {
    let endpoint = EndpointRef {
        name: &context.name,
        credentials: context.credentials.as_ref(),
        use_aws_irsa: false,
        tls: &context.tls,
    };
    let fields = EndpointFields {
        secret: "context.image.credentials.secretName".to_owned(),
        ca_secret: "context.image.tls.caSecretName".to_owned(),
        tls: "context.image.tls".to_owned(),
    };
    check_endpoint(endpoint, fields, problems);
    problems.keep("context.image.name", image(&context.name)).map(BuildContext::Image)
}
