//! Copies that this process carries out, by the selection and the plan of the agent.

mod copies;
mod journal;
mod report;

use std::collections::HashMap;

use imgop_core::copy::{Cooldown, Inputs, Plan, ReadAhead, plan};

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::ObjectFormat;
use crate::preview::inspect::{Looked, Looking, look};
use crate::preview::targets::{Rest, Target};
use copies::Planned;
use report::{Report, Reports};

/// How copies are carried out.
pub struct LocalCopy<'a> {
    /// Prints.
    pub ui: Ui,
    /// How the registries are looked at.
    pub looking: Looking<'a>,
    /// Whether it is only said what would be copied.
    pub is_dry: bool,
    /// What is printed.
    pub format: Option<ObjectFormat>,
}

impl LocalCopy<'_> {
    /// Copies what all of these lack. What fails for one does not keep the others.
    pub async fn run(&self, targets: Vec<Result<Target, CliError>>) -> Result<Outcome, CliError> {
        let number = targets.len();
        let read_ahead = (!self.is_dry).then(ReadAhead::default);
        let mut reports = Reports::new(self.ui, self.format);
        let (mut errors, mut planned) = (Vec::new(), Vec::new());
        for target in targets {
            let looked = match target {
                Ok(mut target) => {
                    target.known.read_ahead.clone_from(&read_ahead);
                    let name = target.name();
                    self.plan(target, &mut reports).await.map_err(|error| error.of(&name, number))
                }
                Err(error) => Err(error),
            };
            match looked {
                Ok(one) => planned.extend(one),
                Err(error) => errors.push(error),
            }
        }
        if number > 1 {
            for error in &errors {
                self.ui.error(error);
            }
        }
        if !self.is_dry {
            let progress = copies::copy(self.ui, &planned, &mut reports).await?;
            reports.count(&progress);
        }
        let outcome = reports.end()?;
        match errors.pop() {
            Some(error) if number == 1 => Err(error),
            Some(_) => Ok(Outcome::NotReady),
            None => Ok(outcome),
        }
    }

    /// Looks at both registries of a target. Returns what is to be copied, unless it is suspended.
    async fn plan(&self, target: Target, reports: &mut Reports) -> Result<Option<Planned>, CliError> {
        if target.rest == Some(Rest::Suspended) {
            self.ui.note(&format!("{} is suspended", target.name()));
            return Ok(None);
        }
        let mut looked = Box::pin(look(&target, self.looking)).await?;
        if let Some(failure) = looked.failure.take() {
            return Err(failure);
        }
        if let Some(nothing) = &looked.no_match {
            self.ui.warned(nothing);
        }
        let plan = planned(&target, &looked);
        let mut report = Report::new(&target.request);
        reports.add_untouched(&mut report, &plan)?;
        if self.is_dry {
            plan.copies().try_for_each(|copy| reports.would_copy(&mut report, copy))?;
        }
        let report = reports.keep(report);
        Ok(Some(Planned { target, looked, plan, report }))
    }
}

/// Returns the plan that the agent would make for a new Image.
fn planned(target: &Target, looked: &Looked) -> Plan {
    plan(Inputs {
        request: &target.request,
        observed: &looked.observed,
        runs: &[],
        failures: &[],
        unrecorded_failures: 0,
        conflicts: &HashMap::new(),
        cooldown: Cooldown::MAX,
        retry_now: false,
        reset_at: None,
        now: target.known.now,
    })
}
