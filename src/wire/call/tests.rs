//! What is read of a request, and what of it is changed.

use super::*;

#[test]
fn a_chat_is_read_by_reference() {
    let body = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"n":2,"max_tokens":7,
        "stream":true,"tools":[{}],"user":"ann","top_k":{"unknown":[1]}}"#;

    let call = Call::read(Dialect::Chat, body, None).unwrap();

    assert_eq!((call.model.as_str(), call.choices, call.max_output), ("gpt-4o", 2, Some(7)));
    assert_eq!(call.prompt.unwrap().of(body), br#"[{"role":"user","content":"hi"}]"#);
    assert_eq!(call.tools.unwrap().of(body), b"[{}]");
    assert_eq!(call.model_at.unwrap().of(body), b"\"gpt-4o\"");
    assert!(call.stream && !call.wants_usage);
    assert_eq!(call.user.as_deref(), Some("ann"));
}

#[test]
fn other_dialects_have_their_names_for_things() {
    let messages = br#"{"model":"claude","max_tokens":5,"system":"be brief","messages":[],"metadata":{"user_id":"u"}}"#;
    let call = Call::read(Dialect::Messages, messages, None).unwrap();
    assert_eq!((call.user.as_deref(), call.max_output), (Some("u"), Some(5)));
    assert_eq!(call.instructions.unwrap().of(messages), b"\"be brief\"");

    let responses = br#"{"model":"o3","input":"hi","max_output_tokens":5,"previous_response_id":"resp_1"}"#;
    let call = Call::read(Dialect::Responses, responses, None).unwrap();
    assert_eq!((call.previous_response.as_deref(), call.max_output), (Some("resp_1"), Some(5)));

    let azure = br#"{"messages":[]}"#;
    let call = Call::read(Dialect::Chat, azure, Some("my-deployment")).unwrap();
    assert_eq!((call.model.as_str(), call.model_at), ("my-deployment", None));
}

#[test]
fn what_cannot_be_acted_on_is_refused_with_its_field() {
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for (body, expected) in [
        (r#"{"messages":[]}"#, "`model` is missing"),
        (r#"{"model":"m"}"#, "`messages` is missing"),
        (r#"{"model":7,"messages":[]}"#, "must be a text"),
        (r#"{"model":"a","model":"b","messages":[]}"#, "duplicate field"),
        (r#"{"model":"a","mod\u0065l":"b","messages":[]}"#, "duplicate field"),
        (r#"{"model":"m","messages":[],"stream":"yes"}"#, "cannot be read"),
        (r#"{"model":"m","messages":[],"max_tokens":-1}"#, "cannot be read"),
        (r#"{"model":"m","messages":[],"max_tokens":"many"}"#, "cannot be read"),
        (r#"{"model":"m","messages":[],"n":-1}"#, "cannot be read"),
        ("[]", "cannot be read"),
        ("null", "cannot be read"),
        ("{", "cannot be read"),
        ("\u{feff}{}", "cannot be read"),
        ("", "cannot be read"),
        (&deep, "nested deeper"),
    ] {
        let error = Call::read(Dialect::Chat, body.as_bytes(), None).unwrap_err();
        assert!(error.message.contains(expected), "{body:.40}: {error}");
    }
}

#[test]
fn only_what_must_change_changes() {
    let plain = br#" {"model": "fast", "messages":[], "x":1}"#;
    let call = Call::read(Dialect::Chat, plain, None).unwrap();
    assert_eq!(rewritten(&call, plain, "fast", true), None);
    assert_eq!(rewritten(&call, plain, "gpt-4o", true).unwrap(), br#" {"model": "gpt-4o", "messages":[], "x":1}"#);

    let stream = br#"{"model":"fast","stream":true,"messages":[]}"#;
    let call = Call::read(Dialect::Chat, stream, None).unwrap();
    let expected = br#"{"stream_options":{"include_usage":true},"model":"gpt-4o","stream":true,"messages":[]}"#;
    assert_eq!(rewritten(&call, stream, "gpt-4o", true).unwrap(), expected);

    let options = br#"{"model":"m","stream":true,"stream_options":{"a":1,"include_usage":false},"messages":[]}"#;
    let call = Call::read(Dialect::Chat, options, None).unwrap();
    let expected = br#"{"model":"m","stream":true,"stream_options":{"a":1,"include_usage":true},"messages":[]}"#;
    assert_eq!(rewritten(&call, options, "m", true).unwrap(), expected);
}

#[test]
fn the_body_names_the_model_that_was_looked_at_whatever_it_said() {
    for (body, expected) in [
        (r#"{"model":"dear","messages":[]}"#, r#"{"model":"cheap","messages":[]}"#),
        (r#"{"model":7,"messages":[]}"#, r#"{"model":"cheap","messages":[]}"#),
        (r#"{"messages":[]}"#, r#"{"model":"cheap","messages":[]}"#),
    ] {
        let call = Call::read(Dialect::Chat, body.as_bytes(), Some("cheap")).unwrap();
        assert_eq!(rewritten(&call, body.as_bytes(), "cheap", false).as_deref(), Some(expected.as_bytes()));
    }

    let same = br#"{"model":"cheap","messages":[]}"#;
    let call = Call::read(Dialect::Chat, same, Some("cheap")).unwrap();
    assert_eq!(rewritten(&call, same, "cheap", false), None);
}

#[test]
fn texts_are_found_without_reading_the_rest() {
    for (dialect, json, expected) in [
        (Dialect::Chat, r#"{"choices":[{"delta":{"content":"a\"content\":\"b\n"}}]}"#, "a\"content\":\"b\n"),
        (Dialect::Chat, r#"{"delta":{"tool_calls":[{"function":{"arguments": "{\"a\""}}]}}"#, "{\"a\""),
        (Dialect::Chat, r#"{"choices":[{"delta":{"content":null}}]}"#, ""),
        (Dialect::Messages, r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"hey"}}"#, "hey"),
        (Dialect::Responses, r#"{"type":"response.output_text.delta","delta":"hey"}"#, "hey"),
    ] {
        let mut all = String::new();
        each_text(dialect, json.as_bytes(), |text| all.push_str(text));
        assert_eq!(all, expected, "{json}");
    }
    let whole = r#"{"object":"response","text":{"format":{"type":"text"}},"output":[{"type":"reasoning","summary":[{"text":"a"}]},
        {"content":[{"type":"output_text","text":"b"}]},{"type":"function_call","arguments":"{}"}]}"#;
    let mut all = String::new();
    each_text_of_whole(Dialect::Responses, whole.as_bytes(), |text| all.push_str(text));
    assert_eq!(all, "ab{}");
}
