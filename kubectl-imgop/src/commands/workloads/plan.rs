//! `kubectl imgop workloads plan`.

use clap::Args;
use imgop_core::api::Image;
use imgop_core::workloads::{Plan, PlannedChild};

use super::{MirrorsArgs, warn};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;
use crate::output::table::Table;
use crate::output::text::{count, first_few};
use crate::workloads::Mirrored;

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

    /// Show the Images too that stay as they are
    #[arg(long)]
    all: bool,

    /// Print only the rows of the table
    #[arg(long)]
    no_headers: bool,
}

/// Shows plans.
pub async fn run(ui: Ui, args: &PlanArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let mirrored = args.mirrors.read(ui, &cluster).await?;
    for (i, one) in mirrored.iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        let plan = one.plan();
        warn(ui, one, &plan);
        let (table, is_empty) = table(one, &plan, args.all);
        if !is_empty {
            ui.table(&table, !args.no_headers)?;
            ui.data("\n")?;
        }
        ui.data(&summary(one, &plan))?;
    }
    Ok(Outcome::Done)
}

fn table(mirrored: &Mirrored, plan: &Plan<'_>, all: bool) -> (Table, bool) {
    let mut table = Table::new(["", "IMAGE", "SOURCE", "DESTINATION", "TAGS"]);
    let mut is_empty = true;
    for child in &plan.children {
        let sign = sign(mirrored, child);
        if sign == "=" && !all {
            continue;
        }
        is_empty = false;
        let tags: Vec<String> = child.tags.iter().map(ToString::to_string).collect();
        let cells = [child.name.clone(), child.source.to_string(), child.destination.to_string()];
        table.row([sign.to_owned()].into_iter().chain(cells).chain([first_few(&tags, MAX_TAGS, 0)]));
    }
    for name in &plan.gone {
        is_empty = false;
        let image = mirrored.seen.images.get(name);
        let text = |text: fn(&Image) -> &str| image.map_or_else(String::new, |image| text(image).to_owned());
        let source = text(|image| &image.spec.source.name);
        let destination = text(|image| &image.spec.destination.name);
        table.row(["-".to_owned(), name.clone(), source, destination, String::new()]);
    }
    (table, is_empty)
}

/// Returns what becomes of an Image. Fields that the mirror does not write are others'.
fn sign(mirrored: &Mirrored, child: &PlannedChild) -> &'static str {
    let Some(image) = mirrored.seen.images.get(&child.name) else { return "+" };
    let wanted = mirrored.request.image_spec(child);
    let there = imgop_core::workloads::ChildImage::read(image).map(|there| there.unused_since);
    let same_tags = {
        let (mut there, mut wanted) = (image.spec.source.tags.clone(), wanted.source.tags.clone());
        there.sort();
        wanted.sort();
        there == wanted
    };
    let is_same = same_tags
        && image.spec.platforms == wanted.platforms
        && image.spec.frequency == wanted.frequency
        && image.spec.destination == wanted.destination
        && there.as_ref() == Some(&child.unused_since);
    if is_same { "=" } else { "~" }
}

fn summary(mirrored: &Mirrored, plan: &Plan<'_>) -> String {
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
        "{}: {} with {} use {}, which become {} in {}{others}.\n",
        mirrored.name,
        count(counts.workloads, "workload"),
        count(mirrored.seen.pods, "pod"),
        count(counts.images, "image"),
        count(counts.tags, "tag"),
        if counts.repositories == 1 {
            "1 repository".to_owned()
        } else {
            format!("{} repositories", counts.repositories)
        },
    )
}
