//! Whether a registry answers from where this runs: asked by the plugin here, and by a pod of the agent's image in the
//! cluster, which the plugin starts. Both hand each other these documents.

use imgop_registry::reference::{ManifestRef, Repository, Tag};
use imgop_registry::{Access, Reason, Registries, RegistryError, Tls, Unreachable};
use serde::{Deserialize, Serialize};

use crate::api::TlsMode;

/// The command of the agent's program that asks. Its arguments are [`Target`]s as JSON, and it prints an [`Answer`] as
/// JSON for each, a line each.
pub const PROBE: &str = "probe";

/// A repository whose registry is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The repository with its registry.
    pub repository: String,
    /// How the connection is secured.
    #[serde(default)]
    pub tls: TlsMode,
    /// The file with certificates to trust besides the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// What a registry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It answers as a registry does.
    Answers,
    /// It answers, and wants other credentials than those that were sent, if any.
    Unauthorized,
    /// Its name has no address.
    UnknownHost,
    /// Nothing accepts a connection, or answers in time.
    Unreachable,
    /// Its certificate is not trusted.
    Untrusted,
    /// It speaks plain HTTP, and TLS was wanted.
    PlainHttp,
    /// Anything else.
    Failed,
}

/// The answer of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The repository that was asked for.
    pub repository: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The error in words; empty where it answers.
    #[serde(default)]
    pub message: String,
}

/// Asks for a manifest that need not exist: registries answer with that, or with what they want first. No limit of pulls
/// counts it.
pub async fn probe(registries: &Registries, repository: &Repository, access: &Access) -> Answer {
    let asked = match "latest".parse::<Tag>() {
        Ok(latest) => registries.repository(repository, access).head(&ManifestRef::from(latest)).await.err(),
        Err(_) => None,
    };
    Answer {
        repository: repository.to_string(),
        outcome: asked.as_ref().map_or(Outcome::Answers, outcome),
        message: asked
            .filter(|error| outcome(error) != Outcome::Answers)
            .map(|e| e.to_string())
            .unwrap_or_default(),
    }
}

/// Returns what an error says of the registry.
fn outcome(error: &RegistryError) -> Outcome {
    match error.reason() {
        Reason::RepositoryNotFound | Reason::RateLimited { .. } => Outcome::Answers,
        Reason::Unauthorized | Reason::Forbidden => Outcome::Unauthorized,
        Reason::Unreachable(Unreachable::Dns) => Outcome::UnknownHost,
        Reason::Unreachable(Unreachable::Tls) => Outcome::Untrusted,
        Reason::Unreachable(Unreachable::NoTls) => Outcome::PlainHttp,
        Reason::Unreachable(_) => Outcome::Unreachable,
        _ => Outcome::Failed,
    }
}

impl Target {
    /// Asks its registry, without credentials.
    pub async fn probe(&self, registries: &Registries) -> Answer {
        let failed = |message: String| Answer {
            repository: self.repository.clone(),
            outcome: Outcome::Failed,
            message,
        };
        let repository: Repository = match self.repository.parse() {
            Ok(repository) => repository,
            Err(error) => return failed(format!("{error}")),
        };
        let tls = match (self.tls, &self.ca_file) {
            (TlsMode::PlainHttp, _) => Tls::PlainHttp,
            (TlsMode::SkipVerify, _) => Tls::SkipVerify,
            (TlsMode::Verify, None) => Tls::default(),
            (TlsMode::Verify, Some(file)) => match std::fs::read(file) {
                Ok(pem) => Tls::Verify { extra_ca_pem: Some(pem) },
                Err(error) => return failed(format!("cannot read {file}: {error}")),
            },
        };
        probe(registries, &repository, &Access { tls, ..Access::default() }).await
    }
}

#[cfg(test)]
mod tests {
    use imgop_fakes::Catalog;
    use imgop_registry::{LoopbackAddresses, Settings};

    use super::*;

    fn target(repository: String, tls: TlsMode) -> Target {
        Target { repository, tls, ca_file: None }
    }

    #[tokio::test]
    async fn a_registry_answers_also_for_a_repository_that_it_does_not_have() {
        let registry = Catalog::default().start().await;
        let registries = Registries::new(Settings::default());
        let repository = format!("{}/absent", registry.address);
        let answer = target(repository, TlsMode::PlainHttp).probe(&registries).await;
        assert_eq!((answer.outcome, answer.message.as_str()), (Outcome::Answers, ""));
        // A loopback address is asked without TLS anyway.
        let settings = Settings {
            addresses: [("registry.test".to_owned(), registry.address.parse().unwrap())].into(),
            loopback: LoopbackAddresses::Named,
            ..Settings::default()
        };
        let named = target("registry.test/absent".to_owned(), TlsMode::Verify);
        let answer = named.probe(&Registries::new(settings)).await;
        assert_eq!(answer.outcome, Outcome::PlainHttp, "{}", answer.message);
    }

    #[tokio::test]
    async fn what_does_not_answer_is_told_with_its_cause() {
        let registries = Registries::new(Settings { retries: 0, ..Settings::default() });
        let answer = target("127.0.0.1:1/a".to_owned(), TlsMode::Verify).probe(&registries).await;
        assert_eq!(answer.outcome, Outcome::Unreachable, "{}", answer.message);
        let answer = target("registry.invalid/a".to_owned(), TlsMode::Verify).probe(&registries).await;
        assert_eq!(answer.outcome, Outcome::UnknownHost, "{}", answer.message);
        let answer = target("UPPER/CASE:x".to_owned(), TlsMode::Verify).probe(&registries).await;
        assert_eq!(answer.outcome, Outcome::Failed);
    }

    #[test]
    fn what_is_handed_over_is_what_is_read() {
        let target =
            Target { ca_file: Some("/ca/0/ca.crt".to_owned()), ..target("r/a".to_owned(), TlsMode::Verify) };
        let text = serde_json::to_string(&target).unwrap();
        assert_eq!(serde_json::from_str::<Target>(&text).unwrap(), target);
        assert!(serde_json::from_str::<Target>(r#"{"repository":"a","password":"b"}"#).is_err());
    }
}
