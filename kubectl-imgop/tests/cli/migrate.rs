//! `migrate`: what other tools were told, without a cluster.

use serde_json::json;

use crate::fake_cluster::{FakeCluster, not_found};
use crate::program::Program;

const CONFIG: &str = "\
Images:
- SourceImage: quay.io/tools/widget
  Tags:
  - v1.0
  TargetImageName: widget
Repositories:
- BaseUrl: docker.io/acme
  Password: '{{ env \"HUB_PASSWORD\" }}'
  Registry: docker.io
  Target: true
  Username: '{{ env \"HUB_USERNAME\" }}'
";

const DAILY: &str = "\
version: 1
sync:
- source: neuvector/scanner:latest
  target: docker.io/acme/mirrored-neuvector-scanner:latest
  type: image
";

const AUTOUPDATE: &str = "\
- Name: widget
  GithubRelease:
    Owner: tools
    Repository: widget
    Images:
    - SourceImage: quay.io/tools/widget
      TargetImageName: widget
  Reviewers:
  - someone
- Name: chart
  HelmLatest:
    HelmRepo: https://charts.example.com
    Charts:
      widget:
        default: []
    Images:
    - SourceImage: quay.io/tools/widget
  Reviewers:
  - someone
";

const IMAGES: &str = r#"apiVersion: v1
kind: List
items:
- apiVersion: skopeo.io/v1alpha1
  kind: Image
  metadata: { name: argocd, namespace: team-a, uid: 1b2c, resourceVersion: "7" }
  spec:
    mode: Recurrent
    frequency: 1.5d
    source: { name: quay.io/argoproj/argocd, version: v2.13.x }
    destination: { name: registry.example.com/argocd, version: v2.13 }
  status: { phase: COMPLETED }
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: other }
"#;

#[test]
fn ranchers_files_become_one_image_mirror_and_what_is_not_carried_is_said() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    program.file("regsync-daily.yaml", DAILY);
    program.file("autoupdate.yaml", AUTOUPDATE);
    let run =
        program.run("migrate rancher config.yaml --daily regsync-daily.yaml --autoupdate autoupdate.yaml");
    insta::assert_snapshot!(run);
}

#[test]
fn a_folder_with_ranchers_files_is_the_same_as_its_files() {
    let program = Program::new();
    for (name, text) in
        [("config.yaml", CONFIG), ("regsync-daily.yaml", DAILY), ("autoupdate.yaml", AUTOUPDATE)]
    {
        program.file(&format!("folder/{name}"), text);
    }
    let options = "--daily folder/regsync-daily.yaml --autoupdate folder/autoupdate.yaml";
    let files = program.run(&format!("migrate rancher folder/config.yaml {options}"));
    let folder = program.run("migrate rancher folder");
    assert_eq!(folder.to_string(), files.to_string());
    assert!(folder.code == 0 && folder.stdout.contains("updates:"), "{folder}");
    program.file("empty/other.yaml", "");
    let run = program.run("migrate rancher empty");
    assert!(run.code == 1 && run.stderr.contains("empty/config.yaml"), "{run}");
}

#[test]
fn a_file_of_regsync_becomes_an_image_mirror() {
    let program = Program::new();
    program.file("regsync.yaml", DAILY);
    insta::assert_snapshot!(program.run("migrate regsync regsync.yaml --name scanner"));
}

#[test]
fn a_step_of_regsync_that_is_not_carried_fails_the_command_and_all_else_is_printed() {
    let program = Program::new();
    let file = format!(
        "{DAILY}- source: neuvector/updater\n  target: docker.io/acme/updater\n  type: repository\n  tags: {{allow: ['v2.13.*']}}\n"
    );
    program.file("regsync.yaml", &file);
    for verb in ["migrate regsync", "mirror import"] {
        let run = program.run(&format!("{verb} regsync.yaml"));
        assert!(run.code == 1 && run.stdout.contains("source: neuvector/scanner\n"), "{run}");
        assert!(run.stderr.contains("regsync.yaml:6: sync[1]: not carried: tags.allow"), "{run}");
    }
}

#[test]
fn objects_of_image_operator_are_printed_as_they_are_applied_here() {
    let program = Program::new();
    program.file("before.yaml", IMAGES);
    insta::assert_snapshot!(program.run("migrate image-operator before.yaml"));
}

#[test]
fn an_object_that_cannot_be_used_is_named_and_fails_the_command() {
    let run = Program::new()
        .stdin(&IMAGES.replace("quay.io/argoproj/argocd", "https://quay.io/argoproj/argocd"))
        .run("migrate image-operator -");
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("image/argocd -n team-a: spec.source.name cannot be used"), "{run}");
}

const COPYCAT: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: k8s-copycat }
  data:
    config.yaml: |
      targetKind: docker
      docker: { registry: registry.example.com:5000, repoPrefix: mirror/$registry }
      digestPull: true
      requestTimeout: 2m
      includeNamespaces: ["team-*"]
      registryCredentials:
      - { registry: ghcr.io, username: robot, passwordEnv: GHCR_PASSWORD }
