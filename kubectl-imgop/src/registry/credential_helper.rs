//! Docker's credential helpers: programs that keep credentials elsewhere, such as in a keychain.

use std::process::Stdio;
use std::time::Duration;

use imgop_registry::{Credential, CredentialHelper};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A keychain may ask its user something.
const PATIENCE: Duration = Duration::from_mins(1);

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
    /// It does not run.
    #[error("it cannot be run: {0}")]
    Run(std::io::Error),
    /// It runs too long.
    #[error("no answer after {}s", PATIENCE.as_secs())]
    Timeout,
    /// It runs and fails.
    #[error("it ended with {0}")]
    Failed(std::process::ExitStatus),
    /// It prints something else than a credential.
    #[error("its answer is no credential")]
    Answer,
}

/// Asks a helper (docker-credential-helpers, "Development"). None when it knows no credential.
pub async fn get(helper: &CredentialHelper) -> Result<Option<Credential>, HelperError> {
    let program = Command::new(format!("docker-credential-{}", helper.name));
    tokio::time::timeout(PATIENCE, ask(program, &helper.server)).await.map_err(|_| HelperError::Timeout)?
}

async fn ask(mut program: Command, server: &str) -> Result<Option<Credential>, HelperError> {
    let mut child = program
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(HelperError::Run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends without reading has its reasons; its exit status tells.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(HelperError::Run)?;
    if !output.status.success() {
        // The one error that helpers agree on word for word, and print on stdout.
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
    async fn a_helper_is_told_the_registry_and_answers_with_a_credential() {
        let credential = answer(r#"echo "{\"Username\":\"$1-$server\",\"Secret\":\"s\"}""#).await.unwrap();
        assert!(matches!(credential, Some(Credential::Basic { username, .. }) if username == "get-quay.io"));
        let token = answer(r#"echo '{"Username":"<token>","Secret":"s"}'"#).await.unwrap();
        assert!(matches!(token, Some(Credential::IdentityToken(_))));
    }

    #[tokio::test]
    async fn not_to_know_is_no_failure_and_failures_repeat_nothing() {
        let unknown = answer("echo credentials not found in native keychain; exit 1").await;
        assert!(matches!(unknown, Ok(None)));
        for script in ["echo hunter2; echo hunter2 >&2; exit 3", "echo hunter2"] {
            let error = answer(script).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
