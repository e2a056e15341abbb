//! Which of several agents works.

use clap::{ArgAction, Args};

/// Which of several agents works.
#[derive(Debug, Clone, Args)]
pub struct ElectionSettings {
    /// Whether only one of several agents works, the one that holds the Lease; the others take over once it is gone.
    /// Without, agents that run at once do the same work twice.
    #[arg(long, env = "LEADER_ELECT", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub leader_elect: bool,

    /// Name of the Lease. Agents with one Lease are one agent; those that watch different namespaces need different
    /// ones, and the right to them (the Role imgop-agent-lease).
    #[arg(long, env = "LEASE_NAME", default_value = "imgop-agent")]
    pub lease_name: String,

    /// Namespace of the Lease; that of the agent's pod if empty.
    #[arg(long, env = "LEASE_NAMESPACE", default_value = "")]
    pub lease_namespace: String,

    /// Name of the agent's pod, under which it holds the Lease.
    #[arg(long, env = "POD_NAME", default_value = "imgop-agent")]
    pub pod_name: String,
}

impl ElectionSettings {
    /// Returns a name that no other process has or had: that of the pod, whose containers may be several one after
    /// another, and a random number.
    pub fn identity(&self) -> String {
        format!("{}_{:016x}", self.pod_name, fastrand::u64(..))
    }

    /// Returns the namespace of the Lease.
    pub fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        if self.lease_namespace.is_empty() { own } else { &self.lease_namespace }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::Config;

    #[test]
    fn image_operators_flag_is_taken_with_and_without_a_value() {
        let is_elected = |arguments: &[&str]| {
            let required = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=a:1"];
            Config::try_parse_from(required.iter().chain(arguments))
                .map(|config| config.election.leader_elect)
        };
        assert!(is_elected(&[]).unwrap() && is_elected(&["--leader-elect"]).unwrap());
        assert!(
            is_elected(&["--leader-elect=true"]).unwrap() && !is_elected(&["--leader-elect=false"]).unwrap()
        );
        assert!(is_elected(&["--leader-elect=perhaps"]).is_err());
    }

    #[test]
    fn two_processes_of_one_pod_have_different_names() {
        let config =
            Config::parse_from(["a", "--watch-namespaces=*", "--skopeo-image=a:1", "--pod-name=pod-1"]);
        let (first, second) = (config.election.identity(), config.election.identity());
        assert!(first.starts_with("pod-1_") && first != second, "{first} {second}");
        assert_eq!(config.election.namespace("own"), "own");
    }
}
