//! Waiting, always with a deadline and never by sleeping a guessed time.

use std::cell::Cell;
use std::fmt::Debug;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Watches an object until `reached` holds, and returns it then. Each change of its status is
/// printed, so that a test that fails shows how far things went.
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    reached: impl Fn(&K) -> bool,
) -> anyhow::Result<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let began = Instant::now();
    let mut last = None;
    let watched = async {
        let mut changes = pin!(watch_object(api.clone(), name));
        while let Some(change) = changes.next().await {
            match change {
                Ok(Some(object)) if reached(&object) => return Ok(object),
                Ok(Some(object)) => {
                    let status = status_of(&object)?;
                    if last.as_ref() != Some(&status) {
                        say(&format!("{:>6.1?} {name}, until it {what}: {status}", began.elapsed()));
                        last = Some(status);
                    }
                }
                Ok(None) => say(&format!("{:>6.1?} {name} is not there", began.elapsed())),
                // The watcher tries again by itself.
                Err(error) => say(&format!("{:>6.1?} {name}: {error}", began.elapsed())),
            }
        }
        bail!("the watch of {name} ended")
    };
    match tokio::time::timeout(deadline, watched).await {
        Ok(result) => result,
        Err(_) => bail!(
            "{name} did not do in {deadline:?} what was waited for: it {what}; its last status: {}",
            last.unwrap_or_else(|| "none seen".to_owned())
        ),
    }
}

/// Watches an object until it is gone.
pub async fn until_gone<K>(api: &Api<K>, name: &str, deadline: Duration) -> anyhow::Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let gone = async {
        let mut changes = pin!(watch_object(api.clone(), name));
        while let Some(change) = changes.next().await {
            if matches!(change, Ok(None)) {
                return;
            }
        }
    };
    tokio::time::timeout(deadline, gone)
        .await
        .with_context(|| format!("{name} is still there after {deadline:?}"))
}

/// Watches an object for a while in which something holds of it all the time.
pub async fn stays<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    time: Duration,
    holds: impl Fn(&K) -> bool,
) -> anyhow::Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let seen = Cell::new(false);
    let watched = async {
        let mut changes = pin!(watch_object(api.clone(), name));
        while let Some(change) = changes.next().await {
            match change {
                Ok(Some(object)) if holds(&object) => seen.set(true),
                Ok(Some(object)) => bail!("{name} does not do any more what it did: it {what}: {object:?}"),
                Ok(None) => bail!("{name} is not there"),
                // The watcher tries again by itself.
                Err(error) => say(&format!("{name}: {error}")),
            }
        }
        bail!("the watch of {name} ended")
    };
    // It ends before the time is over only where something does not hold.
    tokio::time::timeout(time, watched).await.unwrap_or(Ok(()))?;
    ensure!(seen.get(), "{name} was not seen for {time:?}");
    Ok(())
}

/// The least time between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks again and again until there is an answer; for what cannot be watched, such as a registry. After a question that took
/// long it rests longer, up to a second: asking without a pause would take the processor from what it waits for.
pub async fn poll<T, Fut>(what: &str, deadline: Duration, ask: impl Fn() -> Fut) -> anyhow::Result<T>
where
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let asked = async {
        loop {
            let began = Instant::now();
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(began.elapsed().clamp(PAUSE, 5 * PAUSE)).await;
        }
    };
    match tokio::time::timeout(deadline, asked).await {
        Ok(answer) => answer,
        Err(_) => bail!("after {deadline:?} still not: {what}"),
    }
}

/// Returns in another second than the one in which it was called. Kubernetes keeps the age of objects in whole seconds: what is
/// created then is younger than what was there before.
pub async fn another_second() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

fn status_of<K: Serialize>(object: &K) -> anyhow::Result<String> {
    let value = serde_json::to_value(object)?;
    Ok(value.get("status").map_or_else(|| "no status".to_owned(), ToString::to_string))
}

/// Shown with a test that fails.
#[expect(clippy::print_stderr, reason = "only what these macros print is kept with the test's output")]
pub fn say(text: &str) {
    eprintln!("{text}");
}
