//! What a body to register carries: the register body, or a bare document, told apart by its type and what is in it.

use crate::base::{Name, Problem};
use crate::catalog::{Kind, NewAsset, NewDefinition, Stage, Visibility};
use crate::door::{Body, Failure, read_json};
use crate::wire::Format;
use axum::extract::{FromRequest, Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

/// What is to be registered.
#[derive(Debug, PartialEq)]
pub struct Registration(pub NewAsset);

/// What the query says in place of the body or its document.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegisterQuery {
    /// The asset's name, in place of the one made of the document's title.
    #[param(value_type = Option<String>, max_length = 200, pattern = "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    name: Option<Name>,
    kind: Option<Kind>,
    visibility: Option<Visibility>,
    stage: Option<Stage>,
    /// The version's name, in place of the document's.
    #[param(min_length = 1, max_length = 255)]
    version: Option<String>,
}

impl Registration {
    /// The body with what the query says in its place.
    ///
    /// # Errors
    /// 422 when both name the asset, and differently.
    pub fn with(self, query: RegisterQuery) -> Result<NewAsset, Problem> {
        let mut new = self.0;
        if let (Some(said), Some(asked)) = (&new.name, &query.name)
            && said != asked
        {
            return Err(Problem::invalid_field("query.name", format!("the body says {said}, the query {asked}")));
        }
        new.name = query.name.or(new.name);
        new.kind = query.kind.or(new.kind);
        new.visibility = query.visibility.or(new.visibility);
        if query.stage.is_some() || query.version.is_some() {
            let version = new.version.get_or_insert_default();
            version.stage = query.stage.or(version.stage);
            version.name = query.version.or(version.name.take());
        }
        Ok(new)
    }
}

impl<S: Send + Sync> FromRequest<S> for Registration {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let media = MediaType::of(&request)?;
        let Body(bytes) = Body::from_request(request, state).await?;
        Ok(Self(read(media, &bytes)?))
    }
}

/// How a body is to be understood, by what its sender calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// The register body or a document.
    Json,
    /// A document, of this format where the type says one.
    Document(Option<Format>),
}

impl MediaType {
    /// # Errors
    /// 415 for forms and what nobody sends a document as.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let value =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/json" => Ok(Self::Json),
            "text/markdown" => Ok(Self::Document(Some(Format::Markdown))),
            "application/graphql" => Ok(Self::Document(Some(Format::GraphQl))),
            "" | "application/octet-stream" | "application/yaml" | "application/x-yaml" | "application/xml" => {
                Ok(Self::Document(None))
            }
            openapi
                if openapi.starts_with("application/vnd.oai.openapi") || openapi.starts_with("application/openapi") =>
            {
                Ok(Self::Document(Some(Format::OpenApi)))
            }
            other
                if other.starts_with("text/")
                    || other.ends_with("+json")
                    || other.ends_with("+yaml")
                    || other.ends_with("+xml") =>
            {
                Ok(Self::Document(None))
            }
            other => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                format!("A body of type {other} is not taken here."),
            )
            .with_help(
                "Send application/json, or a document as application/yaml, application/vnd.oai.openapi or text/plain.",
            )),
        }
    }
}

fn read(media: MediaType, bytes: &[u8]) -> Result<NewAsset, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request("The body is empty.").with_help(
            "Send the register body, or a document: OpenAPI in JSON or YAML, a server.json, an A2A agent card.",
        ));
    }
    match media {
        MediaType::Document(format) => Ok(of_document(bytes, format)),
        MediaType::Json if is_document(bytes) => Ok(of_document(bytes, None)),
        MediaType::Json => read_json(bytes),
    }
}

/// The register body that attaches these bytes and leaves everything else to what they say.
fn of_document(bytes: &[u8], format: Option<Format>) -> NewAsset {
    NewAsset { definition: Some(definition(bytes, format)), ..NewAsset::default() }
}

/// The document byte for byte: as its text where it is UTF-8.
pub fn definition(bytes: &[u8], format: Option<Format>) -> NewDefinition {
    let (value, base64) = match std::str::from_utf8(bytes) {
        Ok(text) => (Some(Value::String(text.to_owned())), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    };
    NewDefinition { format: format.map(|format| format.as_str().to_owned()), value, base64, ..NewDefinition::default() }
}

/// Whether a JSON body is a document of its own. Read leniently: whoever reads the document will say what is wrong in it.
pub fn is_document(bytes: &[u8]) -> bool {
    const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    if BYTE_ORDER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return true;
    }
    let Ok(map) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return false };
    let schema = map.get("$schema").and_then(Value::as_str).unwrap_or_default();
    // In the register body `version` is an object and `kind` says what it is.
    let speaks_for_itself = !map.contains_key("kind") && map.get("version").is_some_and(Value::is_string);
    ["openapi", "swagger", "asyncapi"].iter().any(|member| map.contains_key(*member))
        || schema.contains("server.schema.json")
        || speaks_for_itself
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<NewAsset, Problem> {
        read(MediaType::Json, text.as_bytes())
    }

    #[test]
    fn a_bare_document_is_told_from_the_register_body() {
        for document in [
            r#"{"openapi": "3.1.0"}"#,
            r#"{"swagger": "2.0"}"#,
            r#"{"$schema": "https://x/server.schema.json", "name": "a/b"}"#,
            r#"{"name": "a/b", "version": "1.0.0"}"#,
            r#"{"name": "Agent", "version": "1", "skills": []}"#,
            "\u{feff}{}",
        ] {
            let new = json(document).unwrap();
            assert_eq!(new.definition.unwrap().value, Some(Value::String(document.to_owned())), "{document}");
        }
        for body in [r#"{"name": "a", "kind": "rest"}"#, r#"{"name": "a", "version": {"name": "1"}}"#] {
            assert_eq!(json(body).unwrap().name.unwrap().as_str(), "a");
        }
    }

    #[test]
    fn a_wrong_body_is_answered_as_what_it_tries_to_be() {
        let wrong = json(r#"{"name": "a", "kind": "rest", "version": "1.0"}"#).unwrap_err();

        assert_eq!(wrong.errors[0].location, "body.version");
        assert_eq!(json("").unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_query_speaks_first() {
        let query =
            RegisterQuery { version: Some("2.0".into()), stage: Some(Stage::Design), ..RegisterQuery::default() };

        let new = Registration(of_document(b"openapi: 3.1.0", None)).with(query).unwrap();

        let version = new.version.unwrap();
        assert_eq!((version.name.as_deref(), version.stage), (Some("2.0"), Some(Stage::Design)));
    }
}
