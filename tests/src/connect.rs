//! Clients for a cluster that a kubeconfig names.

use std::path::Path;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A client for the current context of this kubeconfig.
///
/// Never through a proxy: test clusters are on this machine or beside it.
pub async fn connect(kubeconfig: &Path) -> anyhow::Result<Client> {
    let config = config_of(kubeconfig).await?;
    Client::try_from(config).with_context(|| format!("cannot use the kubeconfig {}", kubeconfig.display()))
}

/// The same for another user, whom the one of the kubeconfig may act as.
pub async fn connect_as(kubeconfig: &Path, user: &str, groups: &[String]) -> anyhow::Result<Client> {
    let mut config = config_of(kubeconfig).await?;
    config.auth_info.impersonate = Some(user.to_owned());
    config.auth_info.impersonate_groups = Some(groups.to_vec()).filter(|groups| !groups.is_empty());
    Client::try_from(config).with_context(|| format!("cannot act as {user}"))
}

async fn config_of(kubeconfig: &Path) -> anyhow::Result<Config> {
    use_ring();
    let said = || format!("cannot use the kubeconfig {}", kubeconfig.display());
    let content = Kubeconfig::read_from(kubeconfig).with_context(said)?;
    let mut config =
        Config::from_custom_kubeconfig(content, &KubeConfigOptions::default()).await.with_context(said)?;
    config.proxy_url = None;
    Ok(config)
}

/// Chooses the cryptography of this process; reqwest brings none of its own.
pub fn use_ring() {
    // An error says that it was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
