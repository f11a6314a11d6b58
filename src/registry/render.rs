//! An entry as the registry API writes it: the server.json, the official registry's member of `_meta`, and ours.

use crate::{
    base::Cursor,
    catalog::RegistryEntry,
    wire::server_json::{OFFICIAL, PUBLISHER_PROVIDED},
};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// The key of `_meta` under which our own data stands: the official member's schema allows no further members.
pub(super) const CATALOG: &str = "dev.wharfinger/catalog";
/// Beside `count` and `nextCursor`: up to when every write is in what was listed.
const SETTLED_UNTIL: &str = "dev.wharfinger/settledUntil";
/// Most characters of a description that are sent along as readme.
const README_LIMIT: usize = 16_000;

const MICROSECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A list: its entries, how many they are, and where it goes on.
pub(super) fn list(entries: &[RegistryEntry], next: Option<&Cursor>, settled: Option<OffsetDateTime>) -> Vec<u8> {
    let mut body = b"{\"servers\":[".to_vec();
    push_entries(&mut body, entries);
    let mut metadata = Map::new();
    metadata.insert("count".to_owned(), entries.len().into());
    if let Some(next) = next {
        metadata.insert("nextCursor".to_owned(), next.as_str().into());
    }
    if let Some(settled) = settled {
        metadata.insert(SETTLED_UNTIL.to_owned(), timestamp(settled).into());
    }
    body.extend_from_slice(b"],\"metadata\":");
    push_value(&mut body, &Value::Object(metadata));
    body.push(b'}');
    body
}

/// One entry alone.
pub(super) fn one(entry: &RegistryEntry) -> Vec<u8> {
    let mut body = Vec::with_capacity(entry.server.len() + 600);
    push_entry(&mut body, entry, None);
    body
}

/// What a search found: each entry with `reasons` under `key` of its `_meta`, then the members of `rest`.
pub(super) fn found(entries: &[(RegistryEntry, Value)], key: &str, rest: Value) -> Vec<u8> {
    let mut body = b"{\"servers\":[".to_vec();
    for (index, (entry, reasons)) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        push_entry(&mut body, entry, Some((key, reasons)));
    }
    body.push(b']');
    for (member, value) in rest.as_object().into_iter().flatten() {
        body.push(b',');
        push_value(&mut body, &Value::String(member.clone()));
        body.push(b':');
        push_value(&mut body, value);
    }
    body.push(b'}');
    body
}

/// All versions after a change of them all.
pub(super) fn updated(entries: &[RegistryEntry]) -> Vec<u8> {
    let mut body = format!("{{\"updatedCount\":{},\"servers\":[", entries.len()).into_bytes();
    push_entries(&mut body, entries);
    body.extend_from_slice(b"]}");
    body
}

/// RFC 3339 in UTC with microseconds.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(MICROSECONDS).expect("a year of four digits")
}

fn push_entries(body: &mut Vec<u8>, entries: &[RegistryEntry]) {
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        push_entry(body, entry, None);
    }
}

fn push_entry(body: &mut Vec<u8>, entry: &RegistryEntry, further: Option<(&str, &Value)>) {
    body.extend_from_slice(b"{\"server\":");
    match with_rich_page(entry) {
        Some(server) => push_value(body, &server),
        None => body.extend_from_slice(entry.server.as_bytes()),
    }
    body.extend_from_slice(b",\"_meta\":");
    let mut meta = Map::new();
    meta.insert(OFFICIAL.to_owned(), official(entry));
    meta.insert(CATALOG.to_owned(), catalog(entry));
    if let Some((key, value)) = further {
        meta.insert(key.to_owned(), value.clone());
    }
    push_value(body, &Value::Object(meta));
    body.push(b'}');
}

fn push_value(body: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(body, value).expect("writing a value to a vector cannot fail");
}

fn official(entry: &RegistryEntry) -> Value {
    let mut official = Map::new();
    official.insert("status".to_owned(), entry.status.as_str().into());
    official.insert("statusChangedAt".to_owned(), timestamp(entry.status_changed_at).into());
    if let Some(message) = &entry.status_message {
        official.insert("statusMessage".to_owned(), message.clone().into());
    }
    official.insert("publishedAt".to_owned(), timestamp(entry.published_at).into());
    official.insert("updatedAt".to_owned(), timestamp(entry.updated_at).into());
    official.insert("isLatest".to_owned(), entry.is_latest.into());
    Value::Object(official)
}

/// Ours: of the version itself always, what the asset says of itself only at the latest version. An older version must
/// not change under a reader's feet when a newer one brings other words.
fn catalog(entry: &RegistryEntry) -> Value {
    let mut ours = Map::new();
    ours.insert("workspace".to_owned(), entry.workspace.clone().into());
    ours.insert("stage".to_owned(), entry.stage.as_str().into());
    ours.insert("visibility".to_owned(), entry.visibility.as_str().into());
    if entry.is_latest {
        if !entry.tags.is_empty() {
            ours.insert("tags".to_owned(), entry.tags.clone().into());
        }
        if !entry.owners.is_empty() {
            ours.insert("owners".to_owned(), entry.owners.clone().into());
        }
    }
    Value::Object(ours)
}

