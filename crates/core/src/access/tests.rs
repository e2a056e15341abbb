use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::RegistryAccessSpec;

const REGISTRY: &str = "registry.example.com";

fn labels(team: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), team.to_owned())])
}

/// A grant to a team, of a spec that has these fields besides.
pub(super) fn grant(name: &str, team: &str, fields: &Value) -> Grant {
    let mut spec = json!({ "hosts": [REGISTRY], "repositories": ["/"], "actions": ["Pull", "Push"],
        "secretName": name, "namespaceSelector": { "matchLabels": { "team": team } } });
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let spec: RegistryAccessSpec = serde_json::from_value(spec).unwrap();
    Grant::parse(name, &spec).0
}

pub(super) fn policy(grants: impl IntoIterator<Item = Grant>) -> AccessPolicy {
    AccessPolicy::new(grants, Vec::new())
}

/// What says that a registry has these names, too.
pub(crate) fn aliased(host: &str, aliases: &[&str]) -> AccessPolicy {
    policy([grant("names", "a", &json!({ "hosts": [host], "aliases": aliases, "actions": ["Pull"] }))])
}

/// What a team may do at a repository: `-` where no object is about it, `!` and the scope where it is not selected,
/// else the names of the grants that select it.
fn decided(policy: &AccessPolicy, team: &str, repository: &str, action: RegistryAction) -> String {
    let labels = labels(team);
    let borrower = Borrower { namespace: team, labels: &labels };
    match policy.decide(borrower, &repository.parse().unwrap(), action) {
        Ok(Decision::Ungoverned) => "-".to_owned(),
        Ok(Decision::NotSelected { scope }) => format!("!{scope}"),
        Ok(Decision::Granted { grant, also }) => [&[grant.name.as_str()], also.as_slice()].concat().join(" "),
        Err(error) => error.to_string(),
    }
}

fn pushed(policy: &AccessPolicy, team: &str, repository: &str) -> String {
    decided(policy, team, repository, RegistryAction::Push)
}

#[test]
fn a_destination_that_no_object_covers_is_open_to_each_namespace_with_secrets_of_its_own() {
    assert_eq!(pushed(&policy([]), "a", "registry.example.com/a/b"), "-");
    let policy = policy([grant("g", "a", &json!({ "repositories": ["team-a/"] }))]);
    assert_eq!(pushed(&policy, "b", "registry.example.com/team-b/x"), "-");
    assert_eq!(pushed(&policy, "b", "other.example.com/team-a/x"), "-");
}

#[test]
fn once_an_object_covers_a_prefix_only_the_namespaces_that_it_selects_may_write_there() {
    let policy = policy([grant("g", "a", &json!({ "repositories": ["team-a/"] }))]);
    assert_eq!(pushed(&policy, "a", "registry.example.com/team-a/x/y"), "g");
    assert_eq!(pushed(&policy, "b", "registry.example.com/team-a/x/y"), "!registry.example.com/team-a/");
    assert_eq!(
        pushed(&policy, "b", "registry.example.com:443/team-a/x"),
        "!registry.example.com:443/team-a/"
    );
}

#[test]
fn the_longest_prefix_decides_and_what_it_does_not_lend_no_shorter_one_lends() {
    let policy = policy([
        grant("all", "a", &json!({})),
        grant("b", "b", &json!({ "repositories": ["team-b/"] })),
        grant("app", "c", &json!({ "repositories": ["team-b/app"] })),
    ]);
    for action in [RegistryAction::Pull, RegistryAction::Push] {
        for (team, path, expected) in [
            ("a", "x", "all"),
            ("a", "team-b/x", "!registry.example.com/team-b/"),
            ("b", "team-b/x", "b"),
            ("b", "team-b/app", "!registry.example.com/team-b/app"),
            ("c", "team-b/app", "app"),
            ("c", "team-b/app2", "!registry.example.com/team-b/"),
        ] {
            let repository = format!("{REGISTRY}/{path}");
            assert_eq!(decided(&policy, team, &repository, action), expected, "{team} {path} {action:?}");
        }
    }
}

