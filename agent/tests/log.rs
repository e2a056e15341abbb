//! What the program itself writes to its log.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn lines_are_json_for_people_also_where_the_api_server_does_not_answer() {
    let seen = lines_until("cannot watch the Jobs", &["--leader-elect=false"]).unwrap();
    assert!(seen.contains(&"starting".to_owned()), "{seen:?}");
    let seen = lines_until("cannot get Lease \"leases/imgop-agent\"", &["--lease-namespace=leases"]).unwrap();
    assert!(!seen.contains(&"starting".to_owned()), "{seen:?}");
}

/// Returns the messages of an agent up to the one that begins so.
fn lines_until(last: &str, arguments: &[&str]) -> std::io::Result<Vec<String>> {
    let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubeconfig-of-the-log");
    // Nothing listens there.
    let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "u"}}]}"#;
    std::fs::write(&kubeconfig, text)?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_imgop-agent"));
    program
        .args(["--watch-namespaces=b,a", "--skopeo-image=skopeo:1", "--listen=127.0.0.1:0"])
        .args(arguments);
    program.env("KUBECONFIG", &kubeconfig).env_remove("RUST_LOG").stderr(Stdio::piped());
    let mut agent = Running(program.spawn()?);
    let stderr = BufReader::new(agent.0.stderr.take().ok_or(std::io::ErrorKind::BrokenPipe)?);
    let (written, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| written.send(line)));
    let mut seen = Vec::new();
    // The agent goes on trying; what it does not write within a minute it does not write.
    while let Ok(line) = lines.recv_timeout(Duration::from_mins(1)) {
        let fields: serde_json::Value = serde_json::from_str(&line)?;
        let message = fields["message"].as_str().unwrap_or_default().to_owned();
        if message == "starting" {
            assert_eq!((&fields["namespaces"], &fields["image"]), (&"a,b".into(), &"skopeo:1".into()));
        }
        let is_dump =
            ["Error(", "Error {", "Os {", "ApiError", "Some(", "{:?}"].iter().any(|of| line.contains(of));
        assert!(!is_dump, "{line}");
        let is_last = message.starts_with(last);
        seen.push(message);
        if is_last {
            break;
        }
    }
    assert!(seen.last().is_some_and(|message| message.starts_with(last)), "{seen:?}");
    Ok(seen)
}
