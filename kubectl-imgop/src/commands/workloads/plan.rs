//! `kubectl imgop workloads plan`.

use clap::{Args, ValueEnum};
use imgop_core::api::Image;

use super::{MirrorsArgs, warn};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::kinds::{Erased, ObjectRef};
use crate::output::Ui;
use crate::output::documents::{DocumentFormat, PrintedArgs};
use crate::output::table::Table;
use crate::output::text::{count, count_repositories, first_few};
use crate::workloads::planned::{MirrorPlan, WorkloadsPlan};

/// Tags that a row names.
const MAX_TAGS: usize = 4;

/// Show which Images a WorkloadMirror would make, change and delete, without asking any registry
///
/// kubectl imgop preview workloadmirror/NAME asks both registries what each of them would copy.
#[derive(Debug, Args)]
#[command(after_help = "Signs: + made, ~ changed, - deleted, = as it is.")]
pub struct PlanArgs {
    #[command(flatten)]
    mirrors: MirrorsArgs,

    /// The WorkloadMirrors of all namespaces
    #[arg(short = 'A', long, conflicts_with = "mirror")]
    all_namespaces: bool,

    /// Show the Images too that stay as they are
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    printed: PrintedArgs<PlanFormat>,
}

/// How plans are printed, if not as tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// A document of apiVersion imgop.workloads-plan/v1
    Json,
    /// A document of apiVersion imgop.workloads-plan/v1
    Yaml,
    /// Kind and name of each Image, a line each
    Name,
}

/// Shows plans.
pub async fn run(ui: Ui, args: &PlanArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let mut plans = Vec::new();
    for mirrored in args.mirrors.read_of(ui, &cluster, args.all_namespaces).await? {
        let plan = mirrored.plan();
        warn(ui, &mirrored, &plan);
        plans.push(mirrored.planned(&plan, args.all));
    }
    match args.printed.output {
        None => print_tables(ui, &plans, args)?,
        Some(PlanFormat::Json) => DocumentFormat::Json.print(ui, &WorkloadsPlan::new(plans))?,
        Some(PlanFormat::Yaml) => DocumentFormat::Yaml.print(ui, &WorkloadsPlan::new(plans))?,
        Some(PlanFormat::Name) => {
            for image in plans.into_iter().flat_map(|plan| plan.images) {
                ui.data(&ObjectRef { kind: Erased::<Image>::REF, name: image.name }.qualified())?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn print_tables(ui: Ui, plans: &[MirrorPlan], args: &PlanArgs) -> Result<(), CliError> {
    for (i, plan) in plans.iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        if !plan.images.is_empty() {
            ui.table(&table(plan), !args.printed.no_headers)?;
            ui.data("\n")?;
        }
        let namespace = args.all_namespaces.then_some(plan.namespace.as_str());
        ui.data(&summary(plan, namespace))?;
    }
    Ok(())
}

fn table(plan: &MirrorPlan) -> Table {
    let mut table = Table::new(["", "IMAGE", "SOURCE", "DESTINATION", "TAGS"]);
    for image in &plan.images {
        let cells = [image.name.clone(), image.source.clone(), image.destination.clone()];
        let sign = [image.change.sign().to_owned()];
        table.row(sign.into_iter().chain(cells).chain([first_few(&image.tags, MAX_TAGS, 0)]));
    }
    table
}

fn summary(plan: &MirrorPlan, namespace: Option<&str>) -> String {
    let name = namespace.map_or(plan.mirror.clone(), |namespace| format!("{namespace}/{}", plan.mirror));
    let counts = plan.counts;
    let others = [
        (counts.pinned, "by digest"),
        (counts.excluded, "excluded"),
        (counts.waiting_for_digest, "waiting for their digest"),
        (counts.retained, "retained"),
    ];
    let others = others.iter().filter(|(number, _)| *number > 0);
    let others: Vec<String> = others.map(|(number, what)| format!("{number} {what}")).collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    format!(
        "{name}: {} with {} use {}, which become {} in {}{others}.\n",
        count(counts.workloads, "workload"),
        count(counts.pods, "pod"),
        count(counts.images, "image"),
        count(counts.tags, "tag"),
        count_repositories(counts.repositories),
    )
}
