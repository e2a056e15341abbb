//! `kubectl imgop workloads describe`.

use clap::Args;
use imgop_core::build::ImageReference;

use super::MirrorsArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;
use crate::output::table::Table;
use crate::workloads::rows::Row;

/// Show everything about an image that workloads use: who uses it, where it goes, and why it is not there
///
/// Without a tag, every tag of the repository.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Image as a workload names it: nginx, quay.io/argoproj/argocd:v2.13.1
    #[arg(value_name = "IMAGE")]
    image: ImageReference,

    #[command(flatten)]
    mirrors: MirrorsArgs,
}

/// Describes a used image.
pub async fn run(ui: Ui, args: &DescribeArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let mirrored = args.mirrors.read(ui, &cluster).await?;
    let name = args.image.to_string();
    let mut rows: Vec<Row> = mirrored.iter().flat_map(|one| one.rows(&one.plan())).collect();
    rows.retain(|row| row.image == name);
    if rows.is_empty() {
        let error = CliError::failed(format!("no workload that you and a WorkloadMirror see uses {name}"));
        return Err(error.hinted("kubectl imgop workloads list shows what they use"));
    }
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        ui.page_table(&page(row), false)?;
    }
    Ok(Outcome::Done)
}

fn page(row: &Row) -> Table {
    let mut table = Table::new(["", ""]);
    let digest = row.digest.as_ref().map(ToString::to_string);
    let facts = [
        ("Image:", Some(row.image.clone())),
        ("Runs:", digest),
        ("WorkloadMirror:", Some(row.mirror.clone())),
        ("Used by:", Some(row.used_by.join(", "))),
        ("Destination:", row.destination.clone()),
        ("State:", Some(row.state.word().to_owned())),
        ("Why not:", row.why_not.clone()),
    ];
    for (label, value) in facts {
        if let Some(value) = value {
            table.row([label.to_owned(), value]);
        }
    }
    table
}
