//! `kubectl imgop list`.

use clap::Args;
use futures::future::try_join_all;
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::watcher;
use serde_json::{Value, json};

use crate::args::SortPath;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, FoundObject};
use crate::cluster::watch::{Known, follow};
use crate::cluster::watch_faults::Watched;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::listing::{Columns, table};
use crate::kinds::object_name::parse_selector;
use crate::kinds::{KINDS, KindRef, ObjectRef};
use crate::output::Ui;
use crate::output::documents::{ListFormat, document, json as as_json, yaml};
use crate::output::table::{Table, terminal_width};

/// List Images and their status
///
/// Next checks, destinations and messages are shown too where the terminal has room for them, else with -o wide. A next
/// check such as <5m is known only as being within that time: a check that finds nothing to do is not recorded.
#[derive(Debug, Args)]
#[command(visible_aliases = ["get", "ls"])]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ListArgs {
    /// List only these Images
    #[arg(value_name = "NAME", value_parser = ObjectRef::parse)]
    names: Vec<ObjectRef>,

    /// List Images in all namespaces
    #[arg(short = 'A', long, conflicts_with = "names")]
    all_namespaces: bool,

    /// Select Images by labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names", value_parser = parse_selector)]
    selector: Option<String>,

    /// List only those that are not ready
    #[arg(long)]
    not_ready: bool,

    /// Sort by a field, such as .metadata.creationTimestamp or .status.lastSyncTime
    #[arg(long, value_name = "PATH")]
    sort_by: Option<SortPath>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: ListFormat,

    /// Print no column headers
    #[arg(long)]
    no_headers: bool,

    /// Print changes too, until Ctrl-C; a terminal shows one table that is kept up to date
    #[arg(short, long)]
    watch: bool,
}

impl ListArgs {
    /// Returns the columns that are requested.
    fn columns(&self) -> Columns {
        Columns { namespace: self.all_namespaces, wide: self.output == ListFormat::Wide }
    }

    /// Returns the table of these objects. It has the wide columns where they are requested, or where a terminal has
    /// room for them, be it for the beginnings of messages.
    fn table(&self, kind: KindRef, objects: &[DynamicObject]) -> Table {
        let (columns, now) = (self.columns(), Timestamp::now());
        let wide = || table(kind, objects, Columns { wide: true, ..columns }, now);
        let in_terminal = |width: u16| wide().cut_to(width);
        match terminal_width().filter(|_| !columns.wide && !objects.is_empty()).and_then(in_terminal) {
            Some(table) => table,
            None => table(kind, objects, columns, now),
        }
    }

    /// Returns those that are listed, in their order.
    fn listed(&self, mut objects: Vec<FoundObject>) -> Vec<FoundObject> {
        objects.retain(|object| !self.not_ready || !object.is_ready());
        if let Some(path) = &self.sort_by {
            objects.sort_by(|a, b| path.compare(&a.object, &b.object));
        }
        objects
    }

    fn is_table(&self) -> bool {
        matches!(self.output, ListFormat::Table | ListFormat::Wide)
    }
}

/// Lists objects.
pub async fn run(ui: Ui, args: &ListArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    if args.watch && args.names.len() > 1 {
        return Err(CliError::usage("--watch takes one name, a --selector, or all Images of the namespace"));
    }
    let cluster = connection.connect().await?;
    let Found { objects, outcome } = fetch(ui, args, &cluster).await?;
    if objects.is_empty() && !args.all_namespaces {
        cluster.check_namespace().await?;
    }
    let listed = args.listed(objects.clone());
    let printed = if args.is_table() {
        print_tables(ui, args, &cluster, &listed)?
    } else {
        print_documents(ui, args, &listed)?;
        0
    };
    if args.watch {
        let kinds = match args.names.as_slice() {
            [] => KINDS.to_vec(),
            names => names.iter().map(|name| name.kind).collect(),
        };
        try_join_all(kinds.into_iter().map(|kind| watch(ui, args, &cluster, kind, &objects, printed)))
            .await?;
    }
    Ok(outcome)
}

async fn fetch(ui: Ui, args: &ListArgs, cluster: &Cluster) -> Result<Found, CliError> {
    if !args.names.is_empty() {
        return cluster.get_all(ui, &args.names).await;
    }
    let mut objects = Vec::new();
    for kind in KINDS {
        objects.extend(cluster.list(kind, args.all_namespaces, args.selector.as_deref()).await?);
    }
    Ok(Found { objects, outcome: Outcome::Done })
}

