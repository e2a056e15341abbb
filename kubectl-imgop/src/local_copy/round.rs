//! One round of `run --watch`: the Images that are due are looked at and copied together, so that what one registry
//! gets is read once, and scheduled again.

use std::pin::pin;

use futures::StreamExt as _;
use imgop_copier::Copied;
use jiff::Timestamp;

use super::copies::{self, Planned};
use super::events::Events;
use super::kept::{Ended, Kept};
use super::{Answered, LocalCopy};
use crate::cli_error::CliError;

/// Looks at all of these, and copies what they lack. What fails for one does not keep the others. Only output that cannot
/// be written is an error.
pub async fn round(
    local: &LocalCopy<'_>,
    due: &mut [&mut Kept],
    events: Events,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<(), CliError> {
    let targets = due.iter().map(|kept| Ok(kept.target(clock()))).collect();
    let (mut planned, mut of) = (Vec::new(), Vec::new());
    {
        let mut looked = pin!(local.look_at(targets).enumerate());
        while let Some((place, Answered { looked, .. })) = looked.next().await {
            let Some(kept) = due.get_mut(place) else { continue };
            match looked {
                Ok(Some((target, looked))) => {
                    let plan = kept.plan(&target, &looked.observed);
                    planned.push(Planned { target, looked, plan });
                    of.push(place);
                }
                Ok(None) => {}
                Err(error) => {
                    kept.failed(clock());
                    events.look_failed(kept, &error, clock())?;
                }
            }
        }
    }
    let mut ended: Vec<Vec<Ended>> = planned.iter().map(|_| Vec::new()).collect();
    let mut on_end = |place: usize, copy: &imgop_core::copy::Copy, outcome: Result<Copied, String>| {
        let shown = outcome.clone().map(|(Copied::Done(digest) | Copied::Kept(digest))| digest);
        ended[place].push((copy.clone(), shown));
        events.copied(&planned[place].target, copy, outcome, clock())
    };
    copies::copy(local.ui, &planned, &mut on_end).await?;
    for ((place, Planned { looked, .. }), ended) in of.into_iter().zip(planned).zip(ended) {
        let Some(kept) = due.get_mut(place) else { continue };
        let plan = kept.ended(looked.observed, ended, clock());
        let new = kept.new_failures(&plan);
        events.round_ended(kept, &plan, &new, clock())?;
    }
    Ok(())
}
