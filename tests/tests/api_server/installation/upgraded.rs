//! `kubectl imgop upgrade`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Case, image_and_settings};

/// The CRD of an earlier version.
const OLDER_CRD: &str = include_str!("../data/images-crd-of-2267696.json");
const MODES: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/enum";

impl Case {
    /// Puts an agent of another version in the place of the one that is installed.
    async fn with_version(&self, version: &str) -> anyhow::Result<()> {
        let image = format!("agent=r.example.com/imgop/agent:{version}");
        self.kubectl(&["set", "image", "deployment/imgop-agent", "-n", "imgop-system", &image])
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn an_upgrade_from_an_older_version_shows_what_changes_and_keeps_what_was_set() -> anyhow::Result<()> {
    let case = Case::installed(&["--set", "WATCH_NAMESPACES=team-a"]).await?;
    case.with_version("0.0.9").await?;
    case.kubectl(&["set", "env", "deployment/imgop-agent", "-n", "imgop-system", "MAX_JOBS=7"]).await?;
    case.kubectl(&["scale", "deployment/imgop-agent", "-n", "imgop-system", "--replicas=3"]).await?;
    case.kubectl(&["delete", "crd", "images.skopeo.io"]).await?;
    case.server.install(vec![serde_json::from_str(OLDER_CRD)?]).await?;
    let refused = case.refused(&["install"]).await?;
    assert!(
        refused.contains("imgop 0.0.9 is installed") && refused.contains("kubectl imgop upgrade"),
        "{refused}"
    );

    let plan = case.imgop(&["upgrade", "--dry-run"]).await?;
    for text in
        ["imgop 0.0.9 → 0.1.0", "new: v1alpha1.spec.jobTemplate", "keep    MAX_JOBS: 7", "nothing was stored"]
    {
        assert!(plan.contains(text), "{text} in {plan}");
    }
    assert_eq!(image_and_settings(&case.agent("imgop-system").await?).0, "r.example.com/imgop/agent:0.0.9");
    case.imgop(&["upgrade", "--yes"]).await?;
    let agent = case.agent("imgop-system").await?;
    let (image, settings) = image_and_settings(&agent);
    assert_eq!(image, "r.example.com/imgop/agent:0.1.0");
    for setting in ["MAX_JOBS=7", "WATCH_NAMESPACES=team-a"] {
        assert!(settings.iter().any(|kept| kept == setting), "{setting} in {settings:?}");
    }
    assert_eq!(agent.spec.and_then(|spec| spec.replicas), Some(3));
    let again = case.imgop(&["upgrade"]).await?;
    assert!(again.contains("nothing to change"), "{again}");
    Ok(())
}

#[tokio::test]
async fn an_upgrade_deletes_what_an_earlier_version_installed_and_nothing_of_others() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    let role = |name: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\n  labels:\n    \
             app.kubernetes.io/part-of: imgop\n"
        )
    };
    for (name, manager) in [("imgop-of-before", "imgop-install"), ("imgop-of-ours", "kubectl")] {
        let file = case.server.folder().join(format!("{name}.yaml"));
        std::fs::write(&file, role(name))?;
        let manager = format!("--field-manager={manager}");
        case.kubectl(&["apply", "--server-side", &manager, "-f", &file.display().to_string()]).await?;
    }
    let done = case.imgop(&["upgrade", "--yes"]).await?;
    assert!(done.contains("clusterrole.rbac.authorization.k8s.io/imgop-of-before deleted"), "{done}");
    let names = case.kubectl(&["get", "clusterrole", "-o", "name"]).await?;
    assert!(names.contains("imgop-of-ours") && !names.contains("imgop-of-before"), "{names}");
    Ok(())
}

#[tokio::test]
async fn a_newer_crd_loses_nothing_unless_that_is_said() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    let api: Api<CustomResourceDefinition> = Api::all(case.client.clone());
    let mut crd = serde_json::to_value(api.get("images.skopeo.io").await?)?;
    let modes = crd.pointer_mut(MODES).and_then(|modes| modes.as_array_mut()).expect("the CRD has modes");
    modes.push(json!("Sometimes"));
    crd["metadata"]["managedFields"] = json!(null);
    api.patch("images.skopeo.io", &PatchParams::default(), &Patch::Merge(&crd)).await?;
    for verb in ["install", "upgrade"] {
        let said = case.refused(&[verb, "--yes"]).await?;
        assert!(said.contains("newer CRDs") && said.contains("images.skopeo.io"), "{verb}: {said}");
    }
    let has_mode = async || {
        anyhow::Ok(serde_json::to_string(&api.get("images.skopeo.io").await?)?.contains("Sometimes"))
    };
    assert!(has_mode().await?);
    case.imgop(&["upgrade", "--yes", "--allow-downgrade"]).await?;
    assert!(!has_mode().await?);
    Ok(())
}

