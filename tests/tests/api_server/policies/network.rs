//! The NetworkPolicies of `manifests`. That they are enforced is up to the network plugin of a cluster.

use std::collections::BTreeSet;

use anyhow::Context as _;
use imgop_tests::repository_root;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::PostParams;

use super::with_case;

const FILES: [&str; 3] =
    ["agent-network-policy.yaml", "copy-network-policy.yaml", "build-network-policy.yaml"];

fn policy(file: &str) -> anyhow::Result<NetworkPolicy> {
    let text = std::fs::read_to_string(repository_root().join("manifests").join(file))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{file} is no NetworkPolicy"))
}

fn egress(policy: &NetworkPolicy) -> &[NetworkPolicyEgressRule] {
    policy.spec.as_ref().and_then(|spec| spec.egress.as_deref()).unwrap_or_default()
}

/// The ranges that a policy leaves out of all that it lets pods reach.
fn left_out(policy: &NetworkPolicy) -> BTreeSet<String> {
    let peers = egress(policy).iter().flat_map(|rule| rule.to.iter().flatten());
    let blocks = peers.filter_map(|peer| peer.ip_block.as_ref());
    blocks.flat_map(|block| block.except.iter().flatten().cloned()).collect()
}

#[tokio::test]
async fn the_api_server_takes_each_network_policy_as_it_is_written() -> anyhow::Result<()> {
    with_case(async |case| {
        for file in FILES {
            let policy = policy(file)?;
            let namespace = policy.metadata.namespace.clone().unwrap_or_else(|| case.namespace.clone());
            let api: Api<NetworkPolicy> = Api::namespaced(case.admin.clone(), &namespace);
            let dry_run = PostParams { dry_run: true, ..PostParams::default() };
            let stored = api.create(&dry_run, &policy).await.with_context(|| file)?;
            // It leaves out lists that are empty.
            let kept = |policy: &NetworkPolicy| {
                let spec = policy.spec.clone().unwrap_or_default();
                (spec.pod_selector, spec.policy_types, spec.egress, spec.ingress.unwrap_or_default())
            };
            anyhow::ensure!(kept(&stored) == kept(&policy), "{file}: {:?}", stored.spec);
        }
        Ok(())
    })
    .await
}

#[test]
fn no_pod_of_imgop_reaches_metadata_and_nothing_reaches_a_pod_of_a_job() -> anyhow::Result<()> {
    let builds = left_out(&policy("build-network-policy.yaml")?);
    for range in ["169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128"] {
        anyhow::ensure!(builds.contains(range), "{range}");
    }
    for file in FILES {
        let policy = policy(file)?;
        anyhow::ensure!(left_out(&policy) == builds, "{file}: all leave the same out");
        for rule in egress(&policy) {
            // What names no address is DNS alone.
            let ports: Vec<_> = rule.ports.iter().flatten().filter_map(|port| port.port.clone()).collect();
            let is_dns = ports.len() == 2 && ports.iter().all(|port| *port == IntOrString::Int(53));
            anyhow::ensure!(rule.to.is_some() || is_dns, "{file}: {rule:?}");
        }
        let spec = policy.spec.context("no spec")?;
        anyhow::ensure!(spec.policy_types == Some(vec!["Ingress".to_owned(), "Egress".to_owned()]), "{file}");
        let ingress = spec.ingress.context("no ingress")?;
        let ports = ingress.iter().flat_map(|rule| rule.ports.iter().flatten());
        let ports: Vec<_> = ports.filter_map(|port| port.port.clone()).collect();
        let expected = if file.starts_with("agent") { vec![IntOrString::Int(8080)] } else { Vec::new() };
        anyhow::ensure!(ports == expected && ingress.len() == expected.len(), "{file}: {ingress:?}");
    }
    Ok(())
}
