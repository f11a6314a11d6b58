//! Exporting: every version of what an actor may see as a line that an import takes back.

use super::{
    Asset, Catalog, Deployment, Error, Kind, NewAsset, NewDefinition, NewDeployment, NewOperation, NewVersion, Status,
    Version, asset, definition, deployment, operation, version,
};
use crate::auth::{Actor, Permission};
use crate::base::{AssetId, Slug, VersionId};
use crate::wire::{Format, Operation};
use base64::{Engine, engine::general_purpose::STANDARD};
use definition::Stored;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// Assets read at once: each may carry documents of megabytes.
const PAGE: i64 = 20;

/// Some lines of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPage {
    /// JSON lines, each with its line end.
    pub lines: Vec<u8>,
    /// The last asset of the page; none when there are no more.
    pub last: Option<AssetId>,
}

#[derive(Serialize)]
struct Line<'a> {
    workspace: &'a str,
    #[serde(flatten)]
    new: NewAsset,
}

impl Catalog {
    /// The next lines of an export after the asset `after`: of one workspace, or of all; assets in the order of their ids,
    /// the versions of each latest first. Deleted versions come along for those who may write the asset.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn export(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        after: Option<AssetId>,
    ) -> Result<ExportPage, Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = actor.sight();
        let assets = asset::visible_after(&mut conn, sight, workspace, after, PAGE).await?;
        let last = assets.last().map(|asset| asset.asset_id).filter(|_| assets.len() as i64 == PAGE);
        let ids: Vec<_> = assets.iter().map(|asset| asset.asset_id).collect();
        let mut versions = group(version::of_assets(&mut conn, &ids).await?, |version| version.asset_id);
        let version_ids: Vec<VersionId> = versions.values().flatten().map(|version| version.version_id).collect();
        let mut definitions = group(definition::of_versions(&mut conn, &version_ids).await?, |one| one.version_id);
        let mut operations = group(operation::of_versions(&mut conn, &version_ids).await?, |one| one.0);
        let mut deployments = group(deployment::of_versions(&mut conn, &version_ids).await?, |one| one.0);
        drop(conn);

        let mut lines = Vec::new();
        for asset in &assets {
            let with_deleted = actor.may(Permission::WriteCatalog, asset.scope());
            let inside = sight.is_inside(asset.workspace_id, asset.asset_id);
            for version in versions.remove(&asset.asset_id).unwrap_or_default() {
                if (version.status == Status::Deleted && !with_deleted) || !(version.is_approved || inside) {
                    continue;
                }
                let id = version.version_id;
                let new = line(
                    asset,
                    version,
                    definitions.remove(&id).unwrap_or_default(),
                    operations.remove(&id).unwrap_or_default().into_iter().map(|(_, one)| one).collect(),
                    deployments.remove(&id).unwrap_or_default().into_iter().map(|(_, one)| one).collect(),
                );
                let line = Line { workspace: &asset.workspace, new };
                serde_json::to_writer(&mut lines, &line).expect("a line is plain data");
                lines.push(b'\n');
            }
        }
        Ok(ExportPage { lines, last })
    }
}

fn group<K: std::hash::Hash + Eq, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// One version with the words of its asset, all said outright, so that no document is asked for them again.
fn line(
    asset: &Asset,
    version: Version,
    mut definitions: Vec<Stored>,
    operations: Vec<Operation>,
    deployments: Vec<Deployment>,
) -> NewAsset {
    let main = main_of(asset.kind, &definitions).map(|at| definitions.remove(at));
    let told = main.as_ref().is_none_or(|main| !gives_operations(main));
    let operations = (told && !operations.is_empty()).then(|| operations.into_iter().map(NewOperation::from).collect());
    let (operations, tools) = if asset.kind == Kind::Mcp { (None, operations) } else { (operations, None) };
    NewAsset {
        name: Some(asset.name.clone()),
        kind: Some(asset.kind),
        title: Some(asset.title.clone()),
        summary: Some(asset.summary.clone()),
        description: Some(asset.description.clone()),
        visibility: Some(asset.visibility),
        shared_with: Some(asset.shared_with.clone()).filter(|groups| !groups.is_empty()),
        tags: Some(asset.tags.clone()),
        owners: Some(asset.owners.clone()),
        contacts: Some(asset.contacts.0.clone()),
        licence: asset.licence.as_ref().map(|licence| licence.0.clone()),
        external_docs: Some(asset.external_docs.0.clone()),
        icons: Some(asset.icons.0.clone()),
        metadata: Some(asset.metadata.0.clone()),
        version: Some(NewVersion {
            name: Some(version.name),
            stage: Some(version.stage),
            status: Some(version.status),
            status_message: version.status_message,
            published_at: Some(version.published_at),
            updated_at: Some(version.updated_at),
        }),
        definition: main.map(carried),
        definitions: Some(definitions.into_iter().map(carried).collect::<Vec<_>>()).filter(|all| !all.is_empty()),
        deployments: Some(deployments.into_iter().map(told_anew).collect()),
        operations,
        tools,
    }
}

/// The place of the document that describes the asset, among others beside it.
fn main_of(kind: Kind, definitions: &[Stored]) -> Option<usize> {
    let format = |one: &Stored| Format::from_name(&one.format);
    let of_kind = |one: &Stored| format(one).and_then(Kind::of_format) == Some(kind);
    let describes = |one: &Stored| format(one).and_then(Kind::of_format).is_some();
    definitions.iter().position(of_kind).or_else(|| definitions.iter().position(describes))
}

/// Whether reading the document again gives its operations. A server.json may have none beside those that were told.
fn gives_operations(definition: &Stored) -> bool {
    Format::from_name(&definition.format)
        .is_some_and(|format| !matches!(format, Format::ServerJson | Format::Markdown | Format::Other))
}

fn carried(stored: Stored) -> NewDefinition {
    let (value, base64) = match String::from_utf8(stored.content) {
        Ok(text) => (Some(Value::String(text)), None),
        Err(bytes) => (None, Some(STANDARD.encode(bytes.as_bytes()))),
    };
    NewDefinition {
        format: Some(stored.format),
        name: Slug::parse(&stored.name).ok(),
        value,
        base64,
        url: stored.source_url,
    }
}

fn told_anew(deployment: Deployment) -> NewDeployment {
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    NewDeployment {
        environment: deployment.environment.as_deref().and_then(|name| Slug::parse(name).ok()),
        url: deployment.url,
        transport: said(deployment.transport),
        title: said(deployment.title),
        description: said(deployment.description),
        active: Some(deployment.is_active),
        metadata: Some(deployment.metadata.0).filter(|metadata| !metadata.is_empty()),
    }
}
