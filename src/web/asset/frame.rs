//! `Frame`: what every page of an asset shows around its own part: name, badges, banners and tabs.

use super::pages::{Pages, Tab};
use crate::auth::Actor;
use crate::catalog::{Approval, Asset, Catalog, Definition, Deployment, Error, Kind, Stage, Version};
use crate::web::words;

/// An asset at one of its versions, as its pages need it.
pub struct Frame {
    pub pages: Pages,
    pub asset: Asset,
    /// The version shown; absent when all are deleted.
    pub version: Option<Version>,
    /// The latest one's name, when another one is shown.
    pub newer: Option<String>,
    pub version_count: i64,
    pub operation_count: i64,
    pub definitions: Vec<Definition>,
    pub deployments: Vec<Deployment>,
    /// `stdio`, `streamable-http`, `sse` for MCP servers.
    pub transports: Vec<String>,
    pub tab: Tab,
    /// Requests that wait, for those who know the asset from within.
    pub approvals: Vec<Approval>,
}

/// What a version's stage means to somebody about to use it.
pub struct Notice {
    pub is_bad: bool,
    pub title: String,
    pub text: String,
}

/// A tab: a link to a page of its own.
pub struct TabLink {
    pub href: String,
    pub title: &'static str,
    pub count: Option<i64>,
    pub is_current: bool,
}

impl Frame {
    /// The asset at `version`, or at its latest one.
    ///
    /// # Errors
    /// 404 when there is none the actor may see.
    pub async fn load(
        catalog: &Catalog,
        actor: &Actor,
        (workspace, name): (&str, &str),
        version: Option<&str>,
        tab: Tab,
    ) -> Result<Self, Error> {
        let found = catalog.find(actor, workspace, name).await?;
        let cards = catalog.cards(actor.sight(), &[found.asset.asset_id]).await?;
        let transports = cards.into_iter().next().map(|card| card.transports).unwrap_or_default();
        let latest = found.version.as_ref().map(|version| version.name.clone());
        let approvals = catalog.approvals_of(actor, &found.asset).await?;
        let mut frame = Self {
            approvals,
            pages: Pages::new(workspace, name, version),
            asset: found.asset,
            version: found.version,
            newer: None,
            version_count: found.version_count,
            operation_count: found.operation_count,
            definitions: found.definitions,
            deployments: found.deployments,
            transports,
            tab,
        };
        if let Some(name_of_version) = version
            && latest.as_deref() != Some(name_of_version)
        {
            let shown = catalog.version(actor, (workspace, name, name_of_version)).await?;
            frame.newer = latest;
            frame.version = Some(shown.version);
            frame.operation_count = shown.operation_count;
            frame.definitions = shown.definitions;
            frame.deployments = shown.deployments;
        }
        Ok(frame)
    }

    /// The version shown, by name; `latest` when there is none.
    #[must_use]
    pub fn version_name(&self) -> &str {
        self.version.as_ref().map_or("latest", |version| &version.name)
    }

    /// Names the version shown to the catalog.
    #[must_use]
    pub fn path(&self) -> (&str, &str, &str) {
        (&self.asset.workspace, self.asset.name.as_str(), self.version_name())
    }

    /// Addresses that keep their meaning when another version becomes the latest.
    #[must_use]
    pub fn permanent(&self) -> Pages {
        match &self.version {
            Some(version) => self.pages.pinned(&version.name),
            None => self.pages.clone(),
        }
    }

    /// `tools`, `skills` or `operations`: also the path of their page.
    #[must_use]
    pub fn operations_word(&self) -> &'static str {
        self.asset.kind.operations_title()
    }

    /// The same for headings: `Tools`.
    #[must_use]
    pub fn operations_title(&self) -> &'static str {
        match self.operations_word() {
            "tools" => "Tools",
            "skills" => "Skills",
            _ => "Operations",
        }
    }

    /// One of them: `tool`.
    #[must_use]
    pub fn operation_word(&self) -> &'static str {
        self.operations_word().trim_end_matches('s')
    }

    /// The links to the parts.
    #[must_use]
    pub fn tabs(&self) -> Vec<TabLink> {
        let link = |tab, title, count| TabLink {
            href: self.pages.tab(tab, self.asset.kind),
            title,
            count,
            is_current: tab == self.tab,
        };
        let deployments = i64::try_from(self.deployments.len()).unwrap_or_default();
        vec![
            link(Tab::Overview, "Overview", None),
            link(Tab::Operations, self.operations_title(), Some(self.operation_count)),
            link(Tab::Versions, "Versions", Some(self.version_count)),
            link(Tab::Connect, "Connect", None),
            link(Tab::Definition, "Definition", None),
            link(Tab::Deployments, "Deployments", Some(deployments)),
        ]
    }

    /// The format of what describes it, for a badge; MCP servers wear their transports instead.
    #[must_use]
    pub fn format_name(&self) -> Option<&str> {
        let version = self.version.as_ref().filter(|_| self.asset.kind != Kind::Mcp)?;
        (!version.format_name.is_empty()).then_some(version.format_name.as_str())
    }

    #[must_use]
    pub fn is_mcp(&self) -> bool {
        self.asset.kind == Kind::Mcp
    }

    /// The warning at the head of a version that should not be newly used.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let version = self.version.as_ref()?;
        if let Some(since) = version.quarantined_at {
            return Some(Notice {
                is_bad: true,
                title: format!("Version {} is quarantined", version.name),
                text: format!(
                    "Since {} its running server offers other tools than were approved. Use it only when you know why.",
                    words::day(since)
                ),
            });
        }
        let said = version.status_message.clone().filter(|said| !said.trim().is_empty());
        let since = words::day(version.status_changed_at);
        match version.stage {
            Stage::Deprecated => Some(Notice {
                is_bad: false,
                title: format!("Version {} is deprecated", version.name),
                text: said.unwrap_or_else(|| format!("Since {since}. Its owner did not say what to use instead.")),
            }),
            Stage::Retired => Some(Notice {
                is_bad: true,
                title: format!("Version {} is retired", version.name),
                text: said.unwrap_or_else(|| format!("Since {since}. It should no longer answer.")),
            }),
            _ if version.status == crate::catalog::Status::Deprecated => Some(Notice {
                is_bad: false,
                title: format!("Version {} is deprecated", version.name),
                text: said.unwrap_or_else(|| format!("Since {since}. Its owner did not say what to use instead.")),
            }),
            _ => None,
        }
    }
}
