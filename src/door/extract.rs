//! Reading input: every extractor fails with a [`Problem`] that names the place and what would be right.

use super::{body::read_body, exact::Exact, respond::Failure};
use crate::base::{FieldError, JsonError, Problem, parse_strict};
use axum::RequestPartsExt;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A JSON body, read strictly: bounded, no key twice, unknown fields named.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// As [`Json`]; a request without a body says what an empty object says.
#[derive(Clone, Debug)]
pub struct OptionalJson<T>(pub T);

/// The query, with unknown and repeated parameters refused by name.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// The path's parameters.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// The whole body, bounded by the server's limit.
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        refuse_encoded(request.headers())?;
        Ok(Self(read_body(request.into_body()).await?))
    }
}

/// Bodies are bounded as they are: one that is packed could unfold to anything.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-content-encoding",
            "Unsupported content encoding",
            format!("Bodies are not taken in the encoding {}.", String::from_utf8_lossy(coding.as_bytes())),
        )
        .with_help("Send the body as it is, without Content-Encoding.")),
        _ => Ok(()),
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let request = Request::from_parts(parts, bytes.into());
        Json::from_request(request, state).await.map(|Json(value)| Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type != "application/json" && !media_type.ends_with("+json") {
            let got = if media_type.is_empty() { "none".to_owned() } else { media_type };
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                format!("This takes a body of type application/json; the request says {got}."),
            );
            return Err(Failure(problem.with_help("Send the header Content-Type: application/json.")));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        Ok(Self(read_json(&bytes)?))
    }
}

/// The value in a JSON text.
///
/// # Errors
/// 400 with line and column when it is no JSON we take; 422 with the field when it is not of the right shape.
pub fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request("The body is empty; JSON was expected.").with_kind("body-missing"));
    }
    let value = parse_strict(text).map_err(|error| not_json(&error))?;
    serde_path_to_error::deserialize(Exact(value)).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().to_string());
        let location = if path == "." { "body".to_owned() } else { format!("body.{path}") };
        let Some(unknown) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) else {
            return Problem::invalid_field(location, message);
        };
        let whole = format!(".{unknown}");
        let location = if location.ends_with(&whole) { location } else { location + &whole };
        // Whoever sends back what was answered deserves a plain word.
        if READ_ONLY.contains(&unknown) {
            let problem = Problem::invalid_field(location, "is set by the service and cannot be written");
            return problem.with_help("Leave this member out.");
        }
        Problem::invalid_field(location, message)
    })
}

/// Members of answers that look as if they could be set.
const READ_ONLY: [&str; 15] = [
    "id",
    "workspace",
    "registryName",
    "revision",
    "createdAt",
    "updatedAt",
    "deletedAt",
    "publishedAt",
    "statusChangedAt",
    "isLatest",
    "formatName",
    "findings",
    "versionCount",
    "operationCount",
    "digest",
];

fn not_json(error: &JsonError) -> Problem {
    let place = FieldError::new(format!("line {}, column {}", error.line, error.column), error.message.clone());
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-json",
        "Bad JSON",
        format!("The body is not the JSON this takes: {error}."),
    )
    .with_errors(vec![place])
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        Ok(Self(read_query(parts.uri.query().unwrap_or_default())?))
    }
}

/// The value in a query string: parameters arrive as text, those that look like numbers or booleans are tried as such.
///
/// # Errors
/// 400 for broken escapes, U+0000 and repeated parameters; 422 with the parameter for a wrong or unknown one.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut map = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if map.contains_key(&name) {
            return Err(Problem::bad_request(format!("The parameter {name:?} stands twice in the query.")));
        }
        map.insert(name, Value::String(value));
    }
    serde_path_to_error::deserialize(text_values::Texts(map)).map_err(|error| {
        let path = error.path().to_string();
        let location = if path == "." { "query".to_owned() } else { format!("query.{path}") };
        Problem::invalid_field(location, error.inner().to_string())
    })
}

/// `%41` -> `A`, `+` -> space.
fn decode(text: &str) -> Result<String, Problem> {
    unescaped(&text.replace('+', " ")).map_err(|reason| Problem::bad_request(format!("{text:?} {reason}.")))
}

