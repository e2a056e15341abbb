//! Objects of up to a megabyte each. They are written once, and answers are not parsed: both would take longer here than all
//! that the API server and the agent do with them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use imgop_tests::wait;
use kube::api::{ListParams, PostParams};
use kube::core::Request;
use kube::{Api, Resource};
use serde::Deserialize;
use serde_json::Value;

use super::{CONCURRENCY, Case};

/// What stands in a manifest for the name that each object has.
pub(super) const NAME: &str = "the-name";
/// How long it may take until all Images of a namespace have a status.
const DEADLINE: Duration = Duration::from_mins(10);
/// As `kubectl get` asks.
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Objects as `kubectl get` shows them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
}

/// Creates an object of this manifest for each name.
pub(super) async fn create<K: Resource>(
    case: &Case,
    api: &Api<K>,
    manifest: &str,
    names: impl IntoIterator<Item = String>,
) -> anyhow::Result<()> {
    let (client, objects) = (case.client(), Request::new(api.resource_url()));
    let created = stream::iter(names).map(|name| {
        let request = objects.create(&PostParams::default(), manifest.replace(NAME, &name).into_bytes());
        async move {
            client.request_text(request?).await?;
            anyhow::Ok(())
        }
    });
    created.buffer_unordered(CONCURRENCY).try_collect::<()>().await
}

/// Waits until so many Images of a namespace have a status, and fails unless each gives this as the reason of its condition
/// `Ready`.
pub(super) async fn all_say(case: &Case, namespace: &str, count: usize, reason: &str) -> anyhow::Result<()> {
    let what = format!("{count} Images have a status");
    let said = wait::poll(&what, DEADLINE, || async {
        let said: Option<Vec<String>> = reasons(case, namespace).await?.into_iter().collect();
        Ok(said.filter(|said| said.len() == count))
    });
    let others: Vec<String> = said.await?.into_iter().filter(|said| said != reason).collect();
    ensure!(others.is_empty(), "{} of {count} do not say {reason}: {others:?}", others.len());
    Ok(())
}

/// The reason of each Image that has one.
async fn reasons(case: &Case, namespace: &str) -> anyhow::Result<Vec<Option<String>>> {
    let images = case.images(namespace);
    let mut request = Request::new(images.resource_url()).list(&ListParams::default())?;
    request.headers_mut().insert("accept", AS_TABLE.parse()?);
    // Else each row has the labels of its object.
    *request.uri_mut() = format!("{}?includeObject=None", images.resource_url()).parse()?;
    let table: Table = case.client().request(request).await?;
    let column = table.column_definitions.iter().position(|column| column.name == "Reason");
    let column = column.context("no column Reason")?;
    let cell = |row: Row| row.cells.get(column)?.as_str().map(str::to_owned);
    Ok(table.rows.into_iter().map(cell).collect())
}
