//! The official MCP registry's API, `/v0.1` and `/v0`: at the root over all workspaces, below `/workspaces/{name}` of one,
//! below `/registries/{name}` of a named view.
//!
//! Editors, agents and other registries read servers here and publish them. Reads go through [`answer`]: what was
//! answered once is kept as bytes until the catalog changes. The API's own rules stand in `wire::server_json` and in
//! `catalog::registry_entry`; this door reads requests generously and answers in the official server's words.

mod about;
mod answer;
mod body;
mod cors;
mod description;
mod extensions;
mod managed_settings;
mod path;
mod problem;
mod proof;
mod query;
mod reading;
mod render;
mod search;
mod token;
mod writing;

use crate::{
    auth::{Actor, Auth},
    base::{Dns, HttpClient, Problem},
    catalog::{Catalog, RegistryScope, generation_name},
    door::{AsItIs, Handles, PublicUrl, ReadyAnswers, identify, writes_done_once},
    search::Search,
};
use answer::{Answer, Answers};
use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::any,
};
use http::{Method, Request, StatusCode, request::Parts};
use path::{Address, Resource};
use std::{borrow::Cow, sync::Arc};

/// Our name among extensions and in `_meta`.
pub(crate) const NAMESPACE: &str = "dev.wharfinger";

/// Room for the ready answers: the details of some 20,000 servers, with the lists that are asked for most.
const ANSWER_BYTES: u64 = 64 << 20;

/// The routes of the API.
///
/// Beside them come the answers that are kept, so that they can be given before a request is routed.
///
/// All routes lead to one function, which takes the path apart itself: a router would answer the odd forms of
/// addresses that clients make with redirects or 404.
pub fn router(handles: &Handles) -> (Router<Handles>, impl ReadyAnswers + use<>) {
    let catalog = handles.catalog.clone();
    let answers = Answers::new(catalog.generations().clone(), ANSWER_BYTES);
    let ready = Kept(answers.clone());
    let public_url = handles.public_url.clone();
    let registry = Registry {
        catalog,
        auth: handles.auth.clone(),
        search: handles.search.clone(),
        answers,
        public_url,
        http: handles.http.clone(),
        dns: Dns::new(handles.config.access.dns_server),
    };

    let mut router = Router::new();
    for prefix in ["", "/workspaces/{workspace}", "/registries/{registry}"] {
        // Some clients leave the version out.
        for version in ["v0.1", "v0", "servers"] {
            for rest in ["", "/", "/{*rest}"] {
                router = router.route(&format!("{prefix}/{version}{rest}"), any(serve));
            }
        }
    }
    (writes_done_once(router, handles).with_state(Arc::new(registry)).merge(description::router()), ready)
}

/// What the door needs.
struct Registry {
    catalog: Catalog,
    auth: Auth,
    search: Search,
    answers: Answers,
    public_url: PublicUrl,
    http: HttpClient,
    dns: Dns,
}

async fn serve(State(registry): State<Arc<Registry>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = if parts.method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match registry.answer(&parts, body).await {
            Ok(answer) => answer.respond(&parts.method, &parts.headers),
            Err(problem) => problem::respond(&problem, &parts.method, &parts.headers),
        }
    };
    cors::allow(response.headers_mut(), &parts.method, &parts.headers);
    response.extensions_mut().insert(AsItIs);
    response
}

/// The answers that lie ready.
struct Kept(Answers);

impl ReadyAnswers for Kept {
    fn route(&self) -> &'static str {
        "/v0.1/{*rest}"
    }

    fn find(&self, request: &Request<Body>, asker: Option<&Actor>) -> Option<Response> {
        let target = request.uri().path_and_query()?.as_str();
        // Nothing else is kept here; looking for it would cost all other requests.
        let ours = ["/v0", "/servers", "/workspaces/", "/registries/"].iter().any(|start| target.starts_with(start));
        let answer = ours.then(|| self.0.get(&key_for(asker, target))).flatten()?;
        let mut response = answer.respond(request.method(), request.headers());
        cors::allow(response.headers_mut(), request.method(), request.headers());
        Some(response)
    }
}

/// Under what the answer is kept that this asker gets for this target: what others may see who come with a credential, and
/// the target; of anybody the target alone.
fn key_for<'a>(asker: Option<&Actor>, target: &'a str) -> Cow<'a, str> {
    match asker.filter(|actor| !actor.is_anonymous()) {
        None => Cow::Borrowed(target),
        Some(actor) => Cow::Owned([actor.sight_mark(), target].concat()),
    }
}

