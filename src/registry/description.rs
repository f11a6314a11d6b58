//! The description of the registry API, where the official registry has its own: `/openapi.yaml`, `/openapi.json`, `/docs`.

use crate::door::AsItIs;
use crate::wire::yaml;
use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header;
use std::sync::LazyLock;

const YAML: &str = include_str!("openapi.yaml");
static JSON: LazyLock<String> = LazyLock::new(|| {
    let read = yaml::parse(YAML).expect("our own document is the YAML we take");
    serde_json::to_string_pretty(&read.value).expect("a value serialises")
});

/// The routes; open to everybody.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/openapi.yaml", get(|| async { document("application/yaml", YAML) }))
        .route("/openapi.json", get(|| async { document("application/json", &JSON) }))
        .route("/docs", get(|| async { Redirect::permanent("/api/docs") }))
}

fn document(media_type: &'static str, text: &'static str) -> Response {
    let mut response = ([(header::CONTENT_TYPE, media_type)], text).into_response();
    response.extensions_mut().insert(AsItIs);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::path::Address;
    use crate::wire::{Format, read_definition};

    #[test]
    fn the_description_is_sound_and_describes_what_is_there() {
        let read = read_definition(YAML.as_bytes(), None).unwrap();
        assert_eq!((read.format, read.outline.findings), (Format::OpenApi, Vec::new()));

        let document = yaml::parse(YAML).unwrap().value;
        let placeholder =
            |path: &str| path.replace("{serverName}", "a%2Fb").replace("{version}", "1").replace("{method}", "dns");
        for (path, item) in document["paths"].as_object().unwrap() {
            let resource = Address::parse(&placeholder(path)).unwrap().resource;
            for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
                assert!(resource.methods().contains(&method.to_uppercase()), "{method} {path}");
            }
        }
    }
}
