//! What is like an asset: near in meaning by the vectors that are stored, and by its words where it has none yet.

use super::{
    Inner, Search, document,
    hits::Asked,
    lexical::{Broken, Snapshot},
    rank::{Holdings, Ranked},
    request::{Degraded, Hit},
    vector::Near,
};
use crate::auth::{Actor, Sight};
use crate::base::{AssetId, Problem};
use crate::catalog::{Asset, Searchable};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// From which cosine on two assets are alike. Of 450 servers of the public MCP registry those that do the same lie above
/// 0.6, and those that share no more than being a server mostly below this.
const LEAST_NEAR: f32 = 0.5;
/// Which part of what an asset has in common with itself another must have in common with it.
const LEAST_IN_COMMON: f32 = 0.15;
/// Most words that are marked as the reason.
const MOST_MARKED: usize = 25;

/// Assets that are like another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Similar {
    /// Most alike first. Scores lie in `0.0..=1.0`: the cosine of the two, or the part of the words in common.
    pub items: Vec<Hit>,
    /// Which evidence was missing; empty when vectors answered.
    pub degraded: Vec<Degraded>,
}

impl Search {
    /// At most `limit` assets that the actor may see and that are like `asset`, which the catalog gave to the same actor.
    ///
    /// Nothing is embedded: the vectors answer that were made when it was written. While there are none of it, words do.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn similar(&self, actor: &Actor, asset: &Asset, limit: usize) -> Result<Similar, Problem> {
        let (inner, sight, id) = (&self.0, actor.sight(), asset.asset_id);
        let near = inner.holdings().nearest_to(id, sight, limit);
        if let Some(ranked) = near {
            let named = |ranked: &Ranked| inner.operation(ranked);
            let items = inner.hits.of(&inner.catalog, sight, &ranked, &Asked::of(&[]), named).await?;
            return Ok(Similar { items, degraded: Vec::new() });
        }
        let Some(index) = inner.index.load_full() else {
            return Ok(Similar { items: Vec::new(), degraded: vec![Degraded::Semantic, Degraded::Lexical] });
        };
        let Some(asset) = inner.catalog.searchable(&[id]).await?.pop() else { return Ok(Similar::default()) };
        match inner.ranked_by_words(&index, &asset, sight, limit) {
            Ok((ranked, asked)) => {
                let items = inner.hits.of(&inner.catalog, sight, &ranked, &asked, |_| None).await?;
                Ok(Similar { items, degraded: vec![Degraded::Semantic] })
            }
            Err(broken) => {
                inner.note_broken(&broken);
                Ok(Similar { items: Vec::new(), degraded: vec![Degraded::Semantic, Degraded::Lexical] })
            }
        }
    }
}

impl Inner {
    /// The assets with most words in common, and the words of `asset` that are marked in them.
    fn ranked_by_words(
        &self,
        index: &Snapshot,
        asset: &Searchable,
        sight: &Sight,
        limit: usize,
    ) -> Result<(Vec<Ranked>, Asked), Broken> {
        let ranked = || {
            let ranked = self.holdings().with_most_in_common(index, asset, sight, limit)?;
            let told = format!("{} {}", asset.card.title, asset.card.summary);
            Ok((ranked, Asked::of(&index.words_of(&told, false, MOST_MARKED)?)))
        };
        let outcome = catch_unwind(AssertUnwindSafe(ranked));
        outcome.unwrap_or_else(|_| Err(Broken::Damaged("reading it failed".to_owned())))
    }
}

impl Holdings {
    /// The assets nearest in meaning to that of this id; none when it has no vectors.
    fn nearest_to(&self, id: AssetId, sight: &Sight, limit: usize) -> Option<Vec<Ranked>> {
        let slot = self.roster.slot(id)?;
        let is_seen = |other: u32| self.roster.entry(other).is_some_and(|entry| entry.is_seen_by(sight));
        let near = self.vectors.nearest_to(slot, limit, is_seen)?.into_iter();
        let alike = near.filter(|(_, near)| near.score >= LEAST_NEAR);
        Some(alike.filter_map(|(slot, near)| self.ranked(slot, near.score, Some(near))).collect())
    }

    fn with_most_in_common(
        &self,
        index: &Snapshot,
        asset: &Searchable,
        sight: &Sight,
        limit: usize,
    ) -> Result<Vec<Ranked>, Broken> {
        let Some(own) = self.roster.slot(asset.card.asset_id) else { return Ok(Vec::new()) };
        let scores = index.in_common(&document::fields(asset).everything, self.roster.slots())?;
        let with_itself = scores.get(own as usize).copied().unwrap_or_default();
        let part = |score: f32| if with_itself > 0.0 { (score / with_itself).min(1.0) } else { 0.0 };
        let others = self.roster.seen_by(sight).filter(|(slot, _)| *slot != own);
        let mut alike: Vec<(f32, u32)> = others
            .map(|(slot, _)| (part(scores.get(slot as usize).copied().unwrap_or_default()), slot))
            .filter(|(part, _)| *part >= LEAST_IN_COMMON)
            .collect();
        alike.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        alike.truncate(limit);
        Ok(alike.into_iter().filter_map(|(part, slot)| self.ranked(slot, part, None)).collect())
    }

    fn ranked(&self, slot: u32, score: f32, near: Option<Near>) -> Option<Ranked> {
        let entry = self.roster.entry(slot)?;
        Some(Ranked { id: entry.id, score: score.clamp(0.0, 1.0), near, words: 0 })
    }
}
