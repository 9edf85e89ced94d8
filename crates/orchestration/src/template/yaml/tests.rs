use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Value {
    parse_value(text).unwrap()
}

fn message(text: &str) -> String {
    parse_value(text).unwrap_err().message().to_owned()
}

#[test]
fn plain_scalars_mean_what_yaml_1_1_says() {
    for (text, value) in [
        ("yes", json!(true)),
        ("No", json!(false)),
        ("on", json!(true)),
        ("OFF", json!(false)),
        ("y", json!("y")),
        ("yEs", json!("yEs")),
        ("~", json!(null)),
        ("017", json!(15)),
        ("08", json!("08")),
        ("0o17", json!("0o17")),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("+12", json!(12)),
        ("-0", json!(0)),
        ("22:22", json!(1342)),
        ("1:30", json!(90)),
        ("01:30", json!("01:30")),
        ("1:60", json!("1:60")),
        ("190:20:30", json!(685_230)),
        ("190:20:30.15", json!(685_230.15)),
        ("1.5", json!(1.5)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("+.5", json!("+.5")),
        ("1e3", json!("1e3")),
        ("1.0e3", json!("1.0e3")),
        ("1.0e+3", json!(1000.0)),
        (".inf", json!("inf")),
        ("-.INF", json!("-inf")),
        (".NaN", json!("nan")),
        ("2018-08-31", json!("2018-08-31")),
        ("2001-12-14t21:59:43.10-05:00", json!("2001-12-14t21:59:43.10-05:00")),
        ("1.2.3", json!("1.2.3")),
        ("-", json!([null])),
        ("=", json!("=")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("184467440737095516160", json!(184_467_440_737_095_516_160.0)),
    ] {
        assert_eq!(read(text), value, "{text}");
    }
}

#[test]
fn quotes_and_tags_decide_over_the_look() {
    assert_eq!(read("['yes', \"017\", !!str 5, !!int '7', !!float 3, !!bool 'On', ! 12]"), {
        json!(["yes", "017", "5", 7, 3.0, true, 12])
    });
    assert_eq!(read("|\n  yes\n"), json!("yes\n"));
}

#[test]
fn quoted_text_may_continue_left_of_its_key() {
    assert_eq!(
        read("a:\n  b: \"x\n\ny \\\"\n z\"\n  c: 'it''s\nok'\n"),
        json!({"a": {"b": "x\ny \" z", "c": "it's ok"}})
    );
    let many = (0..100).fold(String::from("a:\n"), |text, number| text + &format!("  k{number}: 'x\ny'\n"));
    assert_eq!(read(&many)["a"]["k99"], json!("x y"));
    let too_many = many.clone() + &format!("pad: '{}'\n", "x".repeat(400_000));
    assert!(message(&too_many).contains("invalid indentation in quoted scalar"));
    let wide = format!("{}k: 'x\n{}'\n", "? ".repeat(100), "y\n".repeat(100_000));
    assert!(parse_value(&wide).is_err());
}

#[test]
fn brackets_may_continue_left_of_their_key() {
    assert_eq!(read("r:\n  p: {\n\"a\": \"}\", # }\n  it's: 'x',\nb: {\nc: 2}\n}\n  q: 1\n"), {
        json!({"r": {"p": {"a": "}", "it's": "x", "b": {"c": 2}}, "q": 1}})
    });
    assert_eq!(read("r:\n  - [a,\n  b]\n  - c\n"), json!({"r": [["a", "b"], "c"]}));
    assert_eq!(read("a:\tb\nc:\t\td\n"), json!({"a": "b", "c": "d"}));
    assert!(message("r:\n    a: 1\n  b: 2\n").contains("line 3"));
}

#[test]
fn foreign_tags_are_refused() {
    assert_eq!(
        message("a: !!python/object:os.system x"),
        "Template not in valid format: could not determine a constructor for the tag \
         'tag:yaml.org,2002:python/object:os.system' (line 1, column 4)"
    );
    assert!(message("!Ref x").contains("constructor for the tag '!Ref'"));
    assert!(message("!!set {a, b}").contains("constructor"));
}

#[test]
fn keys_are_what_json_makes_of_them() {
    assert_eq!(
        read("{80: a, yes: b, ~: c, 1.5: d, 'x': e}"),
        json!({"80": "a", "true": "b", "null": "c", "1.5": "d", "x": "e"})
    );
    assert!(message("? [a]\n: b").contains("found unhashable key"));
}

#[test]
fn the_last_of_duplicate_keys_wins_and_order_is_kept() {
    let value = read("b: 1\na: 2\nb: 3\n");
    assert_eq!(value, json!({"b": 3, "a": 2}));
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(read(r#"{"a": 1, "a": 2}"#), json!({"a": 2}));
}

#[test]
fn anchors_and_merges_work() {
    let text = "base: &base {a: 1, b: 2}\nother: &other {b: 5, c: 6}\n\
                one: {<<: *base, b: 3}\ntwo: {b: 9, <<: [*base, *other]}\nthree: *base\nfour: {'<<': 1}\n";
    assert_eq!(
        read(text),
        json!({
            "base": {"a": 1, "b": 2}, "other": {"b": 5, "c": 6},
            "one": {"a": 1, "b": 3}, "two": {"b": 9, "a": 1, "c": 6}, "three": {"a": 1, "b": 2}, "four": {"<<": 1}
        })
    );
    assert!(message("a: {<<: 5}").contains("for merging"));
    assert!(message("a: &a [*a]").contains("anchor"));
    assert!(message("a: *nope").contains("line 1, column"), "{}", message("a: *nope"));
}

#[test]
fn faults_name_line_and_column() {
    assert!(message("a: 1\nb: [1, 2\nc: 3\n").starts_with("Template not in valid format: "));
    assert!(message("a: 1\n b: 2\n").contains("line 2, column"), "{}", message("a: 1\n b: 2\n"));
    assert!(message("a: 1\n---\nb: 2\n").contains("single document"));
    assert_eq!(parse_mapping("just text").unwrap_err().message(), "The Template must be a JSON or YAML document.");
    assert_eq!(parse_mapping("").unwrap(), Map::new());
}

#[test]
fn bombs_are_bounded() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "));
    }
    let merges = (1..40).fold(String::from("m0: &m0 {a: 1}\n"), |text, level| {
        let alias = format!("*m{}", level - 1);
        text + &format!("m{level}: &m{level} {{x{level}: {alias}, y{level}: {alias}, <<: {alias}}}\n")
    });
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(300_000), vec!["*a"; 40_000].join(","));
    for bomb in [laughs, merges, long, "[".repeat(500_000), "{a: ".repeat(100_000), "- ".repeat(200_000)] {
        let error = parse_value(&bomb).unwrap_err();
        assert_eq!(error.code(), "RequestLimitExceeded", "{error:?}");
    }
    let chain = (1..200)
        .fold(String::from("a0: &a0 [x]\n"), |text, level| text + &format!("a{level}: &a{level} [*a{}]\n", level - 1));
    assert!(parse_value(&chain).unwrap_err().message().contains("depth"));
    assert_eq!(parse_value(&" ".repeat(MAX_TEXT_BYTES + 1)).unwrap_err().code(), "RequestLimitExceeded");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse_value(&text);
    }

    #[test]
    fn no_near_yaml_panics(text in "[-a0:\\[\\]{},&*!<>|?#'\"%@` \n\t~=.]{0,120}") {
        let _ = parse_value(&text);
    }

    #[test]
    fn json_reads_as_json(value in prop::collection::hash_map("[a-z]{1,5}", any::<i32>(), 0..6)) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(parse_value(&text).unwrap(), json!(value));
    }
}
