//! Docker's credential helpers: programs that keep credentials elsewhere, such as in a keychain.

use std::process::Stdio;
use std::time::Duration;

use imgop_registry::{Credential, CredentialHelper};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long a helper may run: a keychain may ask its user something.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// What a helper prints. It may hold secrets also where it is an error, so it is never shown.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: SecretString,
}

/// Why a helper gives no credential.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// There is no such program.
    #[error("it is not installed")]
    NotInstalled,
    /// It does not run.
    #[error("cannot run it: {0}")]
    Run(std::io::Error),
    /// It runs too long.
    #[error("no answer after {}s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    /// It runs and fails.
    #[error("{0}")]
    Failed(std::process::ExitStatus),
    /// It prints something other than a credential.
    #[error("its output is not a credential")]
    Answer,
}

/// Returns the credential of a helper (docker-credential-helpers, "Development"), if it has one.
pub async fn get(helper: &CredentialHelper) -> Result<Option<Credential>, HelperError> {
    let program = Command::new(format!("docker-credential-{}", helper.name));
    tokio::time::timeout(ANSWER_TIMEOUT, ask(program, &helper.server))
        .await
        .map_err(|_| HelperError::Timeout)?
}

async fn ask(mut program: Command, server: &str) -> Result<Option<Credential>, HelperError> {
    let mut child = program
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => HelperError::NotInstalled,
            _ => HelperError::Run(error),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may end without reading; its exit status counts.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(HelperError::Run)?;
    if !output.status.success() {
        // The one error that is the same in all helpers, which print it on stdout.
        let says_unknown = output.stdout.starts_with(b"credentials not found");
        return if says_unknown { Ok(None) } else { Err(HelperError::Failed(output.status)) };
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Answer)?;
    Ok(Some(Credential::from_helper(answer.username, answer.secret)))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(script: &str) -> Result<Option<Credential>, HelperError> {
        let mut program = Command::new("sh");
        program.args(["-c", &format!("read server\n{script}"), "docker-credential-fake"]);
        ask(program, "quay.io").await
    }

    #[tokio::test]
    async fn a_helper_gets_the_registry_and_returns_a_credential() {
        let credential = answer(r#"echo "{\"Username\":\"$1-$server\",\"Secret\":\"s\"}""#).await.unwrap();
        assert!(matches!(credential, Some(Credential::Basic { username, .. }) if username == "get-quay.io"));
        let token = answer(r#"echo '{"Username":"<token>","Secret":"s"}'"#).await.unwrap();
        assert!(matches!(token, Some(Credential::IdentityToken(_))));
    }

    #[tokio::test]
    async fn an_unknown_registry_is_no_failure_and_failures_repeat_nothing() {
        let unknown = answer("echo credentials not found in native keychain; exit 1").await;
        assert!(matches!(unknown, Ok(None)));
        for script in ["echo hunter2; echo hunter2 >&2; exit 3", "echo hunter2"] {
            let error = answer(script).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
