//! `kubectl imgop workloads list`.

use clap::Args;

use super::{MirrorsArgs, warn, warn_of_rows};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;
use crate::output::documents::PrintedArgs;
use crate::output::table::Table;
use crate::output::text::first_few;
use crate::workloads::rows::{ShownRow, UsedImages, shown};

/// Workloads that a row names.
const MAX_USERS: usize = 2;

/// List the images that workloads use, who uses them, and what became of each
///
/// States: synced (the agent has found it at the destination), copying, failed, planned (no Image copies it yet), waiting
/// (until a pod reports what it runs, until its platforms are read, or until an origin has what pods cannot pull), excluded
/// and refused, with the reason.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    mirrors: MirrorsArgs,

    /// The WorkloadMirrors of all namespaces
    #[arg(short = 'A', long, conflicts_with = "mirror")]
    all_namespaces: bool,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// Lists used images.
pub async fn run(ui: Ui, args: &ListArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let mirrored = args.mirrors.read_of(ui, &cluster, args.all_namespaces).await?;
    let mut rows = Vec::new();
    for one in &mirrored {
        let plan = one.plan();
        warn(ui, one, &plan);
        warn_of_rows(ui, one);
        let mut of_mirror = one.rows(&plan);
        if args.all_namespaces {
            for row in &mut of_mirror {
                row.mirror = format!("{}/{}", one.seen.namespace, one.name);
            }
        }
        rows.extend(of_mirror);
    }
    match args.printed.output {
        Some(format) => format.print(ui, &UsedImages::new(rows))?,
        None if rows.is_empty() => {}
        None => {
            let has_mirror = args.all_namespaces || mirrored.len() > 1;
            ui.wrapped_table(&table(&shown(rows), has_mirror), !args.printed.no_headers)?;
        }
    }
    Ok(Outcome::Done)
}

/// Returns the rows as a table.
fn table(rows: &[ShownRow], has_mirror: bool) -> Table {
    let columns = ["MIRROR", "IMAGE", "USED-BY", "DESTINATION", "STATE", "WHY-NOT"];
    let mut table = Table::new(columns.into_iter().skip(usize::from(!has_mirror)));
    for ShownRow { row, .. } in rows {
        let none = || "<none>".to_owned();
        let cells = [
            row.mirror.clone(),
            row.image.clone(),
            first_few(&row.used_by, MAX_USERS, 0),
            row.destination.clone().unwrap_or_else(none),
            row.state.word().to_owned(),
            row.why_not.clone().unwrap_or_else(none),
        ];
        table.row(cells.into_iter().skip(usize::from(!has_mirror)));
    }
    table
}
