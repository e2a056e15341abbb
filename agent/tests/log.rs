//! What the program itself writes to its log.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn u14_lines_are_json_for_people_also_where_the_api_server_does_not_answer() {
    let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubeconfig-of-the-log");
    // Nothing listens there.
    let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "u"}}]}"#;
    std::fs::write(&kubeconfig, text).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_imgop-agent"));
    program.args(["--watch-namespaces=b,a", "--skopeo-image=skopeo:1", "--listen=127.0.0.1:0"]);
    program.env("KUBECONFIG", &kubeconfig).env_remove("RUST_LOG").stderr(Stdio::piped());
    let mut agent = Running(program.spawn().unwrap());
    let lines = BufReader::new(agent.0.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines {
        let line = line.unwrap();
        let fields: serde_json::Value = serde_json::from_str(&line).expect(&line);
        let message = fields["message"].as_str().unwrap_or_default().to_owned();
        if message == "starting" {
            assert_eq!((&fields["namespaces"], &fields["image"]), (&"a,b".into(), &"skopeo:1".into()));
        }
        let is_dump =
            ["Error(", "Error {", "Os {", "ApiError", "Some(", "{:?}"].iter().any(|of| line.contains(of));
        assert!(!is_dump, "{line}");
        let is_last = message.starts_with("cannot watch the Jobs");
        seen.push(message);
        if is_last {
            break;
        }
    }
    assert!(seen.contains(&"starting".to_owned()) && seen.len() > 1, "{seen:?}");
}