#[test]
fn a_host_in_full_decides_before_a_star_and_a_longer_name_behind_a_star_before_a_shorter_one() {
    let policy = policy([
        grant("short", "a", &json!({ "hosts": ["*.example.com"], "repositories": ["a/b/c/"] })),
        grant("long", "a", &json!({ "hosts": ["*.eu.example.com"], "repositories": ["a/"] })),
        grant("full", "a", &json!({ "hosts": ["r.eu.example.com"] })),
    ]);
    assert_eq!(pushed(&policy, "a", "r.example.com/a/b/c/d"), "short");
    assert_eq!(pushed(&policy, "a", "s.eu.example.com/a/b/c/d"), "long");
    assert_eq!(pushed(&policy, "a", "r.eu.example.com/a/b/c/d"), "full");
    assert_eq!(pushed(&policy, "a", "r.example.org/a/b/c/d"), "-");
}

#[test]
fn an_action_is_governed_by_the_objects_that_name_it() {
    let policy = policy([grant("pull", "a", &json!({ "actions": ["Pull"] }))]);
    assert_eq!(pushed(&policy, "b", "registry.example.com/x"), "-");
    assert_eq!(
        decided(&policy, "b", "registry.example.com/x", RegistryAction::Pull),
        "!registry.example.com/"
    );
    assert_eq!(decided(&policy, "a", "registry.example.com/x", RegistryAction::Pull), "pull");
}

#[test]
fn under_each_of_its_names_a_registry_is_governed_by_every_object() {
    let policy = policy([
        grant(
            "aliases",
            "a",
            &json!({ "aliases": ["r.corp:5000", "old.corp"], "repositories": ["team-a/"] }),
        ),
        grant(
            "more",
            "a",
            &json!({ "hosts": ["old.corp"], "aliases": ["older.corp"], "repositories": ["x/"] }),
        ),
        grant("b", "b", &json!({ "repositories": ["team-b/"] })),
    ]);
    for host in [REGISTRY, "r.corp:5000", "old.corp", "older.corp"] {
        assert_eq!(pushed(&policy, "b", &format!("{host}/team-b/x")), "b", "{host}");
        assert_eq!(pushed(&policy, "a", &format!("{host}/team-b/x")), format!("!{host}/team-b/"));
        let host: RegistryHost = host.parse().unwrap();
        assert!(policy.is_one_registry(&host, &"older.corp:443".parse().unwrap()));
    }
    assert_eq!(pushed(&policy, "a", "r.corp/team-b/x"), "-", "another port is another registry");
}

#[test]
fn of_equal_objects_the_first_name_lends_and_the_others_are_named() {
    let both = ["2", "1", "3"].map(|name| grant(name, if name == "1" { "b" } else { "a" }, &json!({})));
    for policy in [policy(both.clone()), policy(both.into_iter().rev())] {
        assert_eq!(pushed(&policy, "a", "registry.example.com/x"), "2 3");
        assert_eq!(pushed(&policy, "b", "registry.example.com/x"), "1");
        assert_eq!(pushed(&policy, "c", "registry.example.com/x"), "!registry.example.com/");
    }
}

#[test]
fn without_a_selector_an_object_lends_nothing_and_locks_what_it_covers() {
    let policy = policy([grant("g", "a", &json!({ "namespaceSelector": null }))]);
    assert_eq!(pushed(&policy, "a", "registry.example.com/x"), "!registry.example.com/");
}

#[test]
fn an_object_with_a_mistake_lends_nothing_and_locks_its_hosts() {
    for fields in [
        json!({ "repositories": ["team-a/", "Team-B/"] }),
        json!({ "hosts": [REGISTRY, "a*"] }),
        json!({ "addresses": ["10.0.0.0/33"] }),
        json!({ "aliases": ["not a host"] }),
        json!({ "aws": { "identity": "Agent" } }),
        json!({ "hosts": [REGISTRY, "b.example.com"], "aliases": ["c.example.com"] }),
    ] {
        let spec = grant("broken", "a", &fields);
        assert!(spec.secret_name.is_none() && spec.addresses.is_empty(), "{fields}");
        let policy = policy([spec, grant("all", "a", &json!({ "repositories": ["/", "team-a/app"] }))]);
        for path in ["team-a/app", "x"] {
            let decided = pushed(&policy, "a", &format!("{REGISTRY}/{path}"));
            assert_eq!(decided, "!registry.example.com/", "{fields} {path}");
        }
        assert_eq!(pushed(&policy, "a", "elsewhere.example.com/x"), "-");
    }
}

