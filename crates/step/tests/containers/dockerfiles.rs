//! What a Dockerfile says is what the image is.

use std::time::Instant;

use imgop_core::api::Format;
use imgop_core::build::BuildFailure;
use imgop_core::build::dockerfile::Feature;
use imgop_core::build::step::{LayerCache, StepReport};
use imgop_step::buildah::version;

use crate::pod::Pod;
use crate::registry::busybox;

fn with_busybox(dockerfile: &str) -> Pod {
    Pod::of(&dockerfile.replace("BB", &busybox()))
}

#[test]
fn here_documents_are_built_or_refused_with_line_and_version_before_anything_runs() {
    let text = "FROM BB\nRUN <<STEP\nprintf 'one\\n' > /one\nprintf 'two\\n' > /two\nSTEP\nCOPY <<'NOTE' /note\ncosts $5\nNOTE\n";
    let pod = with_busybox(text);
    if version(&pod.places).unwrap().has(Feature::HereDocuments) {
        let image = pod.image();
        assert_eq!(
            [image.text("one"), image.text("two"), image.text("note")],
            ["one\n", "two\n", "costs $5\n"]
        );
        return;
    }
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::DockerfileUnsupported);
    assert!(message.contains("line 2") && message.contains("1.33"), "{message}");
    assert!(!pod.path("/work/Dockerfile").exists());
}

#[test]
fn a_dockerfile_is_checked_for_the_buildah_that_runs_it() {
    let mut pod = with_busybox("FROM BB\nRUN <<STEP\nprintf one > /one\nSTEP\n");
    pod.input.buildah = Some("1.44".parse().unwrap());
    pod.prepare().succeeded();
    let failed = pod.build().failed();
    assert_eq!(failed.reason, BuildFailure::DockerfileUnsupported, "the one that is here is older: {failed}");
    assert!(failed.message.contains("line 2") && failed.message.contains("1.33"), "{failed}");
}

#[test]
fn arguments_in_front_of_from_count_there_alone() {
    let text = format!(
        "ARG REPO=\"{}\"\nARG TAG\nFROM ${{REPO}}:${{TAG:-1}}\nRUN echo \"[$TAG]\" > /global\nARG TAG\nRUN echo \"[$TAG]\" > /stage\n",
        busybox().trim_end_matches(":1")
    );
    let mut pod = Pod::of(&text);
    pod.input.arguments.insert("TAG".into(), "1".into());
    let image = pod.image();
    assert_eq!((image.text("global").as_str(), image.text("stage").as_str()), ("[]\n", "[1]\n"));
    let pod = Pod::of(&text);
    pod.prepare().succeeded();
    let mut pod = Pod::of(&text);
    pod.input.arguments.insert("TAG".into(), "none-such".into());
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::BaseImageNotFound);
    assert!(message.contains("base/busybox:none-such (line 3"), "{message}");
}

#[test]
fn arguments_arrive_byte_for_byte() {
    const X: &str = "b\"a'z $HOME $(id) `id` a,b=c \\ --label=evil\nsecond";
    let mut pod = with_busybox(
        "FROM BB\nARG X\nARG Y=default\nARG Z=default\nRUN printf %s \"$X\" > /x; printf %s \"$Y\" > /y; printf %s \"$Z\" > /z\n",
    );
    pod.input.arguments =
        [("X", X), ("Y", ""), ("UNDECLARED", "u")].map(|(name, value)| (name.into(), value.into())).into();
    let warnings = pod.prepare().succeeded().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("UNDECLARED")), "{warnings:?}");
    let image = pod.image();
    assert_eq!([image.text("x"), image.text("y"), image.text("z")], [X, "", "default"]);
}

#[test]
fn arguments_stay_in_their_stage_and_env_goes_first() {
    let image = with_busybox(
        "FROM BB AS a\nARG WHO=a\nRUN echo $WHO > /w\nFROM BB AS b\nRUN echo \"[$WHO]\" > /w\nFROM BB\nENV MODE=env\n\
         ARG MODE=arg\nCOPY --from=a /w /a\nCOPY --from=b /w /b\nRUN echo $MODE > /m\n",
    )
    .image();
    assert_eq!([image.text("a"), image.text("b"), image.text("m")], ["a\n", "[]\n", "env\n"]);
}

