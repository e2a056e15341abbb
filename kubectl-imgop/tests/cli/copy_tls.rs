//! `copy` without arguments, where a registry is not reached by HTTPS with a well-known CA.

use imgop_fakes::{Background, Catalog, CatalogRegistry, ConnectProxy, ScriptedRegistry, Seen};
use imgop_terminal::{CTRL_C, DOWN, ENTER, ESC, Terminal};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list, refused};
use crate::program::Program;
use crate::terminal;

/// A cluster with an Image and with a Secret that holds this CA, and a program that reaches every registry by a proxy.
struct Place {
    cluster: FakeCluster,
    _proxy: Background<ConnectProxy>,
}

impl Place {
    fn new(registry: &ScriptedRegistry, ca: &str, used: Value) -> Self {
        Self::with(registry, ca, used, true)
    }

    /// Whoever may read a Secret need not be allowed to list them.
    fn with_hidden_secrets(registry: &ScriptedRegistry, ca: &str) -> Self {
        Self::with(registry, ca, nothing_used(), false)
    }

    fn with(registry: &ScriptedRegistry, ca: &str, used: Value, lists_secrets: bool) -> Self {
        let proxy = Background::of(ConnectProxy::start(registry.address));
        let secret =
            json!({ "metadata": { "name": "corp-ca" }, "data": { "ca.crt": ByteString(ca.into()) } });
        let other = json!({ "metadata": { "name": "other" }, "data": { "password": "eA==" } });
        let mut cluster = FakeCluster::start(move |request| match request {
            request if request.contains("/secrets/corp-ca") => (200, secret.clone()),
            // Only credentials are selected by one type.
            request if request.contains("/secrets?") && request.contains("type%3D") => {
                list("SecretList", "v1", &[])
            }
            request if request.contains("/secrets?") && !lists_secrets => {
                refused(403, "Forbidden", "secrets is forbidden")
            }
            request if request.contains("/secrets?") => {
                list("SecretList", "v1", &[other.clone(), secret.clone()])
            }
            _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&used)),
        });
        let program = std::mem::replace(&mut cluster.program, Program::new());
        cluster.program = program.variable("HTTPS_PROXY", &format!("http://{}", proxy.address));
        Self { cluster, _proxy: proxy }
    }

    fn start(&self, arguments: &str) -> Terminal {
        terminal::start(&self.cluster.program, arguments, 200)
    }
}

fn plain_registry() -> Background<CatalogRegistry> {
    Catalog::default().with("app", &[("1.0", "one"), ("1.1", "two")]).start_in_background()
}

fn nothing_used() -> Value {
    image("old", "True", "there")
}

/// Answers what is asked after the version, and refuses; returns all that was printed.
fn refuse(mut terminal: Terminal, submit: &str) -> String {
    terminal.answer("When", ENTER);
    terminal.answer(submit, "n");
    let left = terminal.end();
    assert_eq!((left.code, left.is_restored), (1, true), "{}", left.text);
    left.text.replace('\n', " ")
}

#[test]
fn the_secret_with_the_ca_is_asked_for_and_the_tags_are_read_with_it() {
    let tags =
        |_: &Seen| imgop_fakes::json(200, json!({ "name": "app", "tags": ["1.0", "1.1"] }).to_string());
    let (registry, ca) = Background::of_pair(ScriptedRegistry::start_tls(&["registry.corp"], tags));
    let place = Place::new(&registry, &String::from_utf8(ca).unwrap(), nothing_used());
    let mut terminal = place.start("copy");
    terminal.answer("Copy from", &format!("registry.corp:5000/app{ENTER}"));
    terminal.wait_for("Verify: HTTPS, with the CA in Secret corp-ca");
    assert!(!terminal.shown().contains("Secret other"), "{}", terminal.shown());
    // Back, and on with the same answer.
    terminal.answer("How the connection to the source is secured", ESC);
    terminal.answer("Copy from", &format!("registry.corp:5000/app{ENTER}"));
    terminal.answer("How the connection to the source is secured", ENTER);
    terminal.answer("Version or pattern", "1.");
    terminal.wait_for("2 of 2 tags begin with 1.");
    terminal.press(&format!("0{ENTER}"));
    terminal.answer("Platforms", ENTER);
    terminal.answer("Copy to", &format!("\u{15}registry.corp:5000/mirror{ENTER}"));
    terminal.answer("How the connection to the destination is secured", ENTER);
    let text = refuse(terminal, "ubmit it?");
    assert!(text.contains("--source-ca-secret corp-ca"), "{text}");
    assert!(text.contains("--destination-ca-secret corp-ca"), "{text}");
    assert_eq!(text.matches("caSecretName: corp-ca").count(), 2, "{text}");
}

#[test]
fn a_registry_without_tls_is_asked_about_before_its_version() {
    let registry = plain_registry();
    let place = Place::new(&registry.http, "", nothing_used());
    // What is given is tried at the beginning.
    let mut terminal = place.start("copy registry.corp:5000/app");
    terminal.answer("How the connection to the source is secured", &format!("{DOWN}{ENTER}"));
    terminal.wait_for("PlainHTTP");
    terminal.answer("Version or pattern", &format!("1.0{ENTER}"));
    terminal.answer("Copy to", &format!("\u{15}127.0.0.1:1/mirror{ENTER}"));
    let text = refuse(terminal, "ubmit it?");
    assert!(text.contains("the server does not speak TLS"), "{text}");
    assert!(text.contains("--source-tls PlainHTTP") && text.contains("mode: PlainHTTP"), "{text}");
}

#[test]
fn what_an_image_does_about_the_same_registry_is_proposed() {
    let registry = plain_registry();
    let mut used = nothing_used();
    used["spec"]["destination"] =
        json!({ "name": "registry.corp:5000/mirror", "tls": { "mode": "PlainHTTP" } });
    let place = Place::new(&registry.http, "", used);
    let mut terminal = place.start("copy registry.corp:5000/app");
    terminal.wait_for("PlainHTTP: no encryption, where the network is trusted (as Image old)");
    terminal.answer("How the connection to the source is secured", ENTER);
    terminal.answer("Version or pattern", CTRL_C);
    assert_eq!(terminal.end().code, 130);
}

#[test]
fn a_secret_with_the_ca_can_be_named_and_no_flag_is_hinted_at_that_copy_does_not_have() {
    let tags =
        |_: &Seen| imgop_fakes::json(200, json!({ "name": "app", "tags": ["1.0", "1.1"] }).to_string());
    let (registry, ca) = Background::of_pair(ScriptedRegistry::start_tls(&["registry.corp"], tags));
    let place = Place::with_hidden_secrets(&registry, &String::from_utf8(ca).unwrap());
    let mut terminal = place.start("copy registry.corp:5000/app");
    terminal.wait_for("Verify: HTTPS, with the CA in a Secret that you name");
    assert!(!terminal.shown().contains("-ca-file"), "{}", terminal.shown());
    terminal.answer("How the connection to the source is secured", ENTER);
    terminal.wait_for("kubectl create secret generic registry-ca --from-file=ca.crt=FILE -n ci");
    terminal.answer("Secret with the CA", &format!("corp-ca{ENTER}"));
    terminal.answer("Version or pattern", "1.");
    terminal.wait_for("2 of 2 tags begin with 1.");
    terminal.press(CTRL_C);
    assert_eq!(terminal.end().code, 130);
}
