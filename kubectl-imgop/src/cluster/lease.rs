//! Whether an agent works, as the Lease says by which one of several is elected.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;

use super::agent::setting;
use crate::output::age::human;

/// How much the clocks of this machine and the cluster may differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// The name of the Lease, unless a setting names another one.
const NAME: &str = "imgop-agent";
/// For how long a renewal holds that does not say so, in seconds.
const TTL: i32 = 15;

/// Where the Lease of an agent's Deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasePlace {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leading {
    /// An agent renews it.
    Leads(String),
    /// An agent has renewed it in the future, by this machine's clock.
    InTheFuture(String),
    /// No agent works, in these words.
    NotLed(String),
}

impl LeasePlace {
    /// Returns where the Lease of an agent is that has no settings for it.
    pub fn without_settings(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: NAME.to_owned() }
    }

    /// Returns where the Lease is; none where the agents of this Deployment elect none of them.
    pub fn of(agent: &Deployment) -> Option<Self> {
        if setting(agent, "LEADER_ELECT").as_deref() == Some("false") {
            return None;
        }
        let namespace = setting(agent, "LEASE_NAMESPACE").or_else(|| agent.namespace());
        let name = setting(agent, "LEASE_NAME").unwrap_or_else(|| NAME.to_owned());
        Some(Self { namespace: namespace.unwrap_or_default(), name })
    }
}

/// Returns the namespace of the Jobs that use what administrators lend.
pub fn lent_namespace(agent: &Deployment) -> String {
    setting(agent, "JOB_NAMESPACE").or_else(|| agent.namespace()).unwrap_or_default()
}

impl Leading {
    /// Returns what a Lease says at this time; `name` is its name.
    pub fn of(lease: Option<&Lease>, name: &str, now: Timestamp) -> Self {
        let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
            return Self::NotLed(format!("no agent has led yet: there is no Lease {name}"));
        };
        let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
        let (Some(holder), Some(renewed)) = (holder, spec.renew_time.as_ref()) else {
            return Self::NotLed("no agent leads".to_owned());
        };
        let age = now.duration_since(renewed.0);
        let ttl = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(TTL).into());
        if age < -CLOCK_SKEW {
            let by = human(age.abs().as_secs());
            return Self::InTheFuture(format!(
                "{holder} leads, and renewed its Lease in the future: the clocks differ by {by}"
            ));
        }
        if age > ttl + CLOCK_SKEW {
            let since = human(age.as_secs());
            return Self::NotLed(format!(
                "no agent leads: {holder} renewed its Lease {since} ago for the last time"
            ));
        }
        Self::Leads(format!("{holder} leads"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(holder: &str, renewed: &str) -> Leading {
        let lease =
            json!({ "spec": { "holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15 } });
        let lease: Lease = serde_json::from_value(lease).unwrap();
        Leading::of(Some(&lease), NAME, "2026-01-01T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_lease_tells_whether_an_agent_leads() {
        assert_eq!(said("a", "2026-01-01T11:59:50.000000Z"), Leading::Leads("a leads".to_owned()));
        assert_eq!(said("", "2026-01-01T11:59:50.000000Z"), Leading::NotLed("no agent leads".to_owned()));
        assert_eq!(
            said("a", "2026-01-01T11:50:00.000000Z"),
            Leading::NotLed("no agent leads: a renewed its Lease 10m ago for the last time".to_owned())
        );
        assert!(matches!(said("a", "2026-01-01T12:10:00.000000Z"), Leading::InTheFuture(_)));
        assert_eq!(
            Leading::of(None, NAME, Timestamp::UNIX_EPOCH),
            Leading::NotLed("no agent has led yet: there is no Lease imgop-agent".to_owned())
        );
    }

    #[test]
    fn its_place_is_that_of_the_settings_and_without_an_election_there_is_none() {
        let place = |env: Value| {
            let containers = json!([{ "name": "agent", "env": env }]);
            let deployment = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
                "spec": { "selector": {}, "template": { "spec": { "containers": containers } } } });
            let place = LeasePlace::of(&serde_json::from_value(deployment).unwrap());
            place.map(|place| format!("{}/{}", place.namespace, place.name))
        };
        assert_eq!(place(json!([])).as_deref(), Some("imgop-system/imgop-agent"));
        let named =
            json!([{ "name": "LEASE_NAME", "value": "two" }, { "name": "LEASE_NAMESPACE", "value": "x" }]);
        assert_eq!(place(named).as_deref(), Some("x/two"));
        assert_eq!(place(json!([{ "name": "LEADER_ELECT", "value": "false" }])), None);
    }

    #[test]
    fn what_another_container_of_the_pod_is_told_is_no_setting_of_the_agent() {
        let told = |name: &str| json!([{ "name": "LEASE_NAME", "value": name }]);
        let place = |containers: Value| {
            let deployment = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
                "spec": { "selector": {}, "template": { "spec": { "containers": containers } } } });
            LeasePlace::of(&serde_json::from_value(deployment).unwrap()).unwrap().name
        };
        let proxy = json!({ "name": "proxy", "env": told("of-proxy") });
        assert_eq!(place(json!([proxy, { "name": "agent" }])), "imgop-agent");
        assert_eq!(place(json!([proxy, { "name": "agent", "env": told("own") }])), "own");
    }
}
