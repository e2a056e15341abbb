//! Registries that accept connections and never answer.

use std::net::TcpListener;

use imgop_core::api::Image;
use imgop_fakes::Catalog;
use kube::api::ListParams;

use super::{Case, assert_within_the_limit, image};

const SILENT: usize = 200;
/// Passes of one namespace that may be under way at once, as the agent is shipped.
const TURNS_OF_NAMESPACE: usize = 16;

#[tokio::test]
async fn images_of_silent_registries_do_not_keep_those_of_other_namespaces_waiting() -> anyhow::Result<()> {
    let case = Case::with_namespaces(&["silent", "healthy"]).await?;
    // The kernel accepts connections that nothing here ever reads.
    let listeners: Vec<TcpListener> =
        (0..SILENT).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut images = Vec::new();
    for (n, listener) in listeners.iter().enumerate() {
        let address = listener.local_addr()?;
        images.push(image(&format!("silent-{n}"), &format!("{address}/a"), &format!("{address}/b")));
    }
    case.create("silent", images).await?;
    let agent = case.agent(&[]).await?;

    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    let address = registry.address;
    let healthy = image("healthy", &format!("{address}/app"), &format!("{address}/copy"));
    case.create("healthy", [healthy]).await?;
    assert_eq!(case.reason("healthy", "healthy").await?, "Succeeded");
    let silent = case.images("silent").list(&ListParams::default()).await?.items;
    let given_up = silent.iter().filter(|image: &&Image| image.status.is_some()).count();
    anyhow::ensure!(given_up <= TURNS_OF_NAMESPACE, "{given_up} silent registries were given up before");
    assert_within_the_limit(&agent)
}
