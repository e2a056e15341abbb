use imgop_core::access::{Borrower, Decision};
use imgop_core::api::RegistryAction;
use imgop_core::creation::Creation;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use serde_json::json;

use super::*;
use crate::cluster::fixtures::{api_server, forbidden, refusal};

/// One that lets namespaces with the label `team: a` push to a registry.
fn object(name: &str) -> RegistryAccess {
    let spec = json!({ "hosts": ["registry.example.com"], "repositories": ["/"], "actions": ["Push"],
        "namespaceSelector": { "matchLabels": { "team": "a" } } });
    RegistryAccess::new(name, serde_json::from_value(spec).unwrap())
}

fn policies() -> (Policies, WatchHandle) {
    let policies = Policies::new(api_server(|_| forbidden()).0);
    let handle = ReadyGate::default().expect(1).remove(0);
    let _ = policies.0.handle.set(handle.clone());
    (policies, handle)
}

fn failed((_, status): &(u16, String)) -> watcher::Error {
    let status = serde_json::from_str(status).unwrap();
    watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
}

/// What a namespace of team b may do at the registry.
fn of_team_b(policies: &Policies) -> Decision<'static> {
    let (policy, labels) = (policies.current().unwrap(), Labels::from([("team".into(), "b".into())]));
    let borrower = Borrower { namespace: "b", labels: &labels };
    match policy.decide(borrower, &"registry.example.com/x".parse().unwrap(), RegistryAction::Push).unwrap() {
        Decision::Ungoverned => Decision::Ungoverned,
        Decision::NotSelected { scope } => Decision::NotSelected { scope },
        Decision::Granted { .. } => panic!("it is another team's"),
    }
}

#[tokio::test]
async fn nothing_is_known_before_a_list_is_complete_nor_while_another_one_is_read() {
    let (policies, mut handle) = policies();
    let mut apply = |event| policies.apply(Ok(event), &mut handle);
    let guarded = |name| DeserializeGuard(Ok(object(name)));
    apply(Event::Init);
    apply(Event::InitApply(guarded("one")));
    assert!(matches!(policies.current(), Err(PolicyFault::Pending)));
    apply(Event::InitDone);
    assert!(matches!(of_team_b(&policies), Decision::NotSelected { .. }));
    apply(Event::Init);
    assert!(
        matches!(of_team_b(&policies), Decision::NotSelected { .. }),
        "a list that begins is no empty one"
    );
    apply(Event::InitDone);
    assert!(matches!(of_team_b(&policies), Decision::Ungoverned));
    apply(Event::Apply(guarded("one")));
    assert!(matches!(of_team_b(&policies), Decision::NotSelected { .. }));
    apply(Event::Delete(guarded("one")));
    assert!(matches!(of_team_b(&policies), Decision::Ungoverned));
}

/// The API server has no such kind.
fn missing() -> (u16, String) {
    refusal(404, "NotFound", "the server could not find the requested resource")
}

#[tokio::test]
async fn a_cluster_without_the_kind_has_none_of_them() {
    let (policies, mut handle) = policies();
    policies.apply(Err(failed(&missing())), &mut handle);
    assert!(matches!(of_team_b(&policies), Decision::Ungoverned));
}

