//! `Discovery`: what rmcp asks of a server, answered from the register.

use super::tools::{self, Tools};
use super::{prompts, resources};
use crate::auth::Actor;
use crate::base::Problem;
use crate::door::{Asker, Handles};
use crate::wire::mcp::MODERN;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, DiscoverResult, GetPromptRequestParams, GetPromptResponse,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, MetaObject,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use std::sync::Arc;

/// What never changes while the program runs: the tools, the templates, ourselves.
const FIXED_MS: u64 = 300_000;
/// What changes with the register is true at least as long as a change takes to be found.
const CHANGING_MS: u64 = 2_000;

const INSTRUCTIONS: &str = "This is the register of the organisation's APIs and MCP servers. \
    Start with search_catalog and say in plain words what you want to do; describe_asset tells what a hit is and lists \
    its operations or tools; get_definition gives one operation or tool with its schema, or the document; connect says \
    how to install an MCP server in a client or how to call an API. Without a key you see what is public.";

/// The server; cheap to clone.
#[derive(Clone)]
pub(super) struct Discovery {
    pub handles: Handles,
    tools: Arc<Tools>,
}

impl Discovery {
    pub(super) fn new(handles: Handles) -> Self {
        Self { handles, tools: Arc::new(Tools::new()) }
    }

    fn implementation(&self) -> Implementation {
        Implementation::new("wharfinger", env!("CARGO_PKG_VERSION"))
            .with_title("Wharfinger")
            .with_description("The register of the organisation's APIs and MCP servers")
            .with_website_url(self.handles.public_url.as_str())
    }

    /// Modern results say who answered; older clients were told in `initialize`.
    fn meta(&self, context: &RequestContext<RoleServer>) -> Option<MetaObject> {
        is_modern(context).then(|| {
            let mut meta = MetaObject::default();
            let us = serde_json::to_value(self.implementation()).expect("names are plain data");
            meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), us);
            meta
        })
    }
}

/// The actor whom the door found; without one, somebody without a key.
pub(super) fn actor(context: &RequestContext<RoleServer>) -> Actor {
    let parts = context.extensions.get::<http::request::Parts>();
    parts.and_then(|parts| parts.extensions.get::<Actor>()).cloned().unwrap_or_else(Actor::anonymous)
}

/// Where a refusal within an answer is told to the door, which keeps the record of it.
fn asker(context: &RequestContext<RoleServer>) -> Option<&Asker> {
    context.extensions.get::<http::request::Parts>()?.extensions.get::<Asker>()
}

fn note(context: &RequestContext<RoleServer>, problem: &Problem, asked: &str) {
    if let Some(asker) = asker(context) {
        asker.is_refused(problem.status, problem.kind, asked);
    }
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= MODERN)
}

/// An answer to a key is for that key: another caller may see more, or less.
fn scope(actor: &Actor) -> CacheScope {
    if actor.is_anonymous() { CacheScope::Public } else { CacheScope::Private }
}

impl ServerHandler for Discovery {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        ServerConfig::new(capabilities).with_server_info(self.implementation()).with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.find(name).cloned()
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let found = DiscoverResult::from_server_info(versions, self.get_info());
        Ok(found.with_ttl_ms(FIXED_MS).with_cache_scope(scope(&actor(&context))))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        refuse_cursor(request)?;
        let mut result = ListToolsResult::with_all_items(self.tools.list().to_vec());
        result.ttl_ms = Some(FIXED_MS);
        result.cache_scope = Some(scope(&actor(&context)));
        result.meta = self.meta(&context);
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::Name::from_name(&request.name) else {
            let names: Vec<_> = self.tools.list().iter().map(|tool| tool.name.as_ref()).collect();
            let message = format!("There is no tool {:?}; there are {}.", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let knows_links = context.protocol_version().is_some_and(|version| version.as_str() >= "2025-06-18");
        let asked = tools::Asked { handles: &self.handles, actor: actor(&context) };
        let mut result = match tool.call(&asked, request.arguments.unwrap_or_default()).await {
            Ok(found) => found.result(knows_links),
            Err(sorry) => sorry.noted(asker(&context), &format!("tools/call {}", request.name)).result(),
        };
        result.meta = self.meta(&context);
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        refuse_cursor(request)?;
        let mut result = ListPromptsResult::with_all_items(prompts::list());
        result.ttl_ms = Some(FIXED_MS);
        result.cache_scope = Some(scope(&actor(&context)));
        result.meta = self.meta(&context);
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut result = prompts::get(&request.name, &request.arguments.unwrap_or_default())?;
        result.meta = self.meta(&context);
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let actor = actor(&context);
        let cursor = request.and_then(|request| request.cursor);
        let mut result = resources::list(&self.handles, &actor, cursor).await.map_err(|problem| {
            note(&context, &problem, "resources/list");
            resources::refusal(problem)
        })?;
        result.ttl_ms = Some(CHANGING_MS);
        result.cache_scope = Some(scope(&actor));
        result.meta = self.meta(&context);
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        refuse_cursor(request)?;
        let mut result = ListResourceTemplatesResult::with_all_items(resources::templates());
        result.ttl_ms = Some(FIXED_MS);
        result.cache_scope = Some(scope(&actor(&context)));
        result.meta = self.meta(&context);
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let actor = actor(&context);
        let mut result = resources::read(&self.handles, &actor, &request.uri).await.map_err(|problem| {
            note(&context, &problem, &format!("resources/read {}", request.uri));
            resources::unread(problem, &request.uri)
        })?;
        result.ttl_ms = Some(CHANGING_MS);
        result.cache_scope = Some(scope(&actor));
        result.meta = self.meta(&context);
        Ok(result.into())
    }
}

/// Lists that are given whole hand out no cursors, so none can be theirs.
fn refuse_cursor(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(_) => Err(ErrorData::invalid_params("This list has one page; ask for it without a cursor.", None)),
    }
}
