//! `copy --local` that a signal ends.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use imgop_fakes::Graph;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::copy_local::Case;

#[test]
fn a_copy_that_is_interrupted_ends_behind_a_chunk_and_the_next_one_goes_on_there() {
    // Two chunks and a half.
    const SIZE: usize = 40 << 20;
    let mut graph = Graph::default();
    let (config, layer) = (graph.blob("{}"), graph.blob(vec![7; SIZE]));
    let image = graph.oci_image(&config, &[layer]);
    graph.tags.push(("1.0".to_owned(), image.digest));
    let case = Case::new(&graph);
    case.destination.drop_broken_uploads();
    let from = format!("{}/app:1.0", case.source.address);
    let to = format!("{}/mirror/app", case.destination.address);
    let mut first = Command::new(cargo_bin!("kubectl-imgop"))
        .env_clear()
        .envs(case.program.environment())
        .args(["copy", "--local", &from, &to])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    while case.destination.count("PATCH ") == 0 {
        assert!(Instant::now() < until, "no chunk was sent");
        sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(first.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(!case.destination.manifests("mirror/app").contains_key("1.0"));
    let again = case.copy(":1.0", "");
    assert_eq!(again.code, 0, "{}", again.stderr);
    let sent: usize = case.destination.asked().iter().map(|asked| asked.sent).sum();
    assert_eq!(sent, SIZE + 2, "each byte once");
}
