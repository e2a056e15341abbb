//! When a build begins, and why.

use super::*;

/// A build that succeeded an hour ago.
fn last() -> LastBuild {
    let inputs = inputs("c1", "b1");
    LastBuild {
        number: 7,
        generation: 1,
        key: Some(BuildKey::new(&request(|_| {}), &inputs)),
        destination: Some(DestinationKey::of(&request(|_| {}).destination)),
        inputs,
        started_at: ago(3600),
        end: Some(BuildEnd::Succeeded),
        is_waiting: false,
    }
}

fn running() -> LastBuild {
    LastBuild { end: None, ..last() }
}

/// An occasion at which nothing is new.
fn occasion<'a>(
    request: &'a BuildRequest,
    last: Option<&'a LastBuild>,
    inputs: &'a ObservedInputs,
) -> Occasion<'a> {
    Occasion {
        request,
        generation: 1,
        inputs,
        are_present: true,
        last,
        asked: Asked::Nothing,
        is_suspended: false,
        is_scheduled: false,
        is_lost: false,
        has_other_secrets: false,
        now: now(),
    }
}

/// What is decided when nothing is new but this.
fn decision(
    request: &BuildRequest,
    last: Option<&LastBuild>,
    edit: impl FnOnce(&mut Occasion<'_>),
) -> Decision {
    let same = inputs("c1", "b1");
    let mut occasion = occasion(request, last, &same);
    edit(&mut occasion);
    decide(&occasion)
}

/// Another spec than that of the last build.
fn other_target() -> BuildRequest {
    request(|spec| spec.target = Some("other".into()))
}

/// What is decided when nothing is new but the inputs.
fn observed(request: &BuildRequest, last: &LastBuild, inputs: &ObservedInputs) -> Decision {
    decide(&occasion(request, Some(last), inputs))
}

fn begun(decision: Decision) -> (u64, BuildReason, String, Option<u64>) {
    match decision {
        Decision::Begin(start) => {
            (start.number, start.reason, start.changes.unwrap_or_default(), start.replaces)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_new_is_nothing_to_do() {
    let request = request(|_| {});
    assert_eq!(decision(&request, Some(&last()), |_| {}), Decision::Nothing);
    assert_eq!(decision(&request, Some(&running()), |_| {}), Decision::GoOn(None));
    let failed = LastBuild { end: Some(BuildEnd::Failed), ..last() };
    assert_eq!(decision(&request, Some(&failed), |_| {}), Decision::Nothing, "its parts are tried again");
}

#[test]
fn a_new_object_and_a_changed_spec_are_built_at_once() {
    let request = other_target();
    assert_eq!(begun(decision(&request, None, |_| {})), (1, BuildReason::Created, String::new(), None));
    let just = LastBuild { started_at: now(), ..last() };
    let changed = begun(decision(&request, Some(&just), |o| o.generation = 2));
    assert_eq!(changed, (8, BuildReason::SpecChanged, "generation 1 → 2".to_owned(), None));
}

#[test]
fn an_edit_that_changes_nothing_of_the_image_builds_nothing() {
    let edited = |edit: fn(&mut ImageBuilderSpec), last: &LastBuild| {
        decision(&request(edit), Some(last), |o| o.generation = 2)
    };
    let edits: [fn(&mut ImageBuilderSpec); 4] = [
        |spec| spec.frequency = "1h".into(),
        |spec| spec.timeout = "2h".into(),
        |spec| spec.retries = 3,
        |spec| spec.failed_builds_history_limit = 9,
    ];
    for edit in edits {
        assert_eq!(edited(edit, &last()), Decision::Nothing);
        assert_eq!(edited(edit, &running()), Decision::GoOn(None), "and ends no build that runs");
    }
    let unknown = LastBuild { key: None, ..last() };
    assert_eq!(begun(edited(|_| {}, &unknown)).1, BuildReason::SpecChanged);
}

#[test]
fn another_tag_and_another_repository_are_a_changed_spec() {
    let edited = |edit: fn(&mut ImageBuilderSpec), last: &LastBuild| {
        decision(&request(edit), Some(last), |o| o.generation = 2)
    };
    let cancelled = LastBuild { end: Some(BuildEnd::Cancelled), ..last() };
    let edits: [fn(&mut ImageBuilderSpec); 3] = [
        |spec| spec.image.version = "v2".into(),
        |spec| spec.image.additional_tags = vec!["latest".into()],
        |spec| spec.image.name = "registry.example.com/team/other".into(),
    ];
    for edit in edits {
        assert_eq!(begun(edited(edit, &last())).1, BuildReason::SpecChanged);
        assert_eq!(begun(edited(edit, &cancelled)).1, BuildReason::SpecChanged);
    }
    let [version, _, name] = edits;
    assert_eq!(edited(version, &running()), Decision::GoOn(None), "its end sets the new tag");
    assert_eq!(begun(edited(name, &running())).3, Some(7), "its parts are at another place");
}

#[test]
fn an_edit_after_a_failure_is_another_try() {
    let failed = LastBuild { end: Some(BuildEnd::Failed), ..last() };
    let request = request(|spec| spec.timeout = "2h".into());
    assert_eq!(decision(&request, Some(&failed), |_| {}), Decision::Nothing, "the same generation");
    let edited = begun(decision(&request, Some(&failed), |o| o.generation = 2));
    assert_eq!(edited, (8, BuildReason::SpecChanged, "generation 1 → 2".into(), None));
}

#[test]
fn a_build_that_ended_for_a_newer_one_is_followed_by_one_though_the_spec_was_taken_back() {
    let superseded = LastBuild { end: Some(BuildEnd::Superseded), ..last() };
    let next = begun(decision(&request(|_| {}), Some(&superseded), |o| o.generation = 3));
    assert_eq!((next.0, next.1), (8, BuildReason::SpecChanged));
}

#[test]
fn a_config_map_that_changes_during_every_build_is_no_build_before_min_interval() {
    let superseded = LastBuild { end: Some(BuildEnd::Superseded), started_at: ago(60), ..last() };
    let request = request(|spec| (spec.rebuild_on, spec.min_interval) = (Vec::new(), "5m".into()));
    let until = now() + Duration::from_mins(4);
    assert_eq!(
        decision(&request, Some(&superseded), |_| {}),
        Decision::WaitUntil(until, BuildReason::SourceChanged)
    );
    let asked = begun(decision(&request, Some(&superseded), |o| o.asked = Asked::Build));
    assert_eq!(asked.1, BuildReason::Requested, "it does not hold for what a user asks for");
    let edited = begun(decision(&request, Some(&superseded), |o| o.generation = 2));
    assert_eq!(edited.1, BuildReason::SpecChanged);
}

#[test]
fn a_build_that_only_waits_for_another_try_gives_way() {
    let waiting = LastBuild { is_waiting: true, ..running() };
    let forbid = request(|spec| spec.concurrency_policy = ConcurrencyPolicy::Forbid);
    for request in [&request(|_| {}), &forbid] {
        let asked = decision(request, Some(&waiting), |o| o.asked = Asked::Build);
        assert_eq!(begun(asked), (8, BuildReason::Requested, String::new(), Some(7)));
        assert_eq!(decision(request, Some(&waiting), |_| {}), Decision::GoOn(None));
    }
    let moved = begun(observed(&forbid, &waiting, &inputs("c2", "b1")));
    assert_eq!((moved.1, moved.3), (BuildReason::SourceChanged, Some(7)));
}

#[test]
fn a_failed_build_is_tried_again_when_a_secret_is_corrected() {
    let request = request(|_| {});
    let corrected = |last: &LastBuild| decision(&request, Some(last), |o| o.has_other_secrets = true);
    let failed = LastBuild { end: Some(BuildEnd::Failed), ..last() };
    assert_eq!(begun(corrected(&failed)).1, BuildReason::Retry);
    assert_eq!(corrected(&last()), Decision::Nothing);
    assert_eq!(corrected(&running()), Decision::GoOn(None));
}

#[test]
fn a_requested_build_is_built_though_nothing_is_new() {
    let request = request(|_| {});
    let asked = |last: &LastBuild| decision(&request, Some(last), |o| o.asked = Asked::Build);
    assert_eq!(begun(asked(&last())).1, BuildReason::Requested);
    assert_eq!(begun(asked(&LastBuild { started_at: now(), ..last() })).0, 8, "minInterval is not for it");
    assert_eq!(asked(&running()), Decision::GoOn(None), "what runs is what was asked for");
}

#[test]
fn a_running_build_is_what_was_requested_only_if_it_is_of_what_is_there_now() {
    let silent = request(|spec| spec.rebuild_on = Vec::new());
    let asked = |inputs: &ObservedInputs, are_present| {
        let running = running();
        let occasion = occasion(&silent, Some(&running), inputs);
        decide(&Occasion { asked: Asked::Build, are_present, ..occasion })
    };
    assert_eq!(asked(&inputs("c1", "b1"), true), Decision::GoOn(None));
    let unknown = asked(&inputs("c1", "b1"), false);
    assert_eq!(unknown, Decision::GoOn(Some(BuildReason::Requested)), "the next one begins at its end");
    for newer in [inputs("c2", "b1"), inputs("c1", "b2")] {
        assert_eq!(begun(asked(&newer, true)).3, Some(7));
    }
}

#[test]
fn a_moved_base_is_one_build_with_both_digests() {
    let request = request(|_| {});
    let moved = begun(observed(&request, &last(), &inputs("c1", "b2")));
    let (old, new) = (Digest::of(b"b1"), Digest::of(b"b2"));
    let changes = format!("docker.io/library/busybox:1 {} → {}", old.short(), new.short());
    assert_eq!(moved, (8, BuildReason::BaseImageMoved, changes, None));
    let built = LastBuild { inputs: inputs("c1", "b2"), ..last() };
    assert_eq!(observed(&request, &built, &inputs("c1", "b2")), Decision::Nothing, "exactly one");
}

#[test]
fn bases_that_never_move_and_new_ones_start_nothing() {
    let request = request(|_| {});
    let pinned = |content: &str| {
        let reference = format!("busybox:1@{}", Digest::of(b"x"));
        ObservedInputs {
            bases: [(reference.parse().unwrap(), Digest::of(content.as_bytes()))].into(),
            ..inputs("c1", "")
        }
    };
    let last = LastBuild { inputs: pinned("1"), ..last() };
    assert_eq!(observed(&request, &last, &pinned("2")), Decision::Nothing);
    assert_eq!(
        observed(&request, &last, &inputs("c1", "b1")),
        Decision::Nothing,
        "another base is another file"
    );
}

#[test]
fn a_moved_commit_a_new_dockerfile_and_new_files_are_a_changed_source() {
    let request = request(|_| {});
    let moved = begun(observed(&request, &last(), &inputs("c2", "b2")));
    assert_eq!(
        moved,
        (8, BuildReason::SourceChanged, "commit c1 → c2".to_owned(), None),
        "said before the base"
    );
    let file = ObservedInputs { dockerfile: Some(Digest::of(b"FROM x")), ..inputs("c1", "b1") };
    assert!(begun(observed(&request, &last(), &file)).2.starts_with("Dockerfile "));
    let files = ObservedInputs { context: Some(Digest::of(b"x")), ..inputs("c1", "b1") };
    assert!(begun(observed(&request, &last(), &files)).2.starts_with("context none → "));
    let values = ObservedInputs { arguments: Some(Digest::of(b"x")), ..inputs("c1", "b1") };
    assert!(begun(observed(&request, &last(), &values)).2.starts_with("buildArgs none → "));
}

#[test]
fn what_is_not_watched_starts_nothing_by_itself_and_is_said_when_asked_for() {
    let silent = request(|spec| spec.rebuild_on = Vec::new());
    assert_eq!(observed(&silent, &last(), &inputs("c2", "b2")), Decision::Nothing, "as image-operator");
    let base_only = request(|spec| spec.rebuild_on = vec![RebuildOn::BaseImage]);
    assert_eq!(observed(&base_only, &last(), &inputs("c2", "b1")), Decision::Nothing);
    let (last, new) = (last(), inputs("c2", "b1"));
    let asked = decide(&Occasion { asked: Asked::Build, ..occasion(&silent, Some(&last), &new) });
    assert_eq!(begun(asked).2, "commit c1 → c2");
}

#[test]
fn five_moves_in_a_minute_are_one_build_now_and_one_later() {
    let request = request(|spec| spec.min_interval = "30s".into());
    let first = LastBuild { started_at: ago(60), ..last() };
    assert_eq!(begun(observed(&request, &first, &inputs("c1", "b2"))).1, BuildReason::BaseImageMoved);
    let second = LastBuild { started_at: ago(10), inputs: inputs("c1", "b2"), ..last() };
    let until = now() + Duration::from_secs(20);
    for base in ["b3", "b4", "b5"] {
        let decision = observed(&request, &second, &inputs("c1", base));
        assert_eq!(decision, Decision::WaitUntil(until, BuildReason::BaseImageMoved), "{base}");
    }
    let ahead = LastBuild { started_at: now() + Duration::from_hours(9000), ..second };
    let decision = observed(&request, &ahead, &inputs("c1", "b3"));
    let until = now() + Duration::from_secs(30);
    assert_eq!(decision, Decision::WaitUntil(until, BuildReason::BaseImageMoved), "a clock that was ahead");
}

#[test]
fn a_newer_input_replaces_the_running_build_or_waits_for_it() {
    let (new, replace) = (inputs("c2", "b1"), request(|_| {}));
    assert_eq!(
        begun(observed(&replace, &running(), &new)),
        (8, BuildReason::SourceChanged, "commit c1 → c2".into(), Some(7))
    );
    let forbid = request(|spec| spec.concurrency_policy = ConcurrencyPolicy::Forbid);
    assert_eq!(observed(&forbid, &running(), &new), Decision::GoOn(Some(BuildReason::SourceChanged)));
    let another = BuildRequest { concurrency: ConcurrencyPolicy::Forbid, ..other_target() };
    let spec = decision(&another, Some(&running()), |o| o.generation = 2);
    assert_eq!(spec, Decision::GoOn(Some(BuildReason::SpecChanged)));
    let just = LastBuild { started_at: now(), ..running() };
    assert_eq!(
        observed(&replace, &just, &new),
        Decision::GoOn(Some(BuildReason::SourceChanged)),
        "minInterval"
    );
}

#[test]
fn a_suspended_builder_begins_nothing_and_finishes_what_runs() {
    let request = other_target();
    let suspended =
        |last: Option<&LastBuild>| decision(&request, last, |o| (o.is_suspended, o.generation) = (true, 2));
    assert_eq!(suspended(Some(&last())), Decision::Suspended(BuildReason::SpecChanged));
    assert_eq!(suspended(None), Decision::Suspended(BuildReason::Created));
    let next = Decision::GoOn(Some(BuildReason::SpecChanged));
    assert_eq!(suspended(Some(&running())), next, "it begins when suspend is no longer set");
    let edit = |o: &mut Occasion<'_>| (o.is_suspended, o.asked) = (true, Asked::Build);
    let waiting = LastBuild { is_waiting: true, ..running() };
    let asked = decision(&self::request(|_| {}), Some(&waiting), edit);
    assert_eq!(asked, Decision::GoOn(Some(BuildReason::Requested)), "a request is not lost");
}

#[test]
fn a_key_of_another_version_is_no_other_spec_of_the_same_generation() {
    let other_version: BuildKey = Digest::of(b"as an earlier agent wrote it").to_string().parse().unwrap();
    let last = LastBuild { key: Some(other_version), ..last() };
    let request = request(|_| {});
    assert!(last.is_of(&request, 1) && !last.is_of(&request, 2));
    assert_eq!(begun(observed(&request, &last, &inputs("c1", "b2"))).1, BuildReason::BaseImageMoved);
}

#[test]
fn after_a_cancelled_build_the_next_change_builds_again() {
    let request = request(|_| {});
    let cancelled = LastBuild { end: Some(BuildEnd::Cancelled), ..last() };
    assert_eq!(decision(&request, Some(&cancelled), |o| o.is_lost = true), Decision::Nothing, "no retry");
    assert_eq!(begun(decision(&request, Some(&cancelled), |o| o.asked = Asked::Build)).0, 8);
    assert_eq!(begun(observed(&request, &cancelled, &inputs("c2", "b1"))).0, 8);
}

#[test]
fn an_image_that_is_gone_from_the_registry_is_built_again() {
    let request = request(|_| {});
    assert_eq!(begun(decision(&request, Some(&last()), |o| o.is_lost = true)).1, BuildReason::TagLost);
    let failed = LastBuild { end: Some(BuildEnd::Failed), ..last() };
    assert_eq!(decision(&request, Some(&failed), |o| o.is_lost = true), Decision::Nothing);
}

#[test]
fn a_reset_builds_again_what_failed_and_nothing_else() {
    let request = request(|_| {});
    let after = |end| {
        let last = LastBuild { end, ..last() };
        decision(&request, Some(&last), |occasion| occasion.asked = Asked::Retry)
    };
    let Decision::Begin(start) = after(Some(BuildEnd::Failed)) else { panic!() };
    assert_eq!((start.reason, start.number), (BuildReason::Retry, 8));
    for end in [BuildEnd::Succeeded, BuildEnd::Cancelled] {
        assert_eq!(after(Some(end)), Decision::Nothing, "{end:?}");
    }
    assert_eq!(after(None), Decision::GoOn(None));
}

#[test]
fn a_time_of_the_schedule_begins_a_build_and_ends_none() {
    let request = request(|spec| {
        (spec.rebuild_on, spec.min_interval) = (Vec::new(), "5m".into());
        spec.schedule = Some("0 3 * * *".into());
    });
    assert!(request.is_built_by_schedule());
    let scheduled = |last: &LastBuild| decision(&request, Some(last), |o| o.is_scheduled = true);
    let old = LastBuild { started_at: ago(3600), ..last() };
    assert_eq!(begun(scheduled(&old)), (8, BuildReason::Schedule, String::new(), None));
    let failed = LastBuild { end: Some(BuildEnd::Failed), ..old.clone() };
    assert_eq!(begun(scheduled(&failed)).1, BuildReason::Schedule);
    let young = LastBuild { started_at: ago(60), ..last() };
    let until = now() + Duration::from_mins(4);
    assert_eq!(scheduled(&young), Decision::WaitUntil(until, BuildReason::Schedule));
    let runs = LastBuild { end: None, ..old.clone() };
    assert_eq!(scheduled(&runs), Decision::GoOn(Some(BuildReason::Schedule)), "whatever the policy");
    let waits = LastBuild { is_waiting: true, ..runs };
    assert_eq!(begun(scheduled(&waits)).3, Some(7));
    let suspended = decision(&request, Some(&old), |o| (o.is_scheduled, o.is_suspended) = (true, true));
    assert_eq!(suspended, Decision::Suspended(BuildReason::Schedule));
}

#[test]
fn a_schedule_beside_what_is_watched_says_when_that_is_checked() {
    let watched = request(|spec| spec.schedule = Some("0 3 * * *".into()));
    assert!(!watched.is_built_by_schedule());
    assert!(!request(|spec| spec.rebuild_on = Vec::new()).is_built_by_schedule());
}