const STAGES: &str = "FROM BB AS Tools\nRUN echo t > /t\nFROM BB\nRUN exit 9\nFROM BB AS final\nCOPY --from=0 /t /t\n\
                      COPY --from=tools /t /t2\nFROM BB AS after\nRUN exit 8\n";

#[test]
fn stages_that_the_target_does_not_need_do_not_run() {
    let mut pod = with_busybox(STAGES);
    pod.input.target = Some("final".into());
    let image = pod.image();
    assert_eq!([image.text("t"), image.text("t2")], ["t\n", "t\n"]);
}

#[test]
fn without_a_target_the_last_stage_is_built_and_its_failure_is_named() {
    let failed = with_busybox(STAGES).fails_late();
    assert_eq!((failed.reason, failed.exit_code), (BuildFailure::StepFailed, Some(8)));
    assert_eq!(failed.step.unwrap().line, Some(9));
    let mut pod = with_busybox(STAGES);
    pod.input.target = Some("none".into());
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::DockerfileInvalid);
    assert!(message.contains("the stages are Tools, 1, final, after"), "{message}");
}

#[test]
fn a_missing_equals_sign_is_refused_with_the_right_spelling() {
    for line in ["COPY --from BB /a /b", "COPY --chown app /a /b"] {
        let (reason, message) = with_busybox(&format!("FROM BB\n{line}\n")).fails_early();
        assert_eq!(reason, BuildFailure::DockerfileInvalid);
        assert!(message.contains("line 2") && message.contains('='), "{message}");
    }
}

#[test]
fn owners_and_modes_are_those_that_the_file_names() {
    let text = "FROM BB\nRUN mkdir -m 0700 /old 2>/dev/null || (/bin/busybox mkdir -m 0700 /old && /bin/busybox touch /old/keep)\n\
                COPY --chown=1001:1001 --chmod=0640 f /n/e/w/f\nCOPY --chmod=0755 dir /old\nCOPY --chown=12345:54321 f /num\n";
    let image = with_busybox(text).with_files(&[("f", "f"), ("dir/x", "x")]).image();
    assert_eq!(image.owner("n/e/w/f"), "0640 1001:1001");
    assert_eq!((image.owner("old"), image.owner("old/x")), ("0700 0:0".into(), "0755 0:0".into()));
    assert_eq!(image.owner("num"), "0644 12345:54321");
}

#[test]
fn a_missing_file_is_named_as_the_context_knows_it() {
    let failed = with_busybox("FROM BB\nCOPY none /x\n")
        .with_files(&[("f", "f"), (".dockerignore", "x")])
        .fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed);
    assert!(
        failed.message.contains("step 2 of 2, line 2: `COPY none /x`") && failed.message.contains("/none"),
        "{failed}"
    );
    assert!(!failed.message.contains("/work/") && failed.message.contains(".dockerignore"), "{failed}");
}

#[test]
fn the_ignore_file_of_the_dockerfile_goes_first() {
    let files = [
        ("keep", "k"),
        ("drop", "d"),
        ("sub/Dockerfile", "FROM scratch\nCOPY . /c\n"),
        ("sub/Dockerfile.dockerignore", "drop\n"),
        (".dockerignore", "keep\n"),
    ];
    let mut pod = Pod::of("").with_files(&files);
    pod.input.dockerfile = imgop_core::build::DockerfilePlace::Path("sub/Dockerfile".into());
    let image = pod.image();
    assert_eq!((image.text("c/keep").as_str(), image.text("c/drop").as_str()), ("k", ""));
}

#[test]
fn dockerfile_and_ignore_file_may_be_ignored_themselves() {
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY . /c\n"),
        (".dockerignore", "**\r\n# comment\r\n\r\n!./keep.txt\r\n"),
        ("keep.txt", "k"),
        ("drop", "d"),
    ];
    let mut pod = Pod::of("").with_files(&files);
    pod.input.dockerfile = imgop_core::build::DockerfilePlace::Default;
    let image = pod.image();
    let names: Vec<_> =
        std::fs::read_dir(image.root.join("c")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["keep.txt"]);
}

#[test]
fn user_and_workdir_are_kept() {
    let image = with_busybox("FROM BB\nUSER 4242:4343\nWORKDIR /w/x\nRUN id -u > u && id -g > g\nWORKDIR ../y\nRUN echo $PWD > p\n").image();
    assert_eq!(
        [image.text("w/x/u"), image.text("w/x/g"), image.text("w/y/p")],
        ["4242\n", "4343\n", "/w/y\n"]
    );
    assert_eq!(
        (&image.config["config"]["User"], &image.config["config"]["WorkingDir"]),
        (&"4242:4343".into(), &"/w/y".into())
    );
}

