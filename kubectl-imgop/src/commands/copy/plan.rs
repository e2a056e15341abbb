//! The last question: what the answers come to, as the preview shows it, and whether that is submitted.

use imgop_core::api::{Image, ImageSpec};
use imgop_core::copy::{CopyRequest, Limits, TagState};
use jiff::Timestamp;

use super::questions::Draft;
use super::submit::{Named, name};
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::output::text::count;
use crate::output::wording::Wording;
use crate::preview::cluster_images::ClusterImages;
use crate::preview::details::Details;
use crate::preview::document::TagReport;
use crate::preview::inspect::{Inspected, Inspector, inspect};
use crate::preview::page::{PageOptions, Verb, print};
use crate::preview::targets::{Target, applied};
use crate::prompts::{Answer, Terminal};

/// Above how many copies the answer is no by default.
const MANY: usize = 20;

/// What is known of a plan before it is confirmed.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    copies: usize,
    overwrites: usize,
}

/// Shows the plan, and asks.
pub async fn confirm(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let (spec, request) = draft.args.spec()?;
    let size = Box::pin(show(draft, terminal, spec, request)).await?;
    let (prompt, default) = match size {
        None => ("What is copied is not known. Submit it?".to_owned(), false),
        Some(Size { copies: 0, .. }) => ("No tag would be copied now. Submit it?".to_owned(), false),
        Some(Size { copies, overwrites }) => {
            let what = match overwrites {
                0 => format!("Copy {}?", count(copies, "tag")),
                overwrites => format!("Copy {}, and overwrite {overwrites} of them?", count(copies, "tag")),
            };
            (what, overwrites == 0 && copies <= MANY)
        }
    };
    Ok(terminal.confirm(&prompt, default).await?.map(|is_confirmed| draft.is_confirmed = Some(is_confirmed)))
}

/// Shows the page of the preview. Returns nothing where the registries cannot be compared: the agent may reach them
/// all the same.
async fn show(
    draft: &mut Draft,
    terminal: &Terminal,
    spec: ImageSpec,
    request: CopyRequest,
) -> Result<Option<Size>, CliError> {
    let (context, endpoints) = (draft.context.clone(), draft.args.image.endpoints.clone());
    let accesses = RegistryAccesses::new(&context.answering);
    let images = ClusterImages::new(&context.answering, &accesses);
    let inspector = Inspector {
        registries: &context.registries,
        sources: context.sources(),
        images: &images,
        source_tls: endpoints.source_tls,
        destination_tls: endpoints.destination_tls,
        limits: Limits::default(),
        details: Details::OfShownRows,
    };
    terminal.draw(&["Comparing both registries …".to_owned()], 0)?;
    let target = target(draft, spec, request).await;
    let inspected = Box::pin(inspect(&target, &inspector)).await;
    terminal.draw(&[String::new()], 0)?;
    let inspected = match inspected {
        Ok(inspected) => inspected,
        Err(error) => {
            context.ui.warned(&error);
            return Ok(None);
        }
    };
    let Inspected { report, failure, no_match } = inspected;
    print(
        context.ui.aside(),
        &report,
        PageOptions { wide: false, headers: true, excluded: false, verb: Verb::Copy },
    )?;
    for problem in failure.iter().chain(&no_match) {
        context.ui.warned(problem);
    }
    let copied: Vec<&TagReport> = report.tags.iter().filter(|tag| tag.is_copied()).collect();
    let overwrites = copied.iter().filter(|tag| tag.state == TagState::Differs).count();
    Ok(failure.is_none().then_some(Size { copies: copied.len(), overwrites }))
}

/// Returns the Image that the answers create or change, as the cluster would have it: what it has copied already, and
/// tags that belong to older Images, are known of that alone. Without an answer of the cluster only both references are
/// compared.
async fn target(draft: &mut Draft, spec: ImageSpec, request: CopyRequest) -> Target {
    let now = Timestamp::now();
    let references = Target::of_references(spec.clone(), request, true, now);
    let Some(cluster) = &draft.context.cluster else { return references };
    let Ok(Named { image, before, .. }) = name(&draft.args, cluster, &references.request).await else {
        return references;
    };
    let namespace = cluster.namespace.clone();
    draft.planned_name = Some(image.name.clone());
    let mut manifest = Image::new(&image.name, spec);
    manifest.metadata.namespace = Some(namespace);
    match Target::of_image(applied(manifest, before, now), now) {
        Ok(target) => Target { wording: Wording::Flags, ..target },
        Err(_) => references,
    }
}
