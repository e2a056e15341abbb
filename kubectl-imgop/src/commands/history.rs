//! `kubectl imgop history`.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::pick::OneArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::kinds::past_sync::{PastColumns, PastSync, table};
use crate::output::Ui;
use crate::output::documents::{DocumentFormat, PrintedArgs};

/// The version of the document.
const API_VERSION: &str = "imgop.history/v1";

/// Show what earlier syncs of an Image copied, or earlier builds of an ImageBuilder made, the newest first
///
/// Of an Image these are the last 20 syncs that copied something, as the status records them: with how many tags were copied, the
/// first few of those tags, and how many failed. A sync that copied nothing is not recorded. Reason and message are
/// those of the last sync, if something failed; for an older one they are not kept. Of an ImageBuilder these are
/// its last 20 builds, each with why it was started, what was new, how long it took, and why it failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop history argocd-v2-13-x\n  \
    kubectl imgop history argocd-v2-13-x -o json\n  \
    kubectl imgop history imagebuilder/api")]
pub struct HistoryArgs {
    #[command(flatten)]
    one: OneArgs,

    #[command(flatten)]
    printed: PrintedArgs<HistoryFormat>,
}

/// Formats of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HistoryFormat {
    /// A table with times and with every tag that the status names
    Wide,
    /// A document of apiVersion imgop.history/v1
    Json,
    /// A document of apiVersion imgop.history/v1
    Yaml,
}

/// The earlier syncs of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.history/v1")]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The version of the document.
    api_version: &'static str,
    /// What the object is, such as Image.
    kind: String,
    /// Its namespace.
    namespace: String,
    /// Its name.
    name: String,
    /// The syncs that had something to do, the newest first.
    syncs: Vec<PastSync>,
}

/// Shows the history of an object.
pub async fn run(ui: Ui, args: &HistoryArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (cluster, found) = args.one.find(ui, connection).await?;
    let object = found.reference();
    let syncs = found.kind.history(&found.object).map_err(|why| cluster.unreadable(&object, &why))?;
    let history = History {
        api_version: API_VERSION,
        kind: found.kind.title(),
        namespace: found.object.namespace().unwrap_or_default(),
        name: object.name.clone(),
        syncs,
    };
    match args.printed.output {
        Some(HistoryFormat::Json) => DocumentFormat::Json.print(ui, &history)?,
        Some(HistoryFormat::Yaml) => DocumentFormat::Yaml.print(ui, &history)?,
        _ if history.syncs.is_empty() => ui.note(&format!("{object} {}.", found.kind.past_layout().none_yet)),
        format => {
            let columns = PastColumns { wide: format.is_some(), reasons: true };
            let table = table(found.kind.past_layout(), &history.syncs, columns, Timestamp::now());
            ui.wrapped_table(&table, !args.printed.no_headers)?;
        }
    }
    Ok(Outcome::Done)
}
