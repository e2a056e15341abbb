//! Copies that this process carries out, by the selection and the plan of the agent.
//!
//! ```text
//! round    Images that are due are looked at, copied and scheduled again
//! kept     what is remembered of each of them between rounds
//! events   what is printed of rounds           report   what is printed of one pass over all
//! copies   carries out the copies of plans     journal  where broken uploads are remembered
//! ```

mod copies;
mod events;
mod journal;
mod kept;
mod report;
mod round;

use std::collections::HashMap;
use std::pin::pin;

use futures::{Stream, StreamExt as _, stream};
use imgop_copier::Copied;
use imgop_core::access::AccessPolicy;
use imgop_core::api::{Destination, Image, ImageSpec, Mode, Source, TagFailure};
use imgop_core::copy::{
    AsksForRepository, Cooldown, Copy, Inputs, Observed, OlderImage, Plan, ReadAhead, Run, plan,
};
use imgop_registry::oci::subject_of;
use imgop_registry::reference::Tag;
use kube::ResourceExt as _;

use crate::cli_error::{CliError, Outcome};
use crate::local_build::Built;
use crate::output::Ui;
use crate::output::documents::RunFormat;
use crate::preview::inspect::{Looked, Looking, look};
use crate::preview::targets::{Rest, Target};
use copies::Planned;
pub use events::Events;
#[cfg(test)]
pub use events::Line;
pub use kept::Kept;
#[cfg(test)]
pub use report::Document;
use report::{Report, Reports};
pub use round::round;

/// Images that are looked at at a time. How much each registry is asked at a time is limited besides.
const LOOKS: usize = 8;

/// How copies are carried out.
pub struct LocalCopy<'a> {
    /// Prints.
    pub ui: Ui,
    /// How the registries are looked at.
    pub looking: Looking<'a>,
    /// Whether it is only said what would be copied.
    pub is_dry: bool,
    /// What is printed.
    pub format: Option<RunFormat>,
}

/// What was copied.
pub struct Ran {
    reports: Reports,
    /// The last target that could not be looked at.
    error: Option<CliError>,
    /// How many targets there were.
    number: usize,
}

impl Ran {
    /// Reports the end of it all, with what was built.
    pub fn end(self, built: &[Built]) -> Result<Outcome, CliError> {
        let outcome = self.reports.end(built)?;
        match self.error {
            Some(error) if self.number == 1 => Err(error),
            Some(_) => Ok(Outcome::NotReady),
            None => Ok(outcome),
        }
    }
}

/// What the registries of a target answered.
struct Answered {
    name: String,
    /// Nothing of one that is suspended.
    looked: Result<Option<(Target, Looked)>, CliError>,
}

