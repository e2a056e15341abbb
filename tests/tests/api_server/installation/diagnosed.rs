//! `kubectl imgop doctor`: what is broken is named, one thing after the other.

use imgop_core::api::Image;
use imgop_tests::api_server::ApiServer;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Case, TEAM};

const OLDER_CRD: &str = include_str!("../data/images-crd-of-2267696.json");

impl Case {
    /// A namespace that is enabled, beside those of other tests, in an installation whose agent seems to run.
    async fn healthy() -> anyhow::Result<Self> {
        let case = Self::with_team().await?;
        case.renew_lease(jiff::Timestamp::now()).await?;
        case.imgop(&["enable", &case.team]).await?;
        Ok(case)
    }

    /// Returns the result and the words of a check, and how the verb ended.
    async fn diagnosed(
        &self,
        area: &str,
        name: &str,
        more: &[&str],
    ) -> anyhow::Result<(String, String, i32)> {
        let arguments = [&["doctor", "-n", self.team.as_str(), "-o", "json"], more].concat();
        let output = self.kubectl.imgop(arguments).await?;
        let diagnosis: Value =
            serde_json::from_str(&output.stdout).map_err(|e| anyhow::anyhow!("{e}: {output:?}"))?;
        let checks = diagnosis["checks"].as_array().cloned().unwrap_or_default();
        let check = checks.iter().find(|check| check["area"] == area && check["name"] == name);
        let check = check.ok_or_else(|| anyhow::anyhow!("no check {area} {name} in {diagnosis:#}"))?;
        let words = format!("{}; {}", check["message"].as_str().unwrap_or_default(), check["repair"]);
        Ok((check["result"].as_str().unwrap_or_default().to_owned(), words, output.code.unwrap_or(-1)))
    }

    /// Fails unless a check has this result, and says this.
    async fn expect(&self, (area, name): (&str, &str), result: &str, words: &str) -> anyhow::Result<()> {
        let (found, said, code) = self.diagnosed(area, name, &[]).await?;
        anyhow::ensure!(found == result && said.contains(words), "{area} {name}: {found} {said}");
        anyhow::ensure!(result != "FAIL" || code == 1, "exit code {code}");
        Ok(())
    }

