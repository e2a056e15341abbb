//! Searches, against fakes that answer as the three public registries do.

use imgop_fakes::{ScriptedRegistry, Seen, json, settings};
use imgop_registry::{BulkApi, BulkKind, Registries, Settings};
use serde_json::json as value;

async fn found(
    registry: &str,
    kind: BulkKind,
    answer: impl Fn(&Seen) -> axum::response::Response + Send + Sync + 'static,
) -> (Vec<String>, Vec<String>) {
    let api = ScriptedRegistry::start(answer).await;
    let host: imgop_registry::reference::RegistryHost = registry.parse().unwrap();
    let bulk_apis = [(host.clone(), BulkApi { kind, base: format!("http://{}/", api.address) })].into();
    let registries = Registries::new(Settings { bulk_apis, ..settings() });
    let found = registries.search(&host, "ngi nx", 25).await.unwrap();
    let line = |found: &imgop_registry::FoundRepository| {
        format!(
            "{} {:?} {:?} {} {}",
            found.repository, found.stars, found.pulls, found.is_official, found.description
        )
    };
    (found.iter().map(line).collect(), api.lines())
}

#[tokio::test]
async fn docker_hub_is_asked_as_its_website_asks() {
    let answer = |_: &Seen| {
        let body = value!({ "count": 2, "next": null, "results": [
            { "repo_name": "nginx", "short_description": "Official build of Nginx.", "star_count": 20_000,
              "pull_count": 9_000_000_000_u64, "repo_owner": "", "is_automated": false, "is_official": true },
            { "repo_name": "bitnami/nginx", "short_description": null, "star_count": 3, "pull_count": 4 } ] });
        json(200, body.to_string())
    };
    let (found, requests) = found("docker.io", BulkKind::DockerHub, answer).await;
    assert_eq!(requests, ["GET /v2/search/repositories/?query=ngi+nx&page_size=25"]);
    assert_eq!(
        found,
        [
            "docker.io/library/nginx Some(20000) Some(9000000000) true Official build of Nginx.",
            "docker.io/bitnami/nginx Some(3) Some(4) false ",
        ]
    );
}

#[tokio::test]
async fn quay_is_asked_for_repositories_and_its_applications_are_left_out() {
    let answer = |_: &Seen| {
        let result = |kind: &str, name: &str| {
            value!({ "kind": kind, "title": "repo", "name": name, "stars": 1,
            "namespace": { "title": "org", "kind": "organization", "name": "argoproj" }, "description": "CD",
            "is_public": true, "score": 9.1, "href": "/repository/argoproj/argocd", "popularity": 5.5 })
        };
        let results = [result("repository", "argocd"), result("application", "chart")];
        json(
            200,
            value!({ "results": results, "has_additional": false, "page": 1, "page_size": 10 }).to_string(),
        )
    };
    let (found, requests) = found("quay.io", BulkKind::Quay, answer).await;
    assert_eq!(requests, ["GET /api/v1/find/repositories?query=ngi+nx"]);
    assert_eq!(found, ["quay.io/argoproj/argocd Some(1) None false CD"]);
}

#[tokio::test]
async fn the_gallery_of_ecr_public_is_asked_by_a_post() {
    let answer = |seen: &Seen| {
        let question: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!((&question["searchTerm"], &question["maxResults"]), (&value!("ngi nx"), &value!(25)));
        let repository = value!({ "repositoryName": "nginx/nginx", "primaryRegistryAliasName": "docker",
            "repositoryDescription": "Web server", "downloadCount": 7, "registryVerified": true, "displayName": "D" });
        json(
            200,
            value!({ "totalResults": 1, "repositoryCatalogSearchResultList": [repository] }).to_string(),
        )
    };
    let (found, requests) = found("public.ecr.aws", BulkKind::EcrPublic, answer).await;
    assert_eq!(requests, ["POST /searchRepositoryCatalogData"]);
    assert_eq!(found, ["public.ecr.aws/docker/nginx/nginx None Some(7) true Web server"]);
}

#[tokio::test]
async fn a_registry_without_a_search_and_one_that_refuses_are_errors() {
    let registries = Registries::new(settings());
    let error = registries.search(&"ghcr.io".parse().unwrap(), "x", 5).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot search ghcr.io: it has no search; these have one: docker.io, public.ecr.aws, quay.io"
    );
}
