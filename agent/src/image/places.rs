//! Which copies get Jobs in a pass, as far as there are places for these.

use std::collections::HashSet;

use imgop_core::copy::Copy;
use imgop_registry::reference::Digest;

use super::Pass;
use super::job_batches::{Batch, job_batches};
use super::memory::SyncInProgress;
use crate::jobs::budget::{Full, Place};

/// Batches that get Jobs now.
pub(super) struct WithPlaces {
    pub batches: Vec<Batch>,
    /// A place for each.
    pub places: Vec<Place>,
    /// Why others have none, if the Image is woken when it is next.
    pub full: Option<Full>,
}

impl Pass<'_> {
    /// Returns those of these copies whose Jobs have a place now.
    pub(super) fn with_room(&self, copies: &[Copy], by_native: &HashSet<Digest>) -> Vec<Copy> {
        let agent = self.agent();
        let batches = job_batches(&self.image.spec, &agent.config, copies, by_native);
        let places = agent.jobs.room(&self.owner, batches.len(), self.now);
        batches.into_iter().take(places).flat_map(|batch| batch.copies).collect()
    }

    /// Returns the batches of these copies that get Jobs now. A copy that was not probed gets none: the next pass probes it.
    pub(super) fn with_places(&self, copies: &[Copy], sync: &SyncInProgress) -> WithPlaces {
        let agent = self.agent();
        let batches = |copies: &[Copy]| job_batches(&self.image.spec, &agent.config, copies, &sync.by_native);
        // Who wants less than there is to copy would not be queued for the rest.
        let granted = agent.jobs.take(&self.owner, batches(copies).len(), self.now);
        let probed: Vec<Copy> = copies.iter().filter(|copy| sync.is_probed(copy)).cloned().collect();
        let (mut batches, mut places) = (batches(&probed), granted.places);
        batches.truncate(places.len());
        // A place that is given back takes the Image out of the queue, and then nothing wakes it.
        let full = granted.full.filter(|_| batches.len() == places.len());
        places.truncate(batches.len());
        WithPlaces { batches, places, full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Objects;
    use crate::image::Images;
    use crate::image::memory::Memory;
    use crate::image::tests::fixtures::{agent_with, copy, now};
    use crate::image::tests::stage::Stage;

    #[tokio::test]
    async fn a_copy_that_was_not_probed_has_no_job_yet_and_its_image_does_not_wait_to_be_woken_for_it() {
        let mut stage = Stage::of_a_synced_image().await;
        let settings = ["--max-jobs=1", "--tags-per-job=1"];
        stage.images = Images::new(agent_with(stage.api.client(), &settings), Objects::new([]));
        let pass = Pass::new(&stage.images, &stage.image, &Memory::default(), now());
        let copies = [copy("a", 1), copy("b", 1)];
        let with_places = |probed: &[Copy]| {
            let probed = probed.iter().cloned().collect();
            let sync = SyncInProgress { probed, ..SyncInProgress::default() };
            let WithPlaces { batches, places, full } = pass.with_places(&copies, &sync);
            let begun: Vec<Copy> = batches.into_iter().flat_map(|batch| batch.copies).collect();
            (begun, places.len(), full.is_some())
        };
        assert_eq!(with_places(&[]), (vec![], 0, false));
        assert_eq!(with_places(&copies[1..]), (copies[1..].to_vec(), 1, true), "the other one is queued");
    }
}
