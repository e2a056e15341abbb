//! Wrong credentials, no credentials, and certificates that are not trusted.

use anyhow::Context as _;
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, RegistryError, Tls, Unreachable};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::every_registry::{Registry, Way, registries};
use crate::image::Image;

const PATH: &str = "refusals/app";

/// Asks for the tags and for one tag of a repository that exists; both fail alike.
async fn refused(registry: &Registry, access: &Access) -> anyhow::Result<RegistryError> {
    let (_, writer) = registry.client(PATH, &registry.access())?;
    Image::new("refused").push(registry, PATH, &writer, &["v1"]).await?;
    let (_, client) = registry.client(PATH, access)?;
    let head = client.head(&ManifestRef::Tag("v1".parse()?)).await.err();
    let head = head.with_context(|| format!("{registry} answers a HEAD"))?;
    let error = client.tags().await.err().with_context(|| format!("{registry} lists its tags"))?;
    assert_eq!(head.reason(), error.reason(), "{registry}");
    Ok(error)
}

/// The error, as users read it: with names in place of ports.
fn told(registry: &Registry, error: &RegistryError) -> String {
    error.to_string().replace(&registry.address, "REGISTRY").replace(&registry.tokens.address, "TOKENS")
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() -> anyhow::Result<()> {
    for registry in registries(Way::Password).await? {
        let error = refused(registry, &registry.wrong_password()).await?;
        assert_eq!(*error.reason(), Reason::Unauthorized, "{registry}");
        assert!(!error.is_retryable());
        assert_eq!(
            told(registry, &error),
            "cannot list the tags of REGISTRY/refusals/app: REGISTRY does not accept the credential for \
             this repository: authentication required (HTTP 401)",
            "{registry}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_password_that_the_token_server_does_not_know_is_told_as_such() -> anyhow::Result<()> {
    for registry in registries(Way::Token).await? {
        let error = refused(registry, &registry.wrong_password()).await?;
        assert_eq!(*error.reason(), Reason::Unauthorized, "{registry}");
        assert_eq!(
            told(registry, &error),
            "cannot list the tags of REGISTRY/refusals/app: the token server TOKENS does not accept the \
             credential (HTTP 401)",
            "{registry}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_a_credential_a_private_repository_may_as_well_be_absent() -> anyhow::Result<()> {
    for way in [Way::Password, Way::Token] {
        for registry in registries(way).await? {
            let error = refused(registry, &registry.anonymous()).await?;
            assert_eq!((error.reason(), error.status()), (&Reason::Unauthorized, Some(401)), "{registry}");
            assert_eq!(
                told(registry, &error),
                "cannot list the tags of REGISTRY/refusals/app: REGISTRY wants a credential, or there is no \
                 such repository: authentication required (HTTP 401)",
                "{registry}"
            );
        }
    }
    Ok(())
}

/// A CA that has signed nothing here.
fn stranger() -> anyhow::Result<Vec<u8>> {
    let mut ca = CertificateParams::new([])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(ca.self_signed(&KeyPair::generate()?)?.pem().into_bytes())
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_with_what_is_missing() -> anyhow::Result<()> {
    for way in [Way::Tls, Way::Password] {
        for registry in registries(way).await? {
            // (Loopback is plain HTTP unless something is said of TLS, hence another CA.)
            let tls = Tls::Verify { extra_ca_pem: Some(stranger()?) };
            let error = refused(registry, &Access { tls, ..registry.access() }).await?;
            assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls), "{registry}");
            let wanted = "no CA that is trusted here has signed the host's certificate";
            assert!(error.to_string().ends_with(wanted), "{error}");
            let skipping = Access { tls: Tls::SkipVerify, ..registry.access() };
            assert_eq!(registry.client(PATH, &skipping)?.1.tags().await?.len(), 1, "{registry}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn tls_and_plain_http_are_not_mistaken_for_each_other() -> anyhow::Result<()> {
    for registry in registries(Way::Open).await? {
        let error = refused(registry, &Access { tls: Tls::SkipVerify, ..registry.access() }).await?;
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::NoTls), "{registry}");
        assert!(error.to_string().contains("does it speak plain HTTP?"), "{error}");
    }
    for registry in registries(Way::Tls).await? {
        let error = refused(registry, &Access { tls: Tls::PlainHttp, ..registry.access() }).await?;
        let wants_tls = Reason::Unreachable(Unreachable::WantsTls);
        assert_eq!((error.reason(), error.status()), (&wants_tls, Some(400)), "{registry}: {error}");
    }
    Ok(())
}
