//! Copies that a source lets us begin: where it counts pulls, some are left to others.

use std::time::Duration;

use imgop_core::copy::{Copy, MadeOf};
use imgop_registry::reference::{Digest, ManifestRef, RegistryHost};
use imgop_registry::{PullReserveReached, RepositoryClient};
use jiff::Timestamp;

use crate::schedule::{jitter, remaining};

/// A number of this age is asked for again before copies are held back for it: once for all Images
/// of one account, since all of them share the answer.
const OLD: Duration = Duration::from_mins(1);
/// How long copies are held back before they are looked at again; twice that for some Images.
const PULL_INTERVAL: Duration = Duration::from_mins(2);

/// The copies that may begin, and why not more of them.
pub struct Affordable {
    /// These may begin; their pulls are counted.
    pub copies: Vec<Copy>,
    /// Why the others may not.
    pub short: Option<PullReserveReached>,
}

/// As many of the copies as the source has pulls for, each of which costs `each`, unless it is known of
/// what parts it is made.
pub async fn affordable(source: &RepositoryClient, copies: Vec<Copy>, each: u64) -> Affordable {
    let found = within(copies, |copy| source.reserve_pulls(cost(copy, each)));
    let Some((first, rest)) = found.held.split_first().filter(|_| found.is_old()) else {
        return found.into();
    };
    // A HEAD costs no pull and tells how many there are now.
    if let Err(error) = source.head(&ManifestRef::Digest(part_of(first))).await {
        tracing::debug!(%error, "the number of pulls that are left cannot be asked for");
    }
    let held = [std::slice::from_ref(first), rest].concat();
    let more = within(held, |copy| source.reserve_pulls(cost(copy, each)));
    Affordable { copies: [found.begin, more.begin].concat(), short: more.short }
}

/// Forgets the pulls of copies that were counted and did not begin, or a quota that is looked at every
/// few seconds would use up what all others with the account have.
pub fn give_back(source: &RepositoryClient, counted: &[Copy], begun: &[Copy], each: u64) {
    let unused = counted.iter().filter(|copy| !begun.contains(copy)).map(|copy| cost(copy, each));
    source.release_pulls(unused.fold(0, u64::saturating_add));
}

/// Pulls of one copy. What an index is made of is copied part by part, and then what it is made from is
/// read once more.
fn cost(copy: &Copy, each: u64) -> u64 {
    let parts = |made: &MadeOf| u64::try_from(made.parts.len()).unwrap_or(u64::MAX).saturating_add(1);
    copy.made_of.as_ref().map_or(each, parts)
}

/// Something of a copy that is at the source.
fn part_of(copy: &Copy) -> Digest {
    copy.parts().first().unwrap_or(&copy.digest).clone()
}

/// Copies that may begin and copies that may not, the latter with the reason.
struct Within {
    begin: Vec<Copy>,
    held: Vec<Copy>,
    short: Option<PullReserveReached>,
}

/// Takes what each copy needs until there is no more of it.
fn within(copies: Vec<Copy>, mut take: impl FnMut(&Copy) -> Result<(), PullReserveReached>) -> Within {
    let mut found = Within { begin: Vec::new(), held: Vec::new(), short: None };
    for copy in copies {
        if found.short.is_none() {
            found.short = take(&copy).err();
        }
        let to = if found.short.is_none() { &mut found.begin } else { &mut found.held };
        to.push(copy);
    }
    found
}

impl Within {
    fn is_old(&self) -> bool {
        self.short.as_ref().is_some_and(|short| short.age >= OLD)
    }
}

impl From<Within> for Affordable {
    fn from(within: Within) -> Self {
        Self { copies: within.begin, short: within.short }
    }
}

/// Returns what is reported of copies that wait for pulls, and when they are tried again: at different times for
/// different Images, and once what the registry said is too old.
pub fn reserve_message(
    host: &RegistryHost,
    reached: &PullReserveReached,
    uid: &str,
    now: Timestamp,
) -> (String, Duration) {
    let some_time = remaining(jitter(uid, PULL_INTERVAL, now), now);
    let wait = (PULL_INTERVAL + some_time).min(reached.until + Duration::from_secs(1));
    (format!("{host} {reached}; copies wait until there are more"), wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::fixtures::now;

    fn short(until: Duration, age: Duration) -> PullReserveReached {
        PullReserveReached { remaining: 7, reserve: 10, until, age }
    }

    fn copies(count: u32) -> Vec<Copy> {
        let copy = |n| Copy {
            source_ref: ManifestRef::Tag(format!("v{n}").parse().unwrap()),
            destination_tag: format!("v{n}").parse().unwrap(),
            digest: Digest::of(b"content"),
            made_of: None,
            attempt: 1,
        };
        (0..count).map(copy).collect()
    }

    #[test]
    fn copies_begin_in_order_until_the_pulls_are_short_and_nobody_asks_for_more_then() {
        let mut asked = 0;
        let found = within(copies(5), |_| {
            asked += 1;
            if asked <= 2 { Ok(()) } else { Err(short(Duration::from_hours(6), Duration::ZERO)) }
        });
        assert_eq!((found.begin, asked), (copies(2), 3));
        assert_eq!(found.held, copies(5)[2..]);
        let all = within(copies(5), |_| Ok(()));
        assert_eq!((all.begin.len(), all.held.len(), all.short), (5, 0, None));
    }

    #[test]
    fn an_index_that_is_made_costs_its_parts_and_one_look_at_the_source() {
        assert_eq!((cost(&copies(1)[0], 5), cost(&crate::image::tests::fixtures::subset("v1"), 5)), (5, 3));
        assert_eq!(part_of(&crate::image::tests::fixtures::subset("v1")), Digest::of(b"v1 amd64"));
    }

    #[test]
    fn copies_that_wait_say_for_what_and_are_tried_again_at_times_of_their_own() {
        let (hub, six_hours) = (RegistryHost::docker_hub(), Duration::from_hours(6));
        let waits: std::collections::BTreeSet<_> = (0..50)
            .map(|n| reserve_message(&hub, &short(six_hours, Duration::ZERO), &format!("uid-{n}"), now()).1)
            .collect();
        assert!(waits.len() > 40, "{waits:?}");
        assert!(waits.iter().all(|wait| (120..=240).contains(&wait.as_secs())), "{waits:?}");
        let (message, wait) =
            reserve_message(&hub, &short(Duration::from_secs(5), Duration::ZERO), "a", now());
        assert_eq!(wait, Duration::from_secs(6));
        assert_eq!(
            message,
            "docker.io has 7 pulls left, 10 are kept in reserve; copies wait until there are more"
        );
    }
}