impl Registry {
    async fn answer(&self, parts: &Parts, body: Body) -> Result<Arc<Answer>, Problem> {
        let actor = self.actor(parts).await?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let reading = parts.method == Method::GET || parts.method == Method::HEAD;
        let key = &*key_for(Some(&actor), target);
        if reading && let Some(kept) = self.answers.get(key) {
            return Ok(kept);
        }

        let Address { workspace, view, resource } = Address::parse(parts.uri.path())?;
        let workspace = workspace.as_deref();
        let query = parts.uri.query();
        if let Some(view) = view {
            if !reading {
                return Err(problem::method_not_allowed(&parts.method, "GET, HEAD, OPTIONS"));
            }
            let (answer, stamp) = self.read_view(&actor, &view, resource, query).await?;
            let answer = Arc::new(answer);
            if let Some(stamp) = stamp {
                self.answers.put(key, stamp, answer.clone());
            }
            return Ok(answer);
        }
        match (&parts.method, resource) {
            (&Method::GET | &Method::HEAD, resource) => {
                let (answer, stamp) = self.read(&actor, workspace, resource, query).await?;
                let answer = Arc::new(answer);
                if let Some(stamp) = stamp {
                    self.answers.put(key, stamp, answer.clone());
                }
                Ok(answer)
            }
            (&Method::POST, Resource::Validate) => about::validate(parts, body).await.map(Arc::new),
            (&Method::POST, Resource::Token { method }) => {
                self.exchange(&actor, &method, parts, body).await.map(Arc::new)
            }
            (&Method::POST, Resource::Publish) => self.publish(&actor, workspace, parts, body).await.map(Arc::new),
            (&Method::PUT, Resource::Version { server, version }) => {
                self.edit(&actor, workspace, (&server, &version), parts, body).await.map(Arc::new)
            }
            (&Method::DELETE, Resource::Version { server, version }) => {
                self.delete(&actor, workspace, (&server, &version)).await.map(Arc::new)
            }
            (&Method::PATCH, Resource::VersionStatus { server, version }) => {
                self.set_status(&actor, workspace, (&server, &version), parts, body).await.map(Arc::new)
            }
            (&Method::PATCH, Resource::ServerStatus { server }) => {
                self.set_status_of_all(&actor, workspace, &server, parts, body).await.map(Arc::new)
            }
            (method, resource) => Err(problem::method_not_allowed(method, resource.methods())),
        }
    }

    async fn read(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        resource: Resource,
        query: Option<&str>,
    ) -> Result<(Answer, Option<answer::Stamp>), Problem> {
        match resource {
            Resource::Servers => self.list(actor, workspace.into(), query).await,
            Resource::Versions { server } => self.versions(actor, workspace.into(), &server, query).await,
            Resource::Version { server, version } => {
                self.version(actor, workspace.into(), (&server, &version), query).await
            }
            Resource::ManagedSettings => self.managed_settings(actor, workspace.into(), query).await,
            Resource::Health => Ok((about::health(), None)),
            Resource::Ping => Ok((about::ping(), None)),
            Resource::About => Ok((about::version(), None)),
            Resource::Extensions => Ok((extensions::list(), None)),
            Resource::Search => self.search(actor, workspace, query).await.map(|answer| (answer, None)),
            Resource::Changes => self.changes(actor, workspace, query).await.map(|answer| (answer, None)),
            other => Err(problem::method_not_allowed(&Method::GET, other.methods())),
        }
    }

    /// The reads of a named view.
    async fn read_view(
        &self,
        actor: &Actor,
        view: &str,
        resource: Resource,
        query: Option<&str>,
    ) -> Result<(Answer, Option<answer::Stamp>), Problem> {
        let name = generation_name(view);
        let generation = self.catalog.generations().of_name(&name);
        let view = self.catalog.registry_view_to_serve(actor, view).await?;
        let scope = RegistryScope::View(&view);
        // Before anything else: of a view that asks for a credential nothing is told without one.
        view.sight(actor)?;
        let (answer, stamp) = match resource {
            Resource::Servers => self.list(actor, scope, query).await?,
            Resource::Versions { server } => self.versions(actor, scope, &server, query).await?,
            Resource::Version { server, version } => self.version(actor, scope, (&server, &version), query).await?,
            Resource::ManagedSettings => self.managed_settings(actor, scope, query).await?,
            Resource::Health => (about::health(), None),
            Resource::Ping => (about::ping(), None),
            Resource::About => (about::version(), None),
            Resource::Extensions => (extensions::list_of_view(), None),
            _ => {
                return Err(Problem::not_found(
                    "A named registry is read, and has its lists, its versions and x/managed-settings.",
                ));
            }
        };
        Ok((answer, stamp.map(|stamp| stamp.and(&name, generation))))
    }

    /// Whoever the request's key stands for; nobody without one.
    async fn actor(&self, parts: &Parts) -> Result<Actor, Problem> {
        identify(parts, &self.auth).await
    }
}

impl Resource {
    /// The methods it takes, as `Allow` lists them.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Version { .. } => "GET, HEAD, PUT, DELETE, OPTIONS",
            Self::VersionStatus { .. } | Self::ServerStatus { .. } => "PATCH, OPTIONS",
            Self::Publish | Self::Validate | Self::Token { .. } => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::Identity, base::KeyId};

    #[test]
    fn what_anybody_is_answered_is_not_what_a_key_is_answered_that_sees_no_more() {
        let key = Actor::of(Identity::Key { id: KeyId::new(), name: "bench".into() }, Vec::new());

        assert_eq!(key_for(None, "/v0/servers"), "/v0/servers");
        assert_eq!(key_for(Some(&Actor::anonymous()), "/v0/servers"), "/v0/servers");
        // Views that ask for a credential answer the one and refuse the other.
        assert_ne!(key_for(Some(&key), "/v0/servers"), "/v0/servers");
    }
}
