//! How much of Jobs is kept, and for whom they count.

use super::*;

fn in_namespace(namespace: &str, mut job: JobView) -> JobView {
    job.metadata.namespace = Some(namespace.to_owned());
    job
}

fn large(name: &str, uid: &str) -> JobView {
    let mut large = job(name, uid);
    large.annotations_mut().insert("imgop.skopeo.io/copies".into(), "x".repeat(700 * 1024));
    large
}

#[test]
fn a_job_that_does_not_fit_exists_and_is_counted_until_it_ends() {
    let scene = Scene::new();
    for number in 0..3 {
        scene.store.insert(large(&number.to_string(), "uid"));
    }
    let stubs =
        || scene.store.of_owner(&owner("uid"), now()).iter().map(|job| job.is_stub).collect::<Vec<_>>();
    assert_eq!(stubs(), [false, false, true]);
    assert_eq!(scene.taken("team-a", "uid"), 3);
    let grown = |job: JobView| {
        let mut job = job;
        job.annotations_mut().insert("more".into(), "x".repeat(1024 * 1024));
        job
    };
    scene.jobs(vec![Event::Apply(ok(grown(large("0", "uid"))))]);
    assert_eq!(scene.names("uid"), ["0", "1", "2"], "nor does it go when it grows");
    scene.jobs(vec![Event::Apply(ok(ended(large("2", "uid"), "Complete")))]);
    assert_eq!(scene.taken("team-a", "uid"), 2);
    for number in 0..3 {
        scene.jobs(vec![Event::Delete(ok(large(&number.to_string(), "uid")))]);
    }
    assert!(scene.store.content.lock().bytes.is_empty());
}

#[test]
fn jobs_that_have_ended_make_room_for_those_that_run() {
    let scene = Scene::new();
    for number in 0..2 {
        scene.store.insert(ended(large(&number.to_string(), "uid"), "Complete"));
    }
    scene.store.insert(large("new", "uid"));
    let reports = scene.store.of_owner(&owner("uid"), now());
    let whole: Vec<&str> = reports.iter().filter(|job| !job.is_stub).map(|job| job.name.as_str()).collect();
    assert_eq!((reports.len(), whole.len(), whole.contains(&"new")), (3, 2, true));
}

#[test]
fn strangers_jobs_end_where_not_even_their_existence_fits() {
    let scene = Scene::new();
    let long = |number: usize| {
        let mut job = job(&format!("{number}"), &"u".repeat(1900));
        job.metadata.uid = Some(number.to_string());
        job
    };
    for number in 0..8000 {
        scene.jobs(vec![Event::Apply(ok(long(number)))]);
    }
    assert!(scene.store.content.lock().jobs.len() < 7000);
    scene.store.insert(job("own", "uid"));
    assert_eq!(scene.names("uid"), ["own"], "what this process has created is never left out");
}

#[test]
fn a_controller_whose_reference_is_longer_than_any_is_none() {
    let scene = Scene::new();
    let mut forged = job("forged", &"u".repeat(100_000));
    forged.labels_mut().clear();
    scene.jobs(vec![Event::Apply(ok(forged))]);
    assert!(scene.store.content.lock().bytes.is_empty());
}

#[test]
fn an_owner_has_no_jobs_of_another_namespace() {
    let scene = Scene::new();
    let forged = in_namespace("team-b", job("j", "uid"));
    scene.jobs(vec![Event::Apply(ok(forged.clone())), Event::Apply(ok(job("own", "uid")))]);
    assert_eq!(scene.names("uid"), ["own"]);
    assert_eq!(scene.store.count(&owner("uid")), Count { total: 1, unfinished: 1 });
    scene.jobs(vec![Event::Delete(ok(job("own", "uid")))]);
    for number in 0..3 {
        let forged = in_namespace("team-b", large(&number.to_string(), "uid"));
        scene.jobs(vec![Event::Apply(ok(forged))]);
    }
    scene.store.insert(large("own", "uid"));
    assert!(!scene.store.of_owner(&owner("uid"), now())[0].is_stub, "nor does their size count for it");
}