- apiVersion: apps/v1
  kind: Deployment
  metadata: { name: k8s-copycat }
  spec:
    template:
      spec:
        containers:
        - name: copycat
          args: [--dry-run]
          env:
          - { name: TARGET_USERNAME, value: robot }
          - { name: TARGET_PASSWORD, valueFrom: { secretKeyRef: { name: copycat, key: password } } }
          - { name: GHCR_PASSWORD, value: hunter2 }
          - { name: FAILURE_COOLDOWN_MINUTES, value: "15" }
          - { name: REGISTRY_REQUEST_TIMEOUT, value: 5m }
"#;

#[test]
fn what_copycat_was_told_in_its_file_and_its_deployment_becomes_a_workload_mirror() {
    let program = Program::new();
    program.file("copycat.yaml", COPYCAT);
    program.file("copycat.env", "# read last\nexport DRY_RUN=false\nMETRICS_ADDR=':9090'\n");
    let run = program.run("migrate copycat copycat.yaml --env copycat.env --into mirror");
    assert!(!run.to_string().contains("hunter2"), "{run}");
    insta::assert_snapshot!(run);
}

#[test]
fn flags_of_a_container_that_may_be_another_program_are_not_taken_for_copycats() {
    let containers = "        - { name: proxy, args: [--v=10] }\n        - name: manager\n";
    let text = COPYCAT.replace("        - name: copycat\n", containers);
    let run = Program::new().stdin(&text).run("migrate copycat -");
    let said = "warning: no flags are read: which container is copycat's is not known of \
                k8s-copycat/proxy,k8s-copycat/manager";
    assert!(run.code == 1 && run.stderr.contains(said), "{run}");
    assert!(!run.stderr.contains("--v") && !run.stdout.contains("mode:"), "{run}");
}

/// An API server with the Deployment and the ConfigMap of [`COPYCAT`], and with nothing else.
fn cluster_with_copycat() -> FakeCluster {
    FakeCluster::start(|request| match request {
        "GET /apis/apps/v1/namespaces/k8s-copycat/deployments/k8s-copycat" => (
            200,
            json!({ "metadata": { "name": "k8s-copycat" }, "spec": { "selector": {}, "template": { "spec": {
                "volumes": [{ "name": "config", "configMap": { "name": "config" } },
                    { "name": "secret", "secret": { "secretName": "copycat" } }],
                "containers": [{ "name": "copycat", "env": [
                    { "name": "TARGET_USERNAME", "valueFrom": { "secretKeyRef": { "name": "copycat", "key": "user" } } },
                    { "name": "FORCE_RECONCILE_MINUTES", "valueFrom": { "configMapKeyRef": { "name": "more", "key": "m" } } },
                ] }] } } } }),
        ),
        "GET /api/v1/namespaces/k8s-copycat/configmaps/config" => (
            200,
            json!({ "metadata": { "name": "config" },
                "data": { "config.yaml": "targetKind: docker\ndocker: { registry: registry.example.com }\n" } }),
        ),
        "GET /api/v1/namespaces/k8s-copycat/configmaps/more" => {
            (200, json!({ "metadata": { "name": "more" }, "data": { "m": "90" } }))
        }
        _ => not_found("it"),
    })
}

#[test]
fn from_a_deployment_its_config_maps_are_read_and_no_secret() {
    let cluster = cluster_with_copycat();
    let run = cluster.program.run("migrate copycat --from k8s-copycat/k8s-copycat");
    assert_eq!(run.code, 0, "{run}");
    for line in ["repository: registry.example.com\n", "secretName: copycat-target\n", "frequency: 90m\n"] {
        assert!(run.stdout.contains(line), "{run}");
    }
    assert!(!cluster.requests().iter().any(|line| line.contains("secrets")), "{:?}", cluster.requests());
    let run = cluster.program.run("migrate image-operator --from x/operator");
    assert!(run.code == 1 && run.stderr.contains("\"operator\" not found in namespace x"), "{run}");
}

#[test]
fn without_anything_to_read_all_that_can_be_read_is_named() {
    for tool in ["copycat", "image-operator"] {
        let run = Program::new().run(&format!("migrate {tool}"));
        let named = "<FILE|--env <FILE>|--from <NAMESPACE/DEPLOYMENT>>";
        assert!(run.code == 2 && run.stderr.contains(named), "{run}");
    }
}

#[test]
fn a_variable_whose_value_stands_in_a_config_map_is_said_and_not_taken_for_one_that_is_not_set() {
    let reference = "{ name: INCLUDE_NAMESPACES, valueFrom: { configMapKeyRef: { name: c, key: k } } }";
    let text = COPYCAT.replace("{ name: TARGET_USERNAME, value: robot }", reference);
    let run = Program::new().stdin(&text).run("migrate copycat -");
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("INCLUDE_NAMESPACES cannot be used: its values stand elsewhere"), "{run}");
}

