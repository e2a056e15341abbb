//! Manifests of the documents are what the API server takes.

use anyhow::Context as _;
use imgop_core::api::crds;
use imgop_documents::Page;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use serde_json::Value;

/// How many manifests of our kinds there are at least: fewer were not found.
const LEAST: usize = 20;

/// Returns the manifests of our kinds in all pages, each with where it stands.
fn manifests() -> anyhow::Result<Vec<(String, Value)>> {
    let groups: Vec<String> = crds().into_iter().map(|crd| crd.spec.group).collect();
    let mut found = Vec::new();
    for page in Page::all() {
        for block in page.manifests() {
            let place = format!("{}:{}", page.path.display(), block.line);
            let objects: Vec<Value> =
                serde_saphyr::from_multiple(&block.text).with_context(|| place.clone())?;
            found.extend(objects.into_iter().map(|object| (place.clone(), object)));
        }
    }
    let is_ours = |object: &Value| {
        let group = object["apiVersion"].as_str().and_then(|version| version.split('/').next());
        group.is_some_and(|group| groups.iter().any(|ours| ours == group))
    };
    found.retain(|(_, object)| is_ours(object));
    Ok(found)
}

#[tokio::test]
async fn every_manifest_of_the_documents_is_taken_as_it_stands() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    let kubectl = server.kubectl()?;
    let manifests = manifests()?;
    assert!(manifests.len() >= LEAST, "{}", manifests.len());
    with_namespace(&server.client().await?, async |namespace| {
        let mut refused = Vec::new();
        for (place, mut object) in manifests {
            // The namespaces of the documents are not there.
            if object["metadata"]["namespace"].is_string() {
                object["metadata"]["namespace"] = namespace.as_str().into();
            }
            let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            let output =
                kubectl.in_namespace(&namespace).run_with_input(arguments, &object.to_string()).await?;
            if output.code != Some(0) || !output.stderr.is_empty() {
                refused.push(format!("{place}: {}", output.stderr));
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
        Ok(())
    })
    .await
}
