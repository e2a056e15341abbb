//! Which token servers may receive the credentials for a registry.
//!
//! A registry names its token server in a header, the `realm`. Whoever controls that header could
//! otherwise collect credentials or direct the agent at a service inside the cluster.

use url::{Host, Url};

use crate::error::Failure;
use crate::reference::RegistryHost;
use crate::settings::TOKEN_SERVERS_VARIABLE;
use crate::text::authority;
use crate::transport::{Channel, Reach, is_public_name, is_under};

/// Registries whose token server is on another domain: the registry's domain, the token server.
const KNOWN_TOKEN_SERVERS: [(&str, &str); 3] =
    [("nvcr.io", "authn.nvidia.com"), ("scw.cloud", "api.scaleway.com"), ("lscr.io", "ghcr.io")];

/// Returns the URL of a token server, if anything may be sent there.
pub(super) fn parse(realm: &str, base: &Url) -> Result<Url, Failure> {
    let realm = base
        .join(realm)
        .map_err(|_| Failure::protocol("the registry names a token server that is no address"))?;
    let secure = realm.scheme() == "https" || (realm.scheme() == "http" && base.scheme() == "http");
    if !secure {
        let message = format!("the registry wants credentials sent to {} without TLS", authority(&realm));
        return Err(Failure::refused(message));
    }
    if !realm.username().is_empty() || realm.password().is_some() {
        let message = format!("the address of the token server {} has a user name in it", authority(&realm));
        return Err(Failure::refused(message));
    }
    Ok(realm)
}

/// Checks that a request may go to this token server: one on the registry's own port, on its host or
/// domain behind TLS, or in the settings. Without a credential there is nothing to lose at a public one.
pub(super) fn check(
    realm: &Url,
    registry: &RegistryHost,
    channel: &Channel,
    has_credential: bool,
) -> Result<(), Failure> {
    let is_own = channel.reach(realm) != Reach::Foreign;
    if is_own || is_known(realm, channel.base()) || !has_credential && is_public(realm) {
        return Ok(());
    }
    let (wants, server) =
        (if has_credential { "wants credentials sent to" } else { "wants a token from" }, authority(realm));
    Err(Failure::refused(format!(
        "{registry} {wants} {server}, which is neither on its port nor on its host or domain behind TLS; if that is \
         right, set {TOKEN_SERVERS_VARIABLE}={registry}={server}"
    )))
}

/// Whether this is a public name behind TLS: nothing within the cluster or the machine is reached by it.
fn is_public(realm: &Url) -> bool {
    realm.scheme() == "https" && matches!(realm.host(), Some(Host::Domain(name)) if is_public_name(name))
}

fn is_known(realm: &Url, base: &Url) -> bool {
    let (Some(Host::Domain(realm_name)), Some(Host::Domain(base_name))) = (realm.host(), base.host()) else {
        return false;
    };
    let mut known = KNOWN_TOKEN_SERVERS.iter();
    realm.scheme() == "https"
        && known.any(|(domain, server)| is_under(base_name, domain) && realm_name == *server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Access;
    use crate::settings::Settings;
    use crate::transport::Http;

    fn channel(base: &Url, registry: &RegistryHost) -> Channel {
        let mut settings = Settings { system_proxy: false, ..Settings::default() };
        settings.token_servers.insert("harbor.svc".parse().unwrap(), vec!["harbor.corp.example".to_owned()]);
        Http::new(settings).channel(base.clone(), &Access::default(), Some(registry)).unwrap()
    }

    fn allowed(registry: &str, realm: &str) -> bool {
        let registry: RegistryHost = registry.parse().unwrap();
        let scheme = if registry.is_loopback() { "http" } else { "https" };
        let base = format!("{scheme}://{}/", registry.api_host()).parse().unwrap();
        let realm = parse(realm, &base);
        realm.is_ok_and(|realm| check(&realm, &registry, &channel(&base, &registry), true).is_ok())
    }

    #[test]
    fn the_token_servers_of_well_known_registries_are_allowed() {
        for (registry, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("public.ecr.aws", "https://public.ecr.aws/token/"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("nvcr.io", "https://authn.nvidia.com/token"),
            ("rg.fr-par.scw.cloud", "https://api.scaleway.com/registry-internal/v1/regions/fr-par/tokens"),
            ("registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.cn-hangzhou.aliyuncs.com/auth"),
            ("registry.corp:5000", "https://registry.corp/service/token"),
            ("a.azurecr.io", "https://a.azurecr.io/oauth2/token"),
            ("localhost:5000", "http://127.0.0.1:5000/auth"),
            ("zot.corp", "/zot/auth/token"),
            ("harbor.svc", "https://harbor.corp.example/service/token"),
            ("harbor.svc", "https://harbor.corp.example:8443/service/token"),
            ("10.0.0.1:5000", "https://10.0.0.1:5001/auth"),
            ("registry:5000", "https://registry:5001/auth"),
        ] {
            assert!(allowed(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn foreign_insecure_and_odd_token_servers_are_refused() {
        for (registry, realm) in [
            ("quay.io", "https://evil.example.com/token"),
            ("quay.io", "http://quay.io/v2/auth"),
            ("quay.io", "https://user:pw@quay.io/v2/auth"),
            ("quay.io", "https://evilquay.io/v2/auth"),
            ("quay.io", "https://127.0.0.1/auth"),
            ("quay.io", "https://169.254.169.254/auth"),
            ("quay.io", "ftp://quay.io/auth"),
            ("quay.io", "//evil.example.com/auth"),
            ("quay.io", "https://[/auth"),
            ("a.azurecr.io", "https://b.azurecr.io/oauth2/token"),
            ("a.co.uk", "https://b.co.uk/token"),
            ("10.0.0.1:5000", "https://10.0.0.2/token"),
            ("reg.a.svc.cluster.local", "https://x.b.svc.cluster.local/token"),
            ("localhost:5000", "http://metadata.internal/token"),
            ("localhost:5000", "http://127.0.0.1:5001/auth"),
            ("registry.corp:5000", "http://registry.corp:10250/token"),
            ("registry.corp:5000", "http://registry.corp:5000/token"),
        ] {
            assert!(!allowed(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn the_message_names_both_hosts_and_nothing_else() {
        let base = "https://quay.io/".parse().unwrap();
        let registry = "quay.io".parse().unwrap();
        let realm = parse("https://evil.example.com:8443/t?key=1", &base).unwrap();
        let message = |has_credential| {
            check(&realm, &registry, &channel(&base, &registry), has_credential).unwrap_err().to_string()
        };
        insta::assert_snapshot!(message(true), @"quay.io wants credentials sent to evil.example.com:8443, which is neither on its port nor on its host or domain behind TLS; if that is right, set REGISTRY_TOKEN_SERVERS=quay.io=evil.example.com:8443");
    }

    #[test]
    fn without_a_credential_every_public_token_server_behind_tls_will_do() {
        let base: Url = "https://quay.io/".parse().unwrap();
        let registry = "quay.io".parse().unwrap();
        let allowed = |realm: &str| {
            let realm = parse(realm, &base).unwrap();
            check(&realm, &registry, &channel(&base, &registry), false).is_ok()
        };
        assert!(allowed("https://auth.other.example/token"));
        for private in ["https://vault", "https://x.internal", "https://vault.prod.svc", "https://10.0.0.1"] {
            assert!(!allowed(private), "{private}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_realm_is_judged_without_a_panic(realm in "(https?://)?[a-z.:/@?\\[\\]0-9]{0,60}") {
            let _ = allowed("quay.io", &realm);
        }
    }
}
