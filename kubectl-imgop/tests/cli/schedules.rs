//! `--schedule` and `--time-zone`.

use crate::program::{Program, Run};

/// Runs a command with a schedule, behind the flags that are one word each.
fn with(command: &str, schedule: &str) -> Run {
    let arguments: Vec<&str> = command.split_whitespace().chain(["--schedule", schedule]).collect();
    Program::new().run_with(&arguments)
}

#[test]
fn a_schedule_is_submitted_with_its_time_zone_and_without_a_frequency() {
    let dry = "--dry-run=client -o yaml --time-zone Europe/Berlin";
    for command in [
        format!("copy quay.io/a/b:1 r.example.com/a {dry}"),
        format!("build https://git.example.com/team/api.git -t r.example.com/api:1 {dry}"),
    ] {
        let run = with(&command, "0 3 * * *");
        assert_eq!(run.code, 0, "{run}");
        assert!(
            run.stdout.contains("schedule: 0 3 * * *") && run.stdout.contains("timeZone: Europe/Berlin"),
            "{run}"
        );
        assert!(!run.stdout.contains("frequency"), "{run}");
    }
    let once = with("copy quay.io/a/b:1 r.example.com/a --dry-run=client -o yaml", "@daily");
    assert!(once.stdout.contains("mode: Recurrent"), "one tag, again and again: {once}");
}

#[test]
fn time_zones_are_completed() {
    let run = Program::new().run("__complete copy a:1 b/c --time-zone Europe/Ber");
    assert_eq!(run.stdout, "Europe/Berlin\t\n:4\n", "{run}");
}

#[test]
fn copy_build_and_preview_say_what_is_wrong_with_a_schedule_before_anything_is_sent() {
    for command in [
        "copy quay.io/a/b:1.x r.example.com/a",
        "build https://git.example.com/team/api.git -t r.example.com/api:1",
        "preview quay.io/a/b:1.x r.example.com/a",
    ] {
        let wrong = with(command, "0 3 30 2 *");
        assert_eq!(wrong.code, 2, "{wrong}");
        assert!(wrong.stderr.contains("--schedule: \"0 3 30 2 *\" never comes"), "{wrong}");
        let wrong = with(&format!("{command} --time-zone Europe/Berln"), "@daily");
        assert!(wrong.stderr.contains("--time-zone: \"Europe/Berln\" is no time zone"), "{wrong}");
        assert!(wrong.stderr.contains("write a name such as Europe/Berlin"), "{wrong}");
        let both = with(&format!("{command} --frequency 5m"), "@daily");
        assert!(both.code == 2 && both.stderr.contains("cannot be used with"), "{both}");
        let alone = Program::new().run(&format!("{command} --time-zone UTC"));
        assert!(alone.code == 2 && alone.stderr.contains("--schedule"), "{alone}");
    }
}
