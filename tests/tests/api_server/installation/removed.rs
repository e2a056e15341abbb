//! `kubectl imgop uninstall`.

use imgop_core::api::Image;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use imgop_core::api::crds;

use super::{Case, EXISTING, TEAM};

const OURS: &str = "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding,role,rolebinding,deployment,serviceaccount,lease";

/// An installation in a namespace that was there before, which enables another one with an Image.
async fn case() -> anyhow::Result<Case> {
    let case = Case::bare().await?;
    for namespace in [EXISTING, TEAM] {
        case.kubectl(&["create", "namespace", namespace]).await?;
    }
    case.imgop(&["install", "-n", EXISTING]).await?;
    case.imgop(&["enable", TEAM, "--builds"]).await?;
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "imgop-agent",
        "namespace": EXISTING } });
    case.kubectl.apply(&lease.to_string()).await?.ok()?;
    case.sees_workloads().await?;
    let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" },
        "spec": { "mode": "OneShot", "source": { "name": "quay.io/a/b", "version": "1" },
            "destination": { "name": "r.example.com/a" } } });
    let images: Api<Image> = Api::namespaced(case.client.clone(), TEAM);
    images.create(&PostParams::default(), &serde_json::from_value(image)?).await?;
    Ok(case)
}

impl Case {
    /// The agent sees workloads and has a Job that uses what an administrator lends, and a namespace lets others mirror it.
    async fn sees_workloads(&self) -> anyhow::Result<()> {
        let (name, account) = ("imgop-agent-workloads", format!("--serviceaccount={EXISTING}:imgop-agent"));
        let role = format!("--clusterrole={name}");
        self.kubectl(&["create", "clusterrolebinding", name, &role, &account]).await?;
        let (role, group) = ("--clusterrole=imgop-workload-mirror", "--group=system:serviceaccounts:other");
        self.kubectl(&["create", "rolebinding", "of-users", "-n", TEAM, role, group]).await?;
        let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "lent", "namespace": EXISTING,
            "labels": { "app.kubernetes.io/managed-by": "imgop" }, "annotations": { "imgop.skopeo.io/owner": "{}" } },
            "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] } } } });
        self.kubectl.apply(&job.to_string()).await?.ok()?;
        Ok(())
    }

    /// Returns the names of all objects that have to do with imgop.
    async fn of_imgop(&self) -> anyhow::Result<Vec<String>> {
        let names = self.kubectl(&["get", OURS, "-A", "-o", "name"]).await?;
        let is_ours =
            |name: &&str| ["imgop", "skopeo.io", "buildah.io"].iter().any(|word| name.contains(word));
        Ok(names.lines().filter(is_ours).map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn nothing_is_left_of_an_installation_but_the_namespace_that_was_there() -> anyhow::Result<()> {
    let case = case().await?;
    let before = case.of_imgop().await?;
    assert!(before.len() > 30, "{before:?}");
    let plan = case.imgop(&["uninstall", "--crds", "--dry-run"]).await?;
    for text in [
        "delete  1 images.skopeo.io of users",
        "rolebinding.rbac.authorization.k8s.io/imgop-agent-builds -n team",
    ] {
        assert!(plan.contains(text), "{text} in {plan}");
    }
    assert!(!plan.contains("delete  namespace/") && plan.contains("keep    namespace/"), "{plan}");
    assert_eq!(case.of_imgop().await?, before, "a dry run deletes nothing");
    let unconfirmed = case.refused(&["uninstall", "--crds"]).await?;
    assert!(unconfirmed.contains("--yes"), "{unconfirmed}");
    let done = case.imgop(&["uninstall", "--crds", "--yes"]).await?;
    assert_eq!(case.of_imgop().await?, Vec::<String>::new());
    case.kubectl(&["get", "namespace", EXISTING]).await?;
    let stays = format!("namespace/{EXISTING} with all that is in it stays: imgop has not made it");
    assert!(done.contains(&stays), "{done}");
    assert!(case.imgop(&["uninstall", "--yes"]).await?.contains("not installed"));
    Ok(())
}

#[tokio::test]
async fn without_crds_what_users_have_written_stays_and_an_installation_finds_it_again() -> anyhow::Result<()>
{
    let case = case().await?;
    let done = case.imgop(&["uninstall", "--yes"]).await?;
    for kept in ["stay as they are", "kubectl delete rolebinding of-users -n team"] {
        assert!(done.contains(kept), "{kept} in {done}");
    }
    assert_eq!(
        case.kubectl(&["get", "jobs", "-n", EXISTING, "-o", "name"]).await?,
        "",
        "what is lent is gone"
    );
    let left = case.of_imgop().await?;
    assert!(
        left.len() == crds().len() && left.iter().all(|name| name.starts_with("customresourcedefinition")),
        "{left:?}"
    );
    case.imgop(&["install"]).await?;
    let images: Api<Image> = Api::namespaced(case.client.clone(), TEAM);
    assert_eq!(images.list(&ListParams::default()).await?.items.len(), 1);
    Ok(())
}

/// A CRD as a release of Helm with the value `crds.keep` leaves it.
async fn of_helm() -> anyhow::Result<Case> {
    let case = Case::bare().await?;
    // Nothing here would ever end the deletion of a namespace that imgop has made.
    for namespace in [EXISTING, "ops"] {
        case.kubectl(&["create", "namespace", namespace]).await?;
    }
    case.imgop(&["install", "-n", EXISTING]).await?;
    case.imgop(&["uninstall", "--yes"]).await?;
    let marks = [
        "meta.helm.sh/release-name=mirror",
        "meta.helm.sh/release-namespace=ops",
        "helm.sh/resource-policy=keep",
    ];
    case.kubectl(&[&["annotate", "crd", "images.skopeo.io"], &marks[..]].concat()).await?;
    case.kubectl(&["label", "crd", "images.skopeo.io", "app.kubernetes.io/managed-by=Helm"]).await?;
    Ok(case)
}

#[tokio::test]
async fn crds_of_a_release_that_is_gone_are_installed_over_and_deleted_and_those_of_one_that_is_there_are_not()
-> anyhow::Result<()> {
    let case = of_helm().await?;
    for kind in ["secret", "configmap"] {
        let generic: &[&str] = if kind == "secret" { &["generic"] } else { &[] };
        case.kubectl(&[&["create", kind], generic, &["sh.helm.release.v1.mirror.v1", "-n", "ops"]].concat())
            .await?;
        let revision = format!("{kind}/sh.helm.release.v1.mirror.v1");
        case.kubectl(&["label", &revision, "-n", "ops", "owner=helm", "name=mirror"]).await?;
        for verb in [&["install", "-n", EXISTING, "--yes"][..], &["uninstall", "--crds", "--yes"]] {
            let said = case.refused(verb).await?;
            assert!(said.contains("the Helm release mirror of namespace ops"), "{kind} {verb:?}: {said}");
        }
        case.kubectl(&["delete", &revision, "-n", "ops"]).await?;
    }
    case.imgop(&["install", "-n", EXISTING, "--yes"]).await?;
    assert!(case.imgop(&["upgrade"]).await?.contains("nothing to change"));
    case.imgop(&["uninstall", "--crds", "--yes"]).await?;
    assert_eq!(case.of_imgop().await?, Vec::<String>::new());
    Ok(())
}
