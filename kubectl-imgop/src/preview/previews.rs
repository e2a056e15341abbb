//! Several previews: each printed as soon as it is known, and one exit code for all of them.

use super::document::{API_VERSION, Failed, Item, List, Report};
use super::inspect::{Inspected, Inspector, inspect};
use super::page::{PageOptions, print};
use super::targets::{ImageName, Target};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::{PreviewFormat, json, yaml};

/// How previews are printed.
#[derive(Debug, Clone, Copy)]
pub struct Printing {
    /// The format.
    pub format: PreviewFormat,
    /// What a page shows.
    pub page: PageOptions,
}

/// What became of all previews.
pub struct Previews {
    ui: Ui,
    printing: Printing,
    /// How many there are.
    number: usize,
    previewed: Vec<Result<Report, Failed>>,
    errors: Vec<CliError>,
    no_matches: Vec<CliError>,
    /// Whether there may be more to copy than is previewed.
    is_partial: bool,
}

impl Previews {
    /// Returns that of `number` previews none is made yet.
    pub fn new(ui: Ui, printing: Printing, number: usize) -> Self {
        let (previewed, errors, no_matches) = (Vec::new(), Vec::new(), Vec::new());
        Self { ui, printing, number, previewed, errors, no_matches, is_partial: false }
    }

    /// Notes that there may be more to copy, of workloads that the user may not see.
    pub fn may_lack_some(&mut self) {
        self.is_partial = true;
    }

    /// Inspects a target and prints its page. A failure of one Image does not stop the others.
    pub async fn add(
        &mut self,
        target: Result<Target, CliError>,
        inspector: &Inspector<'_>,
    ) -> Result<(), CliError> {
        let name = target.as_ref().map(Target::name).unwrap_or_default();
        let image = target.as_ref().ok().and_then(|target| target.image.clone());
        let inspected = match target {
            Ok(target) => Box::pin(inspect(&target, inspector)).await,
            Err(error) => Err(error),
        };
        let error = self.record(inspected, image, &name)?;
        let error = error.map(|error| error.of(&name, self.number));
        if let (Some(error), 2..) = (&error, self.number) {
            self.ui.error(error);
        }
        self.errors.extend(error);
        Ok(())
    }

    /// Prints what was found, and returns what failed.
    fn record(
        &mut self,
        inspected: Result<Inspected, CliError>,
        image: Option<ImageName>,
        name: &str,
    ) -> Result<Option<CliError>, CliError> {
        match inspected {
            Ok(inspected) => {
                self.show(&inspected.report)?;
                self.previewed.push(Ok(inspected.report));
                self.no_matches.extend(inspected.no_match.map(|error| error.of(name, self.number)));
                Ok(inspected.failure)
            }
            Err(error) => {
                let failed = Failed { api_version: API_VERSION, image, error: error.message.clone() };
                self.previewed.push(Err(failed));
                Ok(Some(error))
            }
        }
    }

    /// Prints a preview at once where it is a page; documents are printed together at the end.
    fn show(&self, report: &Report) -> Result<(), CliError> {
        match self.printing.format {
            PreviewFormat::Json | PreviewFormat::Yaml => Ok(()),
            PreviewFormat::Name => self.ui.data(&written_references(report).join("\n")),
            PreviewFormat::Table | PreviewFormat::Wide => {
                self.ui.data(if self.reports().next().is_none() { "" } else { "\n" })?;
                print(self.ui, report, self.printing.page)
            }
        }
    }

    fn reports(&self) -> impl Iterator<Item = &Report> {
        self.previewed.iter().filter_map(|preview| preview.as_ref().ok())
    }

    /// Prints the document, if the format is one: one preview as itself, several as a List, whatever failed.
    pub fn print_document(&self) -> Result<(), CliError> {
        let print = match self.printing.format {
            PreviewFormat::Json => print_json,
            PreviewFormat::Yaml => print_yaml,
            PreviewFormat::Table | PreviewFormat::Wide | PreviewFormat::Name => return Ok(()),
        };
        match self.previewed.as_slice() {
            [Ok(report)] if self.number == 1 => print(self.ui, &Item::Report(report)),
            _ if self.number == 1 => Ok(()),
            all => {
                let items = all.iter().map(|preview| match preview {
                    Ok(report) => Item::Report(report),
                    Err(failed) => Item::Failed(failed),
                });
                print(self.ui, &Item::List(List::new(items)))
            }
        }
    }

    /// Returns how all previews ended. Where differences are the exit code, "nothing to copy" must be certain.
    pub fn outcome(mut self, is_comparison: bool) -> Result<Outcome, CliError> {
        self.warn_of_unknown_conflicts();
        // "Nothing to copy" would be true, but misleading.
        if let (true, 1, Some(nothing)) = (is_comparison, self.number, self.no_matches.last()) {
            return Err(nothing.clone());
        }
        for nothing in &self.no_matches {
            self.ui.warned(nothing);
        }
        match self.errors.pop() {
            Some(error) if self.number == 1 => return Err(error),
            Some(_) => {
                let failed = self.errors.len() + 1;
                return Err(CliError::failed(format!("{failed} of {} previews failed", self.number)));
            }
            None if self.reports().any(Report::is_certain_work) => return Ok(Outcome::Differences),
            None => {}
        }
        let obstacles = [
            (self.reports().any(Report::has_work), "whether tags belong to older Images is not known"),
            (self.reports().any(|report| report.unchecked() > 0), "some tags could not be checked"),
            (self.reports().any(Report::lacks_platforms), "some tags have none of the selected platforms"),
            (self.reports().any(Report::has_unsupported), "some tags are in a format that cannot be copied"),
            (self.reports().any(Report::has_conflict), "some tags belong to older Images"),
            (self.is_partial, "you may not see all workloads that are mirrored"),
            (!self.no_matches.is_empty(), "some versions match no tag at the source"),
        ];
        match obstacles.into_iter().find(|(applies, _)| is_comparison && *applies) {
            Some((_, why)) => Err(CliError::failed(why)),
            None => Ok(Outcome::Done),
        }
    }

    /// Warns once for each reason, and not for each Image.
    fn warn_of_unknown_conflicts(&self) {
        let mut reasons: Vec<&String> =
            self.reports().filter_map(|report| report.conflicts_unknown.as_ref()).collect();
        reasons.sort();
        reasons.dedup();
        for why in reasons {
            self.ui.warning(&format!("whether tags belong to an older Image is not known: {why}"));
        }
    }
}

/// Returns the references at the destination that would be written.
fn written_references(report: &Report) -> Vec<String> {
    let Some(destination) = report.destination.as_ref().filter(|_| report.has_work()) else {
        return Vec::new();
    };
    let copied = report.tags.iter().filter(|tag| tag.is_copied());
    copied.filter_map(|tag| Some(format!("{destination}:{}", tag.destination_tag.as_ref()?))).collect()
}

fn print_json(ui: Ui, document: &Item<'_>) -> Result<(), CliError> {
    ui.data(&json(document)?)
}

fn print_yaml(ui: Ui, document: &Item<'_>) -> Result<(), CliError> {
    ui.data(&yaml(document)?)
}
