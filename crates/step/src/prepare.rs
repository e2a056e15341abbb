//! The first container: everything that a build needs, so that the next one needs no credential.

use std::fs;
use std::time::Instant;

use imgop_core::build::dockerfile::{BuildahVersion, NeededImage};
use imgop_core::build::step::{SourceReport, StepInput, StepReport};
use imgop_core::build::{BuildFailure, Timestamp};
use imgop_registry::reference::Digest;

use crate::access::RegistryAccess;
use crate::bases::{self, Base};
use crate::buildah::{self, StorageDriver};
use crate::context::{self, Fetched};
use crate::dockerfile::{self, Checked, Found};
use crate::handover::{self, BuildHandover, PushHandover};
use crate::{Failed, Places, Trigger, added_archives, note};

/// The first version that is known to write an image to which nothing was added; with an annotation it adds a layer.
const KEEPS_UNCHANGED: BuildahVersion = BuildahVersion { major: 1, minor: 44 };

/// Fetches, checks, resolves and pulls. What is known is reported also where it fails.
pub async fn prepare(input: &StepInput, places: &Places, report: &mut StepReport) -> Result<(), Failed> {
    let began = Instant::now();
    for folder in [places.temporary(), places.base_blobs(), places.storage(), places.storage_state()] {
        fs::create_dir_all(&folder).map_err(|error| Failed::at("make", &folder, &error))?;
    }
    let buildah = match input.buildah {
        Some(version) => version,
        None => buildah::version(places)?,
    };
    let access = RegistryAccess::read(input, &places.pull_auth_file(), places)?;
    let fetched = context::fetch(input, &access, places).await?;
    let (committed_at, found) = source(input, places, fetched, report)?;
    let checked = dockerfile::check(&found.bytes, input, buildah)?;
    report.warnings.extend(checked.warnings.iter().cloned());
    let folder = dockerfile::context_folder(input.sub_path.as_deref(), places);
    report.warnings.extend(added_archives::warnings(&checked.file, &checked.resolved, &folder));
    report.seconds.source = seconds(began);

    let began = Instant::now();
    let driver = StorageDriver::probe(places)?;
    report.storage_driver = Some(driver.as_str().to_owned());
    let preparation = Preparation { input, places, access: &access, driver, buildah };
    let pulled = preparation.pull_all(&checked, report).await?;
    let timestamp = timestamp(input, committed_at)?;
    preparation.hand_over(timestamp, &found, &checked, &pulled)?;
    report.seconds.bases = seconds(began);
    Ok(())
}

/// Reports what was fetched, and finds the Dockerfile in it. Returns also when the commit was made.
fn source(
    input: &StepInput,
    places: &Places,
    fetched: Fetched,
    report: &mut StepReport,
) -> Result<(Option<i64>, Found), Failed> {
    let source = report.source.insert(SourceReport::default());
    if let Some(checkout) = fetched.checkout {
        (source.commit, source.committed_at) = (Some(checkout.commit), Some(checkout.committed_at));
        note(format_args!("fetched commit {}", source.commit.as_deref().unwrap_or_default()));
        report.warnings.extend(checkout.warnings);
    }
    report.bases.extend(fetched.image);
    let found = dockerfile::find(input, places)?;
    source.dockerfile = Some(Digest::of(&found.bytes));
    Ok((source.committed_at, found))
}

/// Returns the time that the image bears, in seconds since 1970.
fn timestamp(input: &StepInput, committed_at: Option<i64>) -> Result<Option<i64>, Failed> {
    match input.timestamp {
        None => Ok(None),
        Some(Timestamp::Build) => Ok(Some(jiff::Timestamp::now().as_second())),
        Some(Timestamp::Seconds(seconds)) => Ok(Some(i64::try_from(seconds).unwrap_or(i64::MAX))),
        Some(Timestamp::Source) => committed_at.map(Some).ok_or_else(|| {
            let message =
                "image.timestamp: SourceTimestamp is the time of a commit; give context.git, or another time";
            Failed::new(BuildFailure::ContextInvalid, message)
        }),
    }
}

struct Preparation<'a> {
    input: &'a StepInput,
    places: &'a Places,
    access: &'a RegistryAccess,
    driver: StorageDriver,
    buildah: BuildahVersion,
}

