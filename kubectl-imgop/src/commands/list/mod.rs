//! `kubectl imgop list`.

mod documents;

use std::cell::{Cell, RefCell};

use clap::Args;
use futures::future::try_join_all;
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::watcher;

use crate::args::SortPath;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::agent::warn_where_none_leads;
use crate::cluster::objects::{Found, FoundObject};
use crate::cluster::watch::{Known, follow};
use crate::cluster::watch_faults::Watched;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::listing::{Columns, table};
use crate::kinds::object_name::parse_selector;
use crate::kinds::{KINDS, KindRef, LISTED_KINDS, TypedName, kind_of_word};
use crate::output::Ui;
use crate::output::documents::ListFormat;
use crate::output::table::{Table, terminal_width};
use documents::{print_documents, print_one};

/// List Images and ImageBuilders and their status
///
/// Each kind that there is has a table of its own; the name of a kind (images, imagebuilders) lists that kind alone, and
/// registryaccesses what administrators lend.
/// Next checks, destinations and messages are shown too where the terminal has room for them, else with -o wide. A next
/// check such as <5m is known only as being within that time: a check that finds nothing to do is not recorded.
#[derive(Debug, Args)]
#[command(visible_aliases = ["get", "ls"])]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ListArgs {
    /// List only these, or only those of a kind
    #[arg(value_name = "NAME", value_parser = TypedName::parse_listed)]
    names: Vec<TypedName>,

    /// List those in all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Select by labels, such as team=web
    #[arg(short = 'l', long, value_parser = parse_selector)]
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

/// Kinds of Kubernetes that are tried here now and then. None of them is imgop's.
const KINDS_OF_OTHERS: [&str; 8] =
    ["configmaps", "cronjobs", "daemonsets", "deployments", "jobs", "pods", "secrets", "statefulsets"];

impl ListArgs {
    /// Returns the kind whose name is all that is typed.
    fn kind_alone(&self) -> Option<KindRef> {
        if let [only] = self.names.as_slice() { kind_of(only) } else { None }
    }

    /// Whether names of objects are typed.
    fn names_objects(&self) -> bool {
        !self.names.is_empty() && self.kind_alone().is_none()
    }

    /// Fails where objects are named, and others are asked for as well.
    fn check_names(&self) -> Result<(), CliError> {
        if self.watch && self.names.len() > 1 {
            return Err(CliError::usage("--watch takes one name, a --selector, or all of the namespace"));
        }
        let flags = [("--all-namespaces", self.all_namespaces), ("--selector", self.selector.is_some())];
        let given = flags.into_iter().find(|(_, is_given)| self.names_objects() && *is_given);
        let Some((flag, _)) = given else { return Ok(()) };
        if self.names.iter().all(|name| kind_of(name).is_some()) {
            let message = format!("{flag} goes with one kind at a time, or with no name at all");
            return Err(CliError::usage(message));
        }
        let message =
            format!("{flag} goes with the name of a kind, such as images, and not with those of objects");
        Err(of_others(CliError::usage(message), &self.names))
    }

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
    args.check_names()?;
    let cluster = connection.connect().await?;
    let Fetched { found: Found { objects, outcome }, kinds } = fetch(ui, args, &cluster).await?;
    let is_namespaced = kinds.is_empty() || kinds.iter().any(|kind| kind.is_namespaced());
    let place = (is_namespaced && !args.all_namespaces).then(|| cluster.namespace.clone());
    if objects.is_empty() && place.is_some() {
        cluster.check_namespace().await?;
    }
    let listed = args.listed(objects.clone());
    let printed = if args.is_table() {
        print_tables(ui, args, place.as_deref(), &listed)?
    } else {
        print_documents(ui, args, &listed)?;
        0
    };
    if args.columns().wide && !objects.is_empty() {
        warn_where_none_leads(ui, &cluster).await;
    }
    if args.watch {
        let drawn = Drawn::new(&kinds, &objects, printed);
        try_join_all(kinds.iter().map(|kind| watch(ui, args, &cluster, *kind, &drawn))).await?;
    }
    Ok(outcome)
}

/// What is listed, and the kinds of which something may be.
struct Fetched {
    found: Found,
    kinds: Vec<KindRef>,
}

async fn fetch(ui: Ui, args: &ListArgs, cluster: &Cluster) -> Result<Fetched, CliError> {
    let asked = match (args.names.as_slice(), args.kind_alone()) {
        ([], _) => KINDS.to_vec(),
        (_, Some(kind)) => vec![kind],
        (names, None) => {
            let found = cluster.get_all(ui, names).await.map_err(|error| of_others(error, names))?;
            let is_found = |kind: &KindRef| found.objects.iter().any(|object| object.kind == *kind);
            let kinds = LISTED_KINDS.into_iter().filter(is_found).collect();
            return Ok(Fetched { found, kinds });
        }
    };
    let (mut objects, mut kinds) = (Vec::new(), Vec::new());
    for kind in &asked {
        match cluster.list_served(*kind, args.all_namespaces, args.selector.as_deref()).await {
            Ok(Some(found)) => {
                objects.extend(found);
                kinds.push(*kind);
            }
            Ok(None) => {}
            // Whoever may list one kind sees it, and that another one is missing.
            Err(error) if asked.len() > 1 && !kind.is_default() => ui.warning(&error.message),
            Err(error) => return Err(error),
        }
    }
    Ok(Fetched { found: Found { objects, outcome: Outcome::Done }, kinds })
}

