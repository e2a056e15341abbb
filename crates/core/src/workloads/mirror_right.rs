//! The right by which a namespace lets the WorkloadMirrors of another one see its workloads.

/// The right that the ClusterRole `imgop-workload-mirror` grants, to the service accounts of the namespace of a mirror.
/// Kubernetes does nothing with its verb, so that no role has it by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorRight;

impl MirrorRight {
    /// The verb.
    pub const VERB: &'static str = "mirror";
    /// The API group: the core group.
    pub const GROUP: &'static str = "";
    /// The resource, in the plural.
    pub const RESOURCE: &'static str = "pods";
}

/// Returns the group that all service accounts of a namespace are in.
pub fn service_accounts_of(namespace: &str) -> String {
    format!("system:serviceaccounts:{namespace}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_grant_this_right_alone_to_the_group_of_a_namespace() {
        let manifests = include_str!("../../../../manifests/agent.yaml");
        let (_, role) = manifests.split_once("name: imgop-workload-mirror\n").unwrap();
        let (_, rules) = role.split("---").next().unwrap().split_once("rules:\n").unwrap();
        let (group, resource, verb) = (MirrorRight::GROUP, MirrorRight::RESOURCE, MirrorRight::VERB);
        let right = format!("- apiGroups: [\"{group}\"]\n  resources: [{resource}]\n  verbs: [{verb}]\n");
        assert_eq!(rules, right);
        assert!(manifests.contains(&format!("--group={}", service_accounts_of("TEAM"))));
    }
}
