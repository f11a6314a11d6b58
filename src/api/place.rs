//! `Place`: which asset, and what of it, a path names.

use crate::base::Problem;
use crate::door::{Failure, PublicUrl, segment};
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

/// The parameters of a path below a workspace's assets, decoded. The name is read from `{name}`, or from
/// `{namespace}/{slug}` where its slash came bare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    workspace: String,
    name: String,
    version: String,
    /// What the path names below: a definition, an operation ...
    part: String,
}

impl Place {
    pub fn asset(&self) -> (&str, &str) {
        (&self.workspace, &self.name)
    }

    pub fn version(&self) -> (&str, &str, &str) {
        (&self.workspace, &self.name, &self.version)
    }

    pub fn part(&self) -> &str {
        &self.part
    }

    /// The address of what lies at `below` the asset.
    pub fn url(&self, url: &PublicUrl, below: &[&str]) -> String {
        asset_url(url, &self.workspace, &self.name, below)
    }
}

/// The address of an asset, or of what lies at `below` it.
pub fn asset_url(url: &PublicUrl, workspace: &str, name: &str, below: &[&str]) -> String {
    let below: String = below.iter().map(|part| format!("/{}", segment(part))).collect();
    url.join(&format!("/api/v1/workspaces/{}/assets/{}{below}", segment(workspace), segment(name)))
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let params = parts
            .extract::<RawPathParams>()
            .await
            .map_err(|_| Problem::bad_request("The path is no UTF-8 once its escapes are read."))?;
        let (mut namespace, mut slug) = (None, None);
        let mut place =
            Self { workspace: String::new(), name: String::new(), version: String::new(), part: String::new() };
        for (parameter, value) in &params {
            // Nothing has such a name, and Postgres takes no NUL.
            if value.contains('\0') {
                return Err(Failure(Problem::not_found("Nothing has a name with the character U+0000.")));
            }
            let value = value.to_owned();
            match parameter {
                "workspace" => place.workspace = value,
                "name" => place.name = value,
                "namespace" => namespace = Some(value),
                "slug" => slug = Some(value),
                "version" => place.version = value,
                _ => place.part = value,
            }
        }
        if let (Some(namespace), Some(slug)) = (namespace, slug) {
            place.name = format!("{namespace}/{slug}");
        }
        Ok(place)
    }
}
