//! What a server has to take and to refuse, as a table: one probe a line.

use super::{Era, Fault, examine};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn call() -> Value {
    modern("tools/call", json!({"name": "search_catalog", "arguments": {}}))
}

fn with(mut value: Value, pointer: &str, member: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = member;
    value
}

const V: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
const CALL: (&str, &str) = ("Mcp-Method", "tools/call");
const NAMED: (&str, &str) = ("mcp-name", "search_catalog");

type Probe = (&'static str, Vec<(&'static str, &'static str)>, String, Result<Era, (u16, i32)>);

fn probes() -> Vec<Probe> {
    use Era::{Legacy, Modern};
    let meta = "/params/_meta";
    let version = "/params/_meta/io.modelcontextprotocol~1protocolVersion";
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let initialize = |version: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "probe", "version": "1"}}})
    };
    let future = || with(call(), version, json!("2099-01-01"));
    let of = |value: Value| value.to_string();
    vec![
        ("modern discover", vec![V, ("Mcp-Method", "server/discover")], of(modern("server/discover", json!({}))), Ok(Modern)),
        ("modern call", vec![V, CALL, NAMED], of(call()), Ok(Modern)),
        ("name in base64", vec![V, CALL, ("Mcp-Name", "=?base64?c2VhcmNoX2NhdGFsb2c=?=")], of(call()), Ok(Modern)),
        ("stray session id", vec![V, CALL, NAMED, ("Mcp-Session-Id", "x")], of(call()), Ok(Modern)),
        ("unknown parameter header", vec![V, CALL, NAMED, ("Mcp-Param-X", "y")], of(call()), Ok(Modern)),
        ("method header missing", vec![V, NAMED], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("method header of another case", vec![V, ("Mcp-Method", "TOOLS/CALL"), NAMED], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("name header missing", vec![V, CALL], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("name header mismatching", vec![V, CALL, ("Mcp-Name", "other")], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("name header with bad base64", vec![V, CALL, ("Mcp-Name", "=?base64?%?=")], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("header and body of two versions", vec![("MCP-Protocol-Version", "2025-11-25"), CALL, NAMED], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("version header missing", vec![CALL, NAMED], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("only the body is modern", vec![], of(call()), Err((400, Fault::HEADER_MISMATCH))),
        ("modern header, no meta", vec![V, ("Mcp-Method", "tools/list")], of(list.clone()), Err((400, Fault::INVALID_PARAMS))),
        ("capabilities missing", vec![V, CALL, NAMED], of(with(call(), meta, json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}))), Err((400, Fault::INVALID_PARAMS))),
        ("capabilities of a wrong type", vec![V, CALL, NAMED], of(with(call(), "/params/_meta/io.modelcontextprotocol~1clientCapabilities", json!([]))), Err((400, Fault::INVALID_PARAMS))),
        ("a version to come", vec![("MCP-Protocol-Version", "2099-01-01"), CALL, NAMED], of(future()), Err((400, Fault::UNSUPPORTED_VERSION))),
        ("a version that never was", vec![("MCP-Protocol-Version", "1999-01-01")], of(list.clone()), Err((400, Fault::UNSUPPORTED_VERSION))),
        ("an unknown method is for the handler", vec![V, ("Mcp-Method", "no/such")], of(modern("no/such", json!({}))), Ok(Modern)),
        ("initialize", vec![], of(initialize("2025-06-18")), Ok(Legacy)),
        ("initialize naming the modern version", vec![V], of(initialize("2026-07-28")), Ok(Legacy)),
        (
            "initialize as a modern request",
            vec![V, ("Mcp-Method", "initialize")],
            of(modern("initialize", json!({}))),
            Err((404, Fault::METHOD_NOT_FOUND)),
        ),
        ("initialize under another method's header", vec![V, CALL], of(initialize("2025-06-18")), Err((400, Fault::HEADER_MISMATCH))),
        ("initialize without client", vec![], json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}}}).to_string(), Err((200, Fault::INVALID_PARAMS))),
        ("legacy list without session", vec![], of(list.clone()), Ok(Legacy)),
        ("legacy list with version", vec![("MCP-Protocol-Version", "2025-11-25")], of(list), Ok(Legacy)),
        ("legacy ping", vec![], r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#.to_owned(), Ok(Legacy)),
        ("notification", vec![], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(), Ok(Legacy)),
        ("call without a name", vec![], r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#.to_owned(), Err((200, Fault::INVALID_PARAMS))),
        ("arguments that are a list", vec![], r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[]}}"#.to_owned(), Err((200, Fault::INVALID_PARAMS))),
        ("params that are a list", vec![], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#.to_owned(), Err((400, Fault::INVALID_PARAMS))),
        ("a batch", vec![], r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_owned(), Err((400, Fault::INVALID_REQUEST))),
        ("half a message", vec![], "{".to_owned(), Err((400, Fault::PARSE_ERROR))),
        ("no message", vec![], String::new(), Err((400, Fault::PARSE_ERROR))),
        ("a key twice", vec![], r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#.to_owned(), Err((400, Fault::PARSE_ERROR))),
        ("too deep", vec![], format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)), Err((400, Fault::PARSE_ERROR))),
        ("not an object", vec![], "7".to_owned(), Err((400, Fault::INVALID_REQUEST))),
        ("another JSON-RPC", vec![], r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.to_owned(), Err((400, Fault::INVALID_REQUEST))),
        ("id null", vec![], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_owned(), Err((400, Fault::INVALID_REQUEST))),
        ("no method", vec![], r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), Err((400, Fault::INVALID_REQUEST))),
        ("an answer", vec![], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), Err((400, Fault::INVALID_REQUEST))),
    ]
}

#[test]
fn every_probe_is_taken_or_refused_as_the_specification_says() {
    for (name, pairs, body, expected) in probes() {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();

        let got = examine(&headers, body.as_bytes());

        assert_eq!(
            got.as_ref().map(|message| message.era).map_err(|fault| (fault.status, fault.code)),
            expected,
            "{name}: {got:?}"
        );
    }
}

#[test]
fn a_refusal_echoes_the_id_and_says_what_would_do() {
    let mut headers = HeaderMap::new();
    headers.insert("mcp-protocol-version", HeaderValue::from_static("1999-01-01"));
    let fault = examine(&headers, br#"{"jsonrpc":"2.0","id":"abc","method":"tools/list"}"#).unwrap_err();

    let body = fault.body();
    assert_eq!(body["id"], "abc");
    assert_eq!(body["error"]["data"]["requested"], "1999-01-01");
    assert_eq!(body["error"]["data"]["supported"].as_array().unwrap().len(), 5);
    assert!(examine(&HeaderMap::new(), b"{").unwrap_err().body().get("id").is_none());
}
