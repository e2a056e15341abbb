//! The Jobs of an Image among those that others made to look like them.

use imgop_core::api::Mode;
use imgop_fakes::ApiServer;
use serde_json::{Value, json};

use super::*;
use crate::image::tests::fixtures::{agent, image, listed_job, now};

fn list(items: &[Value]) -> (u16, Value) {
    (200, json!({"metadata": {}, "items": items}))
}

fn pod(name: &str, owner: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {JOB_NAME_LABEL: "own"},
        "ownerReferences": [{"uid": owner, "controller": true}]}})
}

#[tokio::test]
async fn an_image_has_the_jobs_that_it_owns_and_those_their_pods_at_two_requests() {
    let image = image(Mode::Recurrent);
    let uid = image.uid().unwrap();
    let (jobs, pods) = (
        [listed_job("forged", &uid, "another"), listed_job("own", &uid, &uid)],
        [pod("its", "uid of own"), pod("forged", "uid of forged")],
    );
    let server = ApiServer::scripted(move |path| list(if path.contains("/pods") { &pods } else { &jobs }));
    let context = agent(server.client(), "team-a").await.unwrap();
    assert_eq!(context.budget.unfinished(&uid), 1);
    let before = server.requests().len();
    let found = Jobs::of(&context, &image, "here".into(), &mut HashMap::new(), now()).await.unwrap();
    let names: Vec<&str> = found.on_route().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["own"]);
    assert_eq!(server.requests().len(), before + 2, "{:?}", server.requests());

    let owned = owned_jobs(&context.lister, "team-a", &uid).await.unwrap();
    let by_job = pods_by_job(&context.lister, "team-a", &uid, &owned).await.unwrap();
    let pods: Vec<String> = by_job["own"].iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(pods, ["its"]);
}

#[tokio::test]
async fn jobs_say_no_more_than_fits() {
    let server = ApiServer::scripted(|_| {
        let job = |n: usize| {
            let mut job = listed_job(&format!("job-{n}"), "uid", "uid");
            job["metadata"]["annotations"]["imgop.skopeo.io/copies"] = "x".repeat(200 * 1024).into();
            job
        };
        list(&(0..20).map(job).collect::<Vec<_>>())
    });
    let owned = owned_jobs(&Lister::new(server.client()), "team-a", "uid").await.unwrap();
    assert_eq!(owned.len(), 10);
}
