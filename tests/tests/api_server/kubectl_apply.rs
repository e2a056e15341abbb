//! What kubectl apply says of a manifest.

use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;

#[tokio::test]
async fn kubectl_apply_names_a_misspelt_field() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    with_namespace(&server.client().await?, async |namespace| {
        let misspelt = r"
apiVersion: skopeo.io/v1alpha1
kind: Image
metadata:
  name: misspelt
spec:
  mode: OneShot
  allowCandidateReleases: true
  source: { name: quay.io/argoproj/argocd, version: v2.13.1 }
  destination: { name: registry.example.com/argoproj/argocd }
";
        let said = server.kubectl()?.in_namespace(&namespace).apply(misspelt).await?.failed()?;
        assert!(said.contains(r#"unknown field "spec.allowCandidateReleases""#), "{said}");
        Ok(())
    })
    .await
}
