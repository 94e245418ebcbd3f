use super::*;

const VALUES: Values<'static> = Values { user: "a\"b/c", nonce: "n1", round: 7 };

#[test]
fn fills_and_escapes_for_the_place() {
    let template = Template::parse("/ws/{{user}}?n={{ nonce }}&r={{round}}").unwrap();
    assert_eq!(template.fill(VALUES, Escaping::Url), "/ws/a%22b%2Fc?n=n1&r=7");
    let json = Template::parse(r#"{"a":{"user":"{{user}}"}}"#).unwrap();
    assert_eq!(json.fill(VALUES, Escaping::Json), r#"{"a":{"user":"a\"b/c"}}"#);
}

#[test]
fn braces_of_json_are_text_and_unknown_names_are_errors() {
    let text = r#"{{"a":{"b":{}}}"#;
    assert_eq!(Template::parse(text).unwrap().fill(VALUES, Escaping::None), text);
    assert_eq!(Template::parse("{{usr}}"), Err(TemplateError("usr".to_owned())));
}

#[test]
fn what_is_captured_is_a_place_of_flows_only() {
    let text = r#"{"run":"{{capture.run_id}}"}"#;
    assert_eq!(Template::parse(text), Err(TemplateError("capture.run_id".to_owned())));
    let template = Template::in_flow(text).unwrap();
    assert_eq!(template.fill_captured(VALUES, &Captured::new(), Escaping::Json), None);
    let captured = Captured::from([("run_id".to_owned(), Value::from("a\"b"))]);
    let filled = template.fill_captured(VALUES, &captured, Escaping::Json);
    assert_eq!(filled.as_deref(), Some(r#"{"run":"a\"b"}"#));
    assert!(Template::in_flow("{{capture.}}").is_err() && Template::in_flow("{{run_id}}").is_err());
}

#[test]
fn what_is_captured_keeps_its_type_where_it_stands_alone() {
    let captured = Captured::from([
        ("n".to_owned(), serde_json::json!(7)),
        ("o".to_owned(), serde_json::json!({"a": [true, null]})),
        ("t".to_owned(), serde_json::json!("7")),
    ]);
    for (text, filled) in [
        (r#"{"n":"{{capture.n}}","m":["{{ capture.n }}","{{capture.n}}"]}"#, r#"{"n":7,"m":[7,7]}"#),
        (r#"{"o":"{{capture.o}}"}"#, r#"{"o":{"a":[true,null]}}"#),
        (r#"{"t":"{{capture.t}}"}"#, r#"{"t":"7"}"#),
        (r#"{"n":"run {{capture.n}}","m":"{{capture.n}}{{capture.n}}"}"#, r#"{"n":"run 7","m":"77"}"#),
        (r#"{"{{capture.n}}":1,"{{capture.n}}" : 2}"#, r#"{"7":1,"7" : 2}"#),
        (r#"{"n":"\"{{capture.n}}","m":"\\{{capture.n}}"}"#, r#"{"n":"\"7","m":"\\7"}"#),
        (r#"{"o":"{{capture.o}} "}"#, r#"{"o":"{\"a\":[true,null]} "}"#),
    ] {
        let template = Template::in_flow(text).unwrap();
        assert_eq!(template.fill_captured(VALUES, &captured, Escaping::Json).unwrap(), filled, "{text}");
    }
    let template = Template::in_flow(r#"say "{{capture.n}}""#).unwrap();
    let text = template.fill_captured(VALUES, &captured, Escaping::None);
    assert_eq!(text.as_deref(), Some(r#"say "7""#), "no JSON");
}
