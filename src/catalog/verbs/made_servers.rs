//! Keeping the server.json that is made of what we know equal to what we know.

use crate::base::{Slug, VersionId};
use crate::catalog::draft::{DeploymentDraft, VersionDraft};
use crate::catalog::server_document::server_document;
use crate::catalog::{Asset, Deployment, Error, Kind, Stage, Status, deployment, operation};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Most operations a made server.json could name within its bound.
const MOST_NAMED: i64 = 200;

/// Makes the server.json of each version anew for which none was registered, after words or deployments changed.
pub(super) async fn refresh(conn: &mut PgConnection, asset: &Asset, now: OffsetDateTime) -> Result<(), Error> {
    if asset.kind != Kind::Mcp {
        return Ok(());
    }
    let made: Vec<(VersionId, String, String)> = sqlx::query_as(
        "select v.version_id, v.name, v.server
         from version v
         where v.asset_id = $1 and v.server is not null
           and not exists (select from definition d
                           where d.version_id = v.version_id and d.format = 'server-json' and d.replaced_at is null)",
    )
    .bind(asset.asset_id)
    .fetch_all(&mut *conn)
    .await?;

    for (id, name, before) in made {
        let runs = deployment::list(&mut *conn, asset.asset_id, Some(id)).await?;
        let version = VersionDraft {
            name,
            stage: Stage::Production,
            status: Status::Active,
            status_message: None,
            published_at: None,
            updated_at: None,
            format_name: String::new(),
            definition: None,
            further: Vec::new(),
            operations: operation::list(&mut *conn, id, 0, MOST_NAMED, false).await?,
            deployments: runs.into_iter().map(DeploymentDraft::from).collect(),
            findings: Vec::new(),
            source_digest: Vec::new(),
        };
        let after = server_document(&asset.registry_name, &asset.title, &asset.summary, &asset.description, &version);
        if after != before {
            sqlx::query("update version set server = $2, updated_at = greatest(updated_at, $3) where version_id = $1")
                .bind(id)
                .bind(after)
                .bind(now)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

impl From<Deployment> for DeploymentDraft {
    fn from(stored: Deployment) -> Self {
        Self {
            environment: stored.environment.as_deref().and_then(|name| Slug::parse(name).ok()),
            url: stored.url,
            transport: stored.transport,
            title: stored.title,
            description: stored.description,
            is_active: stored.is_active,
            metadata: stored.metadata.0,
            detail: stored.detail,
        }
    }
}
