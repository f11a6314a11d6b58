//! `Sight`: what somebody may see of the catalog, as one value that SQL, the index and caches share.

use crate::base::{AssetId, WorkspaceId};
use sha2::{Digest, Sha256};
use sqlx::{
    Postgres, QueryBuilder,
    postgres::PgArguments,
    query::{Query, QueryAs, QueryScalar},
};

/// What an actor may see: public assets always, internal ones when it is somebody, all of its workspaces, what is shared
/// with its groups, and single assets it was given a role for.
///
/// Equal sights see the same catalog, so a sight is a fit key for caches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sight {
    pub everything: bool,
    pub internal: bool,
    /// Sorted, as the two below.
    pub workspaces: Vec<WorkspaceId>,
    /// Names.
    pub groups: Vec<String>,
    pub assets: Vec<AssetId>,
}

impl Sight {
    /// Of somebody without a credential.
    #[must_use]
    pub fn of_the_public() -> Self {
        Self::default()
    }

    /// Of the program's own parts, and of those who administer the instance.
    #[must_use]
    pub fn of_everything() -> Self {
        Self { everything: true, internal: true, ..Self::default() }
    }

    /// A short text that only equal sights have in common.
    #[must_use]
    pub fn mark(&self) -> String {
        let mut digest = Sha256::new();
        digest.update([u8::from(self.everything), u8::from(self.internal)]);
        // Lengths first, or what ends one list might begin the next.
        digest.update(self.workspaces.len().to_le_bytes());
        self.workspaces.iter().for_each(|id| digest.update(id.0.as_bytes()));
        digest.update(self.assets.len().to_le_bytes());
        self.assets.iter().for_each(|id| digest.update(id.0.as_bytes()));
        for group in &self.groups {
            digest.update(group.len().to_le_bytes());
            digest.update(group.as_bytes());
        }
        hex::encode(&digest.finalize()[..16])
    }

    /// Whether what waits for approval in this workspace, and what is private in it, is seen.
    #[must_use]
    pub fn is_inside(&self, workspace: WorkspaceId, asset: AssetId) -> bool {
        self.everything
            || self.workspaces.binary_search(&workspace).is_ok()
            || self.assets.binary_search(&asset).is_ok()
    }

    /// Adds the condition that the asset under this alias is seen.
    pub fn push_asset_visible(&self, query: &mut QueryBuilder<Postgres>, asset: &str) {
        query.push("asset_visible(").push(asset).push(", ").push_bind(self.everything);
        query.push(", ").push_bind(self.internal);
        query.push(", ").push_bind(self.workspaces.clone());
        query.push(", ").push_bind(self.groups.clone());
        query.push(", ").push_bind(self.assets.clone()).push(")");
    }

    /// Adds the condition that the version under the one alias, of the asset under the other, is seen by who sees the asset.
    pub fn push_version_visible(&self, query: &mut QueryBuilder<Postgres>, version: &str, asset: &str) {
        query.push("version_visible(").push(version).push(", ").push(asset);
        query.push(", ").push_bind(self.everything);
        query.push(", ").push_bind(self.workspaces.clone());
        query.push(", ").push_bind(self.assets.clone()).push(")");
    }
}

/// Binds a sight as the next five values; always the first ones of a statement, so that its condition is everywhere
/// `asset_visible(a, $1, $2, $3, $4, $5)`.
pub trait BindSight {
    #[must_use]
    fn bind_sight(self, sight: &Sight) -> Self;
}

macro_rules! binds {
    ($($type:ty),*) => {$(
        impl<'q, O> BindSight for $type {
            fn bind_sight(self, sight: &Sight) -> Self {
                self.bind(sight.everything)
                    .bind(sight.internal)
                    .bind(sight.workspaces.clone())
                    .bind(sight.groups.clone())
                    .bind(sight.assets.clone())
            }
        }
    )*};
}

binds!(QueryAs<'q, Postgres, O, PgArguments>, QueryScalar<'q, Postgres, O, PgArguments>);

impl BindSight for Query<'_, Postgres, PgArguments> {
    fn bind_sight(self, sight: &Sight) -> Self {
        self.bind(sight.everything)
            .bind(sight.internal)
            .bind(sight.workspaces.clone())
            .bind(sight.groups.clone())
            .bind(sight.assets.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_sights_have_the_same_mark() {
        let id = WorkspaceId::new();
        let all = Sight::of_everything();
        let one = Sight { internal: true, workspaces: vec![id], ..Sight::of_the_public() };
        let none = Sight { internal: true, ..Sight::of_the_public() };
        let single = Sight { assets: vec![AssetId(id.0)], ..none.clone() };
        let in_groups =
            |groups: &[&str]| Sight { groups: groups.iter().map(|&name| name.into()).collect(), ..none.clone() };

        let sights =
            [Sight::of_the_public(), all, one, none.clone(), single, in_groups(&["ab", "c"]), in_groups(&["a", "bc"])];
        let marks: std::collections::HashSet<_> = sights.iter().map(Sight::mark).collect();
        assert_eq!(marks.len(), sights.len());
        assert_eq!(sights[3].mark(), none.mark());
    }
}