#[test]
fn what_adds_nothing_keeps_the_layers_of_its_base_under_their_own_digests() {
    let base = crate::built_image::BuiltImage::read(&busybox(), None);
    let digests = |image: &crate::built_image::BuiltImage| -> Vec<_> {
        image.manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect()
    };
    let image = with_busybox("FROM BB\n").image();
    assert_eq!(digests(&image), digests(&base));
    let image = with_busybox("FROM BB\nRUN true\nLABEL a=b\n").image();
    assert!(digests(&image).starts_with(&digests(&base)));
    let image = Pod::of("FROM scratch\nLABEL a=b\n").image();
    assert_eq!(image.config["config"]["Labels"]["a"], "b");
    assert!(image.layers().concat().is_empty(), "Buildah makes a layer, in which there is nothing");
    let text = "FROM scratch\nCOPY static /static\nENTRYPOINT [\"/static\"]\n";
    let image = Pod::of(text).with_files(&[("static", "program")]).image();
    assert_eq!((image.text("static").as_str(), digests(&image).len()), ("program", 1));
    assert_eq!(image.config["config"]["Entrypoint"], serde_json::json!(["/static"]));
}

#[test]
fn layers_are_compressed_in_both_formats_with_a_cache_and_without() {
    for (format, has_cache) in
        [(Format::Docker, false), (Format::Oci, false), (Format::Docker, true), (Format::Oci, true)]
    {
        let mut pod = Pod::of("FROM scratch\nCOPY f /f\n").with_files(&[("f", "f")]);
        pod.input.format = format;
        let repository = format!("{}/built/cache-of-formats", crate::registry::shared().address);
        pod.input.cache =
            has_cache.then(|| LayerCache { repository: repository.parse().unwrap(), ttl_seconds: None });
        let image = pod.image();
        let media_type = image.manifest["layers"][0]["mediaType"].as_str().unwrap();
        assert!(media_type.ends_with("gzip"), "{format:?} {has_cache}: {media_type}");
        assert_eq!(image.text("f"), "f");
    }
}

#[test]
fn labels_and_annotations_are_byte_equal() {
    let values = ["He said \"50%\" & 'x'", "a=b,c", "{\"k\":[1,\"é\"]}", "two\nlines", "", "${HOME} $5 `id`"];
    let texts =
        || values.iter().enumerate().map(|(i, value)| (format!("org.example/k{i}"), (*value).to_owned()));
    let mut pod = Pod::of("FROM scratch\nLABEL x=y\n");
    (pod.input.labels, pod.input.annotations, pod.input.format) =
        (texts().collect(), texts().collect(), Format::Oci);
    let image = pod.image();
    for (key, value) in texts() {
        assert_eq!(image.config["config"]["Labels"][&key], value.as_str(), "label {key}");
        assert_eq!(image.manifest["annotations"][&key], value.as_str(), "annotation {key}");
    }
    let long = "a 'b' \"c\" ".repeat(340);
    let mut pod = Pod::of("FROM scratch\nLABEL x=y\n");
    pod.input.labels = texts().chain([("long".to_owned(), long.clone())]).collect();
    let image = pod.image();
    for (key, value) in texts().chain([("long".to_owned(), long.clone())]) {
        assert_eq!(image.config["config"]["Labels"][&key], value.as_str(), "label {key} in Docker's format");
    }
    // What labels may not hold, because Buildah reads them once more, annotations may.
    let mut pod = Pod::of("FROM scratch\nLABEL x=y\n");
    (pod.input.annotations, pod.input.format) = (
        [("open".to_owned(), "${HOME} $5 ${".to_owned()), ("long".to_owned(), long.clone())].into(),
        Format::Oci,
    );
    let annotations = pod.image().manifest["annotations"].clone();
    assert_eq!((&annotations["open"], &annotations["long"]), (&"${HOME} $5 ${".into(), &long.into()));
}

