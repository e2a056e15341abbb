//! User and group ids that a pod does not have.

use imgop_core::build::BuildFailure;
use imgop_core::build::step::StepFailure;

use crate::container::Container;
use crate::pod::Pod;
use crate::registry::busybox;

fn is_too_small(failure: &StepFailure, named: &[&str]) {
    assert_eq!(failure.reason, BuildFailure::IdRangeTooSmall, "{failure:?}");
    for part in named.iter().chain(&["userNamespaces.idsPerPod", "/etc/subuid"]) {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}

#[test]
fn an_id_that_the_pod_does_not_have_is_never_changed_to_another() {
    // Where there are more ids, as on this machine, the owners are those that the Dockerfile names.
    let of_run = Pod::of(&format!("FROM {}\nRUN : > /f && /bin/busybox chown 200000:100000 /f\n", busybox()));
    let image = of_run.image();
    assert_eq!(image.owner("f"), "0644 200000:100000");
    let base = format!("{}@{}", of_run.input.repository, of_run.push().succeeded().image.unwrap().digest);
    let on_base = Pod::of(&format!("FROM {base}\nRUN true\n"));
    assert_eq!(on_base.image().owner("f"), "0644 200000:100000");

    let of_run = Pod::of(&format!("FROM {}\nRUN : > /f && /bin/busybox chown 100000:100000 /f\n", busybox()));
    assert_eq!(Container::run_with_few_ids(&of_run, "prepare").failure, None);
    let failure = Container::run_with_few_ids(&of_run, "build").failure.unwrap();
    is_too_small(&failure, &["line 2"]);
    let of_copy =
        Pod::of(&format!("FROM {}\nCOPY --chown=100000 f /f\n", busybox())).with_files(&[("f", "f")]);
    of_copy.prepare().succeeded();
    is_too_small(&Container::run_with_few_ids(&of_copy, "build").failure.unwrap(), &["line 2", "100000"]);
    let on_base = Pod::of(&format!("FROM {base}\nRUN true\n"));
    let failure = Container::run_with_few_ids(&on_base, "prepare").failure.unwrap();
    is_too_small(&failure, &[base.as_str(), "200000"]);
}
