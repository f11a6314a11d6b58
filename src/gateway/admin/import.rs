//! Import: one resource of a vendor, one base address or one API description becomes a backend, a pool, a route, default
//! limits and an asset of the catalog.

use super::super::settings::{
    BackendSettings, Capacity, CredentialSettings, KeyTemplate, Member, PolicySettings, PoolSettings, Provider,
    RequestRate, RouteSettings, Rule, Section, Serves, Settings, Span, TokenLimit,
};
use super::rights::{self, Right};
use super::write::{Deed, Edit};
use super::{Gateway, Stored, store};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{Name, NotPublic, Problem, Slug};
use crate::catalog::{Catalog, Kind, NewAsset, NewDefinition, NewDeployment, Outcome};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A list of models is not longer.
const LONGEST: usize = 4 << 20;
/// What each key may use of an imported model until somebody says otherwise.
const TOKENS_PER_MINUTE: u64 = 100_000;
const REQUESTS_PER_MINUTE: u64 = 600;

/// What is imported.
#[derive(Clone, Debug)]
pub enum Source {
    /// An Azure OpenAI resource, `https://contoso.openai.azure.com`.
    AzureOpenai { resource: String, api_version: Option<String> },
    /// The base address of anything that speaks OpenAI's dialect, `https://api.openai.com/v1`.
    Compatible { url: String },
    /// A description of a REST API (OpenAPI); where it describes a chat endpoint of OpenAI's dialect, of a model server.
    OpenApi { definition: NewDefinition },
}

/// An import.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// Whose all of it becomes; of the instance, with its asset in `default`, where not said.
    pub workspace: Option<&'a str>,
    /// What all of it is called.
    pub name: Slug,
    pub source: Source,
    /// The vendor's API key.
    pub key: Option<String>,
    /// The models (of Azure the deployments), where they are not to be read from the source.
    pub models: Vec<String>,
    /// Tokens a minute the backend can take.
    pub capacity: Option<u64>,
    /// Tokens a minute for each key.
    pub limit: Option<u64>,
    /// The address of the gateway, for the asset's deployment.
    pub public_url: &'a str,
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    pub models: Vec<String>,
    /// `workspace/name` of the asset.
    pub asset: (String, String),
    pub made: Vec<Stored>,
}

impl Gateway {
    /// Makes everything at once: credential, backend, pool, limits, asset and route, all of one name.
    ///
    /// # Errors
    /// 404, 403; 409 when something of this name is there; 422 names what is wrong, also when the source does not give its
    /// models.
    pub async fn import(&self, actor: &Actor, catalog: &Catalog, import: Import<'_>) -> Result<Imported, Problem> {
        let book = self.book().await?;
        let owner = rights::owner(&book, actor, import.workspace, Right::Manage)?;
        let place = import.workspace.unwrap_or("default");
        let home = book.owner(Some(place)).and_then(|owner| owner.workspace_id());
        let home = home.ok_or_else(|| Problem::not_found(format!("There is no workspace {place:?}.")))?;
        actor.require(Permission::WriteCatalog, Scope::Workspace(home))?;
        let name = import.name.as_str();
        for section in [Section::Credential, Section::Backend, Section::Pool, Section::Policy, Section::Route] {
            if book.find(section, &owner, name).is_some() {
                let problem = Problem::conflict("name-taken", format!("There is a {section} {name} already."));
                return Err(problem.with_help("Choose another name, or change what is there."));
            }
        }
        let (provider, url) = self.target(&import)?;
        let models = match (provider, import.models.as_slice()) {
            (Provider::Rest, _) => Vec::new(),
            (_, []) => self.models_of(&import, provider, &url).await?,
            (_, given) => given.to_vec(),
        };

        let asset = match &import.workspace {
            Some(_) => name.to_owned(),
            None => format!("{place}/{name}"),
        };
        let things = things(&import, provider, url, &models, &asset);
        let edits = || -> Vec<Edit> {
            let edit = |settings: Settings| Edit {
                section: settings.section(),
                owner: owner.clone(),
                name: name.to_owned(),
                deed: Deed::Put { settings, secret: None, if_match: None },
                at: "body".to_owned(),
            };
            things.iter().cloned().map(edit).collect()
        };
        // All that could refuse the settings does so before the asset is there.
        let mut conn = self.inner.db.read.acquire().await?;
        let sealed = store::secrets(&mut conn).await?;
        drop(conn);
        self.rehearsed(&book, &edits(), &sealed)?;
        let registered = catalog.register(actor, place, self::asset(&import, provider, &models)?).await?;
        debug_assert!(registered.outcome == Outcome::Registered);
        let made = self.write(actor, |_| Ok(edits())).await?;
        Ok(Imported { models, asset: (place.to_owned(), name.to_owned()), made })
    }

