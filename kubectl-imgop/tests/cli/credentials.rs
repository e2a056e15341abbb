//! Where a preview's credentials come from.

use k8s_openapi::ByteString;
use serde_json::{Value, json as value};

use imgop_fakes::{Background, Catalog, CatalogRegistry, ScriptedRegistry, Seen, json};

use crate::fake_cluster::{FakeCluster, list, refused};
use crate::program::{Program, Run};

/// A registry for the user `user` with the password `hunter2`.
fn private() -> Background<CatalogRegistry> {
    Catalog::default().with("a/b", &[("1", "one")]).only_for("Basic dXNlcjpodW50ZXIy").start_in_background()
}

/// ECR's API with one answer. It checks no signature; the tests of the registry client do.
fn ecr(status: u16, body: &'static str) -> Background<ScriptedRegistry> {
    Background::of(ScriptedRegistry::start(move |_: &Seen| json(status, body)))
}

fn config(registry: &Background<CatalogRegistry>) -> String {
    format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpodW50ZXIy"}}}}}}"#, registry.address)
}

fn preview(registry: &Background<CatalogRegistry>) -> String {
    format!("preview {}/a/b:1", registry.address)
}

#[test]
fn without_a_credential_the_hints_say_how_to_give_one() {
    let registry = private();
    let run = Program::new().run(&preview(&registry)).naming(&registry.address, "registry");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stderr -----
    error: source: cannot look up registry......./a/b:1: registry....... wants a credential, or there is no such repository (HTTP 401)

    hint: on this machine: docker login registry......., or --authfile FILE
    hint: for the agent: kubectl create secret docker-registry NAME --docker-server=registry....... --docker-username=… --docker-password=…, then --source-credentials NAME
    ");
}

#[test]
fn a_refusal_of_all_tags_is_said_once() {
    let source = Catalog::default().with("a/b", &[("1.0", "one"), ("1.1", "two"), ("1.2", "three")]);
    let (source, destination) = (source.start_in_background(), private());
    let run = Program::new().run(&format!("preview {}/a/b:1.x {}/c/d", source.address, destination.address));
    assert!(run.code == 1 && run.stdout.contains("3 tags: 3 not checked.\n"), "{run}");
    assert_eq!(run.to_string().matches("wants a credential").count(), 1, "{run}");
}

#[test]
fn a_destination_that_refuses_hides_nothing_of_the_source() {
    let (source, destination) =
        (Catalog::default().with("a/b", &[("1", "one")]).start_in_background(), private());
    let arguments = format!("preview {}/a/b:1 {}/c/d", source.address, destination.address);
    let named = |run: Run| run.naming(&source.address, "source").naming(&destination.address, "mirror");
    insta::assert_snapshot!(named(Program::new().run(&arguments)), @"
    exit code: 1
    ----- stdout -----
    SOURCE        source........./a/b
    VERSION       1
    DESTINATION   mirror........./c/d

        TAG   STATE         DIGEST         DESTINATION-DIGEST
    ?   1     not-checked   7692c3ad3540   <unknown>

    1 tag: 1 not checked.
    ----- stderr -----
    error: destination: cannot look up mirror........./c/d:1: mirror......... wants a credential, or there is no such repository (HTTP 401)

    hint: on this machine: docker login mirror........., or --authfile FILE
    hint: for the agent: kubectl create secret docker-registry NAME --docker-server=mirror......... --docker-username=… --docker-password=…, then --destination-credentials NAME
    ");
    let run = Program::new().run(&format!("{arguments} -o json --exit-code"));
    assert_eq!(run.code, 2);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["tags"][0]["state"], "not-checked");
}

#[test]
fn the_files_of_docker_and_podman_are_used() {
    let registry = private();
    for name in [".docker/config.json", ".config/containers/auth.json"] {
        let program = Program::new();
        program.file(name, &config(&registry));
        assert_eq!(program.run(&preview(&registry)).code, 0, "{name}");
    }
    for (variable, name) in [
        ("DOCKER_CONFIG", "config.json"),
        ("XDG_RUNTIME_DIR", "containers/auth.json"),
        ("XDG_CONFIG_HOME", "containers/auth.json"),
    ] {
        let program = Program::new();
        let file = program.file(&format!("elsewhere/{name}"), &config(&registry)).display().to_string();
        let folder = file.strip_suffix(&format!("/{name}")).unwrap().to_owned();
        assert_eq!(program.variable(variable, &folder).run(&preview(&registry)).code, 0, "{variable}");
    }
    let program = Program::new();
    let file = program.file("mine.json", &config(&registry)).display().to_string();
    assert_eq!(program.run(&format!("{} --authfile {file}", preview(&registry))).code, 0);
    assert_eq!(program.variable("REGISTRY_AUTH_FILE", &file).run(&preview(&registry)).code, 0);
}

