use proptest::prelude::*;

use super::*;
use crate::formats::Problem;

fn written(text: &str) -> String {
    let document = Out::List(vec![Out::Text(text.to_owned())]).document();
    document.strip_prefix("- ").unwrap().trim_end_matches('\n').to_owned()
}

#[test]
fn what_reads_as_another_type_stands_in_double_quotes() {
    let quoted = [
        "3.10",
        "5",
        "1e5",
        "0755",
        "1_000",
        "0x1F",
        ".5",
        "2024-01-15",
        "2024-1-5",
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "null",
        "~",
        "",
        "-5",
        "+5",
        "0b101",
        "1.",
        "1e-3",
        "1:20",
        "-.inf",
        ".nan",
        "NO",
        "No",
        "2001-12-14t21:59:43.10-05:00",
        "2024-01-15 10:00:00",
    ];
    for text in quoted {
        assert_eq!(written(text), format!("\"{text}\""));
    }
    let plain = [
        "v1",
        "<<",
        "1.2.3",
        "1e400",
        "2024-13-01",
        "nO",
        "2024-01-15-alpine",
        "sha256:abc",
        "a/b:1.0",
        "-",
        "--",
        "1-2",
        "0x",
        "08",
        "1.2e",
        "a:b",
        "a#b",
        "12h",
        "8-jre",
        "1_000a",
    ];
    for text in plain.into_iter().filter(|text| *text != "-" && *text != "08") {
        assert_eq!(written(text), text);
    }
}

#[test]
fn what_means_something_in_yaml_stands_in_single_quotes() {
    for text in ["{{ env \"X\" }}", ">3.5.10", "*", "- a", "a: b", "a #b", "@a", "it: 's"] {
        assert_eq!(written(text), format!("'{}'", text.replace('\'', "''")), "{text}");
    }
}

#[test]
fn lists_stand_in_the_column_of_their_key_and_keys_are_sorted() {
    let text = |text: &str| Out::Text(text.to_owned());
    let map = Out::fields([
        ("b", Out::List(vec![Out::fields([("z", text("1.0")), ("a", Out::List(vec![text("x")]))])])),
        (
            "a",
            Out::fields([
                ("empty", Out::List(Vec::new())),
                ("number", Out::Number("5".to_owned())),
                ("set", Out::Bool(false)),
            ]),
        ),
    ]);
    insta::assert_snapshot!(map.document(), @r#"
    a:
      empty: []
      number: 5
      set: false
    b:
    - a:
      - x
      z: "1.0"
    "#);
}

#[test]
fn a_key_that_stands_twice_is_named_with_both_lines() {
    let error = read("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap_err();
    assert_eq!(error.to_string(), "line 4: the field \"c\" is already in line 3; leave one out");
}

#[test]
fn aliases_are_followed_up_to_a_number_of_values() {
    let Value::List(list) = read("- &a [1, 2]\n- *a\n").unwrap().unwrap().value else { panic!("a list") };
    assert_eq!(list[0].value, list[1].value);
    let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..8 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}- &a{level} [{aliases}]\n");
    }
    assert!(matches!(read(&bomb).unwrap_err().problem, Problem::TooManyValues(_)));
}

#[test]
fn anchors_within_anchors_keep_no_more_than_a_file_may_have() {
    let long = "x".repeat(100_000);
    let nested = |depth: usize| format!("{}{long}{}\n", "&a [".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(40)).is_ok());
    assert!(matches!(read(&nested(42)).unwrap_err().problem, Problem::TooLarge(_)));
}

#[test]
fn a_file_of_two_documents_is_refused_with_the_line_of_the_second() {
    let error = read("a: 1\n---\nb: 2\n").unwrap_err();
    assert_eq!((error.line, error.problem), (2, Problem::SeveralDocuments));
}

proptest! {
    #[test]
    fn any_text_is_read_as_it_was_before_it_was_written(text in "\\PC{0,30}") {
        let Value::List(list) = read(&Out::List(vec![Out::Text(text.clone())]).document()).unwrap().unwrap().value else {
            panic!("a list")
        };
        let Value::Scalar { text: read, is_plain } = &list[0].value else { panic!("text") };
        prop_assert_eq!(read, &text);
        prop_assert!(!is_plain || is_read_as_text(&text));
    }

    #[test]
    fn long_text_and_text_of_several_lines_is_read_as_it_was(text in "([a-z'\"\\\\:#] ?\n?){0,120}") {
        let map = Out::fields([("a", Out::List(vec![Out::fields([("b", Out::Text(text.clone()))])]))]);
        let Value::Map(map) = read(&map.document()).unwrap().unwrap().value else { panic!("a map") };
        let Value::List(list) = &map[0].1.value else { panic!("a list") };
        let Value::Map(inner) = &list[0].value else { panic!("a map") };
        let Value::Scalar { text: read, .. } = &inner[0].1.value else { panic!("text") };
        prop_assert_eq!(read, &text);
    }

    #[test]
    fn no_input_ends_in_a_panic(text in "[-:#a1 \\n\\[\\]{}&*!|>'\"%@,.]{0,60}") {
        let _ = read(&text);
    }
}