    /// What a source is called as, and where.
    fn target(&self, import: &Import<'_>) -> Result<(Provider, String), Problem> {
        match &import.source {
            Source::AzureOpenai { resource, .. } => {
                Ok((Provider::AzureOpenai, resource.trim_end_matches('/').trim_end_matches("/openai").to_owned()))
            }
            Source::Compatible { url } => {
                let url = url.trim_end_matches('/').to_owned();
                let host = url.parse::<url::Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
                let provider = match host.as_deref() {
                    Some("api.openai.com") => Provider::Openai,
                    _ => Provider::Compatible,
                };
                Ok((provider, url))
            }
            Source::OpenApi { definition } => {
                let read = read(definition)?;
                let server = read.outline.servers.iter().map(|server| server.url.as_str());
                let server = server.into_iter().find(|url| url.starts_with("https://") || url.starts_with("http://"));
                let server = server.ok_or_else(|| {
                    Problem::invalid_field(
                        "body.openapi",
                        "names no server with an absolute address; add one to `servers`",
                    )
                })?;
                let chats =
                    read.outline.operations.iter().any(|operation| {
                        operation.path.as_deref().is_some_and(|path| path.ends_with("/chat/completions"))
                    });
                let provider = if chats { Provider::Compatible } else { Provider::Rest };
                Ok((provider, server.trim_end_matches('/').to_owned()))
            }
        }
    }

    /// The models a source says it has.
    async fn models_of(&self, import: &Import<'_>, provider: Provider, base: &str) -> Result<Vec<String>, Problem> {
        let (address, header) = match &import.source {
            // The list of deployments is in the early versions of the data plane only.
            Source::AzureOpenai { .. } => (format!("{base}/openai/deployments?api-version=2022-12-01"), "api-key"),
            _ => (format!("{base}/models"), "authorization"),
        };
        let refused = |reason: String| {
            Problem::invalid_field("body.models", format!("the models could not be read from {base}: {reason}"))
                .with_help("Name them in `models`; of Azure OpenAI the deployments.")
        };
        let url: url::Url = address.parse().map_err(|error| refused(format!("it is no URL ({error})")))?;
        self.inner.egress.judge_strictly(&url).map_err(|reason| {
            Problem::invalid_field(
                "body.url",
                format!("{reason}; the operator can allow its host (WHARFINGER_GATEWAY_ALLOWED_HOSTS)"),
            )
        })?;
        let http = self.inner.tokens.http().map_err(refused)?;
        let mut request = http.get(url).header(http::header::ACCEPT, "application/json");
        if let Some(key) = &import.key {
            let value = if header == "authorization" { format!("Bearer {key}") } else { key.clone() };
            let value = http::HeaderValue::from_str(&value)
                .map_err(|_| Problem::invalid_field("body.key", "holds what no header can"))?;
            request = request.header(header, value);
        }
        let mut response =
            request.timeout(Duration::from_secs(10)).send().await.map_err(|error| refused(words(&error)))?;
        if !response.status().is_success() {
            return Err(refused(format!("it answered {}", response.status().as_u16())));
        }
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| refused(words(&error)))? {
            text.extend_from_slice(&piece);
            if text.len() > LONGEST {
                return Err(refused("its list is too long".to_owned()));
            }
        }
        let list: Value = serde_json::from_slice(&text).map_err(|_| refused("it answered no JSON".to_owned()))?;
        let mut models: Vec<String> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one.get("status").is_none_or(|status| status == "succeeded"))
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect();
        models.sort();
        models.dedup();
        if models.is_empty() {
            let what = if provider == Provider::AzureOpenai { "deployment" } else { "model" };
            return Err(refused(format!("it has no {what}")));
        }
        models.truncate(200);
        Ok(models)
    }
}

