use super::*;

#[test]
fn an_argument_in_front_of_from_is_known_to_every_from() {
    let text =
        "ARG REPO=\"src.example.com/base/busybox\"\nARG TAG\nFROM ${REPO}:${TAG:-1}\nRUN x\nARG TAG\nRUN y";
    let images = |arguments: &[(&str, &str)]| Build::with(arguments).images(text);
    assert_eq!(images(&[]), ["src.example.com/base/busybox:1 linux/amd64"]);
    assert_eq!(images(&[("TAG", "none-such")]), ["src.example.com/base/busybox:none-such linux/amd64"]);
    assert_eq!(images(&[("REPO", "quay.io/a"), ("TAG", "")]), ["quay.io/a:1 linux/amd64"]);
}

#[test]
fn an_argument_that_is_declared_too_late_is_named() {
    let text = "FROM bb:$TAG\nARG TAG=1\nRUN x";
    insta::assert_snapshot!(Build::with(&[("TAG", "2")]).problems(text).join("\n"), @r#"
    line 1, column 6: the argument TAG has no value here; write ARG TAG=value in front of the first FROM, or ARG TAG there and give it in buildArgs
    line 1, column 6: bb:$TAG: "" is not a tag; a tag has at most 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'
    "#);
    let known = Build::default().problems("ARG A\nFROM bb$A");
    assert!(known.len() == 1 && known[0].contains("the argument A has no value here"), "{known:?}");
    assert_eq!(Build::default().problems("FROM bb:${TAG:-1}"), Vec::<String>::new());
}

#[test]
fn an_argument_that_no_arg_declares_is_a_warning() {
    let build = Build::with(&[("X", "1"), ("HTTP_PROXY", "p"), ("TARGETARCH", "arm64"), ("Y", "")]);
    insta::assert_snapshot!(build.problems("FROM bb\nARG Y").join("\n"), @"line 1, column 1: the build argument X is declared nowhere; write ARG X where it is used, or leave it out");
    assert!(build.resolve("FROM bb\nARG Y").problems.iter().all(|problem| !problem.is_error()));
}

#[test]
fn arguments_do_not_leak_between_stages_and_env_goes_first() {
    let text = "FROM bb AS a\nARG WHO=quay.io/one\nFROM bb\nCOPY --from=$WHO /w /a";
    let said = Build::default().problems(text).join("\n");
    assert!(
        said.contains("COPY --from names WHO, which has no value that is known before the build"),
        "{said}"
    );
    let text = "FROM bb\nENV MODE=quay.io/env\nARG MODE=quay.io/arg\nCOPY --from=$MODE /m /m";
    assert_eq!(Build::with(&[("MODE", "quay.io/given")]).images(text)[1], "quay.io/env:latest linux/amd64");
    let text = "FROM bb AS a\nENV IMAGE=quay.io/a\nFROM a\nCOPY --from=$IMAGE /m /m";
    assert_eq!(Build::default().images(text)[1], "quay.io/a:latest linux/amd64", "ENV is inherited");
    let text = "ARG V=1\nFROM bb\nARG V\nARG W=$V-x\nCOPY --from=quay.io/a:$W /m /m";
    assert_eq!(Build::default().images(text)[1], "quay.io/a:1-x linux/amd64", "from in front of FROM");
    let text = "ARG V=1\nFROM bb\nCOPY --from=quay.io/a:$V /m /m";
    assert!(Build::default().problems(text)[0].contains("names V"), "not without a declaration");
}

#[test]
fn the_automatic_arguments_are_those_of_each_platform() {
    let text = "FROM src.example.com/busybox-$TARGETARCH:1\nARG TARGETPLATFORM\nCOPY --from=quay.io/$TARGETPLATFORM/x /a /a";
    assert_eq!(Build::on("linux/arm64").images(text)[0], "src.example.com/busybox-arm64:1 linux/arm64");
    assert_eq!(Build::on("linux/arm/v7").images(text)[1], "quay.io/linux/arm/v7/x:latest linux/arm/v7");
    let given = Build {
        arguments: [("TARGETARCH".to_owned(), "other".to_owned())].into(),
        ..Build::on("linux/arm64")
    };
    assert_eq!(given.images(text)[0], "src.example.com/busybox-other:1 linux/arm64", "what is given wins");
    let variant = "FROM bb-$TARGETOS-$TARGETARCH-x$TARGETVARIANT";
    assert_eq!(
        Build::on("linux/arm64").images(variant),
        ["docker.io/library/bb-linux-arm64-x:latest linux/arm64"]
    );
    assert_eq!(
        Build::default().problems(variant),
        Vec::<String>::new(),
        "an empty variant is no missing one"
    );
}

#[test]
fn from_with_a_platform_is_that_platforms_image() {
    let text = "FROM --platform=$BUILDPLATFORM bb AS tools\nCOPY --from=quay.io/a /a /a\nFROM bb\nCOPY --from=tools /t /t";
    let build = Build::on("linux/arm64");
    assert_eq!(
        build.images(text),
        [
            "docker.io/library/bb:latest linux/amd64",
            "quay.io/a:latest linux/arm64",
            "docker.io/library/bb:latest linux/arm64"
        ]
    );
    assert!(Build::default().problems("FROM --platform=amd64 bb")[0].contains("\"amd64\" is no platform"));
}

#[test]
fn a_pattern_in_the_name_of_an_image_is_named_whatever_buildah_can_do() {
    let text = "ARG V=v1\nFROM bb:${V#v}";
    let file = Dockerfile::parse(text.as_bytes(), NEW);
    assert_eq!(file.problems(), &[]);
    let problems = file.resolve(&Build::default().inputs()).problems;
    assert_eq!(
        problems[0].to_string(),
        "line 2, column 6: ${V} with a pattern or :? cannot be worked out before the build; write ${V}, ${V:-text} or ${V:+text}"
    );
    assert_eq!(problems_today("FROM bb:${V\nFROM --platform=${V bb").len(), 2, "each is reported once");
}
