//! Stages: what begins with a FROM.

use std::ops::Range;

use super::instruction::{Detail, Instruction, Keyword};
use super::{Position, Problem};

/// What begins with a FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its number, from 0.
    pub number: usize,
    /// Its name, as written behind AS.
    pub name: Option<String>,
    /// Where it begins.
    pub position: Position,
    pub(super) instructions: Range<usize>,
}

impl Stage {
    /// Whether it has this name, in capitals or not.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// Returns its name as it is written, or its number.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.number.to_string())
    }
}

/// Divides instructions into stages.
pub(super) fn stages(instructions: &[Instruction], problems: &mut Vec<Problem>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (i, instruction) in instructions.iter().enumerate() {
        if instruction.keyword == Keyword::From {
            let name = match &instruction.detail {
                Detail::From(from) => from.name.clone(),
                _ => None,
            };
            if let Some(name) = &name
                && let Some(other) = stages.iter().find(|stage| stage.is_named(name))
            {
                problems.push(Problem::invalid(
                    instruction.position,
                    format!("the stage of line {} is called {name} already", other.position.line),
                    "give one of them another name; capitals make no difference",
                ));
            }
            let (number, position) = (stages.len(), instruction.position);
            stages.push(Stage { number, name, position, instructions: i..i + 1 });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.end = i + 1;
        } else if instruction.keyword != Keyword::Arg {
            problems.push(Problem::invalid(
                instruction.position,
                format!("{} stands in front of the first FROM", instruction.keyword),
                "only ARG may; put it behind FROM",
            ));
        }
    }
    stages
}

/// Returns the stage to build: the one of this name or number, or the last.
pub(super) fn target<'a>(stages: &'a [Stage], target: Option<&str>) -> Result<&'a Stage, Problem> {
    let start = Position { line: 1, column: 1 };
    let Some(target) = target else {
        return stages
            .last()
            .ok_or_else(|| Problem::invalid(start, "there is no stage", "begin with FROM image:tag"));
    };
    let named = stages.iter().find(|stage| stage.is_named(target));
    let numbered = || target.parse().ok().and_then(|number: usize| stages.get(number));
    named.or_else(numbered).ok_or_else(|| {
        let labels: Vec<String> = stages.iter().map(Stage::label).collect();
        let fix = format!("the stages are {}", labels.join(", "));
        Problem::invalid(start, format!("there is no stage {target}"), fix)
    })
}