/// The settings of an import, in the order in which they name each other.
fn things(import: &Import<'_>, provider: Provider, url: String, models: &[String], asset: &str) -> Vec<Settings> {
    let name = import.name.to_string();
    let mut things: Vec<Settings> = Vec::new();
    if let Some(key) = &import.key {
        // A REST API tells no header of its own; most take a bearer token.
        let credential = match provider {
            Provider::Rest => CredentialSettings::Bearer { value: key.clone() },
            _ => CredentialSettings::ApiKey { value: key.clone(), header: None },
        };
        things.push(credential.into());
    }
    let api_version = match &import.source {
        Source::AzureOpenai { api_version, .. } => api_version.clone(),
        _ => None,
    };
    let models_map: BTreeMap<String, String> = models.iter().map(|model| (model.clone(), model.clone())).collect();
    things.push(
        BackendSettings {
            models: models_map,
            api_version,
            credential: import.key.as_ref().map(|_| name.clone()),
            capacity: Capacity { tokens_per_minute: import.capacity, ..Capacity::default() },
            ..BackendSettings::new(provider, url)
        }
        .into(),
    );
    things.push(PoolSettings { members: vec![Member::new(name.clone())], ..PoolSettings::default() }.into());
    let rule = match provider {
        Provider::Rest => Rule::RequestRate(RequestRate {
            counter_key: KeyTemplate::default(),
            requests: REQUESTS_PER_MINUTE,
            per: Span::seconds(60),
        }),
        _ => Rule::TokenLimit(TokenLimit {
            tokens_per_minute: Some(import.limit.unwrap_or(TOKENS_PER_MINUTE)),
            requests_per_minute: Some(REQUESTS_PER_MINUTE),
            ..TokenLimit::default()
        }),
    };
    things.push(PolicySettings::new(rule).into());
    let serves = match provider {
        Provider::Rest => Serves::Rest(asset.to_owned()),
        _ => Serves::Models(models.to_vec()),
    };
    things.push(
        RouteSettings {
            title: String::new(),
            asset: matches!(serves, Serves::Models(_)).then(|| asset.to_owned()),
            serves,
            pool: name.clone(),
            dialects: Vec::new(),
            policies: vec![name],
            callers: Default::default(),
            disabled: false,
        }
        .into(),
    );
    things
}

/// The entry of the catalog.
fn asset(import: &Import<'_>, provider: Provider, models: &[String]) -> Result<NewAsset, Problem> {
    let name = Name::parse(import.name.as_str()).expect("a slug is a name");
    let base = import.public_url.trim_end_matches('/');
    let new = NewAsset { name: Some(name), ..NewAsset::default() };
    if provider == Provider::Rest {
        let Source::OpenApi { definition } = &import.source else { return Ok(new) };
        return Ok(NewAsset { kind: Some(Kind::Rest), definition: Some(definition.clone()), ..new });
    }
    let shown: Vec<_> = models.iter().take(5).map(String::as_str).collect();
    let more = if models.len() > 5 { format!(" and {} more", models.len() - 5) } else { String::new() };
    let list: String = models.iter().map(|model| format!("- `{model}`\n")).collect();
    Ok(NewAsset {
        kind: Some(Kind::Model),
        title: Some(import.name.to_string()),
        summary: Some(format!("Through the gateway: {}{more}.", shown.join(", "))),
        description: Some(format!(
            "Call it with a key of this register at `{base}/llm/v1`, as OpenAI's clients do. The models:\n\n{list}"
        )),
        deployments: Some(vec![NewDeployment { url: format!("{base}/llm/v1"), ..NewDeployment::default() }]),
        ..new
    })
}

fn read(definition: &NewDefinition) -> Result<crate::wire::ReadDefinition, Problem> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let content = match (&definition.value, &definition.base64) {
        (Some(Value::String(text)), _) => text.clone().into_bytes(),
        (Some(value), _) => value.to_string().into_bytes(),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|_| Problem::invalid_field("body.openapi.base64", "is no base64"))?
        }
        (None, None) => return Err(Problem::invalid_field("body.openapi", "give the document's `value` or its `url`")),
    };
    crate::wire::read_definition(&content, None).map_err(|refusal| {
        let errors =
            refusal.errors.iter().map(|one| crate::base::FieldError::new(one.location.clone(), one.message.clone()));
        Problem::invalid(format!("The description cannot be read: {refusal}.")).with_errors(errors.collect())
    })
}

fn words(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return "it does not lie on the public internet".to_owned();
        }
        cause = error.source();
    }
    if error.is_timeout() { "it does not answer in time".to_owned() } else { "it cannot be reached".to_owned() }
}
