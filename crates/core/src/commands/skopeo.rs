//! `skopeo copy` (flags as of Skopeo 1.9, the oldest that is supported).

use std::path::PathBuf;
use std::time::Duration;

use imgop_registry::reference::Tag;
use imgop_registry::reference::{Digest, Repository};

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The repository.
    pub repository: Repository,
    /// The file with this side's credentials, in the format of containers-auth.json. Each side has
    /// its own file, so that no registry is sent the other's, as image-operator did.
    pub auth_file: Option<PathBuf>,
    /// The folder with certificates to trust (containers-certs.d).
    pub certificates: Option<PathBuf>,
    /// Whether the certificate is checked; false also allows plain HTTP.
    pub verify_tls: bool,
}

/// One call of `skopeo copy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkopeoCopy {
    /// Where from.
    pub source: Endpoint,
    /// Where to.
    pub destination: Endpoint,
    /// What: the source is named by it, and the destination too unless it is pushed to a tag.
    pub digest: Digest,
    /// The tag that it is pushed to; none pushes it by digest.
    pub tag: Option<Tag>,
    /// Where Skopeo writes the digest that it pushed.
    pub digest_file: PathBuf,
    /// How long it may take: a registry that stops answering would else hold it for ever.
    pub timeout: Duration,
}

impl SkopeoCopy {
    /// The arguments behind `skopeo`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--command-timeout={}s", self.timeout.as_secs()),
            "copy".to_owned(),
            // The whole index and unchanged bytes: the digest at the destination is the source's.
            "--all".to_owned(),
            "--preserve-digests".to_owned(),
            "--retry-times=3".to_owned(),
            format!("--digestfile={}", self.digest_file.display()),
        ];
        self.source.arguments("src", &mut arguments);
        self.destination.arguments("dest", &mut arguments);
        let digest = &self.digest;
        arguments.push(format!("docker://{}@{digest}", self.source.repository));
        arguments.push(match &self.tag {
            None => format!("docker://{}@{digest}", self.destination.repository),
            Some(tag) => format!("docker://{}:{tag}", self.destination.repository),
        });
        arguments
    }
}

impl Endpoint {
    fn arguments(&self, side: &str, arguments: &mut Vec<String>) {
        match &self.auth_file {
            Some(file) => arguments.push(format!("--{side}-authfile={}", file.display())),
            // Explicit, so that no credential of the image or the home folder is picked up.
            None => arguments.push(format!("--{side}-no-creds")),
        }
        if let Some(folder) = &self.certificates {
            arguments.push(format!("--{side}-cert-dir={}", folder.display()));
        }
        arguments.push(format!("--{side}-tls-verify={}", self.verify_tls));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(tag: Option<&str>) -> SkopeoCopy {
        SkopeoCopy {
            source: Endpoint {
                repository: "quay.io/argoproj/argocd".parse().unwrap(),
                auth_file: None,
                certificates: None,
                verify_tls: true,
            },
            destination: Endpoint {
                repository: "registry.example.com:5000/mirror/argocd".parse().unwrap(),
                auth_file: Some("/imgop/destination/auth/auth.json".into()),
                certificates: Some("/imgop/destination/tls".into()),
                verify_tls: true,
            },
            digest: Digest::of(b"x"),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest_file: "/dev/termination-log".into(),
            timeout: Duration::from_hours(1),
        }
    }

    #[test]
    fn b1_b2_each_tag_is_copied_by_digest_and_each_side_has_its_own_credentials() {
        insta::assert_snapshot!(copy(None).arguments().join("\n"), @r"
        --command-timeout=3600s
        copy
        --all
        --preserve-digests
        --retry-times=3
        --digestfile=/dev/termination-log
        --src-no-creds
        --src-tls-verify=true
        --dest-authfile=/imgop/destination/auth/auth.json
        --dest-cert-dir=/imgop/destination/tls
        --dest-tls-verify=true
        docker://quay.io/argoproj/argocd@sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        docker://registry.example.com:5000/mirror/argocd@sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        ");
    }

    #[test]
    fn direct_publishing_pushes_to_the_tag() {
        let arguments = copy(Some("v2.13.1")).arguments();
        assert_eq!(arguments.last().unwrap(), "docker://registry.example.com:5000/mirror/argocd:v2.13.1");
    }

    #[test]
    fn b5_no_argument_comes_from_a_value_that_could_be_an_option() {
        for argument in copy(None).arguments() {
            assert!(!argument.contains([' ', '$', '`', ';', '\n']), "{argument}");
        }
    }
}
