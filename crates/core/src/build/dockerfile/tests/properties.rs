use proptest::prelude::*;

use super::*;

/// Parts of which files are made: mostly right ones.
const PARTS: [&str; 44] = [
    "FROM bb",
    "FROM quay.io/a:1 AS a",
    "FROM --platform=$BUILDPLATFORM bb AS b",
    "FROM a",
    "FROM $X",
    "FROM scratch",
    "ARG X=1",
    "ARG X",
    "ENV A=$X B=\"c d\"",
    "COPY --from=a /a /b",
    "COPY --from=0 /a /b",
    "COPY --from=9 /a /b",
    "COPY --from=$X a b",
    "COPY [\"a b\", \"c\"]",
    "RUN --mount=type=bind,from=b,target=/x true",
    "RUN --mount=type=secret,id=a x",
    "RUN <<EOF",
    "EOF",
    "RUN a \\",
    "  && b \\",
    "# comment",
    "# escape=`",
    "",
    "HEALTHCHECK NONE",
    "ONBUILD RUN x",
    "SHELL [\"/bin/sh\"]",
    "LABEL a=${b:-c}",
    "\u{feff}",
    "é",
    "\r",
    "\0",
    "\"",
    "'",
    "$",
    "{",
    "}",
    "`",
    "\\",
    "--",
    "=",
    " ",
    "AS",
    "[",
    "<<",
];

fn any_file() -> impl Strategy<Value = String> {
    let separator = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", " ", ""]);
    let part = (prop::sample::select(PARTS.to_vec()), separator);
    prop::collection::vec(part, 0..14)
        .prop_map(|parts| parts.into_iter().flat_map(|(part, separator)| [part, separator]).collect())
}

/// A file that is right: two stages, with continued lines.
fn right_file() -> impl Strategy<Value = String> {
    let image = "(quay\\.io/)?[a-z]{1,8}(:[a-z0-9]{1,4})?";
    let gap = prop::sample::select(vec![" ", "  ", " \\\n ", " \\ \n# c\n "]);
    let mount =
        prop::sample::select(vec!["IMAGE", "\"IMAGE\"", "'IMAGE',ro", "IM\\\nAGE", "NAME", "IMAGE,nosuid"]);
    (image, image, "[a-zA-Z][a-z0-9._-]{0,6}", gap, "[a-z $\"]{0,12}", mount).prop_filter_map(
        "a stage is not called scratch",
        |(one, two, name, gap, command, mount)| {
            (!name.eq_ignore_ascii_case("scratch") && !command.trim().is_empty()).then(|| {
                let from = mount.replace("NAME", &name).replace("IMAGE", "quay.io/m:1").replace("IM", "quay.").replace("AGE", "io/m:1");
                format!(
                    "FROM{gap}{one}{gap}AS{gap}{name}\nRUN true {}\nFROM {two}\nCOPY{gap}--from={name}{gap}/a /b\n\
                     RUN{gap}--mount=type=bind,from={from},target=/m{gap}true\n",
                    command.replace(['"', '$'], "")
                )
            })
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = Dockerfile::parse(&bytes, OLD);
        file.resolve(&Build::default().inputs());
    }

    #[test]
    fn any_file_is_read_and_every_problem_has_a_place_in_it(text in any_file()) {
        for buildah in [OLD, NEW] {
            let file = Dockerfile::parse(text.as_bytes(), buildah);
            let build = Build::with(&[("X", "quay.io/x")]);
            let resolved = file.resolve(&build.inputs());
            let lines = u32::try_from(text.lines().count().max(1)).unwrap();
            for problem in file.problems().iter().chain(&resolved.problems) {
                let Position { line, column } = problem.position;
                prop_assert!((1..=lines + 1).contains(&line) && column >= 1, "{problem} of {lines}");
            }
            let pinned = file.pinned(&resolved, |needed| {
                Some((needed.image.repository.clone(), Digest::of(b"x")))
            });
            prop_assert!(pinned.is_some() || file.problems().iter().any(Problem::is_error));
        }
    }

    #[test]
    fn a_pinned_file_says_the_same_and_is_pinned_already(text in right_file()) {
        let (before, build) = (file(&text), Build::default());
        prop_assert_eq!(before.problems(), &[]);
        let resolved = before.resolve(&build.inputs());
        let digest = |needed: &NeededImage| Some((needed.image.repository.clone(), Digest::of(b"x")));
        let pinned = before.pinned(&resolved, digest).unwrap();
        let after = file(&pinned);
        prop_assert_eq!(after.problems(), &[]);
        let again = after.resolve(&build.inputs());
        prop_assert!(again.images.iter().all(|needed| needed.image.is_pinned()), "{pinned}");
        prop_assert!(!pinned.contains(":1,") && !pinned.contains("m:1"), "no tag is left: {}", pinned);
        prop_assert_eq!(&again.stages, &resolved.stages);
        let places = |file: &Dockerfile| {
            file.instructions.iter().map(|i| (i.keyword, i.position.line)).collect::<Vec<_>>()
        };
        prop_assert_eq!(places(&after), places(&before), "{}", pinned);
        let same = after.pinned(&again, |needed| Some((needed.image.repository.clone(), needed.image.digest.clone()?)));
        prop_assert_eq!(same.unwrap(), pinned);
    }
}
