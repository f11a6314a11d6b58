//! Web pages, as a reader sees them.

mod asset_offers;
mod asset_pages;
pub mod browser;
mod pages;
mod registering;
mod traffic;
mod usage;

use crate::support::{Answer, TestApp};
use serde_json::Value;
use wharfinger::auth::Actor;
use wharfinger::base::Slug;

/// Registers an asset in a workspace, which is made when it is not there.
pub async fn register(app: &TestApp, workspace: &str, new: Value) {
    let (system, catalog) = (Actor::system("test"), &app.handles.catalog);
    catalog.ensure_workspace(&system, &Slug::parse(workspace).unwrap(), workspace).await.unwrap();
    let new = serde_json::from_value(new).unwrap();
    catalog.register(&system, workspace, new).await.unwrap();
}

/// Publishes a further version of an asset.
pub async fn publish(app: &TestApp, (workspace, name): (&str, &str), new: Value) {
    let new = serde_json::from_value(new).unwrap();
    app.handles.catalog.publish_version(&Actor::system("test"), workspace, name, new).await.unwrap();
}

/// The words of a page as they are read, without markup, white space joined.
pub fn seen(answer: &Answer) -> String {
    let main = answer.text.split_once("<main").map_or(answer.text.as_str(), |(_, rest)| rest);
    let main = main.split_once("</main>").map_or(main, |(main, _)| main);
    let mut text = String::new();
    let mut rest = main.split_once('>').map_or("", |(_, rest)| rest);
    while let Some((words, tag)) = rest.split_once('<') {
        text.push_str(words);
        text.push(' ');
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails when a page holds an element, an attribute or a link that could run something.
pub fn assert_harmless(page: &str, which: &str) {
    let mut rest = page;
    while let Some((_, tag)) = rest.split_once('<') {
        let end = tag.find('>').unwrap_or(tag.len());
        let (tag, after) = tag.split_at(end);
        let lower = tag.to_ascii_lowercase();
        let is_ours = !lower.starts_with("script")
            || lower == "script type=\"module\" src=\"/static/"
            || lower.starts_with("script type=\"module\" src=\"/static/");
        assert!(is_ours, "{which}: a script of somebody else: <{tag}>");
        assert!(!lower.starts_with("img") && !lower.starts_with("iframe"), "{which}: <{tag}>");
        assert!(!lower.contains(" onerror=") && !lower.contains(" onload="), "{which}: <{tag}>");
        for bad in ["href=\"javascript:", "href=\"data:", "src=\"javascript:", "src=\"data:"] {
            assert!(!lower.contains(bad), "{which}: <{tag}>");
        }
        rest = after;
    }
}
