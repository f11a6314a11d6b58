//! `Pages`: the addresses of an asset's pages.

use crate::catalog::Kind;
use crate::door::segment;

/// Where an asset's pages are: those of its latest version, or of one that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    root: String,
    /// The path of the version's part, empty for the latest one.
    version: String,
}

/// A part of an asset that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Overview,
    Operations,
    Versions,
    Connect,
    Definition,
    Deployments,
}

/// The words with which the parts of an asset begin; a bare slash before any other belongs to the asset's name.
pub const PARTS: &[&str] =
    &["versions", "tools", "skills", "operations", "connect", "definition", "deployments", "diff"];

impl Pages {
    #[must_use]
    pub fn new(workspace: &str, name: &str, version: Option<&str>) -> Self {
        Self {
            root: format!("/assets/{}/{}", segment(workspace), segment(name)),
            version: version.map(|version| format!("/versions/{}", segment(version))).unwrap_or_default(),
        }
    }

    /// The asset itself: its latest version, whichever that is.
    #[must_use]
    pub fn asset(&self) -> &str {
        &self.root
    }

    /// The overview of what is shown.
    #[must_use]
    pub fn here(&self) -> String {
        format!("{}{}", self.root, self.version)
    }

    /// Whether the addresses name a version.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        !self.version.is_empty()
    }

    /// A part of what is shown, like `connect`.
    #[must_use]
    pub fn part(&self, part: &str) -> String {
        format!("{}{}/{part}", self.root, self.version)
    }

    /// One of the parts, like the operation of this name.
    #[must_use]
    pub fn one(&self, part: &str, name: &str) -> String {
        format!("{}{}/{part}/{}", self.root, self.version, segment(name))
    }

    /// The overview of a version.
    #[must_use]
    pub fn of_version(&self, version: &str) -> String {
        format!("{}/versions/{}", self.root, segment(version))
    }

    /// The same pages with the version named, so that the address keeps its meaning.
    #[must_use]
    pub fn pinned(&self, version: &str) -> Self {
        Self { root: self.root.clone(), version: format!("/versions/{}", segment(version)) }
    }

    #[must_use]
    pub fn diff(&self, from: &str, to: &str) -> String {
        format!("{}/versions/{}/diff/{}", self.root, segment(from), segment(to))
    }

    /// Where the REST API has the asset.
    #[must_use]
    pub fn api(&self) -> String {
        format!("/api/v1/workspaces/{}", self.root.trim_start_matches("/assets/").replacen('/', "/assets/", 1))
    }

    /// A tab's page.
    #[must_use]
    pub fn tab(&self, tab: Tab, kind: Kind) -> String {
        match tab {
            Tab::Overview => self.here(),
            Tab::Operations => self.part(kind.operations_title()),
            Tab::Versions => format!("{}/versions", self.root),
            Tab::Connect => self.part("connect"),
            Tab::Definition => self.part("definition"),
            Tab::Deployments => self.part("deployments"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one_segment() {
        let place = Pages::new("data", "com.example/pay", Some("1.0+b"));

        assert_eq!(place.asset(), "/assets/data/com.example%2Fpay");
        assert_eq!(place.one("tools", "a/b c"), "/assets/data/com.example%2Fpay/versions/1.0%2Bb/tools/a%2Fb%20c");
        assert_eq!(place.tab(Tab::Versions, Kind::Mcp), "/assets/data/com.example%2Fpay/versions");
        assert_eq!(place.api(), "/api/v1/workspaces/data/assets/com.example%2Fpay");
        assert_eq!(Pages::new("data", "pay", None).pinned("2").part("connect"), "/assets/data/pay/versions/2/connect");
    }
}
