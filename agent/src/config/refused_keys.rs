//! Keys of labels and annotations that no `spec.jobTemplate` gives to Jobs: whoever may create an object could have pods
//! with an identity, a network or a runtime that he has no right to.

use std::convert::Infallible;
use std::str::FromStr;

use imgop_core::api::JobTemplateSpec;

/// What a pod's identity at a cloud or in a vault, its networks and its runtime go by. Domains of Kubernetes are refused
/// by the schema.
pub const DEFAULT: &str = "iam.amazonaws.com/*,eks.amazonaws.com/*,vpc.amazonaws.com/*,iam.gke.io/*,\
                           azure.workload.identity/*,aadpodidbinding,vault.hashicorp.com/*,spiffe.io/*,\
                           k8s.v1.cni.cncf.io/*,v1.multus-cni.io/*,networking.gke.io/*,cni.projectcalico.org/*,\
                           k8s.aliyun.com/*,tke.cloud.tencent.com/*,io.kubernetes.*,io.katacontainers.*";

/// Keys that are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedKeys(Vec<KeyPattern>);

/// One key, or all that begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyPattern {
    Exact(String),
    BeginsWith(String),
}

/// A template gives a key that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec.jobTemplate.{field}: {key} is none of the keys that a template may give, as clouds, networks or runtimes act on \
     it; leave it out, or have an administrator take it out of the agent's JOB_REFUSED_KEYS"
)]
pub struct RefusedKey {
    field: &'static str,
    key: String,
}

impl FromStr for RefusedKeys {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        Ok(Self(keys.map(KeyPattern::of).collect()))
    }
}

impl KeyPattern {
    fn of(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::BeginsWith(beginning.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    fn is_of(&self, key: &str) -> bool {
        match self {
            Self::Exact(refused) => key == refused,
            Self::BeginsWith(beginning) => key.starts_with(beginning),
        }
    }
}

impl RefusedKeys {
    /// Returns an error if a template gives one of them.
    pub fn check(&self, template: &JobTemplateSpec) -> Result<(), RefusedKey> {
        let given = [("labels", &template.labels), ("annotations", &template.annotations)];
        let mut keys = given.into_iter().flat_map(|(field, texts)| texts.keys().map(move |key| (field, key)));
        match keys.find(|(_, key)| self.0.iter().any(|refused| refused.is_of(key))) {
            Some((field, key)) => Err(RefusedKey { field, key: key.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(keys: &str, field: &str, key: &str) -> bool {
        let template = serde_json::from_value(json!({ field: { key: "x" } })).unwrap();
        keys.parse::<RefusedKeys>().unwrap().check(&template).is_err()
    }

    #[test]
    fn a_key_is_refused_by_its_name_or_by_its_beginning_and_a_star_refuses_all() {
        for (keys, key, expected) in [
            ("a.io/x", "a.io/x", true),
            ("a.io/x", "a.io/xy", false),
            ("b, a.io/*", "a.io/xy", true),
            ("a.io/*", "a.ion/x", false),
            ("io.a.*", "io.a.config.path", true),
            ("*", "team", true),
            ("", "iam.amazonaws.com/role", false),
            (" , ", "team", false),
        ] {
            for field in ["labels", "annotations"] {
                assert_eq!(refused(keys, field, key), expected, "{keys:?} {field} {key}");
            }
        }
    }

    #[test]
    fn what_gives_pods_an_identity_or_networks_is_refused_unless_an_administrator_takes_it_out() {
        for (field, key) in [
            ("annotations", "iam.amazonaws.com/role"),
            ("labels", "aadpodidbinding"),
            ("labels", "azure.workload.identity/use"),
            ("annotations", "vault.hashicorp.com/agent-inject"),
            ("annotations", "k8s.v1.cni.cncf.io/networks"),
            ("annotations", "io.kubernetes.cri-o.userns-mode"),
        ] {
            assert!(refused(DEFAULT, field, key), "{key}");
        }
        for key in ["team", "example.com/cost-center", "sidecar.istio.io/inject", "linkerd.io/inject"] {
            assert!(!refused(DEFAULT, "annotations", key), "{key}");
        }
        let shorter = DEFAULT.replace("iam.amazonaws.com/*,", "");
        assert!(!refused(&shorter, "annotations", "iam.amazonaws.com/role"));
    }

    #[test]
    fn a_refusal_names_the_field_the_key_and_the_setting() {
        let template = json!({ "annotations": { "iam.amazonaws.com/role": "admin" } });
        let error = DEFAULT.parse::<RefusedKeys>().unwrap().check(&serde_json::from_value(template).unwrap());
        insta::assert_snapshot!(error.unwrap_err(), @"spec.jobTemplate.annotations: iam.amazonaws.com/role is none of the keys that a template may give, as clouds, networks or runtimes act on it; leave it out, or have an administrator take it out of the agent's JOB_REFUSED_KEYS");
    }
}