impl LocalCopy<'_> {
    /// Copies what all of these lack, and reports it to its end.
    pub async fn run(&self, targets: Vec<Result<Target, CliError>>) -> Result<Outcome, CliError> {
        self.copy(targets).await?.end(&[])
    }

    /// Copies what all of these lack. What fails for one does not keep the others.
    pub async fn copy(&self, targets: Vec<Result<Target, CliError>>) -> Result<Ran, CliError> {
        let number = targets.len();
        let mut reports = Reports::new(self.ui, self.format);
        let (mut errors, mut planned) = (Vec::new(), Vec::new());
        let mut looked = pin!(self.look_at(targets));
        while let Some(Answered { name, looked }) = looked.next().await {
            match looked {
                Ok(Some((target, looked))) => planned.push(self.plan(target, looked, &mut reports)?),
                Ok(None) => {}
                Err(error) => {
                    reports.add_failed(&name, &error);
                    errors.push(error.of(&name, number));
                }
            }
        }
        if number > 1 {
            for error in &errors {
                self.ui.error(error);
            }
        }
        if !self.is_dry {
            let mut on_end =
                |place: usize, copy: &imgop_core::copy::Copy, outcome: Result<Copied, String>| {
                    reports.ended(place, copy, outcome)
                };
            let progress = copies::copy(self.ui, &planned, &mut on_end).await?;
            reports.count(&progress);
        }
        Ok(Ran { reports, error: errors.pop(), number })
    }

    /// Looks at both registries of each target, several at a time, and returns what they answered in the order of the
    /// targets. What is missing is read ahead, where it is copied.
    fn look_at(&self, targets: Vec<Result<Target, CliError>>) -> impl Stream<Item = Answered> {
        let read_ahead = (!self.is_dry).then(ReadAhead::default);
        let looks = targets.into_iter().map(move |target| (target, read_ahead.clone()));
        let looked = stream::iter(looks).map(move |(target, read_ahead)| async move {
            let mut target = match target {
                Ok(target) => target,
                Err(error) => return Answered { name: String::new(), looked: Err(error) },
            };
            if read_ahead.is_some() {
                target.known.asks_for_repository = AsksForRepository::First;
            }
            target.known.read_ahead = read_ahead;
            let (name, looked) = (target.name(), self.look(&target).await);
            Answered { name, looked: looked.map(|looked| Some((target, looked?))) }
        });
        looked.buffered(LOOKS)
    }

    /// Looks at both registries of a target, unless it is suspended.
    async fn look(&self, target: &Target) -> Result<Option<Looked>, CliError> {
        if target.rest == Some(Rest::Suspended) {
            self.ui.note(&format!("{} is suspended", target.name()));
            return Ok(None);
        }
        let mut looked = Box::pin(look(target, self.looking)).await?;
        if let Some(failure) = looked.failure.take() {
            return Err(failure);
        }
        if let Some(nothing) = &looked.no_match {
            self.ui.warned(nothing);
        }
        Ok(Some(looked))
    }

    /// Plans what is copied of a target, and reports what is not.
    fn plan(&self, target: Target, looked: Looked, reports: &mut Reports) -> Result<Planned, CliError> {
        // A new Image has no failures.
        let plan = planned(&target, &looked.observed, &[], &[], Cooldown::MAX);
        let mut report = Report::new(&target.request);
        reports.add_untouched(&mut report, &plan)?;
        if self.is_dry {
            plan.copies().try_for_each(|copy| reports.would_copy(&mut report, copy))?;
        }
        reports.keep(report);
        Ok(Planned { target, looked, plan })
    }
}

/// Returns the plan that the agent would make, by what became of copies and what failed before.
fn planned(
    target: &Target,
    observed: &Observed,
    runs: &[Run],
    failures: &[TagFailure],
    cooldown: Cooldown,
) -> Plan {
    let plan_with = |conflicts: &HashMap<Tag, String>| {
        plan(Inputs {
            request: &target.request,
            observed,
            runs,
            failures,
            unrecorded_failures: 0,
            conflicts,
            cooldown,
            retry_now: false,
            reset_at: None,
            now: target.known.now,
        })
    };
    let plan = plan_with(&HashMap::new());
    match conflicts(target, &plan) {
        conflicts if conflicts.is_empty() => plan,
        conflicts => plan_with(&conflicts),
    }
}

/// Returns which tags of a plan belong to what stands before it, with the message for people.
fn conflicts(target: &Target, plan: &Plan) -> HashMap<Tag, String> {
    let policy = AccessPolicy::default();
    let (last, destination) = (behind_all(&target.name()), &target.request.destination);
    let before = OlderImage::all(&last, destination, target.before.iter(), &policy);
    let conflict = |copy: &Copy| {
        let tag = &copy.destination_tag;
        // A tag that is named after a content says itself what it has.
        let is_theirs = |other: &&OlderImage<'_>| {
            other.conflicts_with(&target.request, tag, &policy) && subject_of(tag).is_none()
        };
        let owner = if let Some(OlderImage { image, request }) = before.iter().find(is_theirs) {
            format!("{}, which stands before it and copies from {}", image.name_any(), request.source)
        } else {
            let built = target.built_before.iter().find(|built| built.tag == *tag)?;
            format!("ImageBuilder {}, which stands before it", built.builder)
        };
        let message = format!("the tag belongs to {owner}; give one of them another destination");
        Some((tag.clone(), message))
    };
    plan.copies().filter_map(conflict).collect()
}

/// Returns an Image of this name that stands behind all others, to be asked for those before it.
pub fn behind_all(name: &str) -> Image {
    let spec = ImageSpec::new(Mode::OneShot, Source::default(), Destination::default());
    let mut image = Image::new(name, spec);
    image.metadata.uid = Some("behind all others".to_owned());
    image
}
