//! How many layers of the image a cache had, as Buildah prints it. A RUN may print the same, so that it is a number for
//! statistics alone.

use imgop_core::build::dockerfile::{Dockerfile, Instruction, Keyword};

/// What Buildah prints of a step that it does not run.
const HIT: &str = "--> Using cache ";

/// Which steps a cache had, by stage.
#[derive(Debug, Default)]
pub struct CacheHits {
    stages: Vec<Stage>,
    /// The stage of the step that began last.
    stage: usize,
    /// Whether that step makes a layer, and was not counted yet.
    may_be_hit: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    /// The stage that it builds on.
    below: Option<usize>,
    hits: u32,
}

impl CacheHits {
    /// Returns the stages of a file, of which none began.
    pub fn of(file: &Dockerfile) -> Self {
        let below = |number: usize| {
            let from = file.instructions(file.stages().get(number)?).first()?;
            // Behind FROM and its flags stands what the stage begins with.
            let name = from.text.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?;
            file.stages().iter().take(number).position(|stage| stage.label().eq_ignore_ascii_case(name))
        };
        let stages = (0..file.stages().len()).map(|number| Stage { below: below(number), hits: 0 });
        Self { stages: stages.collect(), ..Self::default() }
    }

    /// Takes note of a step that begins; without a stage it is one of ONBUILD, in the same stage.
    pub fn begin(&mut self, stage: Option<usize>, makes_layer: bool) {
        (self.stage, self.may_be_hit) = (stage.unwrap_or(self.stage), makes_layer);
    }

    /// Takes a line of output in that begins no step.
    pub fn take(&mut self, line: &str) {
        if !self.may_be_hit || !line.starts_with(HIT) {
            return;
        }
        self.may_be_hit = false;
        if let Some(stage) = self.stages.get_mut(self.stage) {
            stage.hits = stage.hits.saturating_add(1);
        }
    }

    /// Returns how many steps of the stage that began last, and of those that it builds on, the cache had.
    pub fn layers(&self) -> u32 {
        let stages =
            std::iter::successors(self.stages.get(self.stage), |stage| self.stages.get(stage.below?));
        stages.map(|stage| stage.hits).fold(0, u32::saturating_add)
    }
}

/// Whether an instruction makes a layer.
pub fn makes_layer(instruction: &Instruction) -> bool {
    matches!(instruction.keyword, Keyword::Run | Keyword::Copy | Keyword::Add)
}