#[tokio::test]
async fn a_cluster_that_answers_in_plain_text_that_it_has_no_such_group_has_none_of_them() {
    let policies = Policies::new(api_server(|_| (404, "404 page not found\n".into())).0);
    let stop = CancellationToken::new();
    let run = policies.clone().run(ReadyGate::default(), stop.clone());
    let known = async {
        policies.wait_until_known(Duration::from_secs(10)).await;
        stop.cancel();
    };
    tokio::join!(run, known);
    assert!(matches!(of_team_b(&policies), Decision::Ungoverned));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_seems_to_be_gone_opens_nothing_until_that_has_lasted() {
    let (policies, mut handle) = policies();
    policies.show(&[object("one")]);
    let mut fail = |answer: (u16, String)| policies.apply(Err(failed(&answer)), &mut handle);
    let later = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
    fail(missing());
    assert!(matches!(of_team_b(&policies), Decision::NotSelected { .. }), "once is no answer");
    later(80).await;
    fail(missing());
    later(60).await;
    fail(forbidden());
    later(60).await;
    fail(missing());
    assert!(policies.current().is_err(), "neither once more, nor after another error");
    later(80).await;
    for _ in 0..2 {
        fail(missing());
        assert!(matches!(of_team_b(&policies), Decision::NotSelected { .. }));
        later(46).await;
    }
    fail(missing());
    assert!(matches!(of_team_b(&policies), Decision::Ungoverned));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_watched_for_long_is_not_known_any_more() {
    let (policies, mut handle) = policies();
    policies.show(&[object("one")]);
    for _ in 0..4 {
        assert!(policies.current().is_ok());
        policies.apply(Err(failed(&forbidden())), &mut handle);
        tokio::time::advance(std::time::Duration::from_secs(30)).await;
    }
    let error = policies.current().unwrap_err();
    assert!(matches!(error, PolicyFault::Failing(_)), "{error}");
    assert!(error.to_string().contains("apply the current manifests"), "{error}");
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_leaves_nothing_decided() {
    let (policies, mut handle) = policies();
    policies.show(&[object("one")]);
    let metadata = object("two").metadata;
    let invalid = DeserializeGuard(Err(InvalidObject { error: "spec.actions: unknown".into(), metadata }));
    policies.apply(Ok(Event::Apply(invalid)), &mut handle);
    let policy = policies.current().unwrap();
    assert!(policy.governs(&"elsewhere.example.com/x".parse().unwrap(), RegistryAction::Pull).is_err());
    policies.apply(Ok(Event::Apply(DeserializeGuard(Ok(object("two"))))), &mut handle);
    assert!(matches!(of_team_b(&policies), Decision::NotSelected { .. }));
}

#[tokio::test]
async fn that_nobody_lends_for_a_repository_is_known_without_labels_and_what_is_lent_is_not() {
    let creation = Creation {
        tags: BTreeMap::new(),
        scan_on_push: false,
        immutable: false,
        lifecycle_policy: None,
        access_policy: None,
        adopt: false,
        role_arn: None,
    };
    let (policies, _handle) = policies();
    let refuses = |host: &str| {
        let repository = format!("{host}.example.com/x").parse().unwrap();
        policies.refuses_creation("team-a", &repository, &creation)
    };
    assert_eq!(refuses("elsewhere"), None, "nothing is listed yet");
    policies.show(&[object("one")]);
    assert_eq!((refuses("elsewhere"), refuses("registry")), (Some(true), None));
}

#[tokio::test]
async fn the_labels_of_a_namespace_are_read_once_for_many_objects() {
    let (client, asked) = api_server(|path| match path.split('?').next().unwrap_or_default() {
        "GET /api/v1/namespaces/team-a" => {
            (200, json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } }).to_string())
        }
        _ => forbidden(),
    });
    let policies = Policies::new(client);
    policies.show(&[RegistryAccess::new("b", {
        let mut spec = object("b").spec;
        spec.namespace_selector.as_mut().unwrap().match_labels = [("team".to_owned(), "b".to_owned())].into();
        spec
    })]);
    let repository = "registry.example.com/x".parse().unwrap();
    assert!(!policies.refuses_push("team-a", &repository), "not known yet");
    for _ in 0..3 {
        let labels = policies.labels("team-a", Freshness::Cached).await.unwrap();
        assert_eq!(labels["team"], "a");
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(policies.refuses_push("team-a", &repository));
    assert!(!policies.refuses_push("team-a", &"elsewhere.example.com/x".parse().unwrap()));
    assert!(policies.labels("team-b", Freshness::Cached).await.is_err(), "not known is not without labels");
}
