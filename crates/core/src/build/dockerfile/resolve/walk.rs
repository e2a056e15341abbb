//! Reads stage after stage: which stages and images each of them names, and what is wrong with that.

use std::collections::BTreeSet;

use imgop_registry::oci::PlatformSelector;

use super::{BuildInputs, Place, Refers, Use};
use crate::api::Format;
use crate::build::ImageReference;
use crate::build::dockerfile::instruction::{Detail, From, Instruction, Keyword, Located, Mount, MountKind};
use crate::build::dockerfile::scope::{Given, PROXIES, Scope};
use crate::build::dockerfile::substitution::{SubstitutionError, expand};
use crate::build::dockerfile::{Dockerfile, Position, Problem, Stage};

/// A walk through all stages.
pub(super) struct Walk<'a> {
    file: &'a Dockerfile,
    inputs: &'a BuildInputs<'a>,
    given: Given<'a>,
    preamble: Scope,
    pub(super) uses: Vec<Use>,
    /// Each with the number of its stage.
    pub(super) problems: Vec<(usize, Problem)>,
}

impl<'a> Walk<'a> {
    /// Returns a walk that has not begun.
    pub(super) fn new(file: &'a Dockerfile, inputs: &'a BuildInputs<'a>) -> Self {
        let given = Given::new(inputs.arguments, inputs.platform, inputs.build_platform);
        let preamble = Scope::of_preamble(file.preamble(), &given);
        Self { file, inputs, given, preamble, uses: Vec::new(), problems: Vec::new() }
    }

    /// Reads every stage, each with the variables of those in front of it.
    pub(super) fn all_stages(&mut self) {
        let mut scopes: Vec<Scope> = Vec::new();
        for stage in &self.file.stages {
            let scope = self.stage(stage, &scopes);
            scopes.push(scope);
        }
    }

    /// Reads one stage. Returns its variables at its end.
    fn stage(&mut self, stage: &Stage, scopes: &[Scope]) -> Scope {
        let mut scope = Scope::of_stage(None);
        for instruction in self.file.instructions(stage) {
            match &instruction.detail {
                Detail::From(from) => {
                    let refers = self.base(stage, from);
                    let base = match &refers {
                        Some(Refers::Stage(number)) => scopes.get(*number),
                        _ => None,
                    };
                    scope = Scope::of_stage(base);
                    self.uses.extend(refers.map(|refers| Use {
                        stage: stage.number,
                        place: Place::From,
                        refers,
                    }));
                }
                Detail::Copy(Some(from)) => {
                    let refers = self.other(stage, from, "COPY --from", &scope);
                    let place = Place::Copy(from.clone());
                    self.uses.extend(refers.map(|refers| Use { stage: stage.number, place, refers }));
                }
                Detail::Run(mounts) => {
                    let with_from = mounts.iter().filter_map(|mount| Some((mount, mount.from.clone()?)));
                    for (mount, from) in with_from {
                        let refers = self.mounted(stage, mount, &from, &scope);
                        let place = Place::Mount { from, value: mount.value.clone() };
                        self.uses.extend(refers.map(|refers| Use { stage: stage.number, place, refers }));
                    }
                    self.check_secrets(stage, instruction);
                }
                _ => scope.take(instruction, &self.preamble, &self.given),
            }
            self.check_format(stage, instruction);
        }
        scope
    }

    fn problem(&mut self, stage: &Stage, problem: Problem) {
        self.problems.push((stage.number, problem));
    }

    /// Returns what a stage builds on.
    fn base(&mut self, stage: &Stage, from: &From) -> Option<Refers> {
        let name = self.global(stage, &from.image)?;
        let platform = match &from.platform {
            Some(platform) => {
                let text = self.global(stage, platform)?;
                self.keep(
                    stage,
                    platform.position,
                    text.parse::<PlatformSelector>().map_err(|e| e.to_string()),
                )?
            }
            None => self.inputs.platform.clone(),
        };
        if name == "scratch" {
            return Some(Refers::Scratch);
        }
        let named = self.file.stages.iter().find(|other| other.is_named(&name));
        match named {
            Some(other) if other.number < stage.number => return Some(Refers::Stage(other.number)),
            Some(other) if other.number > stage.number => self.problem(
                stage,
                Problem::warning(
                    from.image.position,
                    format!("the stage {name} comes later, so that this is the image {name}"),
                    "move that stage up, or write the image with its registry",
                ),
            ),
            _ => {}
        }
        self.image(stage, &from.image, &name, platform)
    }

    /// Returns a text of FROM with the ARGs in front of the first FROM replaced.
    fn global(&mut self, stage: &Stage, located: &Located) -> Option<String> {
        let (preamble, given) = (&self.preamble, &self.given);
        let value = |name: &str| preamble.get(name).or_else(|| given.automatic(name));
        match expand(&located.text, &value) {
            Ok(expanded) => {
                for name in &expanded.unknown {
                    let message = format!("the argument {name} has no value here");
                    let fix = format!(
                        "write ARG {name}=value in front of the first FROM, or ARG {name} there and give it in buildArgs"
                    );
                    self.problem(stage, Problem::warning(located.position, message, fix));
                }
                Some(expanded.text)
            }
            Err(error @ SubstitutionError::Pattern(_)) => {
                let message = format!("{error} cannot be worked out before the build");
                self.problem(stage, Problem::invalid(located.position, message, error.fix()));
                None
            }
            // It was reported when the file was read.
            Err(_) => None,
        }
    }

