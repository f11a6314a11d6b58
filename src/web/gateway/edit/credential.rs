//! `/gateway/credentials/new` and `/gateway/credentials/edit`: a form for what backends want to see. Its secret is written and
//! never read back, so there is neither a look at what would change nor the settings as YAML; what is left empty stays.

use super::field::pairs;
use super::{if_there, places};
use crate::auth::Permission;
use crate::base::Problem;
use crate::door::{Failure, segment};
use crate::gateway::settings::{Book, CredentialSettings, Owner, Section, Settings};
use crate::gateway::{Gateway, Put};
use crate::web::fields::Fields;
use crate::web::gateway::anchor;
use crate::web::layout::{Layout, Place, answer_to_form, status_of, to};
use askama::Template;
use axum::response::Response;

const LIST: &str = "/gateway/backends";

/// The sorts there are: value and words.
const KINDS: &[(&str, &str)] = &[
    ("apiKey", "API key, in the header the provider uses"),
    ("bearer", "Bearer token"),
    ("clientCredentials", "OAuth client credentials"),
];

#[derive(Template)]
#[template(path = "gateway/credential.html")]
struct Editor {
    layout: Layout,
    form: Form,
    /// Where a new one may belong: value and words.
    places: Vec<(String, String)>,
    /// The backends that name it.
    users: Vec<String>,
    problem: Option<Problem>,
}

/// What stands in the form; the secret never does.
#[derive(Clone, Debug, Default, PartialEq)]
struct Form {
    name: String,
    workspace: String,
    /// Of one that is stored.
    revision: Option<i64>,
    kind: String,
    header: String,
    token_url: String,
    client_id: String,
    scopes: String,
    parameters: String,
}

impl Editor {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        KINDS
    }

    fn title(&self) -> String {
        if self.form.revision.is_some() {
            format!("Credential {}", self.form.name)
        } else {
            "New credential".to_owned()
        }
    }

    fn wrong(&self, field: &str) -> Option<&str> {
        let errors = self.problem.iter().flat_map(|problem| &problem.errors);
        let mut errors = errors.filter(|error| field_at(&error.location) == field);
        errors.next().map(|error| error.message.as_str())
    }
}

/// The field that a place of the settings stands in.
fn field_at(location: &str) -> &str {
    let location = location.strip_prefix("body.").unwrap_or(location);
    let place = location.split_once('.').map_or(location, |(_, place)| place);
    match place.split(['.', '[']).next().unwrap_or_default() {
        "value" | "clientSecret" => "secret",
        place => place,
    }
}

impl Form {
    /// An empty one, of a workspace.
    fn new(workspace: &str) -> Self {
        Self { workspace: workspace.to_owned(), kind: KINDS[0].0.to_owned(), ..Self::default() }
    }

    fn of(name: &str, workspace: &str, revision: i64, settings: &CredentialSettings) -> Self {
        let form = Self { name: name.to_owned(), revision: Some(revision), ..Self::new(workspace) };
        match settings.clone() {
            CredentialSettings::ApiKey { header, .. } => Self { header: header.unwrap_or_default(), ..form },
            CredentialSettings::Bearer { .. } => Self { kind: "bearer".to_owned(), ..form },
            CredentialSettings::ClientCredentials { token_url, client_id, scopes, parameters, .. } => Self {
                kind: "clientCredentials".to_owned(),
                token_url,
                client_id,
                scopes: scopes.join(" "),
                parameters: parameters.iter().map(|(name, value)| format!("{name}: {value}\n")).collect(),
                ..form
            },
        }
    }

    fn sent(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self {
            name: text("name"),
            workspace: text("workspace"),
            revision: fields.get("revision").parse().ok(),
            kind: text("kind"),
            header: text("header"),
            token_url: text("tokenUrl"),
            client_id: text("clientId"),
            scopes: text("scopes"),
            parameters: text("parameters"),
        }
    }

    fn owner(&self) -> Option<&str> {
        Some(self.workspace.as_str()).filter(|workspace| !workspace.is_empty())
    }

    /// The settings it says, with this in the secret's place.
    ///
    /// # Errors
    /// 422 beside the field: one that belongs to another sort, or parameters that do not read.
    fn settings(&self, secret: String) -> Result<CredentialSettings, Problem> {
        let only = |kind: &str, words: &str, fields: &[(&str, &String)]| {
            let strange = fields.iter().find(|(_, value)| self.kind != kind && !value.is_empty());
            strange.map_or(Ok(()), |(field, _)| {
                Err(Problem::invalid_field(
                    format!("body.{field}"),
                    format!("belongs to {words}; empty it, or choose that"),
                ))
            })
        };
        only("apiKey", "an API key", &[("header", &self.header)])?;
        let of_oauth = [
            ("tokenUrl", &self.token_url),
            ("clientId", &self.client_id),
            ("scopes", &self.scopes),
            ("parameters", &self.parameters),
        ];
        only("clientCredentials", "OAuth client credentials", &of_oauth)?;
        match self.kind.as_str() {
            "apiKey" => {
                let header = Some(self.header.clone()).filter(|header| !header.is_empty());
                Ok(CredentialSettings::ApiKey { value: secret, header })
            }
            "bearer" => Ok(CredentialSettings::Bearer { value: secret }),
            "clientCredentials" => Ok(CredentialSettings::ClientCredentials {
                token_url: self.token_url.clone(),
                client_id: self.client_id.clone(),
                client_secret: secret,
                scopes: self.scopes.split_whitespace().map(str::to_owned).collect(),
                parameters: pairs("parameters", &self.parameters)
                    .map_err(|error| Problem::invalid_field(format!("body.{}", error.location), error.message))?
                    .into_iter()
                    .collect(),
            }),
            _ => Err(Problem::invalid_field("body.kind", "choose what it is")),
        }
    }
}