#[test]
fn a_login_that_comes_with_a_whole_secret_is_asked_for_and_what_the_tool_has_not_is_no_failure() {
    for (tool, text, indent) in
        [("copycat", COPYCAT, " ".repeat(10)), ("image-operator", OPERATOR, " ".repeat(8))]
    {
        let env = format!("{indent}env:\n");
        let field = "- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }";
        let of_pod = format!("{env}{indent}{field}\n");
        let of_secret = format!("{indent}envFrom: [{{ secretRef: {{ name: creds }} }}]\n{of_pod}");
        let migrate =
            |lines: &str| Program::new().stdin(&text.replace(&env, lines)).run(&format!("migrate {tool} -"));
        let run = migrate(&of_secret);
        let said = "all of Secret creds cannot be used: Secrets are not read, and a login may be in it";
        assert!(run.code == 1 && run.stderr.contains(said), "{run}");
        let run = migrate(&of_pod);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stderr.contains("POD_NAMESPACE not carried"), "{run}");
    }
}

#[test]
fn what_a_file_says_of_a_secret_is_taken_for_all_of_it() {
    let text = OPERATOR
        .replace("        - { name: CREDS_DESTINATION_USERNAME, value: robot }\n", "")
        .replace("        - { name: CREDS_DESTINATION_PASSWORD, value: hunter2 }\n", "")
        .replace("        env:\n", "        envFrom: [{ secretRef: { name: creds } }]\n        env:\n");
    let program = Program::new().stdin(&text);
    program.file("operator.env", "CREDS_DESTINATION_USERNAME=\nCREDS_DESTINATION_PASSWORD=\n");
    let run = program.run("migrate image-operator - --env operator.env");
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stdout.contains("name: image-operator-destination"), "{run}");
    assert!(run.stderr.contains("all of Secret creds is not read: what --env does not name"), "{run}");
}

const OPERATOR: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: image-operator }
spec:
  template:
    spec:
      containers:
      - name: operator
        args: [--leader-elect, "--metrics-bind-address=:8080"]
        env:
        - { name: CREDS_DESTINATION_USERNAME, value: robot }
        - { name: CREDS_DESTINATION_PASSWORD, value: hunter2 }
        - { name: DESTINATION_DEFAULT_REGISTRY, value: registry.corp }
        - { name: FEATURE_COPY_ON_THE_FLY, value: "true" }
        - { name: SKOPEO_VERSION, value: v1.16.1 }
        - { name: GRAPHQL_API_ENABLED, value: "true" }
"#;

#[test]
fn the_settings_of_image_operator_become_what_is_lent_a_mirror_and_settings_of_the_agent() {
    let program = Program::new();
    program.file("operator.yaml", OPERATOR);
    let run = program.run("migrate image-operator operator.yaml");
    assert!(!run.to_string().contains("hunter2") && !run.to_string().contains("robot"), "{run}");
    insta::assert_snapshot!(run);
}

#[test]
fn a_setting_of_copycat_that_cannot_be_used_fails_the_command() {
    let run = Program::new().stdin("targetKind: gcr\n").run("migrate copycat -");
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("targetKind cannot be used: \"gcr\" is neither ecr nor docker"), "{run}");
}

#[test]
fn what_the_daily_file_has_and_the_configuration_has_not_is_added_and_said() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    let daily = format!(
        "{DAILY}- source: neuvector/updater\n  target: docker.io/acme/mirrored-neuvector-updater\n  type: repository\n  tags: {{deny: [x]}}\n"
    );
    program.file("regsync-daily.yaml", &daily);
    let run = program.run("migrate rancher config.yaml --daily regsync-daily.yaml");
    assert!(run.stdout.contains("source: neuvector/scanner\n"), "{run}");
    for line in [
        "warning: regsync-daily.yaml:3: changed: neuvector/scanner:latest: no entry has it, so it is added\n",
        "warning: regsync-daily.yaml:6: sync[1]: not carried: tags.deny; ",
    ] {
        assert!(run.stderr.contains(line), "{run}");
    }
    // Not the logins of all registries that this machine has.
    assert!(!run.stderr.contains("$HOME/.docker"), "{run}");
}

#[test]
fn a_mistake_in_a_manifest_does_not_show_the_lines_around_it() {
    let text = "apiVersion: v1\nkind: Secret\nstringData:\n  password: hunter2\n  broken: [\n";
    let program = Program::new();
    program.file("before.yaml", text);
    for arguments in ["migrate image-operator before.yaml", "preview -f before.yaml"] {
        let run = program.run(arguments);
        assert!(run.code != 0 && run.stderr.contains("before.yaml: invalid YAML: "), "{run}");
        assert!(!run.to_string().contains("hunter2"), "{run}");
    }
}

#[test]
fn the_manifests_of_a_whole_cluster_are_read() {
    let program = Program::new();
    let padding = format!("---\n# {}\n", "x".repeat(5 << 20));
    program.file("before.yaml", &format!("{IMAGES}{padding}"));
    let run = program.run("migrate image-operator before.yaml");
    assert_eq!(run.code, 0, "{}", run.stderr);
}