/// Returns the kind of which this is the name: it reads as that of an object.
fn kind_of(name: &TypedName) -> Option<KindRef> {
    if name.has_kind() { None } else { kind_of_word(&name.reference().name, &LISTED_KINDS) }
}

/// Adds to what is wrong with the names of objects that one of them is that of a kind.
fn of_others(error: CliError, names: &[TypedName]) -> CliError {
    let words = names.iter().filter(|name| !name.has_kind()).map(|name| name.reference().name);
    let mut kinds = words.filter(|word| KINDS_OF_OTHERS.contains(&word.as_str()));
    let Some(kind) = kinds.next() else { return error };
    let own: Vec<String> = LISTED_KINDS.iter().map(|kind| kind.resource().plural).collect();
    error.hinted(format!("{kind} is no kind of imgop, which has {}", own.join(", ")))
}

/// Prints a table for each kind that has objects, as kubectl does. They are in a namespace, unless none is given.
/// Returns how many lines of tables there are.
fn print_tables(
    ui: Ui,
    args: &ListArgs,
    namespace: Option<&str>,
    objects: &[FoundObject],
) -> Result<usize, CliError> {
    // Why those that were named do not exist is printed already.
    if objects.is_empty() && !args.names_objects() {
        let place = namespace.map(|namespace| format!(" in {namespace} namespace")).unwrap_or_default();
        ui.note(&format!("No resources found{place}."));
    }
    let (mut is_first, mut printed) = (true, 0);
    for kind in LISTED_KINDS {
        let objects = of_kind(objects, kind);
        if objects.is_empty() {
            continue;
        }
        ui.data(if is_first { "" } else { "\n" })?;
        printed += usize::from(!is_first);
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

/// What a watch shows, of all kinds: a terminal redraws all tables together.
struct Drawn {
    objects: RefCell<Vec<(KindRef, Vec<DynamicObject>)>>,
    printed: Cell<usize>,
}

impl Drawn {
    fn new(kinds: &[KindRef], objects: &[FoundObject], printed: usize) -> Self {
        let objects = kinds.iter().map(|kind| (*kind, of_kind(objects, *kind))).collect();
        Self { objects: RefCell::new(objects), printed: Cell::new(printed) }
    }

    /// Returns the objects of a kind as they were listed.
    fn of(&self, kind: KindRef) -> Vec<DynamicObject> {
        let objects = self.objects.borrow();
        objects.iter().find(|(of, _)| *of == kind).map(|(_, objects)| objects.clone()).unwrap_or_default()
    }

    /// Draws all tables again, one of them with other objects.
    fn redraw(&self, ui: Ui, args: &ListArgs, kind: KindRef, known: &Known) -> Result<(), CliError> {
        let mut objects = self.objects.borrow_mut();
        for (_, of_kind) in objects.iter_mut().filter(|(of, _)| *of == kind) {
            *of_kind = known.objects().collect();
        }
        let listed = |(kind, objects): &(KindRef, Vec<DynamicObject>)| {
            let kind = *kind;
            let objects = objects.iter().map(|object| FoundObject { kind, object: object.clone() });
            let objects = of_kind(&args.listed(objects.collect()), kind);
            (!objects.is_empty()).then(|| args.table(kind, &objects))
        };
        let tables: Vec<Table> = objects.iter().filter_map(listed).collect();
        self.printed.set(ui.redrawn_tables(&tables, !args.no_headers, self.printed.get())?);
        Ok(())
    }
}

/// Prints the changes of a kind until Ctrl-C.
async fn watch(
    ui: Ui,
    args: &ListArgs,
    cluster: &Cluster,
    kind: KindRef,
    drawn: &Drawn,
) -> Result<(), CliError> {
    let mut which = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    let named = args.names.first().filter(|_| args.kind_alone().is_none());
    if let Some(name) = named.map(|name| name.reference().name) {
        which = which.fields(&format!("metadata.name={name}"));
    }
    let (known, columns) = (Known::new(&drawn.of(kind)), args.columns());
    let is_redrawn = args.is_table() && ui.can_redraw();
    let watched = Watched { kind, object: None, all_namespaces: args.all_namespaces };
    follow(ui, cluster, watched, which, known, |known, object| {
        if is_redrawn {
            return drawn.redraw(ui, args, kind, known);
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
