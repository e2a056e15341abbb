//! The third container: pushes what was built, by digest. It holds the credential for the destination, and runs
//! nothing that a build could have changed.

mod finish;
mod layout;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{PushedImage, PushedLayers, StepInput, StepReport};
use imgop_registry::reference::{Digest, Repository};

use crate::access::RegistryAccess;
use crate::prepare::seconds;
use crate::refusal::{Patience, Refusal};
use crate::{Failed, HandedBase, Places, Program, PushHandover, handover, note};
use finish::{Asked, FinishedImage, finish};
use layout::{Layout, check};

/// How a push is tried again: for about two minutes, since nothing is built anew.
const PATIENCE: Patience =
    Patience { tries: 9, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(30) };

/// Checks the image, makes it ready and pushes it.
pub async fn push(input: &StepInput, places: &Places, report: &mut StepReport) -> Result<(), Failed> {
    let began = Instant::now();
    let handover: PushHandover = handover::read(&places.push_handover())?;
    let access = RegistryAccess::read(input, &places.push_auth_file(), places)?;
    let layout = Layout::read(input.format, places)?;
    let base = handover.base.and_then(|at| handover.bases.get(at));
    let stock = match base {
        Some(base) => Stock::of(base, &input.repository, &access, places).await,
        None => Stock::default(),
    };
    let asked = Asked { format: input.format, labels: &input.labels };
    let image = finish((&layout.manifest, &layout.config), asked, &handover, |digest| stock.has(digest))?;
    let folder = places.scratch().join("push");
    write(&image, &layout, &stock, &folder, places)?;
    let digest = Digest::of(&image.manifest);
    copy(&folder, &digest, input, &access, places)?;
    let size = image.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
    note(format_args!("pushed {}@{digest}, {size} bytes", input.repository));
    report.image = Some(PushedImage { digest, size });
    report.layers = layers(&image, &stock);
    report.seconds.push = seconds(began);
    Ok(())
}

/// Returns where the layers of an image came from.
fn layers(image: &FinishedImage, stock: &Stock) -> PushedLayers {
    let mut layers = PushedLayers::default();
    for layer in &image.layers {
        let (count, bytes) = match (layer.is_of_base, stock.there.contains(&layer.digest)) {
            (true, true) => (&mut layers.mounted, 0),
            (true, false) => (&mut layers.base, layer.size),
            (false, _) => (&mut layers.built, layer.size),
        };
        *count += 1;
        layers.bytes = layers.bytes.saturating_add(bytes);
    }
    layers
}

/// Which layers of the base can be had with the digests that they have at its registry.
#[derive(Debug, Default)]
struct Stock {
    /// Those that the destination has.
    there: BTreeSet<Digest>,
    /// Those that were kept when the base was pulled.
    kept: BTreeSet<Digest>,
}

impl Stock {
    async fn of(
        base: &HandedBase,
        destination: &Repository,
        access: &RegistryAccess,
        places: &Places,
    ) -> Self {
        let mut stock = Self::default();
        let client = access.push_client(destination);
        let digests =
            base.layers.iter().filter_map(|layer| layer.get("digest")?.as_str()?.parse::<Digest>().ok());
        for digest in digests {
            // A registry that does not answer is asked again by the push itself.
            let is_there = client.has_blob(&digest).await.unwrap_or(false)
                || client.mount_blob(&digest, &base.repository).await.unwrap_or(false);
            if is_there {
                stock.there.insert(digest);
            } else if kept_blob(&digest, places).is_file() {
                stock.kept.insert(digest);
            }
        }
        stock
    }

    fn has(&self, digest: &Digest) -> bool {
        self.there.contains(digest) || self.kept.contains(digest)
    }
}

/// Returns the place of a blob that was kept when its image was pulled.
fn kept_blob(digest: &Digest, places: &Places) -> PathBuf {
    places.base_blobs().join(digest.as_str())
}

/// Writes an image for Skopeo: new documents, and links to layers that were looked at. Nothing else runs that could
/// change them.
fn write(
    image: &FinishedImage,
    layout: &Layout<'_>,
    stock: &Stock,
    folder: &Path,
    places: &Places,
) -> Result<(), Failed> {
    let at = |error: &std::io::Error| Failed::at("write", folder, error);
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| at(&error))?;
    }
    fs::create_dir_all(folder).map_err(|error| at(&error))?;
    for (name, bytes) in [
        ("version", &b"Directory Transport Version: 1.1\n"[..]),
        ("manifest.json", &image.manifest),
        (Digest::of(&image.config).hex(), &image.config),
    ] {
        fs::write(folder.join(name), bytes).map_err(|error| at(&error))?;
    }
    let mut written = BTreeSet::new();
    for layer in image.layers.iter().filter(|layer| written.insert(&layer.digest)) {
        let path = if !layer.is_of_base {
            layout.layer(&layer.digest, layer.size)?
        } else if stock.there.contains(&layer.digest) {
            continue;
        } else {
            let path = kept_blob(&layer.digest, places);
            let file = File::open(&path).map_err(|error| Failed::at("read", &path, &error))?;
            check(file, "a layer of the base", &layer.digest, layer.size)?;
            path
        };
        symlink(path, folder.join(layer.digest.hex())).map_err(|error| at(&error))?;
    }
    Ok(())
}

fn copy(
    folder: &Path,
    digest: &Digest,
    input: &StepInput,
    access: &RegistryAccess,
    places: &Places,
) -> Result<(), Failed> {
    let destination = format!("docker://{}@{digest}", input.repository);
    let pushed = PATIENCE.retry(|| {
        let program = Program::new("skopeo", places).args(["copy", "--quiet", "--preserve-digests"]);
        let program = program.args(access.options(input.repository.host(), "dest-"));
        let finished = program.arg(format!("dir:{}", folder.display())).arg(&destination).run();
        let finished = finished.map_err(|error| {
            let message = format!("skopeo does not start: {error}; use a Job image that has it");
            Failed::new(BuildFailure::PodNotStarted, message)
        })?;
        if finished.is_success() {
            return Ok(Ok(()));
        }
        Ok(Err(Refusal::read(&finished.errors, BuildFailure::PushFailed)))
    })?;
    pushed.map_err(|refusal| push_failed(&input.repository, &refusal))
}

fn push_failed(repository: &Repository, refusal: &Refusal) -> Failed {
    let (reason, fix) = match refusal.reason {
        BuildFailure::RegistryUnauthorized => {
            (refusal.reason, "; give image.credentials that may push to it")
        }
        BuildFailure::RegistryUnreachable | BuildFailure::RegistryRateLimited => (refusal.reason, ""),
        _ => (BuildFailure::PushFailed, ""),
    };
    Failed::new(
        reason,
        format!("the image is built and cannot be pushed to {repository}: {}{fix}", refusal.text),
    )
}
