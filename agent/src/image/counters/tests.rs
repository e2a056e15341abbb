//! What is counted under the names of k8s-copycat of copies that end, tags that are set and syncs that end.

use imgop_core::api::{Destination, Mode, Source};
use imgop_registry::reference::Digest;

use super::*;
use crate::image::tests::fixtures::now;

const READ: &str = r#"pull_success_total{registry="docker.io"} 1"#;
const UNREAD: &str = r#"pull_error_total{registry="docker.io"} 1"#;
const WRITTEN: &str = r#"push_success_total{registry="registry.example.com"} 1"#;
const UNWRITTEN: &str = r#"push_error_total{registry="registry.example.com"} 1"#;

/// Returns what stands in /metrics under the names of k8s-copycat after this.
fn counted(count: impl FnOnce(&CopyCounters, &ImageSpec)) -> Vec<String> {
    let metrics = Metrics::new();
    let settings = MetricsSettings {
        metrics_name_registries: true,
        metrics_name_objects: false,
        metrics_max_series: 10,
        metrics_image_operator_names: false,
        metrics_copycat_names: true,
    };
    let counters = CopyCounters::new(&metrics, &settings, &Objects::new([]));
    let spec = ImageSpec::new(
        Mode::Recurrent,
        Source::new("nginx", "1.x"),
        Destination::new("registry.example.com/mirror/nginx"),
    );
    count(&counters, &spec);
    let text = metrics.text().unwrap();
    text.lines().filter_map(|line| line.strip_prefix("k8s_copycat_registry_")).map(str::to_owned).collect()
}

/// Returns what is counted of a copy that ends so.
fn of_end(outcome: &Outcome) -> Vec<String> {
    counted(|counters, spec| counters.ended(spec, Some(outcome), None))
}

fn failed(reason: FailureReason) -> Outcome {
    Outcome::Failed { reason, message: String::new(), at: now() }
}

/// Returns what is counted of a sync that ends with this tag, whose content a Job has pushed or not.
fn of_sync(source: Seen, destination: Seen, action: TagAction, is_pushed: bool) -> Vec<String> {
    let tag = "1.0".parse::<Tag>().unwrap();
    let pushed: HashSet<Tag> = is_pushed.then(|| tag.clone()).into_iter().collect();
    let observed = ObservedTag::whole(tag.clone(), tag.clone(), source, destination);
    let planned = PlannedTag {
        source_ref: observed.source_ref.clone(),
        destination_tag: tag,
        referrer_of: None,
        action,
    };
    let plan = Plan { tags: vec![planned], excluded: 0, waiting_until: None, in_cooldown: 0 };
    let observed = Observed { tags: vec![observed], ..Observed::default() };
    counted(|counters, spec| counters.sync_ended(spec, &observed, &plan, Some(&pushed)))
}

fn present() -> Seen {
    Seen::Present(Digest::of(b"1.0"))
}

#[test]
fn a_copy_that_succeeds_is_read_and_is_written_once_its_tag_shows_it() {
    assert_eq!(of_end(&Outcome::Succeeded), [READ]);
    let with_tag = counted(|counters, spec| {
        counters.ended(spec, Some(&Outcome::Succeeded), None);
        counters.tag_put(spec, None);
    });
    assert_eq!(with_tag, [READ, WRITTEN]);
}

#[test]
fn a_copy_whose_tag_cannot_be_set_or_shows_something_else_is_read_and_not_written() {
    for failure in [
        Outcome::Unpublished { tries: 1, message: String::new(), at: now() },
        Outcome::ContentGone { at: now() },
        failed(FailureReason::VerificationFailed),
    ] {
        let after_its_job = counted(|counters, spec| {
            counters.ended(spec, Some(&Outcome::Succeeded), None);
            counters.tag_put(spec, Some(&failure));
        });
        assert_eq!(after_its_job, [READ, UNWRITTEN], "{failure:?}");
        assert_eq!(of_end(&failure), [READ, UNWRITTEN], "{failure:?}");
    }
}

#[test]
fn a_copy_whose_tag_a_registry_keeps_is_read_and_is_no_failure_to_write() {
    let kept = Outcome::Immutable { shows: None, at: now() };
    assert_eq!(of_end(&kept), [READ]);
    let after_its_job = counted(|counters, spec| {
        counters.ended(spec, Some(&Outcome::Succeeded), None);
        counters.tag_put(spec, Some(&kept));
    });
    assert_eq!(after_its_job, [READ]);
}

#[test]
fn a_copy_that_never_ran_or_whose_job_vanished_says_nothing_of_registries() {
    for outcome in [
        failed(FailureReason::PodNotStarted),
        failed(FailureReason::OutOfMemory),
        Outcome::Interrupted { at: now() },
        Outcome::NotBegun { at: now() },
    ] {
        assert_eq!(of_end(&outcome), Vec::<String>::new(), "{outcome:?}");
    }
    let vanished = counted(|counters, spec| counters.ended(spec, None, None));
    assert_eq!(vanished, Vec::<String>::new());
}

#[test]
fn a_copy_that_fails_at_one_of_two_registries_is_not_written_and_not_known_to_be_read() {
    assert_eq!(of_end(&failed(FailureReason::CopyFailed)), [UNWRITTEN]);
}

#[test]
fn a_tag_that_a_source_does_not_have_or_cannot_show_is_not_read() {
    for source in [Seen::Absent, Seen::Unknown("503".to_owned())] {
        assert_eq!(of_sync(source.clone(), Seen::Absent, TagAction::Keep, false), [UNREAD], "{source:?}");
    }
}

#[test]
fn a_tag_that_a_destination_cannot_show_is_not_written_and_the_source_is_not_at_fault() {
    let unknown = Seen::Unknown("503".to_owned());
    assert_eq!(of_sync(present(), unknown, TagAction::Keep, false), [UNWRITTEN]);
}

#[test]
fn a_registry_that_refuses_all_of_a_look_is_counted_once_on_its_side() {
    assert_eq!(counted(|counters, spec| counters.not_looked(spec, Side::Source, 1)), [UNREAD]);
    assert_eq!(counted(|counters, spec| counters.not_looked(spec, Side::Destination, 1)), [UNWRITTEN]);
}

#[test]
fn a_tag_that_a_job_has_set_by_itself_is_written_once_it_is_seen() {
    assert_eq!(of_sync(present(), present(), TagAction::UpToDate, true), [WRITTEN]);
    assert_eq!(of_sync(present(), present(), TagAction::UpToDate, false), Vec::<String>::new());
    let other = Seen::Present(Digest::of(b"other"));
    assert_eq!(of_sync(present(), other, TagAction::Keep, true), Vec::<String>::new());
}
