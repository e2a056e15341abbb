use super::*;

#[test]
fn here_documents_are_named_with_their_line_before_a_pod() {
    let text =
        "FROM bb\nRUN <<STEP\nprintf 'one' > /one\nFROM x\nSTEP\nCOPY <<'NOTE' /note\ncosts $5\nNOTE\n";
    insta::assert_snapshot!(problems(text).join("\n"), @r"
    line 2, column 5: here-documents are not known (needs Buildah 1.33 or newer); write RUN with && and continued lines, and files that COPY takes
    line 6, column 6: here-documents are not known (needs Buildah 1.33 or newer); write RUN with && and continued lines, and files that COPY takes
    ");
    assert_eq!(problems_today(text), Vec::<String>::new());
    assert_eq!(file(text).stages().len(), 1, "what stands in a here-document is no FROM");
    assert_eq!(problems("FROM bb\nRUN cat << X").len(), 0, "with a space it is none");
    assert_eq!(problems("FROM bb\nRUN <<-A cat <<B\n\tA\nB\nRUN x").len(), 2, "two in one line");
}

#[test]
fn the_forgotten_equals_sign_is_shown_where_it_goes() {
    for (line, fix) in [
        ("COPY --from quay.io/a/b:1 /a /b", "write --from=quay.io/a/b:1"),
        ("COPY --chown app /a /b", "write --chown=app"),
        ("FROM --platform linux/arm64 bb", "write --platform=linux/arm64"),
        ("RUN --mount type=cache x", "write --mount=type=cache"),
        ("COPY --from= /a /b", "write --from=/a"),
    ] {
        let said = problems(&format!("FROM bb\n{line}")).join("\n");
        assert!(said.starts_with("line 2, ") && said.contains(fix), "{line}: {said}");
    }
}

#[test]
fn only_octal_permissions_are_known() {
    assert_eq!(problems("FROM bb\nCOPY --chmod=0640 f /f\nADD --chmod=$M f /f"), Vec::<String>::new());
    insta::assert_snapshot!(problems("FROM bb\nCOPY --chmod=u+x f /f").join("\n"), @"line 2, column 6: --chmod=u+x is not octal, and Buildah knows nothing else; write it as --chmod=0755");
}

#[test]
fn line_ends_and_encodings_are_read_or_named() {
    let windows = "\u{feff}# escape=`\r\nFROM bb\r\nRUN a `\r\n  && b\r\n# comment\r\nCMD c";
    assert_eq!(problems(windows), Vec::<String>::new());
    assert_eq!(file(windows).instructions.len(), 3);
    let utf16: Vec<u8> = "FROM bb\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let said = Dockerfile::parse(&utf16, OLD).problems()[0].to_string();
    assert_eq!(said, "line 1, column 1: the file is encoded as UTF-16; save it as UTF-8");
    assert!(problems("FROM bb\rRUN a\r")[0].contains("carriage return"));
    assert!(problems("FROM bb\nRUN \0").len() == 1);
    let comments = format!("FROM bb\n{}RUN a", "# comment\n".repeat(100_000));
    assert_eq!(problems(&comments), Vec::<String>::new(), "a megabyte of comments");
}

#[test]
fn mistakes_are_found_before_work_is_done() {
    for (text, said) in [
        (
            "FROM bb\nRUN sleep 60\nRUNN echo x",
            "line 3, column 1: there is no instruction RUNN; did you mean RUN?",
        ),
        ("", "line 1, column 1: there is no instruction; begin it with FROM image:tag, or FROM scratch"),
        ("# a\n\n# b\n", "line 1, column 1: there is no instruction; begin it"),
        ("ARG A=1\n", "line 1, column 1: there is no FROM; begin it"),
        (
            "RUN x",
            "line 1, column 1: RUN stands in front of the first FROM; only ARG may; put it behind FROM",
        ),
        ("FROM", "line 1, column 4: FROM needs an image"),
        ("FROM bb AS", "line 1, column 9: AS needs the name of the stage"),
        ("FROM bb as a b", "line 1, column 9: FROM takes one image, and AS name behind it"),
        ("FROM bb b", "line 1, column 9: FROM takes one image"),
        ("FROM bb AS 1", "line 1, column 12: \"1\" is no name for a stage"),
        ("FROM a AS x\nFROM b AS X", "line 2, column 1: the stage of line 1 is called X already"),
        (
            "FROM bb\nCOPY one",
            "line 2, column 5: COPY needs a source and a destination; write COPY source destination",
        ),
        ("FROM bb\nCOPY [\"one\"]", "COPY needs a source and a destination"),
        ("FROM bb\nCMD ['a', 'b']", "line 2, column 5: this begins as a JSON array and is none"),
        ("FROM bb\nENTRYPOINT [\"a\", b]", "this begins as a JSON array and is none"),
        ("FROM bb\nSHELL /bin/sh", "SHELL needs a JSON array"),
        ("FROM bb\nLABEL a=\"b", "line 2, column 7: \" has no end; end it with \""),
        ("FROM bb\nENV A='b", "' has no end"),
        ("FROM bb\nENV A", "ENV needs a value for A"),
        ("FROM bb\nENV A=1 B", "B has no value"),
        ("FROM bb\nENV A = b\nENV =b", "=b has no name"),
        ("FROM bb\nENV A=${B-c}", "${B-…} and ${B+…} are not known; write ${B:-text} or ${B:+text}"),
        ("FROM bb\nUSER", "USER needs a text"),
        ("FROM bb\nRUN", "RUN needs a command"),
        ("FROM bb\nEXPOSE", "EXPOSE needs at least one text"),
        ("FROM bb\nHEALTHCHECK", "HEALTHCHECK needs CMD or NONE"),
        ("FROM bb\nHEALTHCHECK CMD", "HEALTHCHECK CMD needs a command"),
        ("FROM bb\nHEALTHCHECK --every=3s CMD x", "HEALTHCHECK has no flag --every; it has --interval"),
        ("FROM bb\nONBUILD", "ONBUILD needs an instruction"),
        ("FROM bb\nONBUILD FROM x", "FROM is no instruction for ONBUILD"),
        ("FROM bb\nONBUILD ONBUILD RUN x", "ONBUILD is no instruction for ONBUILD"),
        ("FROM bb\nONBUILD RUNN x", "line 2, column 9: there is no instruction RUNN; did you mean RUN?"),
        ("FROM bb\nCOPY \"a b\" /c", "\" has no end; write paths with spaces as COPY [\"a b\", \"/c\"]"),
        ("FROM bb\n/t", "there is no instruction /t; if it belongs to the line above, that line must end"),
        (
            "FROM bb\nRUN --mount=type=bindd x",
            "there is no mount of type bindd; it is bind, cache, tmpfs or secret",
        ),
        ("FROM bb\nRUN --mount=type=bind,size=1m,target=/x x", "a mount of type bind has no size"),
        ("FROM bb\nRUN --mount=type=tmpfs,size=1m,target=/x x", "write it as tmpfs-size"),
        ("FROM bb\nRUN --mount=From=a,target=/x x", "write it in small letters: from"),
        ("FROM bb\nRUN --mount=type=cache,sharing=private,target=/x x", "write sharing=locked"),
        ("FROM bb\nRUN --mount=type=cache,targett=/x x", "a mount of type cache has no targett"),
    ] {
        let all = problems(text).join("\n");
        assert!(all.contains(said), "{text:?}: {all}");
    }
    assert_eq!(problems("# unknown=1\n#syntax=docker/dockerfile:1\nFROM bb"), Vec::<String>::new());
}

#[test]
fn what_the_jobs_buildah_lacks_is_named_with_line_and_version() {
    for (line, said) in [
        ("COPY --link a /a", "COPY --link is not known (needs Buildah 1.41 or newer)"),
        ("COPY --parents a /a", "COPY --parents is not known (needs Buildah 1.40 or newer)"),
        ("COPY --exclude=x a /a", "COPY --exclude is not known (needs Buildah 1.38 or newer)"),
        ("ADD --checksum=sha256:0 a /a", "ADD --checksum is not known (needs Buildah 1.33 or newer)"),
        (
            "ADD https://git.example.com/a.git#v1 /a",
            "ADD does not know git repositories (needs Buildah 1.38 or newer)",
        ),
        ("RUN --network=none x", "RUN --network is not known (needs Buildah 1.30 or newer)"),
        (
            "HEALTHCHECK --start-interval=1s CMD x",
            "HEALTHCHECK --start-interval is not known (needs Buildah 1.40",
        ),
        ("ENV A=${B#x}", "(needs Buildah 1.38 or newer)"),
    ] {
        let text = format!("FROM bb\n{line}");
        let old = problems(&text);
        assert!(old.len() == 1 && old[0].starts_with("line 2, ") && old[0].contains(said), "{line}: {old:?}");
        assert_eq!(problems_today(&text), Vec::<String>::new(), "{line}");
    }
    for line in
        ["RUN --security=insecure x", "RUN --mount=type=ssh x", "RUN --mount=type=secret,id=a,env=A x"]
    {
        let text = format!("FROM bb\n{line}");
        let never = Dockerfile::parse(text.as_bytes(), NEW);
        assert_eq!(never.problems()[0].severity, Severity::Unsupported { needs: None }, "{line}");
    }
}

#[test]
fn every_instruction_is_read_in_each_of_its_forms() {
    let text = r#"# syntax=docker/dockerfile:1
# check=skip=all
ARG BASE=bb TAG
from ${BASE}:${TAG:-1} as Tools
ARG "QUOTED=a b"
ENV A=1 B="two words" C=a\ b
ENV OLD a b  c
LABEL org.example.a="b c" d='e' "f g"=h
LABEL multi="a\
b"
WORKDIR /a b
USER 4242:4343
EXPOSE 80 443/tcp $PORT
VOLUME /a /b
VOLUME ["/c d"]
STOPSIGNAL SIGTERM
SHELL ["/bin/sh", "-ec"]
RUN [ -f /x ] && [[ a = b ]] || echo "$A"
RUN ["/bin/true"]
RUN --mount=type=cache,target=/c,sharing=locked --mount=type=bind,from=x,src=/,dst=/b,ro \
    --mount=type=tmpfs,target=/t,tmpfs-size=1m \
    # a comment between
    true
COPY --chown=a:b --chmod=755 a b /c/
COPY ["a b", "/c"]
ADD https://example.com/a.tar /a
HEALTHCHECK --interval=3s --timeout=1s --start-period=2s --retries=3 CMD ["true"]
HEALTHCHECK NONE
ONBUILD COPY --from=bb /a /a
MAINTAINER team <x@example.com>
CMD
ENTRYPOINT exec "a
"#;
    assert_eq!(problems(text), Vec::<String>::new());
    let file = file(text);
    assert_eq!(file.instructions.len(), 26);
    let stage = &file.stages()[0];
    assert_eq!((stage.label(), stage.position), ("Tools".to_owned(), Position { line: 4, column: 1 }));
    assert_eq!(file.instructions(stage)[1].text, "ARG \"QUOTED=a b\"");
}
