//! `kubectl imgop enable` and `disable`.

use serde_json::Value;

use super::Case;

impl Case {
    /// Returns what the agent may do in the namespace of the team, by the API server's word.
    async fn agent_may(&self, verb: &str, resource: &str) -> anyhow::Result<bool> {
        let account = "--as=system:serviceaccount:imgop-system:imgop-agent";
        let answer = self.kubectl.run(["auth", "can-i", verb, resource, "-n", &self.team, account]).await?;
        Ok(answer.stdout.trim() == "yes")
    }
}

#[tokio::test]
async fn a_namespace_is_enabled_for_what_is_said_and_disabled_again() -> anyhow::Result<()> {
    let case = Case::with_team().await?;
    let team = case.team.as_str();
    assert!(!case.agent_may("create", "jobs.batch").await?);
    let done = case.imgop(&["enable", team]).await?;
    assert!(done.contains(&format!("namespace {team}: copies of Images enabled")), "{done}");
    assert!(done.contains("create, delete jobs.batch"), "it says what that is: {done}");
    assert!(case.agent_may("create", "jobs.batch").await?);
    assert!(!case.agent_may("build", "imagebuilders.buildah.io").await?);
    let again = case.imgop(&["enable", team, "--builds"]).await?;
    assert!(
        again.contains("copies of Images unchanged") && again.contains("builds of ImageBuilders enabled"),
        "{again}"
    );
    assert!(case.agent_may("build", "imagebuilders.buildah.io").await?);
    let list: Value =
        serde_json::from_str(&case.kubectl.imgop(["enable", "--list", "-o", "json"]).await?.ok()?)?;
    let namespaces = list["namespaces"].as_array().cloned().unwrap_or_default();
    let listed =
        namespaces.iter().find(|namespace| namespace["namespace"] == team).cloned().unwrap_or_default();
    assert_eq!(
        (&listed["images"], &listed["builds"], &listed["aws"]),
        (&true.into(), &true.into(), &false.into()),
        "{list}"
    );
    case.imgop(&["disable", team, "--builds"]).await?;
    assert!(
        case.agent_may("create", "jobs.batch").await?
            && !case.agent_may("build", "imagebuilders.buildah.io").await?
    );
    case.imgop(&["disable", team]).await?;
    assert!(!case.agent_may("create", "jobs.batch").await?);
    assert!(case.imgop(&["disable", team]).await?.contains("nothing to disable"));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_and_a_namespace_that_does_not_exist_enable_nothing() -> anyhow::Result<()> {
    let case = Case::with_team().await?;
    let team = case.team.as_str();
    case.imgop(&["enable", team, "--dry-run"]).await?;
    assert!(!case.agent_may("create", "jobs.batch").await?);
    let said = case.refused(&["enable", "absent"]).await?;
    assert!(said.contains("there is no namespace absent"), "{said}");
    let tenant = case.refused(&["enable", team, "--as=dev@example.com"]).await?;
    assert!(tenant.contains("dev@example.com"), "{tenant}");
    Ok(())
}

#[tokio::test]
async fn a_binding_that_is_for_others_too_is_added_to_and_never_deleted() -> anyhow::Result<()> {
    let case = Case::with_team().await?;
    let team = case.team.as_str();
    let role = "--clusterrole=imgop-agent-namespace";
    case.kubectl(&["create", "rolebinding", "imgop-agent", "-n", team, role, "--serviceaccount=other:agent"])
        .await?;
    case.imgop(&["enable", team]).await?;
    let names = ["get", "rolebinding", "imgop-agent", "-n", team, "-o", "jsonpath={.subjects[*].namespace}"];
    assert_eq!(case.kubectl(&names).await?, "other imgop-system");
    let said = case.refused(&["disable", team]).await?;
    assert!(said.contains("is for others too"), "{said}");
    case.kubectl(&["create", "rolebinding", "imgop-agent-aws", "-n", team, "--clusterrole=view", "--user=a"])
        .await?;
    let said = case.refused(&["enable", team, "--aws"]).await?;
    assert!(said.contains("of the role view"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_secrets_has_the_smaller_role_and_gets_the_whole_one_later() -> anyhow::Result<()>
{
    let case = Case::with_team().await?;
    let team = case.team.as_str();
    let done = case.imgop(&["enable", team, "--without-secrets"]).await?;
    assert!(done.contains("copies of Images without Secrets enabled"), "{done}");
    assert!(case.agent_may("create", "jobs.batch").await? && !case.agent_may("get", "secrets").await?);
    let again = case.imgop(&["enable", team, "--without-secrets"]).await?;
    assert!(again.contains("unchanged"), "{again}");
    let list = case.imgop(&["enable", "--list"]).await?;
    assert!(list.lines().any(|line| line.contains(team) && line.contains("without Secrets")), "{list}");
    case.imgop(&["enable", team]).await?;
    assert!(case.agent_may("get", "secrets").await?);
    let said = case.refused(&["enable", team, "--without-secrets"]).await?;
    assert!(
        said.contains("may read Secrets") && said.contains(&format!("kubectl imgop disable {team}")),
        "{said}"
    );
    case.imgop(&["disable", team]).await?;
    assert!(!case.agent_may("create", "jobs.batch").await? && !case.agent_may("get", "secrets").await?);
    Ok(())
}
