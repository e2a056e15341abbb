//! The registries that resources of the namespace name.

use std::collections::BTreeMap;

use futures::future::join_all;
use imgop_core::api::{BuiltImage, Credentials, EndpointRef, Image, ImageBuilder, Side, Tls, TlsMode};
use imgop_core::copy::CopyRequest;
use imgop_core::default_destination::as_reported;
use imgop_core::probe::{Answer, Outcome, Target, probe};
use imgop_registry::Registries;
use imgop_registry::reference::{Reference, RegistryHost, Repository};

use super::checks::{Check, Verdict};
use crate::cli_error::CliError;
use crate::cluster::AnsweringCluster;
use crate::cluster::objects::FoundObject;
use crate::kinds::read;
use crate::output::Ui;
use crate::registry::local_access::{AccessSources, Endpoint, LocalAccessArgs, Reached};
use crate::registry::registries;

/// Where registries were asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedFrom {
    /// This machine.
    Here,
    /// A pod in the namespace.
    Cluster,
}

/// A registry, and how a resource reaches it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// A repository there.
    pub repository: Repository,
    /// How the connection is secured.
    pub tls: Tls,
    side: Side,
    credentials: Option<Credentials>,
    use_aws_irsa: bool,
}

impl Asked {
    fn new(repository: Repository, side: Side, spec: EndpointRef<'_>) -> Self {
        let (credentials, tls) = (spec.credentials.cloned(), spec.tls.clone());
        Self { repository, tls, side, credentials, use_aws_irsa: spec.use_aws_irsa }
    }

    /// Returns what a pod is to ask, with the file that holds the certificates of its CA.
    pub fn target(&self, ca_file: Option<String>) -> Target {
        Target { repository: self.repository.to_string(), tls: self.tls.mode, ca_file }
    }

    /// Returns the Secret with the CA certificates, where a pod needs it.
    pub fn ca_secret(&self) -> Option<&str> {
        self.tls.ca_secret_name.as_deref().filter(|_| self.tls.mode == TlsMode::Verify)
    }
}

/// Returns one repository for each registry that resources name. One with a Secret comes first.
pub fn asked(objects: &[FoundObject]) -> BTreeMap<RegistryHost, Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for image in objects.iter().filter_map(|found| read::<Image>(&found.object).ok()) {
        let image = as_reported(image);
        let Ok(request) = CopyRequest::parse(&image.spec) else { continue };
        for (side, repository) in [(Side::Source, request.source), (Side::Destination, request.destination)] {
            all.push(Asked::new(repository, side, image.spec.endpoint(side)));
        }
    }
    for builder in objects.iter().filter_map(|found| read::<ImageBuilder>(&found.object).ok()) {
        let BuiltImage { name, credentials, use_aws_irsa, tls, .. } = &builder.spec.image;
        let Ok(Reference { repository, .. }) = name.parse::<Reference>() else { continue };
        let tls = &tls.clone().unwrap_or_default();
        let spec = EndpointRef { name, credentials: credentials.as_ref(), use_aws_irsa: *use_aws_irsa, tls };
        all.push(Asked::new(repository, Side::Destination, spec));
    }
    all.sort_by_key(|asked| asked.credentials.is_none());
    let mut by_host = BTreeMap::new();
    for asked in all {
        by_host.entry(asked.repository.host().clone()).or_insert(asked);
    }
    by_host
}

/// Asks each registry from here: with the Secret of its Image where the user may read that, else with this machine's login.
///
/// # Errors
/// If the credentials of this machine cannot be read.
pub async fn from_here(
    ui: Ui,
    cluster: &AnsweringCluster,
    asked: &BTreeMap<RegistryHost, Asked>,
) -> Result<Vec<Check>, CliError> {
    let flags = LocalAccessArgs::of_a_submission();
    let local = flags.credentials.read()?;
    let sources = AccessSources { ui: ui.silent(), cluster, local: &local, flags: &flags };
    let registries = registries(true)?;
    let answers = asked.iter().map(|(host, asked)| answer(&sources, &registries, host, asked));
    Ok(join_all(answers).await)
}

