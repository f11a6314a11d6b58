//! The Model Context Protocol on HTTP, before any handler: which era a request speaks, and whether its headers and its
//! body say the same.
//!
//! Revisions up to 2025-11-25 begin with `initialize` (the legacy era). Since 2026-07-28 (the modern era) each request
//! stands alone: it carries its version and the client's capabilities in `_meta`, and repeats in headers what
//! intermediaries act on. One path serves both; [`examine`] tells them apart and refuses what contradicts itself, with
//! the codes and statuses of the specification.

mod era;
mod fault;
mod headers;
mod params;
#[cfg(test)]
mod probes;

pub use era::{Era, LEGACY_NEWEST, MODERN, VERSIONS};
pub use fault::Fault;

use crate::base::parse_strict;
use era::Signs;
use http::HeaderMap;
use serde_json::{Map, Value};

/// Names of members of `params._meta`.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A message that may be handed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub era: Era,
    pub method: String,
    /// A string or a number; absent for notifications.
    pub id: Option<Value>,
}

/// What the message in `body` is, once it is one and agrees with its headers.
///
/// # Errors
/// [`Fault`] with the JSON-RPC error and the HTTP status that the specification asks for.
pub fn examine(headers: &HeaderMap, body: &[u8]) -> Result<Message, Box<Fault>> {
    let value = parse_strict(body).map_err(|error| Fault::parse_error(error.to_string()))?;
    let message = shaped(&value)?;
    let members = value.as_object().expect("shaped() refuses anything else");
    let params = members.get("params").and_then(Value::as_object);
    let meta = params.and_then(|params| params.get("_meta")).and_then(Value::as_object);

    let signs = Signs {
        // Its parameters name a version. Without that, and with modern ones, it is a method the modern era has not.
        is_initialize: message.method == "initialize"
            && (meta.is_none() || params.is_some_and(|params| params.contains_key("protocolVersion"))),
        header_version: headers::single(headers, headers::VERSION).map_err(|why| message.mismatch(why))?,
        body_version: meta.and_then(|meta| meta.get(META_VERSION)).and_then(Value::as_str),
        has_method_header: headers.contains_key(headers::METHOD),
        is_discover: message.method == "server/discover",
    };
    let message = Message { era: signs.era(), ..message };
    match message.era {
        Era::Modern => check_modern(headers, &message, &signs, params, meta)?,
        Era::Legacy => check_legacy(headers, &message, &signs)?,
    }
    if message.id.is_some() {
        params::check(&message.method, members.get("params"))
            .map_err(|why| message.fault(200, Fault::INVALID_PARAMS, why))?;
    }
    Ok(message)
}

/// A request or notification as JSON-RPC 2.0 shapes it; the era is not known yet.
fn shaped(value: &Value) -> Result<Message, Box<Fault>> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(_) => {
            return Err(Fault::invalid_request(
                None,
                "Batches are not taken; send each message in a request of its own.",
            ));
        }
        _ => return Err(Fault::invalid_request(None, "A message is a JSON object.")),
    };
    let id = match members.get("id") {
        None => None,
        Some(id @ (Value::String(_) | Value::Number(_))) => Some(id.clone()),
        Some(_) => return Err(Fault::invalid_request(None, "`id` is a string or a number.")),
    };
    let invalid = |why: &str| Err(Fault::invalid_request(id.clone(), why));
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return invalid("`jsonrpc` must be \"2.0\".");
    }
    let Some(method) = members.get("method") else {
        let is_answer = members.contains_key("result") || members.contains_key("error");
        return invalid(if is_answer {
            "This server asks nothing, so it takes no answers."
        } else {
            "`method` is missing."
        });
    };
    let Some(method) = method.as_str() else { return invalid("`method` is a string.") };
    if members.get("params").is_some_and(|params| !params.is_object()) {
        return Err(Fault::of(400, Fault::INVALID_PARAMS, "`params` is an object.").with_id(id));
    }
    Ok(Message { era: Era::Legacy, method: method.to_owned(), id })
}

fn check_modern(
    headers: &HeaderMap,
    message: &Message,
    signs: &Signs<'_>,
    params: Option<&Map<String, Value>>,
    meta: Option<&Map<String, Value>>,
) -> Result<(), Box<Fault>> {
    let Some(header_version) = signs.header_version else {
        return Err(message.mismatch("the header MCP-Protocol-Version is missing".to_owned()));
    };
    if message.id.is_some() {
        let invalid = |why: String| Err(message.fault(400, Fault::INVALID_PARAMS, why));
        let Some(body_version) = signs.body_version else {
            return invalid(format!("`params._meta` must carry \"{META_VERSION}\", a string."));
        };
        if header_version != body_version {
            return Err(message.mismatch(format!(
                "MCP-Protocol-Version is {header_version}, but `params._meta` says {body_version}"
            )));
        }
        if !meta.is_some_and(|meta| meta.get(META_CAPABILITIES).is_some_and(Value::is_object)) {
            return invalid(format!("`params._meta` must carry \"{META_CAPABILITIES}\", an object."));
        }
    }
    if !VERSIONS.contains(&header_version) {
        return Err(message.unsupported(header_version));
    }
    headers::check(headers, &message.method, params).map_err(|why| message.mismatch(why))?;
    match message.method.as_str() {
        "initialize" => Err(message.fault(404, Fault::METHOD_NOT_FOUND, "There is no handshake since 2026-07-28.")),
        _ => Ok(()),
    }
}

fn check_legacy(headers: &HeaderMap, message: &Message, signs: &Signs<'_>) -> Result<(), Box<Fault>> {
    // `initialize` negotiates in its body; a header it carries is of an older or newer habit and says nothing more.
    if signs.is_initialize {
        return match headers::single(headers, headers::METHOD) {
            Ok(Some(method)) if method != "initialize" => {
                Err(message.mismatch(format!("Mcp-Method is {method}, but the body's method is initialize")))
            }
            Ok(_) => Ok(()),
            Err(why) => Err(message.mismatch(why)),
        };
    }
    match signs.header_version {
        Some(version) if !VERSIONS.contains(&version) => Err(message.unsupported(version)),
        _ => Ok(()),
    }
}

impl Message {
    fn fault(&self, status: u16, code: i32, message: impl Into<String>) -> Box<Fault> {
        Fault::of(status, code, message).with_id(self.id.clone())
    }

    fn mismatch(&self, why: String) -> Box<Fault> {
        self.fault(400, Fault::HEADER_MISMATCH, format!("Header mismatch: {why}."))
    }

    fn unsupported(&self, requested: &str) -> Box<Fault> {
        self.fault(400, Fault::UNSUPPORTED_VERSION, format!("Protocol version {requested} is not spoken here."))
            .with_data(serde_json::json!({"supported": VERSIONS, "requested": requested}))
    }
}
