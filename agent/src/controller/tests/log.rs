//! What a line of the log holds.

use std::process::Command;

use super::*;

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Which logs want a line is kept for the whole process, so other tests that log at the same time could keep
/// lines from this one.
#[test]
fn a_line_of_the_log_names_its_object_by_kind_namespace_and_name() {
    let test = "controller::tests::log::lines_of_a_process_of_its_own";
    let program = std::env::current_exe().unwrap();
    let ended = Command::new(program).args(["--exact", test, "--ignored"]).output().unwrap();
    let printed = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
#[ignore = "a_line_of_the_log runs it in a process of its own"]
async fn lines_of_a_process_of_its_own() {
    let log = Log::default();
    let writer = log.clone();
    let format = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(format.finish());
    let mut case = Case::new().await;
    case.registry.refuse(401);
    case.pass(0).await.unwrap();
    case.api.fail("PATCH", true);
    case.image.status = None;
    case.reconcile(stored(case.image.clone())).await;
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_object: Vec<_> = lines.iter().filter(|line| line["name"] == "argocd").collect();
    for line in &of_object {
        assert_eq!((&line["kind"], &line["namespace"]), (&"Image".into(), &"team-a".into()), "{line}");
        assert!(line.get("image").is_none(), "an image is one of containers: {line}");
    }
    let has =
        |message: &str| of_object.iter().any(|line| line["message"].as_str().unwrap().contains(message));
    assert!(has("status") && has("trying again"), "{text}");
    let is_dump = |line: &&str| line.contains("Status {") || line.contains("ApiError");
    assert_eq!(text.lines().find(is_dump), None);
}
