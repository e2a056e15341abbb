//! Admits copies within the pull quota of their source, part of which is left to others.

use std::time::Duration;

use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{PullReserveReached, RepositoryClient};

use super::{Copy, MadeOf, Route};
use crate::time::jitter;

/// A number of pulls of this age is asked for again before copies are deferred for it: once for all Images
/// of one account, since all of them share the answer.
const MAX_AGE: Duration = Duration::from_mins(1);
/// How long copies are deferred; twice that for some Images.
const RETRY_INTERVAL: Duration = Duration::from_mins(2);

/// Which copies may begin.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// These may begin; their pulls are reserved.
    pub admitted: Vec<Copy>,
    /// These may not, for `reason`.
    pub deferred: Vec<Copy>,
    /// Why copies are deferred.
    pub reason: Option<Deferral>,
}

/// Why copies that could begin do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferral {
    /// For people.
    pub message: String,
    /// When they are tried again.
    pub retry_after: Duration,
}

/// Admits as many of the copies, from the first, as the source has pulls for. A copy costs `pulls_per_copy`,
/// unless its parts are known. `key` spreads the next try of different Images.
pub async fn admit(route: Route<'_>, copies: Vec<Copy>, pulls_per_copy: u64, key: &str) -> Admission {
    let source = route.source;
    let reserve = |copy: &Copy| source.reserve_pulls(cost(copy, pulls_per_copy));
    let mut found = within(copies, reserve);
    if let (Some(short), Some(first)) = (&found.short, found.deferred.first())
        && short.age >= MAX_AGE
    {
        // A HEAD costs no pull, and its answer has how many there are now.
        if let Err(error) = source.head(&ManifestRef::Digest(part_of(first))).await {
            tracing::debug!(%error, "the source does not report how many pulls are left");
        }
        let more = within(found.deferred, reserve);
        found = Within { admitted: [found.admitted, more.admitted].concat(), ..more };
    }
    let Within { admitted, deferred, short } = found;
    let host = route.request.source.host();
    let reason = short.map(|short| Deferral {
        message: format!("{host} {short}; copies wait until there are more"),
        retry_after: retry_after(&short, key),
    });
    Admission { admitted, deferred, reason }
}

/// Releases the pulls of admitted copies that did not begin: a quota that is asked for every few seconds
/// would else use up what all others with the account have.
pub fn release(source: &RepositoryClient, admitted: &[Copy], begun: &[Copy], pulls_per_copy: u64) {
    let unused = admitted.iter().filter(|copy| !begun.contains(copy)).map(|copy| cost(copy, pulls_per_copy));
    source.release_pulls(unused.fold(0, u64::saturating_add));
}

/// Returns the pulls of one copy. An index that is made is copied part by part, and then what it is made
/// from is read once more.
fn cost(copy: &Copy, pulls_per_copy: u64) -> u64 {
    let parts = |made: &MadeOf| u64::try_from(made.parts.len()).unwrap_or(u64::MAX).saturating_add(1);
    copy.made_of.as_ref().map_or(pulls_per_copy, parts)
}

/// Returns something of a copy that is at the source.
fn part_of(copy: &Copy) -> Digest {
    copy.parts().first().unwrap_or(&copy.digest).clone()
}

/// Returns when copies are tried again: at different times for different Images, and once the registry's
/// answer has expired.
fn retry_after(short: &PullReserveReached, key: &str) -> Duration {
    let spread = RETRY_INTERVAL + jitter(key, RETRY_INTERVAL);
    spread.min(short.until.saturating_add(Duration::from_secs(1)))
}

struct Within {
    admitted: Vec<Copy>,
    deferred: Vec<Copy>,
    short: Option<PullReserveReached>,
}

/// Reserves for each copy until that fails.
fn within(copies: Vec<Copy>, mut reserve: impl FnMut(&Copy) -> Result<(), PullReserveReached>) -> Within {
    let mut found = Within { admitted: Vec::new(), deferred: Vec::new(), short: None };
    for copy in copies {
        if found.short.is_none() {
            found.short = reserve(&copy).err();
        }
        let to = if found.short.is_none() { &mut found.admitted } else { &mut found.deferred };
        to.push(copy);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::fixtures::{copy, subset};

    fn short(until: Duration) -> PullReserveReached {
        PullReserveReached { remaining: 7, reserve: 10, until, age: Duration::ZERO }
    }

    fn copies(count: u32) -> Vec<Copy> {
        (0..count).map(|n| copy(&format!("v{n}"), 1)).collect()
    }

    #[test]
    fn copies_are_admitted_in_order_until_the_pulls_are_short_and_no_more_are_reserved_then() {
        let mut asked = 0;
        let found = within(copies(5), |_| {
            asked += 1;
            if asked <= 2 { Ok(()) } else { Err(short(Duration::from_hours(6))) }
        });
        assert_eq!((found.admitted, asked), (copies(2), 3));
        assert_eq!(found.deferred, copies(5)[2..]);
        let all = within(copies(5), |_| Ok(()));
        assert_eq!((all.admitted.len(), all.deferred.len(), all.short), (5, 0, None));
    }

    #[test]
    fn an_index_that_is_made_costs_its_parts_and_one_read_of_the_source() {
        assert_eq!((cost(&copies(1)[0], 5), cost(&subset("v1"), 5)), (5, 3));
        assert_eq!(part_of(&subset("v1")), Digest::of(b"v1 amd64"));
    }

    #[test]
    fn copies_that_wait_are_tried_again_at_times_of_their_own() {
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|n| retry_after(&short(Duration::from_hours(6)), &format!("uid-{n}"))).collect();
        assert!(waits.len() > 40, "{waits:?}");
        assert!(waits.iter().all(|wait| (120..=240).contains(&wait.as_secs())), "{waits:?}");
        assert_eq!(retry_after(&short(Duration::from_secs(5)), "a"), Duration::from_secs(6));
    }

    #[tokio::test]
    async fn deferred_copies_say_what_they_wait_for() {
        use imgop_fakes::{WritableRegistry, client};
        let registry = WritableRegistry::start().await;
        registry.count_pulls();
        let mut request = crate::copy::fixtures::request("v2.13.x");
        request.source = registry.repository("app");
        let source = &client(&request.source);
        source.head(&ManifestRef::Digest(Digest::of(b"x"))).await.unwrap();
        let route = Route { request: &request, source, destination: source, read_ahead: None };
        let admission = admit(route, copies(2), 50, "uid").await;
        assert_eq!((admission.admitted.len(), admission.deferred.len()), (1, 1));
        let message = admission.reason.unwrap().message;
        assert!(
            message.starts_with("127.0.0.1:") && message.ends_with("; copies wait until there are more"),
            "{message}"
        );
        release(source, &admission.admitted, &[], 50);
        assert_eq!(admit(route, copies(1), 50, "uid").await.deferred.len(), 0, "they were released");
    }
}
