//! The vectors in the database: made once, on write, by the queue; kept under the digest of their text.

use super::{document, vector::Packed};
use crate::base::{AssetId, Database};
use crate::catalog::{Catalog, Searchable};
use crate::embed::{Embedder, State};
use sqlx::PgPool;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;

/// Texts that are embedded before the vectors are stored: what is lost when the program is killed.
const STORED_AT_ONCE: usize = 64;

/// The vectors of an asset as stored, first its own.
#[derive(Debug)]
pub(super) struct Stored {
    pub asset_id: AssetId,
    /// The operation of each vector but the first.
    pub operations: Vec<String>,
    pub vectors: Vec<Packed>,
}

/// Makes the vectors that the assets lack. Running twice does no harm: what is there is not made again.
///
/// # Errors
/// When it should be tried again: the database or the model fails.
pub(super) async fn make(catalog: &Catalog, embedder: &Embedder, changed: &[AssetId]) -> anyhow::Result<()> {
    if let State::Absent { .. } = embedder.loaded().await {
        // Nothing is lost: when there is a model, `queue_missing` asks for all of it.
        return Ok(());
    }
    let db = &catalog.db().write;
    // Before the texts: a change in between leaves a revision that is too old, never one that is too new.
    let revisions = revisions(db, changed).await?;
    let assets = catalog.searchable(changed).await?;
    let live: HashSet<AssetId> = assets.iter().map(|asset| asset.card.asset_id).collect();
    let gone: Vec<AssetId> = changed.iter().copied().filter(|id| !live.contains(id)).collect();
    sqlx::query("delete from passages where asset_id = any($1)").bind(&gone).execute(db).await?;
    for asset in &assets {
        if let Some(&revision) = revisions.get(&asset.card.asset_id) {
            make_one(db, embedder, asset, revision).await?;
        }
    }
    Ok(())
}

async fn make_one(db: &PgPool, embedder: &Embedder, asset: &Searchable, revision: i64) -> anyhow::Result<()> {
    let passages = document::passages(asset);
    let digests: Vec<Vec<u8>> = passages.iter().map(document::Passage::digest).collect();
    let known: HashSet<Vec<u8>> = known(db, embedder.model(), &digests).await?.into_iter().collect();
    let mut seen = HashSet::new();
    let missing: Vec<(&Vec<u8>, &str)> = digests
        .iter()
        .zip(passages.iter().map(|passage| passage.text.as_str()))
        .filter(|(digest, _)| !known.contains(*digest) && seen.insert(*digest))
        .collect();
    for some in missing.chunks(STORED_AT_ONCE) {
        let vectors = embedder.embed(some.iter().map(|(_, text)| (*text).to_owned()).collect()).await?;
        let packed: Vec<Vec<u8>> = vectors.iter().map(|vector| Packed::of(vector).to_bytes()).collect();
        let digests: Vec<&Vec<u8>> = some.iter().map(|(digest, _)| *digest).collect();
        sqlx::query(
            "insert into embedding (model, digest, vector)
             select $1, digest, vector from unnest($2::bytea[], $3::bytea[]) made (digest, vector)
             on conflict do nothing",
        )
        .bind(embedder.model())
        .bind(&digests)
        .bind(&packed)
        .execute(db)
        .await?;
    }
    let operations: Vec<String> = passages.into_iter().map(|passage| passage.operation.unwrap_or_default()).collect();
    sqlx::query(
        "insert into passages (asset_id, model, revision, digests, operations)
         values ($1, $2, $3, $4, $5)
         on conflict (asset_id) do update
         set model = excluded.model, revision = excluded.revision, digests = excluded.digests,
             operations = excluded.operations, written_at = excluded.written_at
         where passages.revision <= excluded.revision or passages.model <> excluded.model",
    )
    .bind(asset.card.asset_id)
    .bind(embedder.model())
    .bind(revision)
    .bind(&digests)
    .bind(&operations)
    .execute(db)
    .await?;
    Ok(())
}

async fn revisions(db: &PgPool, ids: &[AssetId]) -> Result<HashMap<AssetId, i64>, sqlx::Error> {
    let rows: Vec<(AssetId, i64)> =
        sqlx::query_as("select asset_id, revision from asset where asset_id = any($1) and deleted_at is null")
            .bind(ids)
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().collect())
}

async fn known(db: &PgPool, model: &str, digests: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("select digest from embedding where model = $1 and digest = any($2)")
        .bind(model)
        .bind(digests)
        .fetch_all(db)
        .await
}

/// Which assets' vectors were written at or after `since`, with the time of each; oldest first, at most `limit`.
pub(super) async fn written(
    db: &PgPool,
    model: &str,
    since: OffsetDateTime,
    after: Option<AssetId>,
    limit: i64,
) -> Result<Vec<(AssetId, OffsetDateTime)>, sqlx::Error> {
    sqlx::query_as(
        "select asset_id, written_at
         from passages
         where model = $1 and (written_at, asset_id) > ($2, $3)
         order by written_at, asset_id
         limit $4",
    )
    .bind(model)
    .bind(since)
    .bind(after.map_or(uuid::Uuid::nil(), |id| id.0))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The stored vectors of `ids`.
pub(super) async fn load(db: &PgPool, model: &str, ids: &[AssetId]) -> Result<Vec<Stored>, sqlx::Error> {
    let rows: Vec<(AssetId, Vec<String>, Vec<Vec<u8>>)> = sqlx::query_as(
        "select p.asset_id, p.operations,
                array(select e.vector
                      from unnest(p.digests) with ordinality text (digest, place)
                      join embedding e on e.model = p.model and e.digest = text.digest
                      order by text.place) as vectors
         from passages p
         where p.asset_id = any($1) and p.model = $2",
    )
    .bind(ids)
    .bind(model)
    .fetch_all(db)
    .await?;
    let stored = rows.into_iter().filter_map(|(asset_id, operations, vectors)| {
        let packed: Vec<Packed> = vectors.iter().filter_map(|bytes| Packed::from_bytes(bytes)).collect();
        // A vector that is missing or damaged would shift the others to wrong operations.
        let is_whole = packed.len() == operations.len() && !packed.is_empty();
        is_whole.then(|| Stored { asset_id, operations: operations.into_iter().skip(1).collect(), vectors: packed })
    });
    Ok(stored.collect())
}

/// How many assets have no vectors of their present text.
pub(super) async fn pending(db: &PgPool, model: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*)
         from asset a join workspace w using (workspace_id) left join passages p using (asset_id)
         where a.deleted_at is null and w.deleted_at is null
           and (p.asset_id is null or p.model <> $1 or p.revision < a.revision)",
    )
    .bind(model)
    .fetch_one(db)
    .await
}

/// Queues the assets that have no vectors of their present text: those registered while there was no model, or another.
pub(super) async fn queue_missing(db: &Database, model: &str, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let ids: Vec<AssetId> = sqlx::query_scalar(
        "select a.asset_id
         from asset a join workspace w using (workspace_id) left join passages p using (asset_id)
         where a.deleted_at is null and w.deleted_at is null
           and (p.asset_id is null or p.model <> $1 or p.revision < a.revision)",
    )
    .bind(model)
    .fetch_all(&db.read)
    .await?;
    let mut conn = db.write.acquire().await?;
    for id in &ids {
        crate::queue::publish(&mut conn, crate::queue::Event::AssetChanged(*id), now).await?;
    }
    Ok(ids.len() as u64)
}
