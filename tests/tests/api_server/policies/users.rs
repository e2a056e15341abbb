//! The roles of users.

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;

use super::{Case, Kind, with_case};

/// Returns a user who has one of imgop's roles for users here.
async fn with_role(case: &Case, name: &str, roles: &[&str]) -> anyhow::Result<Client> {
    let user = format!("{}-{name}", case.namespace);
    for role in roles {
        let subject = json!({ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" });
        case.bind(&format!("{name}-{role}"), "ClusterRole", role, subject).await?;
    }
    let client = imgop_tests::connect::connect_as(&case.server.kubeconfig(), &user, &[]).await?;
    let rule = json!({ "apiGroups": ["skopeo.io"], "resources": ["images"], "verbs": ["get"] });
    case.has(&client, &rule).await?;
    Ok(client)
}

fn is_forbidden<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Api(status)) if status.code == 403)
}

#[tokio::test]
async fn who_may_edit_a_namespace_writes_no_status_and_who_may_view_it_writes_nothing() -> anyhow::Result<()>
{
    with_case(async |case| {
        let editor = with_role(case, "editor", &["imgop-view", "imgop-edit"]).await?;
        let viewer = with_role(case, "viewer", &["imgop-view"]).await?;
        for (kind, status) in [
            // With it, an Image of another namespace could be kept from a destination.
            (Kind::Image, json!({ "writtenTo": "registry.example.com/argoproj/argocd" })),
            (Kind::ImageBuilder, json!({ "observedGeneration": 1 })),
        ] {
            let object = kind.object("app", &kind.spec());
            super::accepted(|| async {
                case.objects(&editor, kind).create(&PostParams::default(), &object).await.map(drop)
            })
            .await?;
            let status = Patch::Merge(json!({ "status": status }));
            let suspended = Patch::Merge(json!({ "spec": { "suspend": true } }));
            let params = PatchParams::default();
            case.objects(&editor, kind).patch("app", &params, &suspended).await?;
            for client in [&editor, &viewer] {
                let api = case.objects(client, kind);
                api.get("app").await?;
                anyhow::ensure!(is_forbidden(&api.patch_status("app", &params, &status).await), "{kind:?}");
            }
            let viewed = case.objects(&viewer, kind);
            anyhow::ensure!(is_forbidden(&viewed.patch("app", &params, &suspended).await), "{kind:?}");
        }
        Ok(())
    })
    .await
}
