//! What a build on this machine needs: programs, and nothing that a cluster alone has.

use std::ffi::OsStr;

use imgop_core::build::{ArgValue, BuildContext, BuildRequest};

use crate::cli_error::CliError;

/// Fails unless the programs of a build are on the path.
pub fn programs(request: &BuildRequest, path: Option<&OsStr>) -> Result<(), CliError> {
    let is_there = |program: &str| {
        path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(program).is_file()))
    };
    // Each is the name of its Debian package too.
    let git = matches!(request.context, BuildContext::Git { .. }).then_some("git");
    let missing: Vec<&str> =
        ["buildah", "skopeo"].into_iter().chain(git).filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let are = if missing.len() == 1 { "is" } else { "are" };
    let text = format!("{} {are} not installed, and an image is built here with it", missing.join(" and "));
    Err(CliError::failed(text)
        .hinted(format!("on Debian and Ubuntu: sudo apt-get install {}", missing.join(" "))))
}

/// Fails for what a cluster alone has, and names the field.
pub fn check(request: &BuildRequest) -> Result<(), CliError> {
    let in_cluster = |field: &str, what: &str| {
        Err(CliError::failed(format!("{field}: {what} are in a cluster, which is not asked here")))
    };
    if matches!(request.context, BuildContext::ConfigMap { .. }) {
        return in_cluster("spec.context.configMap", "ConfigMaps");
    }
    if !request.secrets.is_empty() {
        return in_cluster("spec.secrets", "Secrets");
    }
    if request.arguments.values().any(|value| matches!(value, ArgValue::ConfigMap(_))) {
        return in_cluster("spec.buildArgs", "ConfigMaps");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageBuilder;

    use super::*;

    fn request(more: &str) -> BuildRequest {
        let text = format!(
            "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: app}}\nspec: {{architecture: amd64, image: \
             {{name: r.example.com/app, version: v1}}, {more}}}"
        );
        let builder: ImageBuilder = serde_saphyr::from_str(&text).unwrap();
        BuildRequest::parse(&builder.spec).unwrap()
    }

    #[test]
    fn what_is_missing_is_named_with_its_debian_packages() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().as_os_str());
        let inline = request("source: FROM scratch");
        let missing = programs(&inline, path).unwrap_err();
        assert_eq!(
            missing.message,
            "buildah and skopeo are not installed, and an image is built here with it"
        );
        assert_eq!(missing.hints, ["on Debian and Ubuntu: sudo apt-get install buildah skopeo"]);
        std::fs::write(folder.path().join("buildah"), "").unwrap();
        std::fs::write(folder.path().join("skopeo"), "").unwrap();
        assert_eq!(programs(&inline, path), Ok(()));
        let git = request("context: {git: {url: 'https://git.example.com/a'}}");
        assert!(programs(&git, path).unwrap_err().message.starts_with("git is not installed"));
    }

    #[test]
    fn what_a_cluster_alone_has_is_refused_with_its_field() {
        let refused = |more: &str| check(&request(more)).map_err(|error| error.message);
        assert_eq!(refused("source: FROM scratch"), Ok(()));
        let said = |more: &str, field: &str| {
            let error = refused(more).unwrap_err();
            assert!(error.starts_with(field), "{error}");
        };
        said("context: {configMap: {name: files}}", "spec.context.configMap: ConfigMaps are in a cluster");
        said("source: FROM scratch, secrets: [{id: a, secretName: b, key: c}]", "spec.secrets: Secrets");
    }
}