#[test]
fn entries_by_registry_are_used_and_come_before_the_files_of_docker() {
    let registry = private();
    let entries = format!(
        "- registry: '{}'\n  username: user\n  passwordEnv: REGISTRY_PASSWORD\n",
        registry.address.replace("127.0.0.1", "127.0.0.?")
    );
    let program = Program::new().variable("REGISTRY_PASSWORD", "hunter2");
    let wrong = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpvbGQ="}}}}}}"#, registry.address);
    program.file(".docker/config.json", &wrong);
    assert_eq!(program.run(&preview(&registry)).code, 1);
    let file = program.file("registries.yaml", &entries).display().to_string();
    let run = program.run(&format!("{} --registry-credentials {file}", preview(&registry)));
    assert_eq!(run.code, 0, "{run}");
    let program = program.variable("IMGOP_REGISTRY_CREDENTIALS", &file);
    assert_eq!(program.run(&preview(&registry)).code, 0);
    let run = program.variable("REGISTRY_PASSWORD", "").run(&preview(&registry));
    insta::assert_snapshot!(run.naming(&registry.address.replace("127.0.0.1", "127.0.0.?"), "registry"), @"
    exit code: 1
    ----- stderr -----
    error: cannot use [HOME]/registries.yaml: entry 1 (registry.......): passwordEnv: the environment variable that it names is not set
    ");
}

#[test]
fn aws_is_asked_for_a_token_of_ecr_and_its_answer_is_reported() {
    // No region has this name, so that nothing is sent to AWS.
    let preview = "preview 111111111111.dkr.ecr.us-nowhere-1.amazonaws.com/a/b:1";
    let aws = ecr(400, r#"{"__type":"AccessDeniedException","message":"User: x is not authorized"}"#);
    let with_keys = |aws: &ScriptedRegistry| {
        Program::new()
            .variable("AWS_EC2_METADATA_DISABLED", "true")
            .variable("AWS_ENDPOINT_URL_ECR", &format!("http://{}", aws.address))
            .variable("AWS_ACCESS_KEY_ID", "AKIASTATIC")
            .variable("AWS_SECRET_ACCESS_KEY", "hunter2")
    };
    insta::assert_snapshot!(with_keys(&aws).run(preview), @"
    exit code: 1
    ----- stderr -----
    error: no token for 111111111111.dkr.ecr.us-nowhere-1.amazonaws.com (account 111111111111, region us-nowhere-1): AWS gives no token (HTTP 400): AccessDeniedException: User: x is not authorized
    ");
    let seen = aws.seen();
    assert_eq!(seen.len(), 1);
    let authorization = seen[0].header("authorization").unwrap();
    assert!(authorization.contains("/us-nowhere-1/ecr/aws4_request"), "{authorization}");
    // With a token, the registry itself is asked.
    let token = r#"{"authorizationData":[{"authorizationToken":"QVdTOnRva2Vu","expiresAt":4e9}]}"#;
    let aws = ecr(200, token);
    let run = with_keys(&aws).run(preview);
    assert!(run.stderr.contains("cannot be resolved") && !run.stderr.contains("token"), "{run}");
    assert_eq!(aws.seen().len(), 1);
    // A file that knows the registry comes first, and without credentials AWS is not asked.
    let program = with_keys(&aws);
    program.file(
        ".docker/config.json",
        r#"{"auths":{"111111111111.dkr.ecr.us-nowhere-1.amazonaws.com":{"username":"AWS","password":"p"}}}"#,
    );
    assert!(program.run(preview).stderr.contains("cannot be resolved"));
    let nobody = with_keys(&aws).variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    assert!(nobody.run(preview).stderr.contains("cannot be resolved"));
    assert_eq!(aws.seen().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_credential_helper_is_asked_and_what_it_prints_is_not_shown() {
    let registry = private();
    let with = |behaviour: &str| {
        let program = Program::new().variable("FAKE_HELPER", behaviour);
        program.file(".docker/config.json", r#"{"credsStore":"fake"}"#);
        program.run(&preview(&registry)).naming(&registry.address, "registry")
    };
    assert_eq!(with("known").code, 0);
    let run = with("broken");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stderr -----
    error: docker-credential-fake, configured in [HOME]/.docker/config.json, returned no credential for registry.......: exit status: 3
    ");
}

#[test]
fn a_broken_file_is_an_error_and_no_anonymous_request() {
    let registry = private();
    let program = Program::new();
    program.file(".docker/config.json", r#"{"auths":{"quay.io":{"auth":"hunter2!"}}}"#);
    let run = program.run(&preview(&registry));
    assert!(!run.stderr.contains("hunter2"), "{run}");
    insta::assert_snapshot!(run, @r#"
    exit code: 1
    ----- stderr -----
    error: cannot use [HOME]/.docker/config.json: "auth" of quay.io is not the Base64 of user:password
    "#);
}

#[cfg(unix)]
#[test]
fn a_credential_helper_that_is_not_installed_is_a_warning() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let program = Program::new();
    program.file(".docker/config.json", r#"{"auths":{},"credsStore":"desktop"}"#);
    let run =
        program.run(&format!("preview {}/a/b:1", registry.address)).naming(&registry.address, "registry");
    assert_eq!(run.code, 0, "{run}");
    insta::assert_snapshot!(run.stderr, @"warning: docker-credential-desktop, configured in [HOME]/.docker/config.json, is not installed; continuing without its credential for registry.......");
}

#[test]
fn a_ca_file_without_a_certificate_is_named() {
    let program = Program::new();
    let file = program.file("ca.pem", "not PEM").display().to_string();
    let run = program.run(&format!("preview r.example.com/a/b:1 --source-ca-file {file}"));
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (1, "error: [HOME]/ca.pem contains no certificate (PEM)\n"),
        "{run}"
    );
}

/// A cluster whose Secret `pull` of namespace `ci` holds this, and an Image that names it for its source.
fn with_secret(registry: &str, secret: Value) -> FakeCluster {
    let image = value!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "app", "namespace": "ci" },
        "spec": { "mode": "OneShot", "destination": { "name": format!("{registry}/c/d") },
            "source": { "name": format!("{registry}/a/b"), "version": "1", "credentials": { "secretName": "pull" } } },
    });
    FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, image.clone()),
        path if path.ends_with("/images") => {
            list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
        }
        path if path.ends_with("/secrets/pull") => (200, secret.clone()),
        _ => refused(404, "NotFound", "not found"),
    })
}

fn docker_config(registry: &str, user: &str) -> Value {
    let config = value!({ "auths": { registry: { "username": user, "password": "p" } } });
    let config = ByteString(config.to_string().into_bytes());
    value!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "pull", "namespace": "ci" },
        "data": { ".dockerconfigjson": config } })
}

