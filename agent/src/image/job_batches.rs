//! Which copies each Job takes, and which program copies them.

use std::collections::HashSet;

use imgop_core::api::{Engine, ImageSpec};
use imgop_core::copy::{Copy, MaxParts, Order, batches};
use imgop_registry::reference::Digest;

use super::job::{engine, falls_back, tags_per_job};
use crate::config::Config;

/// What one Job copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// By which program.
    pub engine: JobEngine,
    /// In which order.
    pub order: Order,
    /// What.
    pub copies: Vec<Copy>,
}

/// Which program a Job runs, and why that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEngine {
    /// The one that the spec or the setting names.
    Named(Engine),
    /// Native, in the place of Skopeo, which cannot copy what the Job has.
    Fallback,
}

impl JobEngine {
    /// Returns the program.
    pub fn engine(self) -> Engine {
        match self {
            Self::Named(engine) => engine,
            Self::Fallback => Engine::Native,
        }
    }
}

/// Returns what each Job copies. What Skopeo cannot copy, of which `by_native` are contents, has Jobs of its own where
/// Native copies it.
pub fn job_batches(
    spec: &ImageSpec,
    config: &Config,
    copies: &[Copy],
    by_native: &HashSet<Digest>,
) -> Vec<Batch> {
    let named = engine(spec, config);
    let is_beyond = |copy: &Copy| {
        by_native.contains(&copy.digest) || !MaxParts::from(Some(named)).is_enough_for(copy.parts().len())
    };
    let falls_back = falls_back(spec, config);
    let (others, first): (Vec<Copy>, Vec<Copy>) =
        copies.iter().cloned().partition(|copy| falls_back && is_beyond(copy));
    let of = |engine: JobEngine, copies: &[Copy]| -> Vec<Batch> {
        let all = batches(copies, tags_per_job(engine.engine(), config)).into_iter();
        all.map(|(order, copies)| Batch { engine, order, copies }).collect()
    };
    [of(JobEngine::Named(named), &first), of(JobEngine::Fallback, &others)].concat()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use imgop_core::api::Mode;
    use imgop_core::copy::{MadeOf, Origin};

    use super::*;
    use crate::image::tests::fixtures::{copy, image};

    #[test]
    fn what_skopeo_cannot_copy_has_a_job_of_native_where_the_setting_allows_it() {
        let (plain, cache) = (copy("1.0", 1), copy("cache", 1));
        let parts: Vec<Digest> = (0..33_u8).map(|number| Digest::of(&[number])).collect();
        let made_of = MadeOf { origin: Origin::AllOf(Digest::of(b"large")), parts };
        let large = Copy { made_of: Some(made_of), ..copy("large", 1) };
        let (copies, by_native) =
            ([plain.clone(), cache.clone(), large.clone()], HashSet::from([cache.digest.clone()]));
        let of = |falls_back: &str| {
            let fixed = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=s", "--copy-engine-fallback"];
            let config = Config::parse_from(fixed.into_iter().chain([falls_back]));
            let batches = job_batches(&image(Mode::OneShot).spec, &config, &copies, &by_native);
            batches.into_iter().map(|batch| (batch.engine, batch.copies)).collect::<Vec<_>>()
        };
        let (skopeo, native) = (JobEngine::Named(Engine::Skopeo), JobEngine::Fallback);
        assert_eq!(of("true"), [(skopeo, vec![plain.clone()]), (native, vec![cache.clone(), large.clone()])]);
        assert_eq!(of("false"), [(skopeo, vec![plain, cache]), (skopeo, vec![large])]);
    }
}
