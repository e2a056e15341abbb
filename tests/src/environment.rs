//! Where the test cluster is: what `tests/testbed/up` wrote into its `env` file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use imgop_core::api::Engine;

/// The cluster and the registries that `tests/testbed/up` started.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Names the cluster.
    pub kubeconfig: PathBuf,
    /// The folder of the cluster, or of the registries beside the user's.
    pub folder: PathBuf,
    /// This machine's address, as pods see it.
    pub host: String,
    /// Where the cluster's own kubectl is; none where the cluster is the user's.
    pub bin: Option<PathBuf>,
    /// Every request to the API server, as JSON lines; none where the cluster is the user's.
    pub audit_log: Option<PathBuf>,
    /// `host:port` of the registry to copy from: plain HTTP, no password.
    pub source_registry: String,
    /// The access log of the source registry.
    pub source_registry_log: PathBuf,
    /// `host:port` of the registry that has the referrers API: plain HTTP, no password.
    pub referrers_registry: String,
    /// The access log of that registry.
    pub referrers_registry_log: PathBuf,
    /// `host:port` of the registry to copy to: HTTPS with a CA of its own and a password.
    pub target_registry: String,
    /// The access log of the target registry.
    pub target_registry_log: PathBuf,
    /// The CA of the target registry.
    pub target_ca: PathBuf,
    /// The same in a folder, as Skopeo wants it.
    pub target_cert_dir: PathBuf,
    /// The login of the target registry as Skopeo wants it, and as the content of a Secret.
    pub target_authfile: PathBuf,
    /// The user of the target registry.
    pub target_username: String,
    /// The file that holds that user's password.
    pub target_password_file: PathBuf,
    /// The image with Skopeo that the cluster's nodes have.
    pub skopeo_image: String,
    /// The platform that the node emulates; empty where it emulates none or it is not known.
    pub emulated: String,
    /// The engine of Images that name none.
    pub engine: Engine,
    /// Whether tests kill the agent at each moment that they know, and not at one of them (`make test-kills`).
    pub all_kills: bool,
}

impl Environment {
    /// Reads the `env` file; variables of this process go before it.
    pub fn load() -> anyhow::Result<Self> {
        let file = env_file();
        let lines = file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let optional = |key: &str| std::env::var(key).ok().or_else(|| lines.get(key).cloned());
        let required = |key: &str| {
            optional(key).with_context(|| match &file {
                Some(path) => format!("{key} is neither set nor in {}", path.display()),
                None => "no test cluster is up. Start one with `sudo tests/testbed/up`, or let \
                         `make test-cluster` start one and take it down afterwards"
                    .to_owned(),
            })
        };
        let path = |key: &str| required(key).map(PathBuf::from);
        Ok(Self {
            kubeconfig: path("IMGOP_TEST_KUBECONFIG")?,
            folder: path("IMGOP_CLUSTER_DIR")?,
            host: required("IMGOP_TEST_HOST")?,
            bin: optional("IMGOP_CLUSTER_BIN").map(PathBuf::from),
            audit_log: optional("IMGOP_TEST_AUDIT_LOG").map(PathBuf::from),
            source_registry: required("IMGOP_TEST_SOURCE_REGISTRY")?,
            source_registry_log: path("IMGOP_TEST_SOURCE_REGISTRY_LOG")?,
            referrers_registry: required("IMGOP_TEST_REFERRERS_REGISTRY")?,
            referrers_registry_log: path("IMGOP_TEST_REFERRERS_REGISTRY_LOG")?,
            target_registry: required("IMGOP_TEST_TARGET_REGISTRY")?,
            target_registry_log: path("IMGOP_TEST_TARGET_REGISTRY_LOG")?,
            target_ca: path("IMGOP_TEST_TARGET_CA")?,
            target_cert_dir: path("IMGOP_TEST_TARGET_CERT_DIR")?,
            target_authfile: path("IMGOP_TEST_TARGET_AUTHFILE")?,
            target_username: required("IMGOP_TEST_TARGET_USERNAME")?,
            target_password_file: path("IMGOP_TEST_TARGET_PASSWORD_FILE")?,
            skopeo_image: required("IMGOP_TEST_SKOPEO_IMAGE")?,
            emulated: optional("IMGOP_TEST_EMULATED").unwrap_or_default(),
            engine: match optional("IMGOP_TEST_ENGINE").as_deref() {
                None | Some("Skopeo") => Engine::Skopeo,
                Some("Native") => Engine::Native,
                Some(other) => bail!("IMGOP_TEST_ENGINE is {other:?}, and neither Skopeo nor Native"),
            },
            all_kills: match optional("IMGOP_TEST_KILLS").as_deref() {
                None => false,
                Some("all") => true,
                Some(other) => bail!("IMGOP_TEST_KILLS is {other:?}; it may be \"all\", or not be set"),
            },
        })
    }

    /// The same cluster with another target registry: one that `tests/testbed/registries up` started
    /// in this folder, with another password and another CA.
    pub fn with_registries_of(&self, folder: &Path) -> anyhow::Result<Self> {
        let lines = read_file(&folder.join("env"))?;
        let value = |key: &str| lines.get(key).cloned().with_context(|| format!("{key} is missing"));
        let path = |key: &str| value(key).map(PathBuf::from);
        Ok(Self {
            target_registry: value("IMGOP_TEST_TARGET_REGISTRY")?,
            target_registry_log: path("IMGOP_TEST_TARGET_REGISTRY_LOG")?,
            target_ca: path("IMGOP_TEST_TARGET_CA")?,
            target_cert_dir: path("IMGOP_TEST_TARGET_CERT_DIR")?,
            target_authfile: path("IMGOP_TEST_TARGET_AUTHFILE")?,
            target_username: value("IMGOP_TEST_TARGET_USERNAME")?,
            target_password_file: path("IMGOP_TEST_TARGET_PASSWORD_FILE")?,
            ..self.clone()
        })
    }
}

fn read_file(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let said = || format!("failed to read {}", path.display());
    read_lines(&std::fs::read_to_string(path).with_context(said)?).with_context(said)
}

/// The file of the cluster that is up, by the rules of `tests/testbed/up`: root's clusters are
/// below /var/lib, everyone else's registries below their own state folder.
fn env_file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|h| h.join(".local/state")));
    let folders = match variable("IMGOP_CLUSTER_DIR") {
        Some(folder) => vec![Some(folder)],
        None => {
            vec![Some(Path::new("/var/lib/imgop-cluster").into()), state.map(|s| s.join("imgop-cluster"))]
        }
    };
    folders.into_iter().flatten().map(|folder| folder.join("env")).find(|file| file.exists())
}

/// Reads lines such as `KEY='it'\''s'`, which a shell could source.
fn read_lines(text: &str) -> anyhow::Result<HashMap<String, String>> {
    let mut values = HashMap::new();
    for line in text.lines() {
        let quoted = line.split_once('=').and_then(|(key, value)| {
            Some((key, value.strip_prefix('\'')?.strip_suffix('\'')?.replace(r"'\''", "'")))
        });
        let Some((key, value)) = quoted else { bail!("{line:?} is not KEY='value'") };
        values.insert(key.to_owned(), value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_a_shell_does() {
        let values = read_lines("A='1'\nB='it'\\''s a=b'\nC=''\n").unwrap();
        assert_eq!(values["A"], "1");
        assert_eq!(values["B"], "it's a=b");
        assert_eq!(values["C"], "");
    }

    #[test]
    fn an_unquoted_line_is_an_error_and_not_left_out() {
        assert!(read_lines("A=1").is_err());
        assert!(read_lines("export A='1").is_err());
    }
}
