//! Elections of one process, step by step, and of several on a network that loses and delays answers.

mod network;

use proptest::prelude::*;

use super::*;
use network::{Fault, Network};

fn elector() -> Elector {
    Elector::new("a".to_owned(), Timings::default())
}

fn held_by(holder: &str, version: &str) -> LeaseRecord {
    LeaseRecord {
        holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(13),
        transitions: 4,
        acquired: None,
        version: version.to_owned(),
    }
}

fn at(seconds: u64) -> Moment {
    Duration::from_secs(1000 + seconds)
}

/// Returns the step if it is to write, and as whom over which version.
fn written(step: &Step) -> Option<(&str, Option<&str>, i32)> {
    let Step::Write(write) = step else { return None };
    Some((write.holder.as_deref().unwrap_or_default(), write.version.as_deref(), write.transitions))
}

#[test]
fn where_there_is_no_lease_the_first_process_creates_it() {
    let mut a = elector();
    assert_eq!(a.next(at(0)), Step::Read);
    a.read(None, at(0));
    assert_eq!(written(&a.next(at(0))), Some(("a", None, 0)));
    a.wrote(held_by("a", "1"), at(0), at(2));
    assert_eq!(a.leads_until(), Some(at(10)), "from before it was sent");
    assert_eq!(a.next(at(2)), Step::Wait(Duration::from_secs(1)));
    assert_eq!(written(&a.next(at(3))), Some(("a", Some("1"), 4)));
    assert_eq!(a.next(at(10)), Step::End(Loss::NotRenewed));
}

#[test]
fn a_holder_is_waited_for_from_when_its_last_write_was_read() {
    let mut a = elector();
    a.read(Some(held_by("b", "1")), at(0));
    assert_eq!(a.next(at(0)), Step::Wait(Duration::from_secs(1)), "to read again");
    a.read(Some(held_by("b", "1")), at(12));
    assert_eq!(a.next(at(12)), Step::Wait(Duration::from_secs(1)));
    assert_eq!(a.next(at(13)), Step::Read);
    a.read(Some(held_by("b", "1")), at(13));
    assert_eq!(written(&a.next(at(13))), Some(("a", Some("1"), 5)));
    a.read(Some(held_by("b", "2")), at(13));
    assert_eq!(a.next(at(14)), Step::Read, "it has renewed it");
    // One that says that it needs longer gets it, within reason.
    let slow = LeaseRecord { duration: Duration::from_hours(9), ..held_by("b", "3") };
    a.read(Some(slow.clone()), at(20));
    a.read(Some(slow.clone()), at(79));
    assert_eq!(written(&a.next(at(79))), None);
    a.read(Some(slow), at(80));
    assert_eq!(written(&a.next(at(80))), Some(("a", Some("3"), 5)));
}

#[test]
fn a_lease_that_is_released_is_taken_at_once_and_one_that_was_deleted_is_not() {
    let mut a = elector();
    a.read(Some(held_by("", "1")), at(0));
    assert_eq!(written(&a.next(at(0))), Some(("a", Some("1"), 5)));
    a.read(None, at(1));
    assert_eq!(written(&a.next(at(1))), None, "its holder may not know yet");
    a.read(None, at(14));
    assert_eq!(written(&a.next(at(14))), Some(("a", None, 0)));
}

#[test]
fn a_write_whose_answer_was_lost_counts_only_once_another_one_succeeds() {
    let mut a = elector();
    a.read(Some(held_by("", "1")), at(0));
    a.failed(at(3));
    assert_eq!((a.leads_until(), a.next(at(3))), (None, Step::Wait(Duration::from_secs(1))));
    assert_eq!(a.next(at(4)), Step::Read);
    a.read(Some(held_by("a", "2")), at(4));
    assert_eq!(a.leads_until(), None);
    assert_eq!(written(&a.next(at(4))), Some(("a", Some("2"), 4)));
}

#[test]
fn who_finds_another_holder_does_not_lead_any_more() {
    let mut a = elector();
    a.read(None, at(0));
    a.wrote(held_by("a", "1"), at(0), at(0));
    a.failed(at(3));
    a.read(Some(held_by("b", "2")), at(4));
    assert_eq!((a.leads_until(), a.next(at(4))), (None, Step::End(Loss::Taken("b".to_owned()))));
    assert_eq!(a.release(), None, "it is another's");
    // A request may not take longer than what is left.
    a.wrote(held_by("a", "3"), at(5), at(5));
    assert_eq!(a.patience(at(14)), Duration::from_secs(1));
}

#[test]
fn what_is_released_has_no_holder_and_its_process_does_not_lead() {
    let mut a = elector();
    a.read(None, at(0));
    a.wrote(held_by("a", "1"), at(0), at(0));
    let released = a.release().unwrap();
    assert_eq!((released.holder, released.version.as_deref()), (None, Some("1")));
    assert_eq!(a.leads_until(), None);
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        20 => (0u64..300, 0u64..300).prop_map(|(there, back)| Fault::Delay { there, back }),
        3 => (0u64..20_000, 0u64..20_000).prop_map(|(there, back)| Fault::Delay { there, back }),
        2 => (0u64..3_000).prop_map(|there| Fault::LostAnswer { there }),
        2 => Just(Fault::LostRequest),
        2 => (0u64..60_000).prop_map(Fault::Pause),
        1 => Just(Fault::Restart),
        1 => Just(Fault::Deletion),
    ];
    proptest::collection::vec(fault, 1..200)
}

proptest! {
    /// An administrator who deletes the Lease is another process that writes it, once and while all know of it.
    /// Clocks begin anywhere and go up to a tenth faster or slower; wall clocks do not come in at all.
    #[test]
    fn two_processes_never_lead_at_once(faults in faults(), clocks in proptest::array::uniform3((0u64..1 << 40, 90u64..=110))) {
        let mut network = Network::new(Timings::default(), clocks, faults);
        network.run(3_000);
        prop_assert_eq!(network.both_led(), None);
    }
}

#[test]
fn where_nothing_fails_one_process_leads_all_the_time_and_after_its_end_another_within_15_seconds() {
    let mut network = Network::new(
        Timings::default(),
        [(0, 100), (77, 100), (5_000, 100)],
        vec![Fault::Delay { there: 20, back: 20 }],
    );
    network.run(2_000);
    let (first, since) = network.leader().unwrap();
    assert!(since < 1_000, "at once: {since}");
    network.kill(first);
    let killed = network.now();
    network.run_until(killed + 15_000);
    let (second, since) = network.leader().unwrap();
    assert!(second != first && since <= killed + 15_000, "{second} since {since}");
    assert_eq!(network.both_led(), None);
}

#[test]
fn the_network_notices_a_process_that_counts_longer_than_others_wait() {
    let timings = Timings { valid_for: Duration::from_secs(40), ..Timings::default() };
    let mut faults = vec![Fault::Delay { there: 20, back: 20 }; 6];
    faults.push(Fault::Pause(30_000));
    let mut network = Network::new(timings, [(0, 100); 3], faults);
    network.run(3_000);
    assert!(network.both_led().is_some());
}
