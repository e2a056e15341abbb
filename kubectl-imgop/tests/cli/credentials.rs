//! Where a preview's credentials come from.

use crate::fake_registry::{Content, FakeRegistry};
use crate::program::{Program, Run};

/// A registry for the user `user` with the password `hunter2`.
fn private() -> FakeRegistry {
    Content::default().with("a/b", &[("1", "one")]).only_for("Basic dXNlcjpodW50ZXIy").start()
}

fn config(registry: &FakeRegistry) -> String {
    format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpodW50ZXIy"}}}}}}"#, registry.address)
}

fn preview(registry: &FakeRegistry) -> String {
    format!("preview {}/a/b:1", registry.address)
}

#[test]
fn without_a_credential_the_ways_to_give_one_are_said() {
    let registry = private();
    let run = Program::new().run(&preview(&registry)).naming(&registry.address, "registry");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stderr -----
    error: source: cannot look up registry......./a/b:1: registry....... wants a credential, or there is no such repository (HTTP 401)

    hint: for this machine: docker login registry......., or name a file with --authfile
    hint: for the agent: kubectl create secret docker-registry NAME --docker-server=registry....... --docker-username=… --docker-password=…, then --source-credentials NAME
    ");
}

#[test]
fn a_destination_that_refuses_hides_nothing_of_the_source() {
    let (source, destination) = (Content::default().with("a/b", &[("1", "one")]).start(), private());
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
    1 tag not checked: destination: cannot look up mirror........./c/d: mirror......... wants a credential, or there is no such repository (HTTP 401)
    ----- stderr -----
    error: destination: cannot look up mirror........./c/d:1: mirror......... wants a credential, or there is no such repository (HTTP 401)

    hint: for this machine: docker login mirror........., or name a file with --authfile
    hint: for the agent: kubectl create secret docker-registry NAME --docker-server=mirror......... --docker-username=… --docker-password=…, then --destination-credentials NAME
    ");
    let run = Program::new().run(&format!("{arguments} -o json --exit-code"));
    assert_eq!(run.code, 2);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
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
    let program = Program::new();
    let file = program.file("mine.json", &config(&registry)).display().to_string();
    assert_eq!(program.run(&format!("{} --authfile {file}", preview(&registry))).code, 0);
    assert_eq!(program.variable("REGISTRY_AUTH_FILE", &file).run(&preview(&registry)).code, 0);
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
    error: docker-credential-fake, which [HOME]/.docker/config.json names, gives no credential for registry.......: it ended with exit status: 3
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
