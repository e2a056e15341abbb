//! `RegistryAccess`: what an administrator lends, and who may write where. It is only listed and described.

use imgop_core::api::{
    AwsIdentity, DefaultDestination, LabelOperator, LabelRequirement, NamespaceSelector, RegistryAccess,
    SharedAws, SharedTls, Tls,
};
use jiff::Timestamp;

use super::Kind;
use super::endpoint_text::{access, in_brackets};
use super::progress::ReconcileState;

impl Kind for RegistryAccess {
    const SHORT_NAMES: &'static [&'static str] = &[];
    const COLUMNS: &'static [&'static str] = &["HOSTS", "REPOSITORIES", "ACTIONS", "READY", "REASON"];
    const WIDE_COLUMNS: &'static [&'static str] = &["NAMESPACES", "SECRET"];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        let [ready, reason] = self.state().ready_cells();
        vec![self.spec.hosts.join(","), self.spec.repositories.join(","), actions(self, ","), ready, reason]
    }

    fn wide_cells(&self, _: Timestamp) -> Vec<String> {
        let secret = self.spec.secret_name.clone();
        vec![namespaces(self), secret.unwrap_or_else(|| "<none>".to_owned())]
    }

    fn facts(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let spec = &self.spec;
        let of_agent = |name: &String| format!("Secret {name} of the agent's namespace");
        let limits = spec.limits.unwrap_or_default();
        let requests = limits.concurrent_requests.map(|most| format!("{most} requests at once"));
        vec![
            ("Hosts", spec.hosts.join(", ")),
            ("Aliases", spec.aliases.join(", ")),
            ("Repositories", spec.repositories.join(", ")),
            ("Actions", actions(self, ", ")),
            ("Namespaces", namespaces(self)),
            ("Credentials", spec.secret_name.as_ref().map(of_agent).unwrap_or_default()),
            ("AWS", spec.aws.as_ref().map(aws).unwrap_or_default()),
            ("TLS", spec.tls.as_ref().map(tls).unwrap_or_default()),
            ("Token servers", spec.token_servers.join(", ")),
            ("Addresses", spec.addresses.join(", ")),
            ("Default", spec.default_destination.as_ref().map(default_destination).unwrap_or_default()),
            ("Limits", requests.unwrap_or_default()),
        ]
    }

    fn state(&self) -> ReconcileState<'_> {
        let status = self.status.as_ref();
        ReconcileState {
            conditions: status.map_or(&[], |status| &status.conditions),
            observed_generation: status.and_then(|status| status.observed_generation),
            requested: None,
            handled: None,
            is_suspended: false,
            is_completed: true,
        }
    }
}

fn actions(access: &RegistryAccess, separator: &str) -> String {
    let actions = access.spec.actions.iter().map(|action| format!("{action:?}"));
    actions.collect::<Vec<_>>().join(separator)
}

/// Returns which namespaces are selected, as label selectors are written.
fn namespaces(access: &RegistryAccess) -> String {
    let Some(selector) = &access.spec.namespace_selector else { return "<none>".to_owned() };
    let NamespaceSelector { match_labels, match_expressions } = selector;
    let equal = match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    equal.chain(match_expressions.iter().map(requirement)).collect::<Vec<_>>().join(",")
}

fn requirement(LabelRequirement { key, operator, values }: &LabelRequirement) -> String {
    let values = values.join(",");
    match operator {
        LabelOperator::In => format!("{key} in ({values})"),
        LabelOperator::NotIn => format!("{key} notin ({values})"),
        LabelOperator::Exists => key.clone(),
        LabelOperator::DoesNotExist => format!("!{key}"),
    }
}

fn tls(SharedTls { mode, ca_secret_name }: &SharedTls) -> String {
    let said = access(None, false, &Tls { mode: *mode, ca_secret_name: ca_secret_name.clone() });
    if said.is_empty() { "certificates are verified".to_owned() } else { said.join(", ") }
}