/// A part of a URL without its escapes.
///
/// # Errors
/// What is wrong, to follow the part's name: half an escape, bytes that are no UTF-8, or a NUL.
pub(super) fn unescaped(text: &str) -> Result<String, &'static str> {
    let bytes = text.as_bytes();
    let mut escapes = memchr::memchr_iter(b'%', bytes);
    if !escapes.all(|at| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))) {
        return Err("holds a broken percent escape");
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "is no UTF-8 once its escapes are read")?;
    if decoded.contains('\0') { Err("holds the character U+0000") } else { Ok(decoded.into_owned()) }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let params = parts
            .extract::<RawPathParams>()
            .await
            .map_err(|_| Problem::bad_request("The path is no UTF-8 once its escapes are read."))?;
        let mut map = Map::new();
        for (name, value) in &params {
            if value.contains('\0') {
                return Err(Failure(Problem::bad_request("The path holds the character U+0000.")));
            }
            map.insert(name.to_owned(), Value::String(value.to_owned()));
        }
        let value = serde_path_to_error::deserialize(text_values::Texts(map)).map_err(|error| {
            Problem::not_found(format!("The path's {} does not fit: {}.", error.path(), error.inner()))
        })?;
        Ok(Self(value))
    }
}

/// A map of texts whose values serve where numbers, booleans and enums are wanted.
mod text_values {
    use serde::de::value::MapDeserializer;
    use serde::de::{Deserializer, Error, IntoDeserializer, Visitor};
    use serde::forward_to_deserialize_any;
    use serde_json::{Map, Value};

    pub struct Texts(pub Map<String, Value>);

    impl<'de> Deserializer<'de> for Texts {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let pairs = self.0.into_iter().map(|(name, value)| match value {
                Value::String(text) => (name, Text(text)),
                other => (name, Text(other.to_string())),
            });
            visitor.visit_map(MapDeserializer::new(pairs))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    pub struct Text(String);

    impl IntoDeserializer<'_, serde::de::value::Error> for Text {
        type Deserializer = Self;
        fn into_deserializer(self) -> Self {
            self
        }
    }

    macro_rules! parsed {
        ($($method:ident $visit:ident $what:literal),+ $(,)?) => {$(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
                match self.0.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Self::Error::custom(format_args!("{:?} is not {}", self.0, $what))),
                }
            }
        )+};
    }

    impl<'de> Deserializer<'de> for Text {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.visit_string(self.0)
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.visit_some(self)
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _name: &'static str,
            _variants: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            visitor.visit_enum(self.0.into_deserializer())
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            visitor.visit_newtype_struct(self)
        }

        parsed! {
            deserialize_bool visit_bool "true or false",
            deserialize_i64 visit_i64 "a whole number",
            deserialize_i32 visit_i32 "a whole number",
            deserialize_u64 visit_u64 "a whole number of 0 or more",
            deserialize_u32 visit_u32 "a whole number of 0 or more",
            deserialize_u16 visit_u16 "a whole number of 0 or more",
            deserialize_f64 visit_f64 "a number",
            deserialize_f32 visit_f32 "a number",
        }

        forward_to_deserialize_any! {
            i8 i16 i128 u8 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
            identifier ignored_any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        q: Option<String>,
        limit: Option<u32>,
        deep: Option<bool>,
        kind: Option<crate::catalog::Kind>,
    }

    #[test]
    fn a_query_is_read_by_the_types_that_are_wanted() {
        let asked: Asked = read_query("q=7%20days&limit=20&deep=true&kind=mcp").unwrap();

        let expected = Asked {
            q: Some("7 days".into()),
            limit: Some(20),
            deep: Some(true),
            kind: Some(crate::catalog::Kind::Mcp),
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn what_is_wrong_in_a_query_is_named() {
        for (query, expected) in [
            ("limit=many", "query.limit: \"many\" is not a whole number"),
            ("limit=-1", "query.limit"),
            ("kind=toaster", "query.kind: unknown variant `toaster`"),
            ("colour=red", "unknown field `colour`"),
            ("q=a&q=b", "stands twice"),
            ("q=%zz", "broken percent escape"),
            ("q=%00", "U+0000"),
            ("q=%ff", "no UTF-8"),
        ] {
            let detail = read_query::<Asked>(query).unwrap_err().detail;
            assert!(detail.contains(expected), "{query}: {detail}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_body_is_named_with_its_place() {
        let wrong = read_json::<Asked>(br#"{"limit": "x"}"#).unwrap_err();
        assert_eq!((wrong.status.as_u16(), wrong.errors[0].location.as_str()), (422, "body.limit"));

        let wrong = read_json::<Asked>(br#"{"colour": "red"}"#).unwrap_err();
        assert_eq!(wrong.errors[0].location, "body.colour");

        let wrong = read_json::<Asked>(br#"{"createdAt": "now"}"#).unwrap_err();
        assert_eq!(wrong.errors[0].message, "is set by the service and cannot be written");

        let wrong = read_json::<Asked>(b"{\"q\": 1,\n}").unwrap_err();
        assert_eq!((wrong.status.as_u16(), wrong.errors[0].location.as_str()), (400, "line 2, column 1"));
    }
}