/// The server.json with what editors show as a rich page, where the catalog has it and the publisher said nothing.
///
/// VS Code reads it from the publisher's data under `github`, the form in which GitHub's own registry gives it.
fn with_rich_page(entry: &RegistryEntry) -> Option<Value> {
    if !entry.is_latest {
        return None;
    }
    let mut page = Map::new();
    if !entry.description.trim().is_empty() {
        let readme: String = entry.description.chars().take(README_LIMIT).collect();
        page.insert("readme".to_owned(), readme.into());
    }
    if let Some(name) = entry.licence.as_ref().and_then(|licence| licence.name.clone()) {
        page.insert("license".to_owned(), name.into());
    }
    if !entry.tags.is_empty() {
        page.insert("topics".to_owned(), entry.tags.clone().into());
    }
    if let Some(icon) = entry.icons.iter().find(|icon| icon.src.starts_with("https://")) {
        page.insert("preferredImage".to_owned(), icon.src.clone().into());
    }
    if page.is_empty() {
        return None;
    }
    let slug = entry.registry_name.rsplit('/').next().unwrap_or(&entry.registry_name);
    page.insert("name".to_owned(), slug.into());
    page.insert("displayName".to_owned(), entry.title.clone().into());

    let mut server: Value = serde_json::from_str(&entry.server).ok()?;
    let meta = server.as_object_mut()?.entry("_meta").or_insert_with(|| json!({})).as_object_mut()?;
    let publisher = meta.entry(PUBLISHER_PROVIDED).or_insert_with(|| json!({})).as_object_mut()?;
    if publisher.contains_key("github") {
        return None;
    }
    publisher.insert("github".to_owned(), Value::Object(page));
    Some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{AssetId, VersionId},
        catalog::{Stage, Status, Visibility},
        wire::{Icon, Licence},
    };
    use sqlx::types::Json;
    use time::macros::datetime;

    fn entry(server: &str) -> RegistryEntry {
        RegistryEntry {
            asset_id: AssetId::new(),
            version_id: VersionId::new(),
            order_key: vec![1],
            workspace: "default".into(),
            registry_name: "com.example/files".into(),
            version: "1.0.0".into(),
            server: server.into(),
            status: Status::Active,
            status_message: None,
            status_changed_at: datetime!(2026-01-02 03:04:05 UTC),
            published_at: datetime!(2026-01-02 03:04:05.000001 UTC),
            updated_at: datetime!(2026-01-02 03:04:05.5 +01:00),
            is_latest: true,
            stage: Stage::Production,
            visibility: Visibility::Public,
            title: "Files".into(),
            description: String::new(),
            tags: vec![],
            owners: vec![],
            licence: None,
            icons: Json(vec![]),
        }
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn a_plain_server_is_given_as_it_was_published() {
        let server = r#"{"name":"com.example/files","zeta":1,"alpha":[2]}"#;

        let body = one(&entry(server));

        assert!(String::from_utf8(body.clone()).unwrap().starts_with(&format!("{{\"server\":{server},\"_meta\":{{")));
        let official = &parsed(&body)["_meta"][OFFICIAL];
        assert_eq!(official["statusChangedAt"], "2026-01-02T03:04:05.000000Z");
        assert_eq!(official["publishedAt"], "2026-01-02T03:04:05.000001Z");
        assert_eq!(official["updatedAt"], "2026-01-02T02:04:05.500000Z");
        assert_eq!(official["isLatest"], true);
        assert_eq!(official.as_object().unwrap().len(), 5, "no message, and nothing of ours");
    }

    #[test]
    fn a_rich_page_has_only_what_the_catalog_has() {
        let mut rich = entry(r#"{"name":"com.example/files","_meta":{"com.example":{"kept":true}}}"#);
        rich.description = "# Files".into();
        rich.licence = Some(Json(Licence { name: Some("MIT".into()), url: None }));
        rich.icons = Json(vec![Icon { src: "https://example.com/i.png".into(), ..Icon::default() }]);

        let meta = &parsed(&one(&rich))["server"]["_meta"];

        assert_eq!(meta["com.example"]["kept"], true);
        assert_eq!(
            meta[PUBLISHER_PROVIDED]["github"],
            json!({"readme": "# Files", "license": "MIT", "preferredImage": "https://example.com/i.png",
                   "name": "files", "displayName": "Files"})
        );
    }

    #[test]
    fn the_publishers_own_page_stays() {
        let text = format!(r#"{{"_meta":{{"{PUBLISHER_PROVIDED}":{{"github":{{"readme":"Mine"}}}}}}}}"#);
        let mut own = entry(&text);
        own.description = "Ours".into();

        assert_eq!(parsed(&one(&own))["server"]["_meta"][PUBLISHER_PROVIDED]["github"]["readme"], "Mine");
    }

    #[test]
    fn a_list_counts_and_leads_on_only_when_there_is_more() {
        let two = [entry("{}"), entry("{}")];

        let last = parsed(&list(&two, None, None));
        assert_eq!(last["metadata"], json!({"count": 2}));
        let cursor = Cursor::of(&1);
        let more = parsed(&list(&two, Some(&cursor), Some(datetime!(2026-01-01 00:00 UTC))));
        assert_eq!(more["metadata"]["nextCursor"], cursor.as_str());
        assert_eq!(more["metadata"][SETTLED_UNTIL], "2026-01-01T00:00:00.000000Z");
        assert_eq!(parsed(&list(&[], None, None))["servers"], json!([]));
    }
}
