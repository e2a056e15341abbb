//! `copy --local` that a signal ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use imgop_fakes::{Fault, Graph};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::copy_local::Case;

/// Two registries, and a layer of this size at the source.
fn one_layer(size: usize) -> Case {
    let mut graph = Graph::default();
    let (config, layer) = (graph.blob("{}"), graph.blob(vec![7; size]));
    let image = graph.oci_image(&config, &[layer]);
    graph.tags.push(("1.0".to_owned(), image.digest));
    Case::new(&graph)
}

/// Begins to copy it, and returns as soon as a chunk of this number, from 1, has come and meets with this.
fn begin(case: &Case, chunk: usize, fault: Fault) -> Child {
    let (number, (tell, told)) = (AtomicUsize::new(0), channel());
    case.destination.fail(move |_, line| {
        let is_it = line.starts_with("PATCH ") && number.fetch_add(1, Ordering::SeqCst) + 1 == chunk;
        if is_it {
            tell.send(()).unwrap();
        }
        is_it.then_some(fault)
    });
    let from = format!("{}/app:1.0", case.source.address);
    let to = format!("{}/mirror/app", case.destination.address);
    let begun = Command::new(cargo_bin!("kubectl-imgop"))
        .env_clear()
        .envs(case.program.environment())
        .args(["copy", "--local", &from, &to])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv_timeout(Duration::from_mins(1)).unwrap();
    begun
}

fn send(signal: Signal, process: &Child) {
    kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
}

/// Returns how many bytes of blobs the destination was sent.
fn sent(case: &Case) -> usize {
    case.destination.asked().iter().map(|asked| asked.sent).sum()
}

#[test]
fn a_copy_that_is_interrupted_ends_behind_a_chunk_and_the_next_one_goes_on_there() {
    // Two chunks and a half.
    const SIZE: usize = 40 << 20;
    let case = one_layer(SIZE);
    case.destination.drop_broken_uploads();
    let mut first = begin(&case, 1, Fault::Held);
    send(Signal::SIGINT, &first);
    let mut said = BufReader::new(first.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("it ends behind the chunks")));
    case.destination.go_on();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(!case.destination.manifests("mirror/app").contains_key("1.0"));
    let again = case.copy(":1.0", "");
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(sent(&case), SIZE + 2, "each byte once");
}

#[test]
fn a_copy_that_is_killed_goes_on_behind_the_chunks_that_have_arrived() {
    const CHUNK: usize = 16 << 20;
    let case = one_layer(5 * CHUNK);
    let mut first = begin(&case, 5, Fault::TakesNothing);
    send(Signal::SIGKILL, &first);
    first.wait().unwrap();
    case.destination.heal();
    assert!(!case.destination.manifests("mirror/app").contains_key("1.0"));
    let again = case.copy(":1.0", "-o json");
    assert_eq!(again.code, 0, "{}", again.stderr);
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    let resumed = document["transfer"]["resumedBytes"].as_u64().unwrap();
    assert_eq!(resumed, 4 * CHUNK as u64);
    assert!(sent(&case) < 6 * CHUNK, "{} bytes were sent", sent(&case));
}