/// Prints a table for each kind that has objects, as kubectl does.
/// Returns how many lines of tables there are.
fn print_tables(
    ui: Ui,
    args: &ListArgs,
    cluster: &Cluster,
    objects: &[FoundObject],
) -> Result<usize, CliError> {
    // Why those that were named do not exist is printed already.
    if objects.is_empty() && args.names.is_empty() {
        let place = format!(" in {} namespace", cluster.namespace);
        let place = if args.all_namespaces { "" } else { &place };
        ui.note(&format!("No resources found{place}."));
    }
    let (mut is_first, mut printed) = (true, 0);
    for kind in KINDS {
        let objects = of_kind(objects, kind);
        if objects.is_empty() {
            continue;
        }
        ui.data(if is_first { "" } else { "\n" })?;
        is_first = false;
        ui.table(&args.table(kind, &objects), !args.no_headers)?;
        printed += objects.len() + usize::from(!args.no_headers);
    }
    Ok(printed)
}

fn of_kind(objects: &[FoundObject], kind: KindRef) -> Vec<DynamicObject> {
    let of_kind = objects.iter().filter(|object| object.kind == kind);
    of_kind.map(|object| object.object.clone()).collect()
}

fn print_documents(ui: Ui, args: &ListArgs, objects: &[FoundObject]) -> Result<(), CliError> {
    if args.watch || args.output == ListFormat::Name {
        return objects.iter().try_for_each(|object| print_one(ui, args.output, object));
    }
    let whole = whole(args, objects)?;
    ui.data(&if args.output == ListFormat::Yaml { yaml(&whole)? } else { as_json(&whole)? })
}

/// Prints one object, where each is printed by itself.
fn print_one(ui: Ui, format: ListFormat, found: &FoundObject) -> Result<(), CliError> {
    let document = |object: &DynamicObject| document(object.clone(), &found.kind.resource());
    match format {
        ListFormat::Json => ui.data(&as_json(&document(&found.object)?)?),
        ListFormat::Yaml => ui.data(&format!("---\n{}", yaml(&document(&found.object)?)?)),
        _ => ui.data(&found.reference().qualified()),
    }
}

/// Returns the one object that was named, or a List as kubectl prints it.
fn whole(args: &ListArgs, objects: &[FoundObject]) -> Result<Value, CliError> {
    let document = |found: &FoundObject| document(found.object.clone(), &found.kind.resource());
    let items = objects.iter().map(document).collect::<Result<Vec<Value>, _>>()?;
    match (args.names.as_slice(), items.as_slice()) {
        ([_], [only]) => Ok(only.clone()),
        _ => Ok(
            json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items }),
        ),
    }
}

/// Prints the changes of a kind until Ctrl-C.
async fn watch(
    ui: Ui,
    args: &ListArgs,
    cluster: &Cluster,
    kind: KindRef,
    objects: &[FoundObject],
    mut printed: usize,
) -> Result<(), CliError> {
    let mut which = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    if let [object] = args.names.as_slice() {
        which = which.fields(&format!("metadata.name={}", object.name));
    }
    let objects = of_kind(objects, kind);
    let (known, columns) = (Known::new(&objects), args.columns());
    // Several tables cannot be drawn over one another.
    let is_redrawn = args.is_table() && KINDS.len() == 1 && ui.can_redraw();
    let watched = Watched { kind, object: None, all_namespaces: args.all_namespaces };
    follow(ui, cluster, watched, which, known, |known, object| {
        if is_redrawn {
            let objects = known.objects().map(|object| FoundObject { kind, object });
            let objects = of_kind(&args.listed(objects.collect()), kind);
            printed = ui.redrawn_table(&args.table(kind, &objects), !args.no_headers, printed)?;
            return Ok(());
        }
        let found = FoundObject { kind, object };
        if args.not_ready && found.is_ready() {
            return Ok(());
        }
        if !args.is_table() {
            return print_one(ui, args.output, &found);
        }
        match known.line(kind, &found.object, columns, Timestamp::now()) {
            Some(line) => ui.table_line(&line),
            None => Ok(()),
        }
    })
    .await
}
