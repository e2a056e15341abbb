use super::*;

#[test]
fn each_image_is_named_by_its_digest_and_lines_keep_their_numbers() {
    let text = "# comment\nARG V=1\nFROM --platform=$BUILDPLATFORM \\\n  bb:$V \\\n  AS Tools\nRUN a\n\
                FROM quay.io/a # no\n";
    assert!(problems(text)[0].contains("FROM takes one image"), "a comment behind an instruction is none");
    let text = text.replace(" # no", " AS final");
    let text = format!(
        "{text}COPY --chown=a --from=tools /a /a\nCOPY --from=quay.io/c:2 \\\n /b /b\n\
         RUN --mount=type=bind,\"from=quay.io/d\",target=/d --mount=from=tools,target=/t ls\n"
    );
    insta::assert_snapshot!(pinned(&text, &Build::on("linux/arm64")), @r#"
    # comment
    ARG V=1
    FROM docker.io/library/bb@d7840682 AS Tools


    RUN a
    FROM quay.io/a@ce66ffe5 AS final
    COPY --chown=a --from=Tools /a /a
    COPY --from=quay.io/c@16bd2c29 \
     /b /b
    RUN --mount=type=bind,from=quay.io/d@75fc9ee0,target=/d --mount=from=Tools,target=/t ls
    "#);
}

#[test]
fn a_mount_is_pinned_however_it_is_written() {
    for mount in [
        "--mount=type=bind,fr\\\nom=quay.io/d,target=/d",
        "--mount=type=bind,from=quay.\\\n# comment\nio/d,target=/d",
        "--mount=\"type=bind,from=quay.io/d,target=/d\"",
        "--mount=type=bind,from='quay.io/d',target=/d",
        "--mount=from=quay.io/other,from=quay.io/d,target=/d",
        "--mount=from=quay.io/d,target=/$D",
    ] {
        let text = format!("FROM bb\nRUN {mount} ls\nRUN x\n");
        let out = pinned(&text, &Build::default());
        assert!(out.contains("from=quay.io/d@") && !out.contains("other"), "{mount}: {out}");
        assert_eq!(out.lines().count(), text.lines().count(), "{out}");
    }
    // What would need quotes again is left to whoever wrote it.
    let text = "FROM bb\nRUN --mount=\"from=quay.io/d,target=/a b\" ls\n";
    let digest = |needed: &NeededImage| Some((needed.image.repository.clone(), Digest::of(b"x")));
    assert_eq!(file(text).pinned(&Build::default().resolve(text), digest), None);
}

#[test]
fn a_stage_that_is_not_needed_is_empty_for_buildah_would_panic_at_what_it_holds() {
    let text = "FROM bb AS a\nFROM --platform=linux/s390x unneeded AS b\nRUN x \\\n  y\nCOPY --from=9 /a /b\n# c\nFROM a\n";
    let out = pinned(text, &Build::default());
    assert!(out.ends_with("\nFROM scratch AS b\n\n\n\n# c\nFROM a\n"), "{out}");
    assert_eq!(out.lines().count(), text.lines().count());
}

#[test]
fn buildah_4742_no_platform_is_left_that_later_stages_would_inherit() {
    let text = "FROM --platform=linux/amd64 bb AS b\nFROM bb\nCOPY --from=b /a /a\n";
    let out = pinned(text, &Build::on("linux/arm64"));
    let digests: Vec<&str> = out.split('@').skip(1).map(|part| &part[..8]).collect();
    assert!(!out.contains("--platform") && digests[0] != digests[1], "{out}");
}

#[test]
fn from_1_40_on_each_stage_names_its_platform() {
    let text = "FROM --platform=linux/amd64 bb AS b\nFROM bb AS c\nFROM c\nCOPY --from=b /a /a\n";
    let file = Dockerfile::parse(text.as_bytes(), BuildahVersion { major: 1, minor: 40 });
    let resolved = Build::on("linux/arm64").resolve(text);
    let digest = |needed: &NeededImage| Some((needed.image.repository.clone(), Digest::of(b"x")));
    let pinned = file.pinned(&resolved, digest).unwrap();
    let starts: Vec<&str> = pinned.lines().map(|line| line.split('@').next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "FROM --platform=linux/amd64 docker.io/library/bb",
            "FROM --platform=linux/arm64 docker.io/library/bb",
            "FROM c",
            "COPY --from=b /a /a"
        ]
    );
}

#[test]
fn an_escape_that_buildah_would_not_see_is_put_first() {
    let text = "# syntax=docker/dockerfile:1\n# escape=`\nFROM bb\nCOPY a `\n /b\n";
    let out = pinned(text, &Build::default());
    assert!(out.starts_with("# escape=`\n# syntax=docker/dockerfile:1\nFROM "), "{out}");
    let first = "# escape=`\nFROM scratch\nCOPY a `\n /b\n";
    assert_eq!(pinned(first, &Build::default()), first);
}

#[test]
fn without_a_digest_there_is_no_pinned_file() {
    let text = "FROM bb";
    let resolved = Build::default().resolve(text);
    assert_eq!(file(text).pinned(&resolved, |_| None), None);
}
