//! Clients for a cluster that a kubeconfig names.

use std::path::Path;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A client for the current context of this kubeconfig.
///
/// Never through a proxy: test clusters are on this machine or beside it.
pub async fn connect(kubeconfig: &Path) -> anyhow::Result<Client> {
    use_ring();
    let said = || format!("cannot use the kubeconfig {}", kubeconfig.display());
    let content = Kubeconfig::read_from(kubeconfig).with_context(said)?;
    let mut config =
        Config::from_custom_kubeconfig(content, &KubeConfigOptions::default()).await.with_context(said)?;
    config.proxy_url = None;
    Client::try_from(config).with_context(said)
}

/// Chooses the cryptography of this process; reqwest brings none of its own.
pub fn use_ring() {
    // An error says that it was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
