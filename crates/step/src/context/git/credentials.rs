//! Git's credentials, bound to the host of the URL.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use imgop_core::build::BuildFailure;

use crate::{Failed, Places};

/// What a Secret gives for a URL.
#[derive(Debug)]
pub enum Credentials {
    /// A user name and a password, in a file that git's own helper reads for this host alone.
    Basic(Helper),
    /// A key, in the configuration of ssh for this host alone.
    Ssh {
        /// The configuration.
        config: PathBuf,
        /// Whether the host's key is known.
        knows_host: bool,
    },
}

/// A credential helper for one host.
#[derive(Debug)]
pub struct Helper {
    /// Scheme, host and port.
    pub origin: String,
    /// How git starts the helper.
    pub command: String,
}

impl Credentials {
    /// Reads the mounted Secret for a URL; none if there is no Secret.
    pub fn read(url: &str, places: &Places) -> Result<Option<Self>, Failed> {
        let secret = places.git_secret();
        let Some((scheme, rest)) = url.split_once("://").filter(|_| secret.is_dir()) else { return Ok(None) };
        let authority = rest.split('/').next().unwrap_or_default();
        let key = |name: &str| read_key(&secret.join(name));
        let (username, password, ssh_key) = (key("username")?, key("password")?, key("ssh-privatekey")?);
        match (scheme, username, password, ssh_key) {
            ("ssh", _, _, Some(ssh_key)) => {
                Self::ssh(authority, &ssh_key, key("known_hosts")?, places).map(Some)
            }
            ("ssh", ..) => Err(wrong_kind(
                "an ssh URL needs a Secret of type kubernetes.io/ssh-auth, with ssh-privatekey",
            )),
            (_, Some(username), Some(password), _) => {
                Self::basic(scheme, authority, &username, &password, places).map(Some)
            }
            _ => Err(wrong_kind(
                "an http or https URL needs a Secret of type kubernetes.io/basic-auth, with username and password",
            )),
        }
    }

    /// Writes a password where git's helper `store` reads it. The helper compares scheme, host and port itself.
    fn basic(
        scheme: &str,
        authority: &str,
        username: &str,
        password: &str,
        places: &Places,
    ) -> Result<Self, Failed> {
        let (username, password) = (one_line(username, "username")?, one_line(password, "password")?);
        let file = places.scratch().join("git-credentials");
        let line = format!("{scheme}://{}:{}@{authority}\n", encoded(username), encoded(password));
        write_private(&file, line.as_bytes())?;
        let origin = format!("{scheme}://{authority}");
        Ok(Self::Basic(Helper { origin, command: format!("store --file={}", file.display()) }))
    }

    fn ssh(authority: &str, key: &str, known_hosts: Option<String>, places: &Places) -> Result<Self, Failed> {
        let (key_file, hosts_file) = (places.scratch().join("ssh-key"), places.scratch().join("known-hosts"));
        // ssh takes no key file that others can read, and none without a line end.
        write_private(&key_file, format!("{}\n", key.trim_end()).as_bytes())?;
        let knows_host = known_hosts.is_some();
        write_private(&hosts_file, known_hosts.unwrap_or_default().as_bytes())?;
        let host = host_of(authority);
        let mut text = format!("Host {host}\n\tIdentityFile {}\n", key_file.display());
        let check = if knows_host { "yes" } else { "accept-new" };
        // A String takes whatever is written.
        let _ = write!(
            text,
            "Host *\n\tIdentitiesOnly yes\n\tIdentityFile none\n\tBatchMode yes\n\tPasswordAuthentication no\n\
             \tStrictHostKeyChecking {check}\n\tUserKnownHostsFile {}\n\tGlobalKnownHostsFile /dev/null\n\
             \tForwardAgent no\n\tConnectTimeout 30\n\tServerAliveInterval 15\n",
            hosts_file.display()
        );
        let config = places.scratch().join("ssh-config");
        write_private(&config, text.as_bytes())?;
        Ok(Self::Ssh { config, knows_host })
    }

    /// Returns the helper for git's configuration.
    pub fn helper(&self) -> Option<&Helper> {
        match self {
            Self::Basic(helper) => Some(helper),
            Self::Ssh { .. } => None,
        }
    }

    /// Returns how git starts ssh. A shell reads it; nothing of it is a text of a user.
    pub fn ssh_command(&self) -> Option<String> {
        match self {
            Self::Basic(_) => None,
            Self::Ssh { config, .. } => Some(format!("ssh -F {}", config.display())),
        }
    }

    /// Returns what is not as safe as it may look.
    pub fn warning(&self) -> Option<String> {
        let Self::Ssh { knows_host: false, .. } = self else { return None };
        let text = "the key of the git server is not checked; add known_hosts to the Secret of context.git.credentials";
        Some(text.to_owned())
    }
}

