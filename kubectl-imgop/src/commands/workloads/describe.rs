//! `kubectl imgop workloads describe`.

use std::str::FromStr;

use clap::Args;
use imgop_core::build::ImageReference;
use imgop_registry::reference::{Digest, ReferenceError};

use super::{MirrorsArgs, warn_of_rows};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::output::table::Table;
use crate::workloads::rows::{Row, ShownRow, UsedImages, shown};

/// Show everything about an image that workloads use: who uses it, where it goes, and why it is not there
///
/// Without a tag, every tag of the repository.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Image as a workload names it: nginx, quay.io/argoproj/argocd:v2.13.1
    #[arg(value_name = "IMAGE")]
    image: NamedImage,

    #[command(flatten)]
    mirrors: MirrorsArgs,

    /// Print a document of apiVersion imgop.workloads/v1
    #[arg(short, long, value_enum)]
    output: Option<DocumentFormat>,
}

/// An image, or all of a repository.
#[derive(Debug, Clone)]
struct NamedImage {
    reference: ImageReference,
    /// Whether it has a tag or a digest.
    has_version: bool,
}

impl FromStr for NamedImage {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let last = text.rsplit('/').next().unwrap_or(text);
        Ok(Self { reference: text.parse()?, has_version: last.contains([':', '@']) })
    }
}

impl NamedImage {
    fn is_meant(&self, image: &str) -> bool {
        if self.has_version {
            return image == self.reference.to_string();
        }
        image.parse::<ImageReference>().is_ok_and(|image| image.repository == self.reference.repository)
    }

    fn text(&self) -> String {
        if self.has_version { self.reference.to_string() } else { self.reference.repository.to_string() }
    }
}

/// Describes a used image.
pub async fn run(ui: Ui, args: &DescribeArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let mirrored = args.mirrors.read(ui, &cluster).await?;
    for one in &mirrored {
        warn_of_rows(ui, one);
    }
    let name = args.image.text();
    let mut rows: Vec<Row> = mirrored.iter().flat_map(|one| one.rows(&one.plan())).collect();
    rows.retain(|row| args.image.is_meant(&row.image));
    if rows.is_empty() {
        let error = CliError::failed(format!("no workload that you and a WorkloadMirror see uses {name}"));
        return Err(error.hinted("kubectl imgop workloads list shows what they use"));
    }
    if let Some(format) = args.output {
        format.print(ui, &UsedImages::new(rows))?;
        return Ok(Outcome::Done);
    }
    for (i, row) in shown(rows).iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        ui.page_table(&page(row), false)?;
    }
    Ok(Outcome::Done)
}

fn page(ShownRow { row, digests }: &ShownRow) -> Table {
    let mut table = Table::new(["", ""]);
    let digests: Vec<&str> = digests.iter().map(Digest::as_str).collect();
    let facts = [
        ("Image:", Some(row.image.clone())),
        ("Runs:", (!digests.is_empty()).then(|| digests.join(", "))),
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
