//! Stylesheet, script and icons: built in, and under an address that changes with their content.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{collections::HashMap, sync::LazyLock};

#[derive(RustEmbed)]
#[folder = "web/static"]
struct Files;

/// How many hexadecimal digits of a file's SHA-256 stand in its address.
const DIGITS: usize = 10;

/// The addresses of all files, by name; in a debug build as the files were at the first question.
static PATHS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let file = |name: &str| Files::get(name).map(|file| format!("/static/{}/{name}", digest(&file)));
    Files::iter().filter_map(|name| Some((name.to_string(), file(&name)?))).collect()
});

/// The address of the file of this name.
///
/// # Panics
/// For a name that is none of ours: names stand in templates, and a test asks for each.
#[must_use]
pub fn static_path(name: &str) -> &'static str {
    PATHS.get(name).map(String::as_str).unwrap_or_else(|| panic!("there is no web/static/{name}"))
}

/// Answers a file. Under its present digest it may be kept for good; under another it is given, but not kept.
pub(super) async fn serve(Path((asked, name)): Path<(String, String)>) -> Response {
    let Some(file) = Files::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let current = digest(&file) == asked;
    answer(file, &name, if current { "public, max-age=31536000, immutable" } else { "no-cache" })
}

/// Answers the icon browsers ask for.
pub(super) async fn favicon() -> Response {
    match Files::get("favicon.svg") {
        Some(file) => answer(file, "favicon.svg", "public, max-age=86400"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(file: EmbeddedFile, name: &str, keep: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type(name)),
        (header::CACHE_CONTROL, keep),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), file.data.into_owned()).into_response()
}

fn digest(file: &EmbeddedFile) -> String {
    hex::encode(file.metadata.sha256_hash())[..DIGITS].to_owned()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_kept_for_good_only_under_its_own_digest() {
        let path = static_path("app.css");
        let digest = path.split('/').nth(2).unwrap().to_owned();

        let current = serve(Path((digest, "app.css".into()))).await;
        let old = serve(Path(("0000000000".into(), "app.css".into()))).await;
        let missing = serve(Path(("0000000000".into(), "../templates/base.html".into()))).await;

        assert!(current.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        assert_eq!(old.headers()["cache-control"], "no-cache");
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn every_icon_of_a_kind_is_in_the_sprite() {
        let sprite = String::from_utf8(Files::get("icons.svg").unwrap().data.into_owned()).unwrap();

        for kind in crate::catalog::Kind::ALL {
            assert!(sprite.contains(&format!("id=\"{kind}\"")), "{kind} has no icon");
        }
    }
}
