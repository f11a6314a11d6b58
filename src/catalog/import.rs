//! Importing many: one line, one asset; a rejected line loses no other.
//!
//! A line is the register body, a server.json, a registry entry (`{"server": ..., "_meta": ...}`), or the short form
//! `{id, kind, name, title, description, tools[], tags[]}`; any of them may name its `workspace`.

use super::draft::Draft;
use super::metadata::{self, MetadataSchema};
use super::{Catalog, Error, NewAsset, NewDefinition, NewVersion, Outcome, Status, Workspace, workspace};
use crate::auth::{Actor, Permission};
use crate::base::{self, FieldError, Problem, Slug};
use crate::wire::Format;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";

/// One line of an import, understood.
#[derive(Clone, Debug)]
pub struct ImportLine {
    pub workspace: Option<String>,
    pub draft: Draft,
}

/// What came of one line.
#[derive(Debug)]
pub struct Imported {
    /// From 1.
    pub line: usize,
    /// What the line calls its asset, where it could be read.
    pub name: Option<String>,
    pub result: Result<Outcome, Problem>,
}

impl ImportLine {
    /// Reads a line. Pure.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place and the reason.
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        let value = base::parse_strict(text).map_err(|error| {
            Error::invalid(vec![FieldError::new(format!("column {}", error.column), error.message)])
        })?;
        let Value::Object(mut line) = value else {
            return Err(Error::invalid_at("line", "must be a JSON object"));
        };
        let workspace = match line.remove("workspace") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(Error::invalid_at("workspace", "must be a workspace's name")),
        };
        let new = if line.get("server").is_some_and(Value::is_object) {
            registry_entry(text, &line)?
        } else if is_server_json(&line) {
            // The line's own bytes unless it had a member that is ours.
            let bytes = if workspace.is_some() {
                Value::Object(line).to_string()
            } else {
                String::from_utf8_lossy(text).trim().to_owned()
            };
            of_server_json(bytes)
        } else {
            line.remove("id");
            serde_path_to_error::deserialize(Value::Object(line))
                .map_err(|error| Error::invalid_at(error.path().to_string(), error.inner().to_string()))?
        };
        Ok(Self { workspace, draft: Draft::of(new)? })
    }
}

/// What a line calls its asset, when the line itself cannot be taken.
fn called(text: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_slice(text).ok()?;
    let name = line.get("name").or_else(|| line.get("server")?.get("name"))?.as_str()?;
    Some(name.chars().take(200).collect())
}

fn is_server_json(line: &Map<String, Value>) -> bool {
    let schema = line.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let shape =
        !line.contains_key("kind") && line.contains_key("name") && line.get("version").is_some_and(Value::is_string);
    schema.contains("server.schema.json") || shape
}

fn of_server_json(text: String) -> NewAsset {
    let definition = NewDefinition {
        format: Some(Format::ServerJson.as_str().to_owned()),
        value: Some(Value::String(text)),
        ..NewDefinition::default()
    };
    NewAsset { definition: Some(definition), ..NewAsset::default() }
}

/// An entry of another registry, or a bare server.json.
pub(super) fn entry_of_another_registry(text: &[u8]) -> Result<NewAsset, Error> {
    let value = base::parse_strict(text)
        .map_err(|error| Error::invalid(vec![FieldError::new(format!("column {}", error.column), error.message)]))?;
    match value {
        Value::Object(line) if line.get("server").is_some_and(Value::is_object) => registry_entry(text, &line),
        Value::Object(line) if is_server_json(&line) => Ok(of_server_json(String::from_utf8_lossy(text).into_owned())),
        _ => Err(Error::invalid_at("entry", "must be a registry entry or a server.json")),
    }
}

/// The server's own bytes, and what the other registry recorded about it.
fn registry_entry(text: &[u8], line: &Map<String, Value>) -> Result<NewAsset, Error> {
    #[derive(serde::Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        server: &'a RawValue,
    }
    let entry: Entry<'_> =
        serde_json::from_slice(text).map_err(|error| Error::invalid_at("server", error.to_string()))?;
    let recorded = line.get("_meta").and_then(|meta| meta.get(OFFICIAL));
    let text_of = |member: &str| recorded.and_then(|recorded| recorded.get(member)).and_then(Value::as_str);
    let time_of = |member: &str| -> Result<Option<OffsetDateTime>, Error> {
        let Some(text) = text_of(member) else { return Ok(None) };
        let time = OffsetDateTime::parse(text, &Rfc3339);
        time.map(Some).map_err(|error| Error::invalid_at(format!("_meta.{OFFICIAL}.{member}"), error.to_string()))
    };
    let status = match text_of("status") {
        None => None,
        Some(word) => {
            Some(word.parse::<Status>().map_err(|error| Error::invalid_at("_meta.status", error.to_string()))?)
        }
    };
    let version = NewVersion {
        name: None,
        stage: None,
        status,
        status_message: text_of("statusMessage").map(str::to_owned),
        published_at: time_of("publishedAt")?,
        updated_at: time_of("updatedAt")?,
    };
    Ok(NewAsset { version: Some(version), ..of_server_json(entry.server.get().to_owned()) })
}