impl Preparation<'_> {
    /// Resolves and pulls every image that the build needs. All are resolved first: what is missing is found before
    /// anything large is moved.
    async fn pull_all(&self, checked: &Checked, report: &mut StepReport) -> Result<Vec<Base>, Failed> {
        let (mut resolved, mut of_triggers) = (Vec::new(), Vec::new());
        for needed in &checked.resolved.images {
            let base = self.resolve(needed, report).await?;
            if checked.resolved.begins_with(needed) && !base.config.triggers.is_empty() {
                of_triggers.extend(self.images_of_triggers(&base, report)?);
            }
            resolved.push(base);
        }
        for base in &resolved {
            bases::pull(base, self.access, self.driver, self.places)?;
        }
        for needed in &of_triggers {
            let base = self.resolve(needed, report).await?;
            bases::pull(&base, self.access, self.driver, self.places)?;
            // Triggers stand in the base's configuration, where nothing can be pinned.
            bases::tag(&base, self.driver, self.places)?;
        }
        Ok(resolved)
    }

    async fn resolve(&self, needed: &NeededImage, report: &mut StepReport) -> Result<Base, Failed> {
        let base = bases::resolve(needed, &self.input.bases, self.access).await?;
        note(format_args!(
            "{} is {}, for {} {}",
            needed.image, base.shown, needed.platform, base.manifest.digest
        ));
        if report.bases.iter().all(|known| known.image != needed.image) {
            report.bases.push(base.report());
        }
        Ok(base)
    }

    fn images_of_triggers(&self, base: &Base, report: &mut StepReport) -> Result<Vec<NeededImage>, Failed> {
        let name = base.needed.image.to_string();
        let checked = dockerfile::check_triggers(&base.config.triggers, &name, self.input, self.buildah)?;
        report.warnings.extend(checked.warnings);
        Ok(checked
            .resolved
            .images
            .into_iter()
            .map(|image| NeededImage { positions: Vec::new(), ..image })
            .collect())
    }

    /// Writes what the next containers need.
    fn hand_over(
        &self,
        timestamp: Option<i64>,
        found: &Found,
        checked: &Checked,
        pulled: &[Base],
    ) -> Result<(), Failed> {
        let of = |needed: &NeededImage| pulled.iter().find(|base| &base.needed == needed);
        let pinned = checked.file.pinned(&checked.resolved, |needed| {
            of(needed).map(|base| (needed.image.repository.clone(), base.manifest.digest.clone()))
        });
        let pinned = pinned.ok_or_else(|| {
            Failed::new(
                BuildFailure::DockerfileInvalid,
                "the images of the Dockerfile cannot be pinned; name each by its registry",
            )
        })?;
        let path = self.places.dockerfile();
        fs::write(&path, pinned).map_err(|error| Failed::at("write", &path, &error))?;
        let build = BuildHandover {
            storage_driver: self.driver,
            sub_path: self.input.sub_path.clone(),
            ignore_file: found.ignore_file.clone(),
            timestamp,
            unchanged_base: unchanged_base(checked, pulled).filter(|_| self.buildah < KEEPS_UNCHANGED),
            mounts_files: checked.resolved.mounts_files,
            base_without_history: base_without_history(checked, pulled),
            triggers: triggers(checked, pulled),
        };
        handover::write(&self.places.build_handover(), &build)?;
        let base = checked.resolved.base();
        let push = PushHandover {
            platform: self.input.platform.clone(),
            has_timestamp: timestamp.is_some(),
            bases: pulled.iter().map(Base::handed).collect(),
            base: base.and_then(|base| pulled.iter().position(|pulled| &pulled.needed == base)),
        };
        handover::write(&self.places.push_handover(), &push)
    }
}

/// Returns the base of a stage in which nothing else stands.
fn unchanged_base(checked: &Checked, pulled: &[Base]) -> Option<Digest> {
    let stage = checked.file.stages().get(checked.resolved.target)?;
    let base = checked.resolved.base().filter(|_| checked.file.instructions(stage).len() == 1)?;
    pulled.iter().find(|pulled| &pulled.needed == base).map(|base| base.manifest.digest.clone())
}

/// Returns the name of an image that a stage begins with and whose history is not whole.
fn base_without_history(checked: &Checked, pulled: &[Base]) -> Option<String> {
    let bases = pulled.iter().filter(|base| checked.resolved.begins_with(&base.needed));
    let mut without = bases.filter(|base| base.config.layers_in_history < base.config.diff_ids.len());
    without.next().map(|base| base.needed.image.to_string())
}

/// Returns the steps that images add which a stage begins with.
fn triggers(checked: &Checked, pulled: &[Base]) -> Vec<Trigger> {
    let bases = pulled.iter().filter(|base| checked.resolved.begins_with(&base.needed));
    let of = |base: &Base| {
        let name = base.needed.image.to_string();
        let texts = base.config.triggers.clone().into_iter();
        texts.map(move |text| Trigger { text, base: name.clone() }).collect::<Vec<_>>()
    };
    bases.flat_map(of).collect()
}

/// Returns whole seconds since then, begun ones included.
pub fn seconds(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