async fn answer(
    sources: &AccessSources<'_>,
    registries: &Registries,
    host: &RegistryHost,
    asked: &Asked,
) -> Check {
    let Asked { repository, tls, side, credentials, use_aws_irsa } = asked;
    let name = repository.to_string();
    let spec =
        EndpointRef { name: &name, credentials: credentials.as_ref(), use_aws_irsa: *use_aws_irsa, tls };
    let endpoint =
        Endpoint { side: *side, namespace: None, repository, spec, tls_flag: None, is_of_cluster: true };
    match sources.reach(endpoint).await {
        Ok(Reached { access, .. }) => {
            let answer = probe(registries, repository, &access).await;
            judge(host, &answer, AskedFrom::Here, access.credential.is_some())
        }
        // What is wrong with a Secret is said of the Secret.
        Err(_) => judge(host, &asked.target(None).probe(registries).await, AskedFrom::Here, false),
    }
}

/// Returns what an answer means.
pub fn judge(host: &RegistryHost, answer: &Answer, from: AskedFrom, has_credential: bool) -> Check {
    let (area, failed) = match from {
        // The cluster may reach what this machine does not.
        AskedFrom::Here => ("registry from here", Verdict::Warn),
        AskedFrom::Cluster => ("registry from the cluster", Verdict::Fail),
    };
    let message = &answer.message;
    match answer.outcome {
        Outcome::Answers => Check::ok(area, host.as_str(), "answers"),
        Outcome::Unauthorized if !has_credential => {
            Check::ok(area, host.as_str(), "answers, and wants credentials for the repository that was asked for")
        }
        Outcome::Unauthorized => Check::new(area, host.as_str(), Verdict::Warn, format!("refuses the credentials: {message}"))
            .repaired("log in anew, and make the Secret again from that login"),
        Outcome::UnknownHost => Check::new(area, host.as_str(), failed, message)
            .repaired(match from {
                AskedFrom::Here => "correct the name, or this machine's DNS",
                AskedFrom::Cluster => "correct the name, or the DNS of the cluster (coredns), or let the namespace reach it",
            }),
        Outcome::Unreachable => Check::new(area, host.as_str(), failed, message).repaired(match from {
            AskedFrom::Here => "check firewall and proxy of this machine",
            AskedFrom::Cluster => {
                "let pods of the namespace reach it (NetworkPolicies, firewall), or set a proxy: kubectl imgop install \
                 --set JOB_HTTPS_PROXY=URL"
            }
        }),
        Outcome::Untrusted => Check::new(area, host.as_str(), failed, message)
            .repaired("name a Secret with the certificate of its CA under the key ca.crt: tls.caSecretName"),
        Outcome::PlainHttp => Check::new(area, host.as_str(), failed, message).repaired("set tls.mode: PlainHTTP"),
        Outcome::Failed => Check::new(area, host.as_str(), failed, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(outcome: Outcome, from: AskedFrom, has_credential: bool) -> String {
        let answer = Answer { repository: "r.corp/a".to_owned(), outcome, message: "why".to_owned() };
        let check = judge(&"r.corp".parse().unwrap(), &answer, from, has_credential);
        format!("{} {}: {}", check.area, check.result.word(), check.message)
    }

    #[test]
    fn a_registry_that_the_cluster_does_not_reach_fails_and_one_that_this_machine_does_not_reach_is_a_warning()
     {
        assert_eq!(
            judged(Outcome::Unreachable, AskedFrom::Cluster, false),
            "registry from the cluster FAIL: why"
        );
        assert_eq!(judged(Outcome::Unreachable, AskedFrom::Here, false), "registry from here WARN: why");
        assert!(
            judged(Outcome::Unauthorized, AskedFrom::Cluster, false)
                .contains("OK: answers, and wants credentials")
        );
        assert!(
            judged(Outcome::Unauthorized, AskedFrom::Here, true)
                .contains("WARN: refuses the credentials: why")
        );
    }
}
