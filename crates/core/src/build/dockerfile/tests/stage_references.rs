use super::*;

const STAGES: &str = "FROM bb AS Tools\nRUN echo t > /t\nFROM nine\nRUN exit 9\nFROM bb AS final\nCOPY --from=0 /t /t\n\
                  COPY --from=tools /t /t2\nFROM eight AS after\nRUN exit 8\n";

#[test]
fn only_the_stages_that_a_target_needs_are_built() {
    let stages = |build: Build| build.resolve(STAGES).stages.into_iter().collect::<Vec<_>>();
    assert_eq!(stages(Build::of("final")), [0, 2]);
    assert_eq!(stages(Build::of("FINAL")), [0, 2], "capitals make no difference");
    assert_eq!(stages(Build::of("2")), [0, 2]);
    assert_eq!(stages(Build::default()), [3], "the last one");
    assert_eq!(Build::of("final").images(STAGES), ["docker.io/library/bb:latest linux/amd64"]);
    insta::assert_snapshot!(Build::of("none").problems(STAGES).join("\n"), @"line 1, column 1: there is no stage none; the stages are Tools, 1, final, after");
    assert!(Build::of("4").problems(STAGES)[0].contains("there is no stage 4"));
}

#[test]
fn what_is_wrong_in_a_stage_that_is_not_needed_stops_nothing() {
    let text = "FROM A/b AS broken\nFROM bb\nRUN x";
    assert_eq!(Build::default().problems(text), Vec::<String>::new());
    assert!(Build::of("broken").problems(text)[0].contains("is not a repository path"));
}

#[test]
fn an_image_that_copy_takes_files_from_is_needed_too() {
    let text = "FROM scratch\nCOPY --from=src.example.com/base/private:1 /bin/tool /tool\n\
                RUN --mount=type=bind,from=quay.io/a/b,target=/b true\nCOPY --from=src.example.com/base/private:1 /x /x";
    let resolved = Build::default().resolve(text);
    let images: Vec<_> =
        resolved.images.iter().map(|needed| (needed.image.to_string(), needed.positions.len())).collect();
    assert_eq!(
        images,
        [("src.example.com/base/private:1".to_owned(), 2), ("quay.io/a/b:latest".to_owned(), 1)]
    );
    assert!(resolved.mounts_files);
    assert!(!Build::default().resolve("FROM bb\nRUN --mount=type=cache,target=/c x").mounts_files);
    let from_stage = "FROM bb AS a\nFROM bb\nRUN --mount=type=cache,from=a,target=/c x";
    assert!(Build::default().resolve(from_stage).mounts_files);
    let from_image =
        Build::default().problems("FROM bb\nRUN --mount=type=cache,from=quay.io/a/b,target=/c x");
    assert!(from_image[0].contains("cache from a stage only; name a stage"), "{from_image:?}");
}

#[test]
fn files_are_taken_only_from_stages_in_front() {
    for (reference, said) in [
        ("9", "there is no stage 9; the stages in front of this one are one"),
        ("1", "the stage 1 takes files from itself"),
        ("two", "the stage two takes files from itself"),
        ("three", "the stage three comes later; move it up"),
        ("-1", "is not a repository path"),
    ] {
        for line in
            [format!("COPY --from={reference} /a /a"), format!("RUN --mount=from={reference},target=/a x")]
        {
            let text = format!("FROM bb AS one\nFROM bb AS two\n{line}\nFROM bb AS three\n");
            let said_of = Build::of("two").problems(&text).join("\n");
            assert!(said_of.starts_with("line 3, ") && said_of.contains(said), "{line}: {said_of}");
        }
    }
    assert!(
        Build::default().problems("FROM bb\nCOPY --from=3 /a /a")[0]
            .contains("no stage in front of this one")
    );
}

#[test]
fn an_image_may_have_the_name_of_its_own_stage_but_a_later_name_is_suspicious() {
    assert_eq!(
        Build::default().images("FROM busybox AS busybox"),
        ["docker.io/library/busybox:latest linux/amd64"]
    );
    let text = "FROM later AS a\nFROM bb AS later\nCOPY --from=a /a /a";
    assert!(
        Build::default().problems(text)[0]
            .contains("the stage later comes later, so that this is the image later")
    );
    let text = "FROM bb AS base\nFROM base AS next\nFROM NEXT";
    assert_eq!(Build::default().images(text), ["docker.io/library/bb:latest linux/amd64"]);
    assert_eq!(Build::default().resolve(text).stages.len(), 3);
}

