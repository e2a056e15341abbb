//! Logins that another tool had for all of its work, as what an administrator lends here.

use serde_json::{Value, json};

/// The namespace of the agent, where the Secrets are that administrators lend.
const AGENT_NAMESPACE: &str = "imgop-system";

/// What a registry is reached with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lent<'a> {
    /// The login in this Secret.
    Secret(&'a str),
    /// The agent's identity of AWS.
    Aws,
    /// Nothing but how the connection is secured.
    Nothing,
}

/// A RegistryAccess that is to be written.
#[derive(Debug, Clone)]
pub(super) struct LentAccess<'a> {
    /// Its name.
    pub name: &'a str,
    /// The registries.
    pub hosts: &'a [String],
    /// The beginning of their repositories, with a slash at its end; all of them where that is all.
    pub repositories: &'a str,
    /// Pull or Push.
    pub action: &'a str,
    /// Who may use it.
    pub namespace: &'a str,
    /// What they get.
    pub lent: Lent<'a>,
    /// Whether no certificate is verified.
    pub skips_verification: bool,
}

impl LentAccess<'_> {
    /// Returns the object.
    pub fn object(&self) -> Value {
        let mut spec = json!({ "hosts": self.hosts, "repositories": [self.repositories], "actions": [self.action],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": self.namespace } } });
        match self.lent {
            Lent::Secret(name) => spec["secretName"] = name.into(),
            Lent::Aws => spec["aws"] = json!({ "identity": "Agent" }),
            Lent::Nothing => {}
        }
        if self.skips_verification {
            spec["tls"] = json!({ "mode": "SkipVerify" });
        }
        json!({ "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess", "metadata": { "name": self.name },
            "spec": spec })
    }
}

/// Returns the command that creates the Secret of a login that is lent. No value is read to write it, and none stands in
/// its arguments.
pub(super) fn lent_secret_command(name: &str) -> String {
    format!(
        "kubectl create secret generic {name} -n {AGENT_NAMESPACE} --type=kubernetes.io/basic-auth \
         --from-file=username=FILE --from-file=password=FILE"
    )
}
