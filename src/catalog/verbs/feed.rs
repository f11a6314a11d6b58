//! What indexes read: cards, texts and changes, whoever may see them where nothing is said of a sight.

use super::reading::to_i64;
use crate::base::AssetId;
use crate::catalog::{Card, Catalog, Error, Mark, Searchable, Sight, asset, card, change};

impl Catalog {
    /// The cards of those `ids` that `sight` may see, in the order of `ids`.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn cards(&self, sight: &Sight, ids: &[AssetId]) -> Result<Vec<Card>, Error> {
        let mut cards = card::load_many(&mut *self.db.read.acquire().await?, ids, sight).await?;
        let place: std::collections::HashMap<_, _> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        cards.sort_by_key(|card| place.get(&card.asset_id).copied());
        Ok(cards)
    }

    /// The cards whose own words hold every one of `words`, newest change first: the search of last resort.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn cards_containing(&self, sight: &Sight, words: &[String], limit: usize) -> Result<Vec<Card>, Error> {
        Ok(card::containing(&mut *self.db.read.acquire().await?, sight, words, to_i64(limit)).await?)
    }

    /// What search indexes of those `ids` that are not deleted, in no order and whoever may see them.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn searchable(&self, ids: &[AssetId]) -> Result<Vec<Searchable>, Error> {
        Ok(card::searchable(&mut *self.db.read.acquire().await?, ids).await?)
    }

    /// The ids of live assets after `after`, in order: for walking through all of them.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn asset_ids_after(&self, after: Option<AssetId>, limit: usize) -> Result<Vec<AssetId>, Error> {
        Ok(asset::ids_after(&mut *self.db.read.acquire().await?, after, to_i64(limit)).await?)
    }

    /// Which assets changed after `mark`, whoever may see them, in commit order: for the replicas' indexes.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn all_changes(&self, mark: Mark, limit: usize) -> Result<Vec<change::Change>, Error> {
        Ok(change::after(&mut *self.db.read.acquire().await?, mark, to_i64(limit)).await?)
    }

    /// The newest place in the change log.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn newest_mark(&self) -> Result<Mark, Error> {
        Ok(change::newest(&mut *self.db.read.acquire().await?).await?)
    }
}
