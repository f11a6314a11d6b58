//! The reads: the list of servers, the versions of one, a version.

use super::{
    Registry,
    answer::{Answer, Stamp},
    problem,
    query::{ListQuery, Parameters},
    render,
};
use crate::{
    auth::Actor,
    base::{Cursor, Problem},
    catalog::{MOST_VERSIONS, RegistryFilter, RegistryScope, VersionFilter, VersionPlace},
};
use http::StatusCode;

impl Registry {
    /// Servers by name, each with its versions from older to newer.
    pub(super) async fn list(
        &self,
        actor: &Actor,
        scope: RegistryScope<'_>,
        query: Option<&str>,
    ) -> Result<(Answer, Option<Stamp>), Problem> {
        let ListQuery { limit, mut filter, after } = ListQuery::parse(query)?;
        let stamp = Stamp::of_all(self.catalog.generations());
        let syncing = filter.updated_since.is_some() || filter.include_deleted;
        let settled =
            if syncing && filter.updated_until.is_none() { Some(self.catalog.registry_settled().await?) } else { None };
        if filter.updated_since.is_some() && filter.updated_until.is_none() {
            filter.updated_until = settled.map(|settled| settled.until);
        }

        let wanted = RegistryFilter {
            scope,
            search: filter.search.as_deref(),
            version: version_filter(filter.version.as_deref()),
            updated_after: filter.updated_since,
            updated_until: filter.updated_until,
            with_deleted: filter.include_deleted,
        };
        // One more than asked for tells whether there is a next page.
        let mut entries = self.catalog.registry_entries(actor, &wanted, after.as_ref(), limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| ListQuery::cursor(&filter, last.place()));

        let until = filter.updated_until.or(settled.map(|settled| settled.until));
        let answer = Answer::json(StatusCode::OK, render::list(&entries, next.as_ref(), until.filter(|_| syncing)));
        // What an open write holds back would stay back in a kept answer if that write is given up.
        let lasting = settled.is_none_or(|settled| !settled.writes_open);
        Ok((answer, lasting.then_some(stamp)))
    }

    /// The versions of a server, the last published first: all of them, or page by page where a limit is given.
    pub(super) async fn versions(
        &self,
        actor: &Actor,
        scope: RegistryScope<'_>,
        server: &str,
        query: Option<&str>,
    ) -> Result<(Answer, Option<Stamp>), Problem> {
        let parameters = Parameters::parse(query)?;
        let with_deleted = parameters.flag("include_deleted")?.unwrap_or(false);
        let page = if parameters.get("limit").is_some() { Some(parameters.limit()?) } else { None };
        let after: Option<VersionPlace> = match parameters.get("cursor") {
            None => None,
            Some(cursor) => {
                Some(Cursor::from_text(cursor).place().map_err(|bad| Problem::bad_request(bad.to_string()))?)
            }
        };
        let limit = page.unwrap_or(MOST_VERSIONS);
        let stamp = Stamp::of_server(self.catalog.generations(), server);

        let catalog = &self.catalog;
        let mut entries =
            catalog.registry_versions(actor, scope, server, with_deleted, after.as_ref(), limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| Cursor::of(&last.version_place()));
        let answer = match entries.as_slice() {
            [] => not_found(),
            entries => Answer::json(StatusCode::OK, render::list(entries, next.as_ref(), None)),
        };
        Ok((answer, Some(stamp)))
    }

    /// One version, or the latest.
    pub(super) async fn version(
        &self,
        actor: &Actor,
        scope: RegistryScope<'_>,
        (server, version): (&str, &str),
        query: Option<&str>,
    ) -> Result<(Answer, Option<Stamp>), Problem> {
        let with_deleted = Parameters::parse(query)?.flag("include_deleted")?.unwrap_or(false);
        let stamp = Stamp::of_server(self.catalog.generations(), server);
        let version = version_filter(Some(version));
        let entry = self.catalog.registry_entry(actor, scope, server, version, with_deleted).await?;
        let answer = match entry {
            None => not_found(),
            Some(entry) => Answer::json(StatusCode::OK, render::one(&entry)),
        };
        Ok((answer, Some(stamp)))
    }
}

fn version_filter(version: Option<&str>) -> VersionFilter<'_> {
    match version {
        None => VersionFilter::All,
        Some("latest") => VersionFilter::Latest,
        Some(name) => VersionFilter::Named(name),
    }
}

/// Kept like any other answer: clients ask for servers that are not here as often as for those that are.
fn not_found() -> Answer {
    problem::answer(&Problem::not_found("Server not found"))
}
