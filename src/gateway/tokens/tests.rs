//! What bodies of every shape count as.

use super::*;
use base64::Engine;
use serde_json::json;

fn input(dialect: Dialect, model: &str, body: &serde_json::Value) -> u64 {
    estimated(dialect, model, &body.to_string()).input
}

/// What a body that can be read counts as.
fn estimated(dialect: Dialect, model: &str, body: &str) -> Estimate {
    let call = Call::read(dialect, body.as_bytes(), Some(model)).unwrap();
    estimate(&call, model, body.as_bytes())
}

#[test]
fn the_cookbooks_conversation_counts_as_the_vendor_counted_it() {
    let body = json!({"messages": [
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
        {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
        {"role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ]});

    assert_eq!(input(Dialect::Chat, "gpt-4", &body), 129);
    assert_eq!(input(Dialect::Chat, "gpt-4o", &body), 124);
}

#[test]
fn the_cookbooks_tools_count_as_the_vendor_counted_them() {
    let body = json!({
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
            {"role": "user", "content": "What's the weather like in San Francisco?"},
        ],
        "tools": [{
            "type": "function",
            "function": {
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                        "unit": {"type": "string", "description": "The unit of temperature to return",
                                 "enum": ["celsius", "fahrenheit"]},
                    },
                    "required": ["location"],
                },
            },
        }],
    });

    assert_eq!(input(Dialect::Chat, "gpt-4", &body), 105);
    assert_eq!(input(Dialect::Chat, "gpt-4o", &body), 101);
}

#[test]
fn each_shape_counts_the_same_words() {
    let words = "Where is berth nine?";
    let plain = count_text("gpt-4o", words);

    for (dialect, body, overhead) in [
        (Dialect::Chat, json!({"messages": [{"role": "user", "content": words}]}), 7),
        (Dialect::Chat, json!({"messages": [{"role": "user", "content": [{"type": "text", "text": words}]}]}), 7),
        (Dialect::Responses, json!({"input": words}), 7),
        (
            Dialect::Responses,
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": words}]}]}),
            7,
        ),
        (Dialect::Messages, json!({"messages": [{"role": "user", "content": words}]}), 7),
        (Dialect::Embeddings, json!({"input": words}), 0),
        (Dialect::Embeddings, json!({"input": [words]}), 0),
    ] {
        assert_eq!(input(dialect, "gpt-4o", &body), plain + overhead, "{dialect:?} {body}");
    }
    assert_eq!(input(Dialect::Embeddings, "text-embedding-3-small", &json!({"input": [[1, 2, 3], [4]]})), 4);
}

#[test]
fn a_text_counts_the_same_whatever_lies_beside_it() {
    for (role, text) in [
        ("user", "The quick brown fox"),
        ("user", "with \"quotes\", a line\nand \u{1f600}"),
        ("assistant", ""),
        ("a role that is none of the known", "and a text"),
    ] {
        let alone = json!({"role": role, "content": text});
        let beside = json!({"role": role, "content": text, "refusal": null, "other": [1, {"content": "not said"}]});

        let [alone, beside, mixed] = [json!([alone, alone]), json!([beside, beside]), json!([alone, beside])]
            .map(|messages| input(Dialect::Chat, "gpt-4o", &json!({"messages": messages})));

        assert_eq!((alone, alone), (beside, mixed), "{role}: {text}");
    }
}

#[test]
fn what_the_reply_may_be_is_read() {
    for (body, ceiling, replies) in [
        (json!({"messages": [], "max_tokens": 200}), Some(200), 1),
        (json!({"messages": [], "max_completion_tokens": 50, "n": 3}), Some(50), 3),
        (json!({"messages": []}), None, 1),
    ] {
        let estimate = estimated(Dialect::Chat, "gpt-4o", &body.to_string());
        assert_eq!((estimate.ceiling, estimate.replies), (ceiling, replies), "{body}");
    }
}

#[test]
fn an_image_counts_by_its_size_and_not_by_its_bytes() {
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
    ]}]});

    assert_eq!(input(Dialect::Chat, "gpt-4o", &body), 7 + count_text("gpt-4o", "What is this?") + 85);
}

#[test]
fn no_body_makes_it_fail() {
    for body in [
        "{\"messages\": 3}",
        "{\"messages\": [null, 1, \"a\", {\"content\": {}}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}",
        "{\"input\": {}}",
        "{\"messages\":[{\"content\":[{\"image_url\":[]},{\"source\":7},[],null]}],\"tools\":{\"a\":1}}",
    ] {
        for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Embeddings, Dialect::Messages] {
            // Some lack what another dialect needs, and are refused.
            let Ok(call) = Call::read(dialect, body.as_bytes(), Some("gpt-4o")) else { continue };
            assert!(estimate(&call, "gpt-4o", body.as_bytes()).input < 2_000, "{body}");
        }
    }
}

#[test]
fn a_document_counts_by_what_it_says() {
    let words = "Where is berth nine? ".repeat(200);
    let of = |content: &serde_json::Value| {
        input(Dialect::Messages, "gpt-4o", &json!({"messages": [{"role": "user", "content": content}]}))
    };
    let plain = of(&json!([{"type": "text", "text": words}]));
    let title = count_text("gpt-4o", "Berths");

    for source in [
        json!({"type": "text", "media_type": "text/plain", "data": words}),
        json!({"type": "content", "content": words}),
        json!({"type": "content", "content": [{"type": "text", "text": words}]}),
    ] {
        let document = json!([{"type": "document", "source": source, "title": "Berths"}]);
        assert_eq!(of(&document), plain + title, "{source:.60}");
    }
}

#[test]
fn a_file_counts_and_the_count_is_no_longer_exact() {
    let encoded = base64::engine::general_purpose::STANDARD.encode("Where is berth nine? ".repeat(200));
    let text = count_text("gpt-4o", &"Where is berth nine? ".repeat(200));
    let address = format!("data:text/plain;base64,{encoded}");
    for (dialect, part, least) in [
        (Dialect::Chat, json!({"type": "file", "file": {"filename": "a.txt", "file_data": address}}), text),
        (Dialect::Chat, json!({"type": "file", "file": {"file_id": "file_1"}}), file::UNKNOWN),
        (Dialect::Responses, json!({"type": "input_file", "filename": "a.txt", "file_data": address}), text),
        (Dialect::Responses, json!({"type": "input_file", "file_url": "https://example.org/a.pdf"}), file::UNKNOWN),
        (Dialect::Responses, json!({"type": "input_image", "file_id": "file_1"}), 765),
        (Dialect::Messages, json!({"type": "document", "source": {"type": "base64", "data": encoded}}), text),
        (Dialect::Messages, json!({"type": "document", "source": {"type": "url", "url": "a"}}), file::UNKNOWN),
    ] {
        let said = json!([{"role": "user", "content": [part]}]);
        let body = json!({"messages": said, "input": said}).to_string();

        let estimate = estimated(dialect, "gpt-4o", &body);

        assert_eq!((estimate.input, estimate.exact), (least + MESSAGE + 1 + REPLY, false), "{part:.60}");
    }
}
