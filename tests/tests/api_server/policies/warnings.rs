//! What is worth a look in a `WorkloadMirror`: whoever applies it sees a warning, and it is stored all the same.

use anyhow::Context as _;
use imgop_core::api::WorkloadMirrorSpec;
use imgop_core::workloads::WorkloadRequest;
use imgop_tests::wait;
use serde_json::{Value, json};

use super::{Case, DEADLINE, Kind, with, with_case};

#[tokio::test]
async fn a_prefix_with_architectures_is_stored_with_the_warning_that_the_plugin_has_when_it_is_set()
-> anyhow::Result<()> {
    with_case(async |case| {
        let spec = |prefix: &str| with(Kind::WorkloadMirror.spec(), "destination.prefix", prefix);
        let with_arch = spec("$registry/$arch");
        let read: WorkloadMirrorSpec = serde_json::from_value(with_arch.clone())?;
        let warnings = WorkloadRequest::parse(&read, &case.namespace)?.warnings();
        let warning = format!("spec.{}", warnings.first().context("the plugin says nothing")?);
        wait::poll("the policy holds", DEADLINE, || async {
            let said = apply(case, &with_arch, &["--dry-run=server"]).await?;
            Ok(said.contains(&warning).then_some(()))
        })
        .await?;
        for (spec, is_warned) in [
            (with_arch.clone(), true),
            (with(with_arch.clone(), "frequency", "1h"), false),
            (spec("$registry"), false),
            (spec("$arch"), true),
        ] {
            let said = apply(case, &spec, &[]).await?;
            anyhow::ensure!(said.contains(&warning) == is_warned, "{spec}: {said}");
        }
        Ok(())
    })
    .await
}

/// Applies a mirror, and returns what kubectl says besides.
async fn apply(case: &Case, spec: &Value, flags: &[&str]) -> anyhow::Result<String> {
    let mirror = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "cluster" }, "spec": spec });
    let kubectl = case.server.kubectl()?.in_namespace(&case.namespace);
    let arguments = ["apply", "-f", "-"].iter().chain(flags);
    let output = kubectl.run_with_input(arguments, &mirror.to_string()).await?;
    anyhow::ensure!(output.code == Some(0), "{spec}: {}", output.stderr);
    Ok(output.stderr)
}