#[test]
fn every_mistake_is_reported_with_its_field() {
    let spec = json!({ "hosts": ["https://a", "*x.y"], "repositories": ["A/"], "actions": ["Pull"],
        "addresses": ["10.0.0.1/64"], "aliases": ["a b"], "secretName": "s", "aws": { "identity": "Agent" } });
    let error = Grant::parse("g", &serde_json::from_value(spec).unwrap()).1.unwrap().to_string();
    for field in ["spec.hosts", "spec.repositories", "spec.addresses", "spec.aliases", "spec.secretName"] {
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn where_an_object_cannot_be_read_nothing_is_decided() {
    let policy = AccessPolicy::new([grant("g", "a", &json!({}))], vec!["unreadable".to_owned()]);
    for (team, host) in [("a", REGISTRY), ("b", REGISTRY), ("a", "elsewhere.example.com")] {
        let decided = pushed(&policy, team, &format!("{host}/x"));
        assert!(decided.contains("an administrator has to correct or delete it"), "{decided}");
        assert!(!decided.contains("\"unreadable\""), "the name may be another tenant's");
    }
}

const TEAMS: [&str; 3] = ["a", "b", "c"];

fn any_grant() -> impl Strategy<Value = Grant> {
    let hosts = prop::sample::subsequence(vec!["r.x.test", "*.x.test", "*.test", "s.y.test:5000"], 1..3);
    let aliases = prop::sample::subsequence(vec!["s.y.test:5000", "t.z.test", "r.x.test:443"], 0..2);
    let repositories = prop::sample::subsequence(vec!["/", "a/", "a/b/", "a/b", "B/"], 1..3);
    let actions = prop::sample::subsequence(vec!["Pull", "Push"], 1..=2);
    let team = prop::sample::select(vec!["a", "b", "c", ""]);
    ("[a-f]", hosts, aliases, repositories, actions, team).prop_map(
        |(name, hosts, aliases, repositories, actions, team)| {
            let fields = json!({ "hosts": hosts, "aliases": aliases, "repositories": repositories, "actions": actions });
            grant(&name, team, &fields)
        },
    )
}

fn any_question() -> impl Strategy<Value = (&'static str, String, RegistryAction)> {
    let host = prop::sample::select(vec!["r.x.test", "q.x.test", "s.y.test:5000", "t.z.test", "q.w.test"]);
    let path = prop::sample::select(vec!["a", "a/b", "a/b/c", "ab/c", "x"]);
    let action = prop::sample::select(vec![RegistryAction::Pull, RegistryAction::Push]);
    (prop::sample::select(TEAMS.to_vec()), host, path, action)
        .prop_map(|(team, host, path, action)| (team, format!("{host}/{path}"), action))
}

proptest! {
    #[test]
    fn nothing_is_ever_lent_by_an_object_that_does_not_select_the_namespace_and_name_the_action(
        grants in prop::collection::vec(any_grant(), 0..6), question in any_question()
    ) {
        let (team, repository, action) = question;
        let (policy, labels) = (policy(grants), labels(team));
        let borrower = Borrower { namespace: team, labels: &labels };
        let decision = policy.decide(borrower, &repository.parse().unwrap(), action).unwrap();
        if let Decision::Granted { grant, also } = decision {
            prop_assert!(grant.selects(&labels) && grant.actions.contains(&action));
            prop_assert!(also.iter().all(|name| policy.grants[*name].selects(&labels)));
        }
    }

    #[test]
    fn one_more_object_that_does_not_select_a_namespace_gives_it_nothing(
        grants in prop::collection::vec(any_grant(), 0..6), more in any_grant(), question in any_question()
    ) {
        let (team, repository, action) = question;
        prop_assume!(!more.selects(&labels(team)));
        // It may make two hosts one registry, which then has what was granted for either.
        prop_assume!(more.names().is_empty());
        let before = decided(&policy(grants.clone()), team, &repository, action);
        let mut named = more;
        named.name = "more".to_owned();
        let after = decided(&policy(grants.into_iter().chain([named])), team, &repository, action);
        prop_assert!(after == before || after.starts_with('!'), "{} -> {}", before, after);
    }

    #[test]
    fn the_order_of_objects_decides_nothing(
        grants in prop::collection::btree_map("[a-f]", any_grant(), 0..6), question in any_question()
    ) {
        let (team, repository, action) = question;
        let named = grants.into_iter().map(|(name, mut grant)| {
            grant.name = name;
            grant
        });
        let grants: Vec<Grant> = named.collect();
        let forward = decided(&policy(grants.clone()), team, &repository, action);
        prop_assert_eq!(forward, decided(&policy(grants.into_iter().rev()), team, &repository, action));
    }

    #[test]
    fn any_spec_is_parsed_without_a_panic(text in "[*a-z./:\\[\\]0-9]{0,20}") {
        let spec = json!({ "hosts": [text], "repositories": [text], "actions": [], "addresses": [text],
            "aliases": [text], "tokenServers": [text] });
        let _ = Grant::parse("g", &serde_json::from_value(spec).unwrap());
    }
}

/// Where images of a team go by default.
fn default_of(policy: &AccessPolicy, team: &str) -> String {
    let labels = labels(team);
    match policy.default_destination(Borrower { namespace: team, labels: &labels }, None) {
        Ok(defaults) => {
            defaults.map_or("-".to_owned(), |defaults| format!("{}: {}", defaults.origin, defaults.prefix))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_namespace_has_the_default_destination_of_the_objects_that_select_it_and_no_other() {
    let default = |prefix: &str| json!({ "defaultDestination": { "prefix": prefix } });
    let (one, two) =
        (grant("one", "a", &default("r.example.com")), grant("two", "b", &default("s.example.com")));
    let policy = self::policy([one.clone(), two]);
    assert_eq!(default_of(&policy, "a"), "RegistryAccess/one: r.example.com");
    assert_eq!(default_of(&policy, "b"), "RegistryAccess/two: s.example.com");
    assert_eq!(default_of(&policy, "c"), "-");
    let contradicting = self::policy([one.clone(), grant("three", "a", &default("t.example.com"))]);
    assert!(
        default_of(&contradicting, "a")
            .starts_with(r#"RegistryAccess "one" and RegistryAccess "three" give"#)
    );
    let unreadable = AccessPolicy::new([one], vec!["bad".to_owned()]);
    assert!(default_of(&unreadable, "a").contains("cannot be read"));
}

#[test]
fn an_object_with_a_mistake_elsewhere_still_says_where_images_go_and_lends_nothing() {
    let fields = json!({ "hosts": ["*"], "defaultDestination": { "prefix": "r.example.com/{namespace}" } });
    let policy = policy([grant("g", "a", &fields)]);
    assert_eq!(default_of(&policy, "a"), "RegistryAccess/g: r.example.com/{namespace}");
    assert_eq!(default_of(&policy, "b"), "-");
}

#[test]
fn the_smallest_limit_holds_for_a_registry_under_all_its_names() {
    let limited = |name: &str, fields: Value, requests: u32| {
        let mut fields = fields;
        fields["limits"] = json!({ "concurrentRequests": requests });
        grant(name, "a", &fields)
    };
    let policy = policy([
        limited("one", json!({ "aliases": ["r.corp:5000"], "repositories": ["team-a/"] }), 4),
        limited(
            "two",
            json!({ "hosts": ["r.corp:5000"], "actions": ["Push"], "namespaceSelector": null }),
            2,
        ),
        limited("all", json!({ "hosts": ["*.example.com"] }), 3),
        grant("none", "a", &json!({ "hosts": ["quay.io"] })),
    ]);
    let of = |host: &str| policy.concurrency_limit(&host.parse().unwrap());
    let (one, alias) = (of("registry.example.com:443").unwrap(), of("r.corp:5000").unwrap());
    assert_eq!((one.requests, &one), (2, &alias), "they are limited together");
    assert_eq!(of("other.example.com").unwrap().requests, 3);
    assert_ne!(of("other.example.com").unwrap().registry, of("third.example.com").unwrap().registry);
    assert_eq!(of("quay.io"), None);
}
