//! What a view shows, as a condition of SQL.

use super::RegistryView;
use sqlx::{Postgres, QueryBuilder};

impl RegistryView {
    /// Adds the condition that the view shows the asset under the alias `a` of the workspace under the alias `w`.
    pub(in crate::catalog) fn push_shown(&self, query: &mut QueryBuilder<Postgres>, a: &str, w: &str) {
        let filter = &self.filter;
        if let Some(workspace) = self.workspace_id {
            query.push(" and ").push(a).push(".workspace_id = ").push_bind(workspace);
        }
        if !filter.unapproved {
            query.push(" and ").push(a).push(".is_approved");
        }
        if !filter.workspaces.is_empty() {
            query.push(" and ").push(w).push(".name = any(").push_bind(filter.workspaces.clone()).push(")");
        }
        if !filter.tags.is_empty() {
            query.push(" and ").push(a).push(".tags && ").push_bind(filter.tags.clone());
        }
        if !filter.names.is_empty() {
            query.push(" and ").push(a).push(".registry_name = any(").push_bind(filter.names.clone()).push(")");
        }
        if !filter.namespaces.is_empty() {
            let patterns: Vec<String> = filter.namespaces.iter().map(|namespace| pattern(namespace)).collect();
            query.push(" and ").push(a).push(".registry_name like any(").push_bind(patterns).push(")");
        }
        let latest = |query: &mut QueryBuilder<Postgres>| {
            query
                .push(" and exists (select from version l where l.is_latest and l.asset_id = ")
                .push(a)
                .push(".asset_id and ");
        };
        if !filter.stages.is_empty() {
            let stages: Vec<String> = filter.stages.iter().map(|stage| stage.as_str().to_owned()).collect();
            latest(query);
            query.push("l.stage = any(").push_bind(stages).push("))");
        }
        if !filter.transports.is_empty() {
            latest(query);
            query.push("(exists (select from deployment d where d.version_id = l.version_id and d.deleted_at is null and d.transport = any(");
            query.push_bind(filter.transports.clone()).push("))");
            if filter.transports.iter().any(|transport| transport == "stdio") {
                query.push(" or jsonb_exists(l.server::jsonb, 'packages')");
            }
            query.push("))");
        }
    }
}

/// A namespace as a pattern of registry names.
fn pattern(namespace: &str) -> String {
    let escaped = namespace.trim_end_matches('/').replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    match escaped.strip_suffix('*') {
        Some(start) => format!("{start}%/%"),
        None => format!("{escaped}/%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_its_own_and_with_a_star_those_that_begin_so() {
        assert_eq!(pattern("com.example"), "com.example/%");
        assert_eq!(pattern("io.github.*"), "io.github.%/%");
        assert_eq!(pattern("a_b%"), "a\\_b\\%/%");
    }
}
