//! The plugin where imgop is missing.

use imgop_tests::api_server::ApiServer;

#[tokio::test]
async fn a_cluster_without_the_crd_is_told_apart_from_one_without_images() -> anyhow::Result<()> {
    let bare = ApiServer::shared_bare().await?;
    for verb in [vec!["list"], vec!["describe", "busybox"], vec!["sync", "busybox"]] {
        let said = bare.kubectl()?.imgop(&verb).await?.failed()?;
        assert!(said.contains("images.skopeo.io is not installed"), "{verb:?}: {said}");
        assert!(said.contains("kubectl imgop install"), "{verb:?}: {said}");
    }
    let list = ApiServer::shared().await?.kubectl()?.imgop(["list"]).await?;
    assert_eq!((list.code, list.stdout.as_str()), (Some(0), ""), "{list:?}");
    assert!(list.stderr.contains("No resources found"), "{list:?}");
    Ok(())
}