fn aws(shared: &SharedAws) -> String {
    let SharedAws { identity: AwsIdentity::Agent, create_repositories, adopt_repositories, roles } = shared;
    let create = if *create_repositories { ", may create repositories" } else { "" };
    let adopt = if *adopt_repositories { ", and change the policies of others'" } else { "" };
    let roles = if roles.is_empty() { String::new() } else { format!(" as {}", roles.join(", ")) };
    format!("the agent's identity{create}{adopt}{roles}")
}

fn default_destination(default: &DefaultDestination) -> String {
    let DefaultDestination { prefix, credentials, use_aws_irsa, tls } = default;
    let tls = tls.clone().unwrap_or_default();
    format!("{prefix}{}", in_brackets(&access(credentials.as_ref(), *use_aws_irsa, &tls)))
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use crate::description::{Described, sections};
    use crate::kinds::LISTED_KINDS;
    use crate::kinds::listing::{Columns, table};
    use crate::output::table::Table;

    fn object(spec: &Value) -> DynamicObject {
        let condition = json!({ "type": "Ready", "status": "False", "reason": "SecretUnusable",
            "message": "its Secret does not exist", "lastTransitionTime": "2026-01-08T00:00:00Z" });
        serde_json::from_value(json!({
            "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess",
            "metadata": { "name": "corp", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": spec, "status": { "observedGeneration": 1, "conditions": [condition] },
        }))
        .unwrap()
    }

    fn corp() -> DynamicObject {
        object(&json!({
            "hosts": ["registry.example.com"], "aliases": ["r.corp:5000"], "repositories": ["mirror/", "base"],
            "actions": ["Pull", "Push"], "secretName": "shared", "tls": { "caSecretName": "ca" },
            "namespaceSelector": { "matchLabels": { "registry": "corp" }, "matchExpressions": [
                { "key": "tier", "operator": "NotIn", "values": ["lab", "test"] }] },
            "addresses": ["10.0.0.0/8"], "limits": { "concurrentRequests": 4 },
            "defaultDestination": { "prefix": "registry.example.com/mirror/{namespace}",
                "credentials": { "secretName": "push" } },
        }))
    }

    fn lines(table: &Table, headers: bool) -> String {
        table.lines(headers).into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn it_is_listed_without_a_namespace_even_among_all_namespaces() {
        let kind = LISTED_KINDS[4];
        let columns = Columns { namespace: true, wide: true };
        let table = table(kind, &[corp()], columns, "2026-01-08T00:00:00Z".parse().unwrap());
        insta::assert_snapshot!(lines(&table, true), @"
        NAME   HOSTS                  REPOSITORIES   ACTIONS     READY   REASON           AGE   NAMESPACES                            SECRET   MESSAGE
        corp   registry.example.com   mirror/,base   Pull,Push   False   SecretUnusable   7d    registry=corp,tier notin (lab,test)   shared   its Secret does not exist
        ");
    }

    #[test]
    fn its_description_says_what_it_lends_to_whom() {
        let object = corp();
        let (jobs, events) = (Ok(Vec::new()), Ok(Vec::new()));
        let described = Described { kind: LISTED_KINDS[4], object: &object, jobs, events };
        let sections = sections(&described, "2026-01-08T00:05:30Z".parse().unwrap()).unwrap();
        let page: Vec<String> = sections.iter().enumerate().map(|(i, table)| lines(table, i > 0)).collect();
        insta::assert_snapshot!(page.join("\n"), @"
        Name:           corp
        Hosts:          registry.example.com
        Aliases:        r.corp:5000
        Repositories:   mirror/, base
        Actions:        Pull, Push
        Namespaces:     registry=corp,tier notin (lab,test)
        Credentials:    Secret shared of the agent's namespace
        TLS:            CA in Secret ca
        Addresses:      10.0.0.0/8
        Default:        registry.example.com/mirror/{namespace} (credentials in Secret push)
        Limits:         4 requests at once
        Age:            7d

        CONDITION   STATUS   REASON           SINCE   MESSAGE
        Ready       False    SecretUnusable   5m30s   its Secret does not exist
        ");
    }
}