/// Returns the host of `user@host:port`.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// Returns a key of the Secret; none if it has no such key.
fn read_key(path: &Path) -> Result<Option<String>, Failed> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            unusable(&format!("the key {name} of the Secret of context.git.credentials is no text"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failed::at("read", path, &error)),
    }
}

/// Returns a text without the line end that a file leaves in a Secret.
fn one_line<'a>(text: &'a str, key: &str) -> Result<&'a str, Failed> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().any(char::is_control) {
        return Err(unusable(&format!(
            "the key {key} of the Secret of context.git.credentials has more than one line"
        )));
    }
    Ok(text)
}

/// Returns a text as it stands in a URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // A String takes whatever is written.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let written = fs::write(path, b"").and_then(|()| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        fs::write(path, bytes)
    });
    written.map_err(|error| Failed::at("write", path, &error))
}

fn wrong_kind(message: &str) -> Failed {
    Failed::new(BuildFailure::SourceUnauthorized, format!("context.git.credentials: {message}"))
}

fn unusable(message: &str) -> Failed {
    Failed::new(BuildFailure::SecretUnusable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places with a Secret of these keys.
    fn secret(keys: &[(&str, &str)]) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        fs::create_dir_all(places.scratch()).unwrap();
        fs::create_dir_all(places.git_secret()).unwrap();
        for (key, value) in keys {
            fs::write(places.git_secret().join(key), value).unwrap();
        }
        (folder, places)
    }

    #[test]
    fn a_password_with_every_sign_is_kept_for_its_host_in_a_file_of_ours_alone() {
        let (_folder, places) = secret(&[("username", "u\n"), ("password", "p@:/%$ \"\n")]);
        let credentials = Credentials::read("https://git.example.com:8443/a.git", &places).unwrap().unwrap();
        assert_eq!(credentials.helper().unwrap().origin, "https://git.example.com:8443");
        let file = places.scratch().join("git-credentials");
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "https://u:p%40%3A%2F%25%24%20%22@git.example.com:8443\n"
        );
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{credentials:?}").contains("p@"));
    }

    #[test]
    fn a_secret_of_the_other_kind_is_refused_with_the_kind_that_is_wanted() {
        let (_folder, places) = secret(&[("username", "u"), ("password", "p")]);
        let failed = Credentials::read("ssh://git@git.example.com/a.git", &places).unwrap_err();
        assert_eq!(failed.reason, BuildFailure::SourceUnauthorized);
        assert!(failed.message.contains("kubernetes.io/ssh-auth"), "{failed}");
        // The agent, which asks for refs first, needs both too.
        for keys in [[("ssh-privatekey", "k")], [("password", "token")]] {
            let (_folder, places) = secret(&keys);
            let failed = Credentials::read("https://git.example.com/a.git", &places).unwrap_err();
            assert_eq!(failed.reason, BuildFailure::SourceUnauthorized);
            assert!(failed.message.contains("with username and password"), "{failed}");
        }
    }

    #[test]
    fn a_key_is_used_for_its_host_alone_and_an_unknown_host_is_said() {
        let (_folder, places) = secret(&[("ssh-privatekey", "KEY")]);
        let credentials =
            Credentials::read("ssh://git@git.example.com:2222/a.git", &places).unwrap().unwrap();
        let config = fs::read_to_string(places.scratch().join("ssh-config")).unwrap();
        assert!(
            config.starts_with("Host git.example.com\n\tIdentityFile ") && config.contains("accept-new"),
            "{config}"
        );
        assert!(credentials.warning().unwrap().contains("known_hosts"));
        let key = places.scratch().join("ssh-key");
        assert_eq!(fs::read_to_string(&key).unwrap(), "KEY\n");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        let (_folder, places) =
            secret(&[("ssh-privatekey", "KEY"), ("known_hosts", "git.example.com ssh-ed25519 A")]);
        let credentials = Credentials::read("ssh://git@git.example.com/a.git", &places).unwrap().unwrap();
        assert_eq!(credentials.warning(), None);
        assert!(
            fs::read_to_string(places.scratch().join("ssh-config"))
                .unwrap()
                .contains("StrictHostKeyChecking yes")
        );
    }

    #[test]
    fn a_password_of_several_lines_is_refused_and_not_shown() {
        let (_folder, places) = secret(&[("username", "u"), ("password", "CANARY\nhost=evil.example.com")]);
        let failed = Credentials::read("https://git.example.com/a.git", &places).unwrap_err();
        assert!(
            failed.reason == BuildFailure::SecretUnusable && !failed.message.contains("CANARY"),
            "{failed}"
        );
    }
}