impl Catalog {
    /// Stores a batch of lines in one transaction; `lines` are (number from 1, text). A dry run tells what would happen
    /// and stores nothing.
    ///
    /// # Errors
    /// 503 when the database goes away: then none of the batch is stored. What is wrong with a line stands in its
    /// [`Imported`].
    pub async fn import(
        &self,
        actor: &Actor,
        default_workspace: &str,
        lines: &[(usize, &[u8])],
        dry_run: bool,
    ) -> Result<Vec<Imported>, Problem> {
        let read: Vec<_> = lines.iter().map(|(number, text)| (*number, *text, ImportLine::read(text))).collect();
        match self.import_together(actor, default_workspace, &read, dry_run).await {
            Ok(done) => Ok(done),
            // One line the database refuses voids the transaction: then each gets its own.
            Err(error) => {
                let problem = Problem::from(error);
                if lines.len() == 1 {
                    return match problem.status.as_u16() {
                        503 => Err(problem),
                        _ => Ok(vec![Imported { line: lines[0].0, name: None, result: Err(problem) }]),
                    };
                }
                let mut done = Vec::with_capacity(lines.len());
                for line in lines {
                    done.extend(Box::pin(self.import(actor, default_workspace, &[*line], dry_run)).await?);
                }
                Ok(done)
            }
        }
    }

    async fn import_together(
        &self,
        actor: &Actor,
        default_workspace: &str,
        lines: &[(usize, &[u8], Result<ImportLine, Error>)],
        dry_run: bool,
    ) -> Result<Vec<Imported>, Error> {
        let mut tx = self.begin().await?;
        let mut workspaces: HashMap<String, (Workspace, Vec<MetadataSchema>)> = HashMap::new();
        let (mut done, mut changed) = (Vec::with_capacity(lines.len()), Vec::new());
        for (number, text, read) in lines {
            let line = match read {
                Ok(line) => line,
                Err(error) => {
                    done.push(Imported {
                        line: *number,
                        name: called(text),
                        result: Err(Problem::from(error.again())),
                    });
                    continue;
                }
            };
            let wanted = line.workspace.as_deref().unwrap_or(default_workspace);
            if !workspaces.contains_key(wanted) {
                match self.import_workspace(actor, &mut tx, wanted).await {
                    Ok(found) => {
                        let schemas = metadata::list(&mut tx, found.workspace_id).await?;
                        workspaces.insert(wanted.to_owned(), (found, schemas));
                    }
                    Err(Error::Database(error)) => return Err(error.into()),
                    Err(error) => {
                        let name = Some(line.draft.name.to_string());
                        done.push(Imported { line: *number, name, result: Err(error.into()) });
                        continue;
                    }
                }
            }
            let (workspace, schemas) = &workspaces[wanted];
            let result = match self.put(actor, &mut tx, workspace, schemas, &line.draft, false).await {
                Ok((outcome, registry_name)) => {
                    if !matches!(outcome, Outcome::Unchanged | Outcome::Proposed) {
                        changed.push(registry_name);
                    }
                    Ok(outcome)
                }
                Err(Error::Database(error)) => return Err(error.into()),
                Err(error) => Err(error.into()),
            };
            done.push(Imported { line: *number, name: Some(line.draft.name.to_string()), result });
        }
        if dry_run {
            tx.rollback().await?;
            return Ok(done);
        }
        tx.commit().await?;
        changed.iter().for_each(|name| self.generations.changed(name));
        Ok(done)
    }

    /// The workspace a line names; an administrator's import makes it, so that an export can be given back.
    async fn import_workspace(
        &self,
        actor: &Actor,
        conn: &mut sqlx::PgConnection,
        name: &str,
    ) -> Result<Workspace, Error> {
        match self.workspace_for(actor, &mut *conn, name, Permission::WriteCatalog).await {
            Err(Error::WorkspaceNotFound(_)) if actor.may(Permission::ManageInstance, crate::auth::Scope::Instance) => {
                let slug = Slug::parse(name).map_err(|error| Error::invalid_at("workspace", error.to_string()))?;
                let now = self.clock.now();
                let made = Workspace {
                    workspace_id: base::WorkspaceId::new(),
                    title: name.to_owned(),
                    name: slug,
                    description: String::new(),
                    default_visibility: super::Visibility::default(),
                    revision: 1,
                    created_at: now,
                    updated_at: now,
                };
                workspace::insert(conn, &made).await?;
                let subject = crate::audit::Subject {
                    name: made.name.as_str(),
                    id: Some(made.workspace_id.0),
                    workspace: Some(made.workspace_id),
                };
                let after = Some(serde_json::json!({"title": made.title, "through": "import"}));
                crate::audit::record(conn, now, &actor.trace(), "workspace.create", subject, None, after).await?;
                Ok(made)
            }
            other => other,
        }
    }
}