/// `GET /gateway/credentials/new`, with `workspace`.
pub(super) async fn new(layout: Layout, gateway: &Gateway, asked: &Fields) -> Result<Response, Failure> {
    shown(layout, gateway, Form::new(asked.get("workspace")), None).await
}

/// `GET /gateway/credentials/edit`, with `name` and `workspace`.
pub(super) async fn show(layout: Layout, gateway: &Gateway, asked: &Fields) -> Result<Response, Failure> {
    let (name, workspace) = (asked.get("name"), asked.get("workspace"));
    let owner = Some(workspace).filter(|workspace| !workspace.is_empty());
    let found = gateway.find(&layout.actor, Section::Credential, owner, name).await?.thing;
    if !Gateway::may_manage(&layout.actor, &found.owner) {
        layout.actor.require_somewhere(Permission::ManageGateway)?;
        return Err(Failure(Problem::forbidden(format!("{} is looked after by others.", found.label()))));
    }
    let Settings::Credential(settings) = &found.settings else {
        return Err(Failure(Problem::not_found(format!("There is no credential {name:?}."))));
    };
    let form = Form::of(&found.name, workspace, found.revision, settings);
    shown(layout, gateway, form, None).await
}

/// `POST /gateway/credentials/edit`: saves it, or deletes it.
pub(super) async fn submit(layout: Layout, gateway: &Gateway, fields: &Fields) -> Result<Response, Failure> {
    let form = Form::sent(fields);
    let done = match fields.get("do") {
        "delete" => {
            let deleted = gateway.delete(&layout.actor, Section::Credential, form.owner(), &form.name, form.revision);
            deleted.await.map(|()| LIST.to_owned())
        }
        _ => save(&layout, gateway, &form, fields.get("secret")).await,
    };
    match done {
        Ok(path) => Ok(to(&path)),
        Err(problem) if super::ends_the_form(&problem) => Err(Failure(problem)),
        Err(problem) => shown(layout, gateway, form, Some(problem)).await,
    }
}

/// Saves what the form says and gives where it is listed.
async fn save(layout: &Layout, gateway: &Gateway, form: &Form, secret: &str) -> Result<String, Problem> {
    let known = if_there(gateway.find(&layout.actor, Section::Credential, form.owner(), &form.name).await)?;
    let secret = match (&known, form.revision, secret) {
        (Some(_), None, _) => {
            return Err(Problem::invalid_field("body.name", "this name is taken; choose another, or edit what has it"));
        }
        (_, None, "") => return Err(Problem::invalid_field("body.value", "is needed")),
        (Some(stored), Some(_), "") => match &stored.thing.settings {
            Settings::Credential(settings) => settings.secret().to_owned(),
            _ => String::new(),
        },
        (_, _, given) => given.to_owned(),
    };
    let put = Put {
        workspace: form.owner(),
        name: &form.name,
        settings: form.settings(secret)?.into(),
        if_match: form.revision,
    };
    let saved = gateway.put(&layout.actor, put).await?.thing;
    Ok(format!("{LIST}#credential-{}", segment(&anchor(&saved.owner, &saved.name))))
}

async fn shown(layout: Layout, gateway: &Gateway, form: Form, problem: Option<Problem>) -> Result<Response, Failure> {
    let book = gateway.readable(&layout.actor).await?;
    let owner = book.owner(form.owner()).unwrap_or_default();
    let users = users(&book, &owner, &form.name);
    let places = places(&layout, &book);
    let status = status_of(problem.as_ref());
    let layout = layout.at(Place::Gateway);
    answer_to_form(&Editor { layout, form, places, users, problem }, status)
}

/// The backends that name a credential.
pub(in crate::web::gateway) fn users(book: &Book, owner: &Owner, name: &str) -> Vec<String> {
    let naming = book.backends().filter(|(thing, settings)| {
        // A credential is for its owner's backends alone.
        thing.owner == *owner && settings.credential.as_deref() == Some(name)
    });
    naming.map(|(thing, _)| thing.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: &str) -> Form {
        Form { kind: kind.to_owned(), ..Form::default() }
    }

    #[test]
    fn a_form_says_what_was_stored() {
        let stored = CredentialSettings::ClientCredentials {
            token_url: "https://login.example/token".to_owned(),
            client_id: "gateway".to_owned(),
            client_secret: "${OAUTH}".to_owned(),
            scopes: vec!["models".to_owned(), "more".to_owned()],
            parameters: [("audience".to_owned(), "https://models.example".to_owned())].into(),
        };

        assert_eq!(Form::of("oauth", "", 3, &stored).settings("${OAUTH}".to_owned()).unwrap(), stored);
    }

    #[test]
    fn what_belongs_to_another_sort_is_told_beside_its_field() {
        let strange = [
            (Form { header: "x-key".to_owned(), ..form("bearer") }, "body.header"),
            (Form { scopes: "a".to_owned(), ..form("apiKey") }, "body.scopes"),
            (Form { parameters: "audience".to_owned(), ..form("clientCredentials") }, "body.parameters"),
            (form("secret"), "body.kind"),
        ];
        for (form, place) in strange {
            assert_eq!(form.settings("s3cret".to_owned()).unwrap_err().errors[0].location, place);
        }
    }

    #[test]
    fn complaints_find_their_fields() {
        for (location, field) in [
            ("body.apiKey.value", "secret"),
            ("body.clientCredentials.clientSecret", "secret"),
            ("body.clientCredentials.scopes[1]", "scopes"),
            ("body.name", "name"),
            ("body.value", "secret"),
            ("body.tokenUrl", "tokenUrl"),
        ] {
            assert_eq!(field_at(location), field, "{location}");
        }
    }
}