#[test]
fn dockers_format_holds_what_ocis_cannot_and_that_is_said() {
    let text = "FROM BB\nHEALTHCHECK CMD true\nSHELL [\"/bin/sh\", \"-euc\"]\nRUN echo $- > /flags\nONBUILD RUN true\n";
    let image = with_busybox(text).image();
    assert!(image.text("flags").contains('u'));
    assert!(
        ["Healthcheck", "Shell", "OnBuild"].iter().all(|key| !image.config["config"][key].is_null()),
        "{}",
        image.config
    );
    let mut pod = with_busybox(text);
    pod.input.format = Format::Oci;
    let (reason, message) = pod.fails_early();
    assert!(reason == BuildFailure::DockerfileInvalid && message.contains("line 3"), "{message}");
    let mut pod = with_busybox("FROM BB\nHEALTHCHECK CMD true\nONBUILD RUN true\n");
    pod.input.format = Format::Oci;
    let warnings = pod.prepare().succeeded().warnings.join("\n");
    assert!(warnings.contains("line 2") && warnings.contains("line 3"), "{warnings}");
    let image = pod.image();
    assert!(image.config["config"]["Healthcheck"].is_null() && image.config["config"]["OnBuild"].is_null());
}

#[test]
fn the_arguments_of_the_platform_are_known() {
    let mut pod = with_busybox(
        "FROM BB\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETARCH\nARG TARGETVARIANT\n\
                            RUN echo \"$TARGETPLATFORM|$TARGETOS|$TARGETARCH|$TARGETVARIANT\" > /p\n",
    );
    assert_eq!(pod.image().text("p"), "linux/amd64|linux|amd64|\n");
    pod = with_busybox("FROM BB\nARG TARGETARCH\nRUN echo $TARGETARCH > /p\n");
    pod.input.arguments.insert("TARGETARCH".into(), "other".into());
    assert_eq!(pod.image().text("p"), "other\n");
}

#[test]
fn mistakes_are_found_before_work_is_done() {
    let began = Instant::now();
    let pod = with_busybox("FROM BB\nRUN sleep 60\nRUNN echo x\n");
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::DockerfileInvalid);
    assert!(message.contains("line 3") && message.contains("did you mean RUN"), "{message}");
    assert!(began.elapsed().as_secs() < 60, "nothing of it ran");
}

#[test]
fn a_flag_that_this_buildah_lacks_is_named() {
    let (reason, message) = with_busybox("FROM BB\nRUN --network=none true\n").fails_early();
    assert_eq!(reason, BuildFailure::DockerfileUnsupported);
    assert!(
        message.contains("line 2") && message.contains("--network") && message.contains("1.30"),
        "{message}"
    );
}

#[test]
fn add_unpacks_archives_and_copy_does_not() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    archive.append_data(&mut header, "inner", &b"i"[..]).unwrap();
    let pod = with_busybox("FROM BB\nADD a.tar /d/\nCOPY a.tar /c/\n").with_files(&[("a.tar", "")]);
    std::fs::write(pod.path("/var/run/imgop/config-map/key-0"), archive.into_inner().unwrap()).unwrap();
    let image = pod.image();
    assert_eq!((image.text("d/inner").as_str(), image.root.join("c/a.tar").is_file()), ("i", true));
}

#[test]
fn an_address_that_is_not_there_is_named_without_its_query() {
    let failed = Pod::of("FROM scratch\nADD http://127.0.0.1:1/f.tar?token=CANARY /u/\n").fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed);
    let message = StepReport { failure: Some(failed.into()), ..StepReport::default() }.to_message();
    assert!(message.contains("http://127.0.0.1:1/f.tar") && !message.contains("CANARY"), "{message}");
    let address = crate::http_files::start("404 Not Found", Vec::new());
    let text = format!("FROM scratch\nADD http://{address}/f.tar?token=CANARY /u/\n");
    let failed = Pod::of(&text).fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed, "a page that says so is no file: {failed}");
    let message = StepReport { failure: Some(failed.into()), ..StepReport::default() }.to_message();
    assert!(message.contains(&format!("http://{address}/f.tar")) && !message.contains("CANARY"), "{message}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let image = with_busybox("\u{feff}FROM BB\r\nRUN echo a \\\r\n  b > /f\r\n").image();
    assert_eq!(image.text("f").trim_end(), "a b");
    let (reason, message) = Pod::of("FROM scratch\rRUN x\r").fails_early();
    assert!(reason == BuildFailure::DockerfileInvalid && message.contains("carriage return"), "{message}");
}
