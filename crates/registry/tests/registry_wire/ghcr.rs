//! GitHub's registry: who gets a token, pages of a hundred, and its ways to say no.

use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, Registries, RegistryError};

use imgop_fakes::{Ghcr, tags};
use imgop_fakes::{basic, names, settings};

async fn ghcr(number: usize) -> Ghcr {
    Ghcr::start(tags((0..number).map(|n| format!("v{n:03}")))).await
}

async fn refused(ghcr: &Ghcr, path: &str, access: &Access) -> RegistryError {
    Registries::new(settings()).repository(&ghcr.host.repository(path), access).tags().await.unwrap_err()
}

#[tokio::test]
async fn a_public_repository_is_listed_page_by_page_with_an_anonymous_token() {
    let ghcr = ghcr(250).await;
    let client =
        Registries::new(settings()).repository(&ghcr.host.repository("team/app"), &Access::default());
    let listed = client.tags().await.unwrap();
    assert_eq!(names(&listed), (0..250).map(|n| format!("v{n:03}")).collect::<Vec<_>>());
    assert!(client.head(&ManifestRef::Tag("v007".parse().unwrap())).await.unwrap().is_some());
    assert_eq!(
        ghcr.host.lines(),
        [
            "GET /v2/team/app/tags/list?n=1000",
            "GET /token?service=ghcr.io&scope=repository%3Ateam%2Fapp%3Apull",
            "GET /v2/team/app/tags/list?n=1000",
            "GET /v2/team/app/tags/list?last=v099&n=0",
            "GET /v2/team/app/tags/list?last=v199&n=0",
            "HEAD /v2/team/app/manifests/v007",
        ]
    );
}

#[tokio::test]
async fn without_a_credential_private_and_absent_repositories_are_one_and_are_asked_for_once() {
    let ghcr = ghcr(1).await;
    for path in ["team/secret", "team/absent"] {
        let before = ghcr.host.seen().len();
        let error = refused(&ghcr, path, &Access::default()).await;
        assert_eq!((error.reason(), error.status()), (&Reason::Unauthorized, Some(401)), "{error}");
        assert!(!error.is_retryable());
        let host = ghcr.host.address;
        assert_eq!(
            error.to_string(),
            format!(
                "cannot list the tags of {host}/{path}: the token server {host} wants a credential, or there \
                 is no such repository (HTTP 401)"
            )
        );
        assert_eq!(ghcr.host.seen().len() - before, 2, "the list, and the token");
    }
}

#[tokio::test]
async fn a_credential_that_ran_out_is_denied_even_what_is_public_and_never_shown_to_the_registry() {
    let ghcr = ghcr(1).await;
    for path in ["team/app", "team/secret"] {
        let error = refused(&ghcr, path, &basic(Ghcr::USER, "ghp_of_last_year")).await;
        assert_eq!((error.reason(), error.status()), (&Reason::Forbidden, Some(403)), "{error}");
        assert!(!error.is_retryable());
        assert!(
            error.to_string().contains("the credential is wrong, has run out or has no right"),
            "{error}"
        );
        assert!(!error.to_string().contains("ghp_"), "{error}");
    }
    let shown = ghcr.host.seen().into_iter().filter(|seen| seen.target.starts_with("/v2/"));
    assert!(shown.into_iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_credential_that_reads_no_packages_is_reported_with_what_it_lacks() {
    let ghcr = ghcr(1).await;
    let error = refused(&ghcr, "team/secret", &basic(Ghcr::USER, Ghcr::TOKEN_WITHOUT_RIGHTS)).await;
    assert_eq!((error.reason(), error.code()), (&Reason::Forbidden, Some("DENIED")));
    assert!(error.to_string().ends_with("permission_denied: read_package (HTTP 403)"), "{error}");
}

#[tokio::test]
async fn with_a_credential_private_is_readable_and_absent_is_absent() {
    let ghcr = ghcr(1).await;
    let access = basic(Ghcr::USER, Ghcr::TOKEN);
    let registries = Registries::new(settings());
    let listed = registries.repository(&ghcr.host.repository("team/secret"), &access).tags().await.unwrap();
    assert_eq!(names(&listed), ["v000"]);
    let error = refused(&ghcr, "team/absent", &access).await;
    assert_eq!((error.reason(), error.code()), (&Reason::RepositoryNotFound, Some("NAME_UNKNOWN")));
}