#[tokio::test]
async fn a_newer_agent_stays_and_without_one_there_is_nothing_to_upgrade() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    case.with_version("9.0.0").await?;
    let said = case.refused(&["upgrade"]).await?;
    assert!(said.contains("which is newer than"), "{said}");
    case.kubectl(&["delete", "deployment", "imgop-agent", "-n", "imgop-system"]).await?;
    let said = case.refused(&["upgrade"]).await?;
    assert!(said.contains("kubectl imgop install"), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_account_of_the_administrators_own_stays_and_has_the_agents_rights() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    let account =
        json!({ "spec": { "template": { "spec": { "serviceAccountName": "mirror" } } } }).to_string();
    case.kubectl(&["patch", "deployment", "imgop-agent", "-n", "imgop-system", "-p", &account]).await?;
    let done = case.imgop(&["upgrade", "--yes"]).await?;
    assert!(done.contains("kept: serviceAccountName: mirror"), "{done}");
    let pod = case.agent("imgop-system").await?.spec.and_then(|spec| spec.template.spec);
    assert_eq!(pod.and_then(|pod| pod.service_account_name).as_deref(), Some("mirror"));
    let may = ["auth", "can-i", "list", "images.skopeo.io", "-A"];
    let user = "--as=system:serviceaccount:imgop-system:mirror";
    assert_eq!(case.kubectl(&[&may[..], &[user]].concat()).await?.trim(), "yes");
    assert!(case.imgop(&["upgrade"]).await?.contains("nothing to change"));
    Ok(())
}

#[tokio::test]
async fn a_setting_that_others_take_from_elsewhere_is_named_with_what_takes_it_out() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    let env = json!([{ "op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": { "name": "MAX_JOBS",
        "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "jobs" } } } }])
    .to_string();
    case.kubectl(&["patch", "deployment", "imgop-agent", "-n", "imgop-system", "--type=json", "-p", &env])
        .await?;
    for verb in [["upgrade", "--set", "MAX_JOBS=7", "--yes"], ["install", "--set", "MAX_JOBS=7", "--yes"]] {
        let said = case.refused(&verb).await?;
        let command = "kubectl set env deployment/imgop-agent -n imgop-system MAX_JOBS-";
        assert!(said.contains("MAX_JOBS cannot be set: kubectl-patch") && said.contains(command), "{said}");
    }
    case.kubectl(&["set", "env", "deployment/imgop-agent", "-n", "imgop-system", "MAX_JOBS-"]).await?;
    case.imgop(&["upgrade", "--set", "MAX_JOBS=7", "--yes"]).await?;
    let (_, settings) = image_and_settings(&case.agent("imgop-system").await?);
    assert!(settings.contains(&"MAX_JOBS=7".to_owned()), "{settings:?}");
    Ok(())
}

#[tokio::test]
async fn an_image_without_a_version_has_no_label_of_one_and_other_objects_tell_what_is_installed()
-> anyhow::Result<()> {
    let digest = format!("r.example.com/agent@sha256:{}", "0a".repeat(32));
    let case = Case::installed(&["--image", &digest]).await?;
    let labels = case.agent("imgop-system").await?.metadata.labels.unwrap_or_default();
    assert!(!labels.contains_key("app.kubernetes.io/version"), "{labels:?}");
    assert!(case.imgop(&["install"]).await?.contains("nothing to change"));
    case.imgop(&["install", "--replicas", "1", "--yes"]).await?;
    case.kubectl(&["delete", "crd", "images.skopeo.io"]).await?;
    case.server.install(vec![serde_json::from_str(OLDER_CRD)?]).await?;
    let said = case.refused(&["install", "--yes"]).await?;
    assert!(said.contains("of another version") && said.contains("kubectl imgop upgrade"), "{said}");
    case.imgop(&["upgrade", "--yes"]).await?;
    assert_eq!(image_and_settings(&case.agent("imgop-system").await?).0, digest);
    assert!(case.imgop(&["install"]).await?.contains("nothing to change"));
    Ok(())
}
