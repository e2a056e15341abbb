//! What becomes of copycat's configuration.

mod every_variable;
mod targets;

use serde_json::json;

use super::*;

fn migrate(file: Option<Value>, env: &[(&str, &str)]) -> MigratedCopycat {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (name, namespace) = ("copycat".to_owned(), Some("mirror".to_owned()));
    migrate_copycat(&CopycatInput { file, env, name, namespace, ..CopycatInput::default() })
}

fn said(migrated: &MigratedCopycat) -> String {
    migrated.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn whole() -> Value {
    json!({
        "targetKind": "ecr", "logLevel": "debug",
        "ecr": { "accountID": "123456789012", "region": "eu-west-1", "repoPrefix": "$registry/$namespace",
            "createRepo": true, "lifecyclePolicy": "{\"rules\":[]}",
            "assumeRoleArn": "arn:aws:iam::123456789012:role/ecr" },
        "digestPull": true, "digestPullIgnoredTags": ["latest", "dev"], "mirrorPlatforms": ["amd64", "linux/arm64"],
        "allowDifferentDigestRepush": false,
        "includeNamespaces": ["team-*"], "skipNamespaces": ["team-x"],
        "skipNames": { "deployments": ["a", "team-a/b"], "cronJobs": ["*"] },
        "excludeRegistries": ["https://Quay.io/"], "watchResources": ["Deployments", "pods"],
        "failureCooldownMinutes": 30, "forceReconcileMinutes": 60, "maxConcurrentReconciles": 4,
        "registryCredentials": [
            { "registry": "ghcr.io", "registryAliases": ["docker.pkg.github.com"], "tokenEnv": "GHCR_TOKEN" },
            { "registry": "*.corp.example", "username": "u", "password": "hunter2" }],
        "pathMap": [{ "from": "group/project", "to": "prod/project" }, { "from": "^old/(.*)$", "to": "new/$1", "regex": true }],
    })
}

#[test]
fn every_setting_of_the_file_is_carried_or_it_is_said_why_not() {
    let migrated = migrate(Some(whole()), &[("GHCR_TOKEN", "")]);
    insta::assert_json_snapshot!(migrated.object["spec"]);
    insta::assert_snapshot!("copycat_changes", said(&migrated));
    insta::assert_snapshot!(migrated.commands.join("\n"), @"
    kubectl create secret docker-registry copycat-ghcr-io -n mirror --docker-server=ghcr.io --docker-username=USER --docker-password=PASSWORD
    kubectl create secret docker-registry copycat-docker-pkg-github-com -n mirror --docker-server=docker.pkg.github.com --docker-username=USER --docker-password=PASSWORD
    kubectl create secret generic copycat-corp-example -n imgop-system --type=kubernetes.io/basic-auth --from-file=username=FILE --from-file=password=FILE
    ");
    let access = &migrated.lent[0]["spec"];
    assert_eq!((&access["hosts"], &access["actions"]), (&json!(["*.corp.example"]), &json!(["Pull"])));
    serde_json::from_value::<crate::api::RegistryAccessSpec>(access.clone()).unwrap();
    assert_eq!(migrated.agent["FAILURE_COOLDOWN_MINUTES"], "30");
    assert!(!format!("{migrated:?}").contains("hunter2"), "no credential is repeated");
}

#[test]
fn secrets_are_created_where_the_mirror_is_and_without_a_namespace_where_it_has_none() {
    let env = [("TARGET_KIND", "docker"), ("TARGET_REGISTRY", "r.io"), ("TARGET_USERNAME", "")];
    let env: BTreeMap<String, String> =
        env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let commands = |namespace: Option<&str>| {
        let namespace = namespace.map(str::to_owned);
        let input = CopycatInput { env: env.clone(), namespace, ..CopycatInput::default() };
        migrate_copycat(&input).commands.join("\n")
    };
    insta::assert_snapshot!(commands(Some("mirror")), @"kubectl create secret docker-registry copycat-target -n mirror --docker-server=r.io --docker-username=USER --docker-password=PASSWORD");
    insta::assert_snapshot!(commands(None), @"kubectl create secret docker-registry copycat-target --docker-server=r.io --docker-username=USER --docker-password=PASSWORD");
}

#[test]
fn each_registry_of_a_login_is_a_source_once_and_a_wildcard_that_nothing_here_knows_is_named() {
    let logins = json!([{ "registry": "Quay.io", "registryAliases": ["quay.io", "r.corp:5000", "*.corp", "r?.corp"] }]);
    let migrated = migrate(Some(json!({ "registryCredentials": logins })), &[]);
    let source = |registry: &str, secret: &str| json!({ "registry": registry, "credentials": { "secretName": secret } });
    let sources = json!([source("quay.io", "copycat-quay-io"), source("r.corp:5000", "copycat-r-corp-5000")]);
    assert_eq!(migrated.object["spec"]["sources"], sources);
    assert_eq!(migrated.lent.len(), 1);
    assert_eq!(migrated.lent[0]["spec"]["hosts"], json!(["*.corp"]));
    let said = said(&migrated);
    assert!(
        said.contains("registryCredentials[0] not carried: r?.corp stands for several registries"),
        "{said}"
    );
}

#[test]
fn a_list_with_an_element_that_is_no_text_is_said_and_not_taken_without_it() {
    let mut file = whole();
    file["digestPullIgnoredTags"] = json!([1.0, "latest"]);
    file["skipNamespaces"] = json!([123]);
    let changes = migrate(Some(file), &[]).changes;
    for field in ["digestPullIgnoredTags", "skipNamespaces"] {
        let said = changes.iter().find(|change| change.field == field && change.outcome == Outcome::Unusable);
        assert!(said.is_some_and(|change| change.reason.contains("no text")), "{field}: {changes:?}");
    }
}

#[test]
fn every_variable_is_read_and_goes_before_the_file() {
    let env = [
        ("TARGET_KIND", "docker"),
        ("TARGET_REGISTRY", "registry.corp:5000"),
        ("TARGET_REPO_PREFIX", "mirror"),
        ("TARGET_INSECURE", "true"),
        ("TARGET_USERNAME", "robot"),
        ("TARGET_PASSWORD", "hunter2"),
        ("DIGEST_PULL", "false"),
        ("CHECK_NODE_PLATFORM", "1"),
        ("INCLUDE_NAMESPACES", "a,b"),
        ("SKIP_STATEFULSETS", "db"),
        ("WATCH_RESOURCES", "statefulsets"),
        ("DRY_RUN", "yes"),
        ("REGISTRY_REQUEST_TIMEOUT", "5m"),
        ("REGISTRY_RETRY_BACKOFF", "10s"),
        ("FAILURE_COOLDOWN_MINUTES", "0"),
        ("FORCE_RECONCILE_MINUTES", "15"),
        ("METRICS_ADDR", ":9090"),
        ("NO_SUCH_THING", "x"),
    ];
    let migrated = migrate(Some(whole()), &env);
    let spec = &migrated.object["spec"];
    let destination = json!({ "repository": "registry.corp:5000", "prefix": "mirror", "tls": { "mode": "SkipVerify" },
        "credentials": { "secretName": "copycat-target" }, "pathMap": spec["destination"]["pathMap"] });
    assert_eq!(spec["destination"], destination);
    assert_eq!(
        (&spec["mode"], &spec["frequency"], spec.get("platforms")),
        (&json!("Observe"), &json!("15m"), None)
    );
    assert_eq!(spec["namespaces"]["include"], json!(["a", "b"]));
    assert!(spec.get("digests").is_none());
    let agent: Vec<(&str, &str)> =
        migrated.agent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let wanted = [
        ("FAILURE_COOLDOWN_MINUTES", "0"),
        ("LISTEN", "0.0.0.0:9090"),
        ("METRICS_NAME_REGISTRIES", "true"),
        ("RUST_LOG", "debug"),
    ];
    assert_eq!(agent, wanted);
    let said = said(&migrated);
    for words in [
        "requestTimeout not carried: 5m",
        "checkNodePlatform not carried",
        "NO_SUCH_THING not carried",
        "INCLUDE_NAMESPACES, which goes before the file",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!format!("{migrated:?}").contains("hunter2"));
}

#[test]
fn an_address_of_metrics_that_the_kubelet_does_not_reach_is_not_carried_but_said() {
    let listen = |address: &str| {
        let migrated = migrate(Some(whole()), &[("GHCR_TOKEN", ""), ("METRICS_ADDR", address)]);
        let is_said =
            |change: &&Change| change.field == "METRICS_ADDR" && change.outcome == Outcome::NotCarried;
        let said: Vec<String> = migrated.changes.iter().filter(is_said).map(ToString::to_string).collect();
        (migrated.agent.get("LISTEN").cloned(), said.join("\n"))
    };
    for (address, carried) in
        [(":9090", "0.0.0.0:9090"), ("0.0.0.0:9090", "0.0.0.0:9090"), ("[::]:9090", "[::]:9090")]
    {
        assert_eq!(listen(address), (Some(carried.to_owned()), String::new()), "{address}");
    }
    for address in ["localhost:8080", ":http", ":0", "127.0.0.1:8080", "[::1]:8080", "0.0.0.0", "8080"] {
        let said = format!(
            "METRICS_ADDR not carried: {address:?} is no IP address that the kubelet reaches, with a port, as the \
             agent's setting LISTEN is; without it that is 0.0.0.0:8080"
        );
        assert_eq!(listen(address), (None, said));
    }
    assert_eq!(listen("0").0, None, "metrics were off");
}

#[test]
fn an_address_of_copycats_own_pod_becomes_all_addresses_and_that_is_said() {
    for (address, own, listener) in [
        ("10.0.0.1:8080", "10.0.0.1", "0.0.0.0:8080"),
        ("[::ffff:10.0.0.1]:8080", "10.0.0.1", "0.0.0.0:8080"),
        ("[fd00::1]:8080", "fd00::1", "[::]:8080"),
    ] {
        let migrated = migrate(Some(whole()), &[("GHCR_TOKEN", ""), ("METRICS_ADDR", address)]);
        assert_eq!(migrated.agent.get("LISTEN").map(String::as_str), Some(listener), "{address}");
        let line = format!(
            "METRICS_ADDR changed: the agent's setting LISTEN, where health is answered too, is {listener}: {own} was \
             copycat's own address"
        );
        assert!(said(&migrated).contains(&line), "{line}: {}", said(&migrated));
    }
    assert!(!migrate(None, &[("METRICS_ADDR", "10.0.0.1:0")]).agent.contains_key("LISTEN"));
}

#[test]
fn a_login_of_the_other_kind_of_target_is_not_said_to_be_unknown() {
    let env = [("TARGET_USERNAME", "robot"), ("ECR_ACCOUNT_ID", "1"), ("AWS_REGION", "r")];
    let changes = migrate(None, &env).changes;
    let change = changes.iter().find(|change| change.field == "TARGET_USERNAME").unwrap();
    insta::assert_snapshot!(change, @"TARGET_USERNAME not carried: it is the login of targetKind docker (variable TARGET_KIND), and the target is of another kind; where nothing says which, it is ecr");
}

#[test]
fn c1_what_copycat_never_read_from_its_file_is_not_carried_and_typing_errors_are_named() {
    let file = json!({ "requestTimeout": "2m", "registryRetryBackoff": "5s", "digestPul": true,
        "ecr": { "accountID": "123456789012", "region": "eu-west-1" } });
    insta::assert_snapshot!(said(&migrate(Some(file), &[])), @"
    digestPul not carried: copycat has no such key, and ignored it; digestPull is near
    registryRetryBackoff not carried: copycat never read it from its file, only from its variable
    requestTimeout not carried: copycat never read it from its file, only from its variable
    ecr.accountID carried: it is part of destination.repository
    ecr.region carried: it is part of destination.repository
    targetKind carried: an administrator lends the agent's AWS identity with a RegistryAccess (docs/ecr.md)
    ecr.createRepo carried: the RegistryAccess has to say aws.createRepositories: true
    includeNamespaces carried: a new namespace counts at once, and a name that fits none means none, not all; an administrator lets the WorkloadMirror see other namespaces (ClusterRole imgop-workload-mirror)
    METRICS_NAME_REGISTRIES carried: no setting of copycat, whose metrics always name registries: with this one those of the agent do, too
    ");
}

#[test]
fn c2_all_namespaces_are_said_and_none_does_not_become_all() {
    let spec = |namespaces: Value| {
        migrate(Some(json!({ "includeNamespaces": namespaces })), &[]).object["spec"].clone()
    };
    assert_eq!(spec(Value::Null)["namespaces"]["include"], json!(["*"]), "as copycat's default");
    assert_eq!(spec(json!(["no-such-*"]))["namespaces"]["include"], json!(["no-such-*"]));
}

#[test]
fn c5_c6_dry_runs_become_modes_that_make_nothing_and_ask_nothing() {
    let mode = |env: &[(&str, &str)]| migrate(None, env).object["spec"]["mode"].clone();
    assert_eq!(mode(&[("DRY_RUN", "true")]), "Observe");
    assert_eq!(mode(&[("DRY_RUN", "true"), ("DRY_PULL", "1")]), "Plan");
}

#[test]
fn c7_a_path_that_ended_within_a_word_is_shown_with_three_examples() {
    let file =
        json!({ "pathMap": [{ "from": "group/project", "to": "prod/project" }, { "from": "a/", "to": "" }] });
    let migrated = migrate(Some(file), &[]);
    let rules = &migrated.object["spec"]["destination"]["pathMap"];
    assert_eq!(*rules, json!([{ "from": "group/project", "to": "prod/project" }, { "from": "a", "to": "" }]));
    let change = migrated.changes.iter().find(|change| change.field == "pathMap[0]").unwrap();
    insta::assert_snapshot!(change, @r#"pathMap[0] changed: "group/project" ends with a part of the path here, and fitted the beginning of a longer one there; group/project/app: prod/project//app there, prod/project/app here; group/projects/app: prod/project/s/app there, group/projects/app here; group/project: prod/project/ there, prod/project here"#);
}

#[test]
fn a_prefix_whose_words_copycat_misread_and_a_target_without_its_place_cannot_be_used() {
    let of = |file: Value| {
        let migrated = migrate(Some(file), &[]);
        let unusable = migrated.changes.into_iter().filter(|change| change.outcome == Outcome::Unusable);
        unusable.map(|change| change.field).collect::<Vec<_>>()
    };
    let ecr = json!({ "accountID": "1", "region": "r", "repoPrefix": "$namespaces/x" });
    assert_eq!(of(json!({ "ecr": ecr })), ["ecr.repoPrefix"]);
    assert_eq!(of(json!({ "targetKind": "docker" })), ["docker.registry"]);
    assert_eq!(of(json!({ "ecr": { "accountID": "1" } })), ["ecr.region"]);
    let quay = json!({ "targetKind": "docker", "docker": { "registry": "r.io" }, "watchResources": ["nodes"],
        "pathMap": [{ "from": "(", "to": "", "regex": true }] });
    assert_eq!(of(quay), ["pathMap[0]", "watchResources"]);
}

#[test]
fn what_comes_out_is_a_workload_mirror_that_the_agent_takes() {
    let migrated = migrate(Some(whole()), &[]);
    let spec: WorkloadMirrorSpec = serde_json::from_value(migrated.object["spec"].clone()).unwrap();
    assert!(WorkloadRequest::parse(&spec, "mirror").is_ok());
    assert_eq!(serde_json::to_value(&spec).unwrap()["destination"], migrated.object["spec"]["destination"]);
    assert!(migrated.changes.iter().all(|change| change.outcome != Outcome::Unusable), "{}", said(&migrated));
}