#[test]
fn nothing_is_needed_from_scratch() {
    assert_eq!(Build::default().images("FROM scratch\nLABEL a=b"), Vec::<String>::new());
    assert_eq!(Build::default().images("FROM bb").len(), 1);
}

#[test]
fn what_a_format_cannot_hold_is_said_with_its_line() {
    let text = "FROM bb\nHEALTHCHECK CMD x\nONBUILD RUN y\n";
    assert_eq!(Build::default().problems(text), Vec::<String>::new());
    let oci = Build { format: Format::Oci, ..Build::default() };
    insta::assert_snapshot!(oci.problems(text).join("\n"), @r"
    line 2, column 1: images of format OCI have no HEALTHCHECK: it is left out; set image.format: Docker; without it, image.annotations and image.timestamp make it OCI
    line 3, column 1: images of format OCI have no ONBUILD: it is left out; set image.format: Docker; without it, image.annotations and image.timestamp make it OCI
    ");
    let shell = oci.resolve("FROM bb\nSHELL [\"/bin/sh\",\"-euc\"]\nRUN x");
    assert!(shell.problems[0].is_error(), "it changes what RUN does");
    assert_eq!(
        oci.problems("FROM bb AS a\nSHELL [\"/bin/sh\"]\nFROM bb"),
        Vec::<String>::new(),
        "not needed"
    );
}

#[test]
fn a_base_may_have_a_tag_a_digest_or_both() {
    let digest = Digest::of(b"x");
    for reference in [format!("quay.io/a@{digest}"), format!("quay.io/a:1@{digest}")] {
        let resolved = Build::default().resolve(&format!("FROM {reference}"));
        assert_eq!(resolved.images[0].image.to_string(), reference);
        assert!(resolved.images[0].image.is_pinned(), "nothing to watch");
    }
    assert!(Build::default().problems("FROM quay.io/a@sha256:00")[0].contains("is not a digest"));
    assert!(Build::default().problems("FROM docker://quay.io/a")[0].contains("starts with a scheme"));
}

#[test]
fn a_secret_that_there_is_not_is_named() {
    let text = "FROM bb\nRUN --mount=type=secret,id=token,target=/app/token,required=true x\n\
                RUN --mount=type=secret,id=absent cat /run/secrets/absent || true\n";
    let with = Build { secrets: ["token".to_owned()].into(), ..Build::default() };
    insta::assert_snapshot!(with.problems(text).join("\n"), @r#"line 3, column 5: there is no secret "absent", so that the file will be missing; add it to secrets, with id: absent"#);
    assert!(!with.resolve(text).problems[0].is_error());
    let without = Build::default().resolve(text);
    assert!(without.problems[0].is_error() && without.problems[0].message.contains("\"token\""));
}

#[test]
fn the_triggers_of_a_base_need_images_too() {
    let triggers =
        ["COPY app.txt /app.txt", "COPY --from=quay.io/bb /bin/busybox /bb", "RUN cat /app.txt > /ran"];
    let file = Dockerfile::of_triggers(&triggers.map(str::to_owned), OLD);
    assert_eq!(file.problems(), &[]);
    let build = Build::default();
    let images = file.resolve(&build.inputs()).images;
    assert_eq!(images.len(), 1);
    assert_eq!((images[0].image.to_string().as_str(), images[0].positions[0].line), ("quay.io/bb:latest", 3));
    let text = "FROM bb\nONBUILD COPY --from=quay.io/later /a /a";
    assert_eq!(
        build.images(text),
        ["docker.io/library/bb:latest linux/amd64"],
        "triggers of its own run elsewhere"
    );
}

#[test]
fn the_image_that_a_build_begins_with_is_found_through_its_stages() {
    let base = |text: &str| {
        let resolved = Build::default().resolve(text);
        resolved.base().map(|needed| (needed.image.to_string(), resolved.begins_with(needed)))
    };
    let text =
        "FROM quay.io/a/one:1 AS a\nFROM quay.io/a/two:1 AS b\nFROM a AS c\nFROM c\nCOPY --from=b /x /x";
    assert_eq!(base(text), Some(("quay.io/a/one:1".to_owned(), true)));
    assert_eq!(base("FROM quay.io/a/one:1 AS a\nFROM scratch\nCOPY --from=a /x /x"), None);
    let resolved = Build::default().resolve("FROM scratch\nCOPY --from=quay.io/a/one:1 /x /x");
    assert!(!resolved.begins_with(&resolved.images[0]), "files are copied from it alone");
}
