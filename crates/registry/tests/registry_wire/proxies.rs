//! The proxies of the environment. A process has one environment, and tests share theirs, so what is
//! proved here runs in a process of its own: this binary again, with one of its tests.

use std::collections::HashMap;
use std::process::{Command, Output};

use imgop_registry::{Access, Reason, Registries, Settings, Tls, Unreachable};

use imgop_fakes::{ConnectProxy, ScriptedRegistry, json};
use imgop_fakes::{names, settings};

const BEHIND: &str = "registry.corp.test";
const DIRECT: &str = "direct.corp.test";

/// Runs the ignored test of this name with these variables and no other proxies.
async fn run(test: &'static str, variables: Vec<(&'static str, String)>) -> Output {
    let run = move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.args(["--exact", test, "--ignored", "--nocapture"]).envs(variables).output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn passed(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed")
}

#[tokio::test]
async fn https_proxy_is_used_and_no_proxy_and_loopback_go_without_it() {
    let (registry, certificate) =
        ScriptedRegistry::start_tls(&[BEHIND, DIRECT], |_| json(200, r#"{"tags":["v1"]}"#)).await;
    let open = ScriptedRegistry::start(|_| json(200, r#"{"tags":["v1"]}"#)).await;
    let proxy = ConnectProxy::start(registry.address).await;
    let output = run(
        "proxies::asks_three_registries",
        vec![
            ("HTTPS_PROXY", format!("http://{}", proxy.address)),
            ("HTTP_PROXY", format!("http://{}", proxy.address)),
            ("NO_PROXY", DIRECT.to_owned()),
            ("IMGOP_TEST_CA", String::from_utf8(certificate).unwrap()),
            ("IMGOP_TEST_DIRECT", registry.address.to_string()),
            ("IMGOP_TEST_OPEN", open.address.to_string()),
        ],
    )
    .await;
    assert!(passed(&output), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.asked(), [format!("CONNECT {BEHIND}:443 HTTP/1.1")], "once, for two requests");
    let hosts: Vec<_> = registry.seen().iter().map(|seen| seen.header("host").unwrap().to_owned()).collect();
    assert_eq!(hosts, [BEHIND, BEHIND, DIRECT]);
    assert_eq!(open.seen().len(), 1);
}

/// The process of the test above.
#[tokio::test]
#[ignore = "a part of the test above, which runs it with its own environment"]
async fn asks_three_registries() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let addresses = HashMap::from([(DIRECT.to_owned(), variable("IMGOP_TEST_DIRECT").parse().unwrap())]);
    let registries = Registries::new(Settings { addresses, system_proxy: true, ..settings() });
    let tls = Tls::Verify { extra_ca_pem: Some(variable("IMGOP_TEST_CA").into_bytes()) };
    let access = Access { tls, ..Access::default() };
    let open = variable("IMGOP_TEST_OPEN");
    for (host, access) in [
        (BEHIND, &access), // no DNS knows it: the proxy looks it up
        (BEHIND, &access),
        (DIRECT, &access),
        (&open, &Access::default()),
    ] {
        let client = registries.repository(&format!("{host}/a").parse().unwrap(), access);
        assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{host}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_off_is_an_error_and_is_not_bypassed() {
    let (registry, certificate) =
        ScriptedRegistry::start_tls(&[BEHIND], |_| json(200, r#"{"tags":["v1"]}"#)).await;
    let off = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(
        "proxies::asks_through_a_proxy_that_is_off",
        vec![
            ("HTTPS_PROXY", format!("http://user:hunter2@{off}")),
            ("IMGOP_TEST_CA", String::from_utf8(certificate).unwrap()),
            ("IMGOP_TEST_DIRECT", registry.address.to_string()),
        ],
    )
    .await;
    assert!(passed(&output), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(registry.seen().is_empty());
}

/// The process of the test above.
#[tokio::test]
#[ignore = "a part of the test above, which runs it with its own environment"]
async fn asks_through_a_proxy_that_is_off() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let addresses = HashMap::from([(BEHIND.to_owned(), variable("IMGOP_TEST_DIRECT").parse().unwrap())]);
    let registries = Registries::new(Settings { addresses, system_proxy: true, retries: 0, ..settings() });
    let tls = Tls::Verify { extra_ca_pem: Some(variable("IMGOP_TEST_CA").into_bytes()) };
    let access = Access { tls, ..Access::default() };
    let client = registries.repository(&format!("{BEHIND}/a").parse().unwrap(), &access);
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Connect), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error}");
}