#[test]
fn a_secret_whose_credentials_are_refused_is_what_the_hint_names() {
    let registry = private();
    let cluster = with_secret(&registry.address, docker_config(&registry.address, "wrong"));
    let run = cluster.program.run("preview app").naming(&registry.address, "registry");
    assert!(run.stderr.contains("registry....... does not accept the credentials of Secret pull"), "{run}");
    assert!(!run.stderr.contains("docker login") && !run.stderr.contains("set spec.source"), "{run}");
}

#[test]
fn what_a_flag_names_comes_before_the_secret_of_an_image() {
    let registry = private();
    let cluster = with_secret(&registry.address, docker_config(&registry.address, "wrong"));
    let file = cluster.program.file("auth.json", &config(&registry));
    let run = cluster.program.run(&format!("preview app --authfile {}", file.display()));
    assert!(run.code == 0 && run.stdout.contains("1 tag: 1 to copy."), "{run}");
}

#[test]
fn an_image_of_the_cluster_does_not_choose_how_a_login_of_this_machine_is_sent() {
    let (registry, mirror) = (private(), Catalog::default().start_in_background());
    let image = value!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "app", "namespace": "ci" },
        "spec": { "mode": "OneShot", "destination": { "name": format!("{}/c/d", mirror.address) },
            "source": { "name": format!("{}/a/b", registry.address), "version": "1", "tls": { "mode": "PlainHTTP" } } },
    });
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, image.clone()),
        path if path.ends_with("/images") => {
            list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image))
        }
        _ => refused(404, "NotFound", "not found"),
    });
    cluster.program.file(".docker/config.json", &config(&registry));
    let run = cluster.program.run("preview app");
    assert!(run.stderr.contains("wants a credential"), "{run}");
    assert!(run.stderr.contains("--source-tls PlainHTTP takes it over"), "{run}");
    let run = cluster.program.run("preview app --source-tls PlainHTTP");
    assert!(run.code == 0 && run.stdout.contains("1 tag: 1 to copy."), "{run}");
}

#[test]
fn a_ca_secret_that_may_not_be_read_is_a_warning_that_names_the_flag() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let image = value!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "app", "namespace": "ci" },
        "spec": { "mode": "OneShot", "destination": { "name": format!("{}/c/d", registry.address) },
            "source": { "name": format!("{}/a/b", registry.address), "version": "1",
                "tls": { "caSecretName": "corp-ca" } } },
    });
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        path if path.ends_with("/images/app") => (200, image.clone()),
        _ => refused(403, "Forbidden", r#"secrets "corp-ca" is forbidden"#),
    });
    let run = cluster.program.run("preview app");
    assert!(run.stderr.contains("trusting only the well-known CAs for the source"), "{run}");
    assert!(run.stderr.contains("use --source-ca-file"), "{run}");
}
