//! `Fault`: a JSON-RPC error and the HTTP status it goes out with.

use serde_json::{Map, Value, json};

/// Why a message is refused before any handler sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    pub code: i32,
    pub message: String,
    pub data: Option<Value>,
    /// Of the request, where it could be read.
    pub id: Option<Value>,
}

impl Fault {
    pub const PARSE_ERROR: i32 = -32_700;
    pub const INVALID_REQUEST: i32 = -32_600;
    pub const METHOD_NOT_FOUND: i32 = -32_601;
    pub const INVALID_PARAMS: i32 = -32_602;
    pub const HEADER_MISMATCH: i32 = -32_020;
    pub const UNSUPPORTED_VERSION: i32 = -32_022;

    /// Boxed, as all functions here give it: large beside the good case.
    pub(super) fn of(status: u16, code: i32, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { status, code, message: message.into(), data: None, id: None })
    }

    pub(super) fn parse_error(why: String) -> Box<Self> {
        Self::of(400, Self::PARSE_ERROR, format!("The body is not JSON that is read here: {why}."))
    }

    pub(super) fn invalid_request(id: Option<Value>, why: &str) -> Box<Self> {
        Self::of(400, Self::INVALID_REQUEST, why).with_id(id)
    }

    pub(super) fn with_id(mut self: Box<Self>, id: Option<Value>) -> Box<Self> {
        self.id = id;
        self
    }

    pub(super) fn with_data(mut self: Box<Self>, data: Value) -> Box<Self> {
        self.data = Some(data);
        self
    }

    /// The error response.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut response = Map::new();
        response.insert("jsonrpc".to_owned(), "2.0".into());
        if let Some(id) = &self.id {
            response.insert("id".to_owned(), id.clone());
        }
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        response.insert("error".to_owned(), error);
        Value::Object(response)
    }
}
