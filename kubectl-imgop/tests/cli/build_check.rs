//! `build --check`.

use imgop_fakes::{Background, Catalog, ConnectProxy, ScriptedRegistry, Seen};
use imgop_registry::reference::Digest;
use serde_json::json;

use crate::build::program;
use crate::fake_cluster::{FakeCluster, refused};
use crate::program::Program;

#[test]
fn a_check_looks_bases_up_and_says_what_would_be_pushed() {
    let registry = Catalog::default().with("busybox", &[("1", &index("amd64"))]).start_in_background();
    let program = program();
    let text = format!(
        "FROM {0}/busybox:1 AS a\nFROM {0}/none:1 as b\nCOPY --from=a / /\nMAINTAINER x\n",
        registry.address
    );
    program.file("app/Dockerfile", &text);
    let check = |more: &str| {
        let tag = format!("-t {}/team/api:1.4", registry.address);
        program.run(&format!("build app {tag} --check{more}")).naming(&registry.address, "registry")
    };
    insta::assert_snapshot!(check(""), @"
    exit code: 1
    ----- stdout -----
    BASE-IMAGE                  PLATFORM      LINE   DIGEST                                                                    STATE
    registry......./busybox:1   linux/amd64   1      sha256:716dc9900d90d7408909f2ab392e63b18c50fd632cb9825476803a4dc7707bcc   present
    registry......./none:1      linux/amd64   2      <none>                                                                    not found
    ----- stderr -----
    error: app/Dockerfile cannot be built: 1 base image not usable
    ");
    program.file("app/Dockerfile", &format!("FROM {}/busybox:1\nRUN true\n", registry.address));
    insta::assert_snapshot!(check(" --platform linux/amd64,linux/s390x"), @"
    exit code: 1
    ----- stdout -----
    BASE-IMAGE                  PLATFORM      LINE   DIGEST                                                                    STATE
    registry......./busybox:1   linux/amd64   1      sha256:716dc9900d90d7408909f2ab392e63b18c50fd632cb9825476803a4dc7707bcc   present
    registry......./busybox:1   linux/s390x   1      <none>                                                                    only for linux/amd64
    ----- stderr -----
    error: app/Dockerfile cannot be built: 1 base image not usable
    ");
    assert_eq!(check(" --platform linux/amd64").code, 0);
}

#[test]
fn a_check_says_what_keeps_a_push_from_succeeding() {
    let registry = Catalog::default().with("busybox", &[("1", &index("amd64"))]).start_in_background();
    let cluster = FakeCluster::with_builders(|_| refused(404, "NotFound", "not found"));
    cluster.program.file("app/Dockerfile", &format!("FROM {}/busybox:1\n", registry.address));
    let check = |more: &str| {
        cluster.program.run(&format!("build app --check {more}")).naming(&registry.address, "registry")
    };
    let there = format!("-t {}/team/api:1.4", registry.address);
    let secret = check(&format!("{there} --credentials nosuch"));
    assert!(secret.code == 1 && !secret.stdout.contains("Would push"), "{secret}");
    insta::assert_snapshot!(secret.stderr, @"error: cannot push an image for linux/amd64 as registry......./team/api:1.4: Secret nosuch of namespace ci does not exist, and the agent does nothing without it");
    let ca = check(&format!("{there} --ca-secret nosuch"));
    assert!(ca.code == 1 && ca.stderr.contains("Secret nosuch of namespace ci does not exist"), "{ca}");
    let mounted = check(&format!("{there} --secret id=token,secret=nosuch"));
    assert!(mounted.code == 1 && mounted.stderr.contains("Secret nosuch, which does not exist"), "{mounted}");
    let nowhere = check("-t registry.invalid/team/api:1.4");
    assert!(nowhere.code == 1 && nowhere.stderr.contains("cannot push "), "{nowhere}");
    let good = check(&there);
    assert!(good.code == 0 && good.stdout.contains("Would push an image for linux/amd64 as "), "{good}");
}

#[test]
fn where_the_secret_cannot_be_read_it_is_not_known_whether_a_push_succeeds() {
    let registry = ScriptedRegistry::start(|seen: &Seen| match seen.line() {
        line if line.contains("/busybox/") => imgop_fakes::json(200, index("amd64")),
        _ => imgop_fakes::json(401, "{}"),
    });
    let registry = Background::of(registry);
    let program = Program::new();
    program.file("app/Dockerfile", "FROM scratch\nLABEL a=b\n");
    let build = format!("build app --check -t {}/team/api:1.4", registry.address);
    let refused = program.run(&build);
    assert!(refused.code == 1 && refused.stderr.contains("--credentials NAME"), "{refused}");
    let not_known = program.run(&format!("{build} --credentials push"));
    assert!(not_known.code == 0 && not_known.stderr.contains("is not known here"), "{not_known}");
}

#[test]
fn a_file_that_is_copied_and_not_there_is_named_with_its_line() {
    let registry = Catalog::default().start_in_background();
    let tag = format!("-t {}/team/api:1.4", registry.address);
    let program = program();
    program.file("app/Dockerfile", "FROM scratch\nCOPY run.sh /\nCOPY nofile /\n");
    let check = program.run(&format!("build app --check {tag}"));
    let line = "app/Dockerfile:3:1: error: there is no nofile in the context";
    assert!(check.code == 1 && check.stdout.contains(line), "{check}");
    let program = Program::new().stdin("FROM scratch\nCOPY run.sh /\n");
    let stdin = program.run(&format!("build - --check {tag}"));
    assert!(stdin.code == 1 && stdin.stdout.contains("there is no run.sh in the context"), "{stdin}");
}

#[test]
fn a_secret_that_no_flag_gives_is_asked_for_by_the_flag() {
    let registry = Catalog::default().start_in_background();
    let program = Program::new();
    program.file("tok", "CANARY");
    program.file("app/Dockerfile", "FROM scratch\nRUN --mount=type=secret,id=tok cat /run/secrets/tok\n");
    let build = format!("build app --check -t {}/team/api:1.4", registry.address);
    let without = program.run(&build);
    assert!(without.stdout.contains("give it: --secret src=FILE,id=tok"), "{without}");
    // Whoever asks: what is of this machine is known without a cluster.
    for user in ["", " --as vera"] {
        let given = program.run(&format!("{build} --secret id=tok,src=tok{user}"));
        assert!(given.code == 0 && !given.stdout.contains("there is no secret"), "{given}");
    }
}

#[test]
fn a_base_of_a_registry_without_tls_is_hinted_at_with_the_flag_and_the_field_that_are_for_it() {
    let registry = Background::of(ScriptedRegistry::start(|_: &Seen| imgop_fakes::json(404, "{}")));
    let proxy = Background::of(ConnectProxy::start(registry.address));
    let program = Program::new().variable("HTTPS_PROXY", &format!("http://{}", proxy.address));
    program.file("app/Dockerfile", "FROM registry.corp:5000/busybox:1\n");
    let tag = format!("{}/team/api", registry.address);
    let check = program.run(&format!("build app -t {tag}:1 --check"));
    let hint = "hint: if registry.corp:5000 uses plain HTTP: ";
    let hints =
        |run: &str| run.lines().filter_map(|line| line.strip_prefix(hint)).collect::<Vec<_>>().join("\n");
    assert_eq!(hints(&check.stderr), "--registry registry.corp:5000,tls=PlainHTTP", "{check}");
    let manifest = format!(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: api}}\nspec:\n  architecture: amd64\n  \
         image: {{name: '{tag}', version: '1'}}\n  source: FROM registry.corp:5000/busybox:1\n"
    );
    program.file("builder.yaml", &manifest);
    let preview = program.run("preview -f builder.yaml");
    let field = "spec.registries: [{host: \"registry.corp:5000\", tls: {mode: PlainHTTP}}]";
    assert_eq!(hints(&preview.stderr), field, "{preview}");
    // What is hinted at is what helps: the next answer is another one.
    let given =
        program.run(&format!("build app -t {tag}:1 --check --registry registry.corp:5000,tls=PlainHTTP"));
    assert!(hints(&given.stderr).is_empty(), "{given}");
}

/// The index of an image with one platform.
pub fn index(architecture: &str) -> String {
    json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": Digest::of(architecture.as_bytes()), "platform": { "os": "linux", "architecture": architecture } }] })
    .to_string()
}