    /// Returns what a COPY or a mount takes files from.
    fn other(&mut self, stage: &Stage, from: &Located, what: &str, scope: &Scope) -> Option<Refers> {
        let expanded = expand(&from.text, &|name| scope.get(name));
        let name = match expanded {
            Ok(expanded) if expanded.unknown.is_empty() => expanded.text,
            Ok(expanded) => {
                let name = expanded.unknown.join(", ");
                let message =
                    format!("{what} names {name}, which has no value that is known before the build");
                let fix = format!("write ARG {name}=value in this stage, or name the stage or image itself");
                self.problem(stage, Problem::invalid(from.position, message, fix));
                return None;
            }
            Err(error) => {
                self.problem(stage, Problem::invalid(from.position, error.to_string(), error.fix()));
                return None;
            }
        };
        let stages = &self.file.stages;
        let named = stages.iter().find(|other| other.is_named(&name)).map(|other| other.number);
        let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        let number = named.or_else(|| is_number.then(|| name.parse().unwrap_or(usize::MAX)));
        match number {
            Some(number) if number < stage.number => Some(Refers::Stage(number)),
            Some(number) => {
                self.problem(stage, unreachable_stage(stage, stages, number, &name, from.position));
                None
            }
            None => self.image(stage, from, &name, self.inputs.platform.clone()),
        }
    }

    /// Returns what a mount takes files from.
    fn mounted(&mut self, stage: &Stage, mount: &Mount, from: &Located, scope: &Scope) -> Option<Refers> {
        let refers = self.other(stage, from, "a mount's from", scope)?;
        if mount.kind == MountKind::Cache && matches!(refers, Refers::Image(..)) {
            let message = "Buildah fills a mount of type cache from a stage only";
            let fix = "name a stage, or mount the image with type=bind";
            self.problem(stage, Problem::unsupported(from.position, None, message, fix));
        }
        Some(refers)
    }

    fn image(
        &mut self,
        stage: &Stage,
        located: &Located,
        name: &str,
        platform: PlatformSelector,
    ) -> Option<Refers> {
        let image = name.parse::<ImageReference>().map_err(|error| {
            let written = if located.text == name { String::new() } else { format!("{}: ", located.text) };
            format!("{written}{error}")
        });
        Some(Refers::Image(self.keep(stage, located.position, image)?, platform))
    }

    /// Returns a value, or notes why there is none.
    fn keep<T>(&mut self, stage: &Stage, position: Position, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(stage, Problem::invalid(position, message, ""))).ok()
    }

    fn check_secrets(&mut self, stage: &Stage, instruction: &Instruction) {
        let Detail::Run(mounts) = &instruction.detail else { return };
        for mount in mounts.iter().filter(|mount| mount.kind == MountKind::Secret) {
            let id = mount.id.as_deref().unwrap_or_default();
            if id.contains('$') || self.inputs.secrets.contains(id) {
                continue;
            }
            let message = format!("there is no secret {id:?}");
            let fix = format!("add it to secrets, with id: {id}");
            let problem = if mount.required {
                Problem::invalid(mount.position, message, fix)
            } else {
                Problem::warning(mount.position, format!("{message}, so that the file will be missing"), fix)
            };
            self.problem(stage, problem);
        }
    }

    /// Notes what the format of the image cannot hold.
    fn check_format(&mut self, stage: &Stage, instruction: &Instruction) {
        let fix = "set image.format: Docker; without it, image.annotations and image.timestamp make it OCI";
        match instruction.keyword {
            _ if self.inputs.format == Format::Docker => {}
            Keyword::Shell => {
                let message = "images of format OCI have no SHELL, and each RUN would use /bin/sh";
                self.problem(stage, Problem::invalid(instruction.position, message, fix));
            }
            keyword @ (Keyword::Healthcheck | Keyword::Onbuild) => {
                let message = format!("images of format OCI have no {keyword}: it is left out");
                self.problem(stage, Problem::warning(instruction.position, message, fix));
            }
            _ => {}
        }
    }

    /// Returns a warning for each argument that is given and that no ARG declares.
    pub(super) fn unused_arguments(&self) -> Vec<Problem> {
        let declared: BTreeSet<&str> = self
            .file
            .instructions
            .iter()
            .filter_map(|instruction| match &instruction.detail {
                Detail::Arg(arguments) => Some(arguments),
                _ => None,
            })
            .flatten()
            .map(|argument| argument.name.as_str())
            .collect();
        let is_unused = |name: &&String| {
            !declared.contains(name.as_str())
                && !PROXIES.contains(&name.as_str())
                && !self.given.is_automatic(name)
        };
        let unused = self.inputs.arguments.keys().filter(is_unused);
        unused
            .map(|name| {
                let start = Position { line: 1, column: 1 };
                let message = format!("the build argument {name} is declared nowhere");
                Problem::warning(
                    start,
                    message,
                    format!("write ARG {name} where it is used, or leave it out"),
                )
            })
            .collect()
    }
}

/// Returns why files cannot be taken from a stage.
fn unreachable_stage(
    stage: &Stage,
    stages: &[Stage],
    number: usize,
    name: &str,
    position: Position,
) -> Problem {
    let before: Vec<String> = stages[..stage.number].iter().map(Stage::label).collect();
    let fix = if before.is_empty() {
        "there is no stage in front of this one".to_owned()
    } else {
        format!("the stages in front of this one are {}", before.join(", "))
    };
    let message = if number == stage.number {
        format!("the stage {name} takes files from itself")
    } else if number < stages.len() {
        format!("the stage {name} comes later; move it up")
    } else {
        format!("there is no stage {name}")
    };
    Problem::invalid(position, message, fix)
}
