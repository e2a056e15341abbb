//! Values that a cluster knows: names of objects.

use std::ffi::OsStr;
use std::time::Duration;

use clap::Parser;
use clap_complete::engine::CompletionCandidate;
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::{KINDS, ObjectRef};

/// How long a cluster may take: the user has pressed a key and waits.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_NAMES: u32 = 500;

/// Returns the names of the objects in the cluster and namespace that the typed flags lead to; none if the
/// cluster does not answer.
pub fn object_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let connection = connection(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    let names = ask(&connection, names).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// Returns the answer of a cluster, if it comes in time.
fn ask<T>(connection: &ConnectionArgs, question: impl AsyncFnOnce(Cluster) -> Option<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = async { question(connection.connect().await.ok()?).await };
    let answer =
        runtime.block_on(async { tokio::time::timeout(COMPLETION_TIMEOUT, answer).await.ok().flatten() });
    runtime.shutdown_background();
    answer
}

async fn names(cluster: Cluster) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for kind in KINDS {
        let list = cluster.objects(kind, false).list_metadata(&ListParams::default().limit(MAX_NAMES)).await;
        let list = list.ok()?.items.into_iter();
        names.extend(list.map(|object| ObjectRef { kind, name: object.name_any() }.to_string()));
    }
    Some(names)
}

/// Returns the flags of the connection among words that may not be a whole command yet.
fn connection(words: impl Iterator<Item = String>) -> ConnectionArgs {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Flags {
        #[command(flatten)]
        connection: ConnectionArgs,
    }
    const NAMES: [&str; 8] =
        ["-n", "--namespace", "--context", "--cluster", "--user", "--kubeconfig", "--as", "--as-group"];
    let mut given = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        // `-nci` is `-n ci`.
        if word.len() > 2 && word.starts_with("-n") {
            given.push(word);
            continue;
        }
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if !NAMES.contains(&name) {
            continue;
        }
        let value = if name.len() == word.len() { words.next() } else { None };
        given.push(word);
        given.extend(value);
    }
    Flags::try_parse_from(given).map(|flags| flags.connection).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_connection_are_found_in_what_was_typed() {
        let words = "describe -n ci --context=prod --output yaml arg";
        let found = connection(words.split(' ').map(str::to_owned));
        assert_eq!(found.namespace.as_deref(), Some("ci"));
        assert_eq!(connection(["-nci".to_owned()].into_iter()).namespace.as_deref(), Some("ci"));
        assert_eq!(connection(["-n".to_owned()].into_iter()).namespace, None);
    }
}