    /// Creates an Image of plain HTTP, where nothing listens, with a status.
    async fn create(&self, name: &str, spec: Value, status: Value) -> anyhow::Result<()> {
        let mut all = json!({ "mode": "OneShot",
            "source": { "name": "127.0.0.1:1/a", "version": "1", "tls": { "mode": "PlainHTTP" } },
            "destination": { "name": "127.0.0.1:1/b", "tls": { "mode": "PlainHTTP" } } });
        for (side, fields) in spec.as_object().into_iter().flatten() {
            for (field, value) in fields.as_object().into_iter().flatten() {
                all[side][field] = value.clone();
            }
        }
        let images: Api<Image> = Api::namespaced(self.client.clone(), &self.team);
        let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": name }, "spec": all });
        images.create(&PostParams::default(), &serde_json::from_value(image)?).await?;
        let patch = Patch::Merge(json!({ "status": status }));
        images.patch_status(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

fn conditions(ready: &str, reason: &str, message: &str, stalled: bool) -> Value {
    let condition = |type_: &str, status: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let mut all = vec![condition("Ready", ready)];
    all.extend(stalled.then(|| condition("Stalled", "True")));
    json!({ "conditions": all })
}

#[tokio::test]
async fn a_cluster_without_imgop_is_told_to_install_it_and_one_that_is_well_has_nothing_wrong()
-> anyhow::Result<()> {
    let bare = Case::of(ApiServer::shared_bare().await?).await?;
    bare.kubectl(&["create", "namespace", TEAM]).await?;
    bare.expect(("crd", "images.skopeo.io"), "FAIL", "kubectl imgop install").await?;
    bare.expect(("agent", "deployment"), "FAIL", "kubectl imgop install").await?;
    let healthy = Case::healthy().await?;
    let output = healthy.kubectl.imgop(["doctor", "-n", healthy.team.as_str()]).await?;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("Nothing is wrong"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn each_broken_part_of_an_installation_is_named_with_what_repairs_it() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    case.seems_to_run().await?;
    case.kubectl(&["create", "namespace", TEAM]).await?;
    case.imgop(&["enable", TEAM]).await?;
    case.renew_lease(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10)).await?;
    case.expect(("agent", "lease"), "FAIL", "no agent leads").await?;
    case.kubectl(&["delete", "lease", "imgop-agent", "-n", "imgop-system"]).await?;
    case.expect(("agent", "lease"), "FAIL", "kubectl logs -n imgop-system").await?;
    case.kubectl(&["delete", "validatingadmissionpolicy", "imgop-destinations"]).await?;
    case.expect(("policies", "validatingadmissionpolicies"), "WARN", "missing: imgop-destinations").await?;
    case.kubectl(&[
        "set",
        "image",
        "deployment/imgop-agent",
        "-n",
        "imgop-system",
        "agent=ghcr.io/imgop/agent:0.0.9",
    ])
    .await?;
    case.expect(("agent", "version"), "WARN", "kubectl imgop upgrade").await?;
    case.expect(("agent", "imgop-system/imgop-agent"), "WARN", "kubectl describe pods -n imgop-system")
        .await?;
    case.kubectl(&["scale", "deployment", "imgop-agent", "-n", "imgop-system", "--replicas=0"]).await?;
    case.expect(("agent", "imgop-system/imgop-agent"), "FAIL", "--replicas=2").await?;
    case.kubectl(&["delete", "crd", "images.skopeo.io"]).await?;
    case.expect(("crd", "images.skopeo.io"), "FAIL", "not installed").await?;
    case.server.install(vec![serde_json::from_str(OLDER_CRD)?]).await?;
    case.expect(("crd", "images.skopeo.io"), "WARN", "older than this version").await?;
    Ok(())
}

#[tokio::test]
async fn each_broken_part_of_a_namespace_is_named_with_what_repairs_it() -> anyhow::Result<()> {
    let case = Case::healthy().await?;
    let team = case.team.as_str();
    let ready = conditions("True", "Succeeded", "1/1", false);
    case.create("ready", json!({}), ready.clone()).await?;
    case.expect(("resource", team), "OK", "1 resource ready").await?;
    case.expect(("registry from here", "127.0.0.1:1"), "WARN", "firewall").await?;
    case.expect(("registry from the cluster", team), "UNKNOWN", "--from-cluster").await?;
    case.imgop(&["disable", team]).await?;
    case.expect(("namespace", team), "FAIL", &format!("kubectl imgop enable {team}")).await?;

    let credentials = json!({ "source": { "credentials": { "secretName": "pull" } } });
    case.create("with-secret", credentials, ready).await?;
    case.expect(("secret", "pull"), "FAIL", &format!("kubectl create secret generic pull -n {team}")).await?;
    case.kubectl(&["create", "secret", "generic", "pull", "-n", team, "--from-literal=user=a"]).await?;
    case.expect(("secret", "pull"), "FAIL", "it has no key .dockerconfigjson").await?;
    case.kubectl(&["delete", "secret", "pull", "-n", team]).await?;
    let login = ["--docker-server=127.0.0.1:1", "--docker-username=u", "--docker-password=p"];
    case.kubectl(&[&["create", "secret", "docker-registry", "pull", "-n", team], &login[..]].concat())
        .await?;
    case.expect(("secret", "pull"), "OK", "usable; named by with-secret spec.source").await?;

    case.create("stalled", json!({}), conditions("False", "TagNotFound", "no tag 1", true)).await?;
    case.expect(("resource", "stalled"), "FAIL", &format!("kubectl imgop describe stalled -n {team}"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_user_without_rights_learns_which_are_missing_and_what_could_not_be_looked_at() -> anyhow::Result<()>
{
    let case = Case::healthy().await?;
    let team = case.team.as_str();
    let user = ["--as=dev@example.com"];
    let (result, said, code) = case.diagnosed("your rights", "images.skopeo.io", &user).await?;
    assert!(result == "FAIL" && code == 1 && said.contains("--clusterrole=view"), "{result} {said}");
    let (result, said, _) = case.diagnosed("agent", "deployment", &user).await?;
    assert_eq!(result, "UNKNOWN", "{said}");
    case.kubectl(&[
        "create",
        "rolebinding",
        "dev",
        "-n",
        team,
        "--clusterrole=view",
        "--user=dev@example.com",
    ])
    .await?;
    // No controller here gathers what the role view takes in.
    case.kubectl(&[
        "create",
        "rolebinding",
        "more",
        "-n",
        team,
        "--clusterrole=imgop-view",
        "--user=dev@example.com",
    ])
    .await?;
    let (result, said, _) = case.diagnosed("your rights", "images.skopeo.io", &user).await?;
    assert!(result == "WARN" && said.contains("you can only look"), "{result} {said}");
    let (result, said, _) = case.diagnosed("crd", "images.skopeo.io", &user).await?;
    assert_eq!((result.as_str(), said.starts_with("served;")), ("OK", true), "{said}");
    Ok(())
}
