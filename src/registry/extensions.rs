//! Our extensions, below `/v0.1/x`: their list, and the feed of changes.

use super::{NAMESPACE, Registry, answer::Answer, query::Parameters, render::timestamp};
use crate::{
    auth::Actor,
    base::{Cursor, Limit, Problem},
    catalog::{Kind, Mark},
};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// Most pages of the log that one request walks through in search of lines it may show.
const PAGES_A_REQUEST: usize = 20;

/// The extensions of a named view.
pub(super) fn list_of_view() -> Answer {
    told(&[managed_settings()])
}

/// Which extensions there are and how they are called.
pub(super) fn list() -> Answer {
    let extensions = [
        managed_settings(),
        extension(
            "search",
            "Servers by words and by meaning: ?q=, narrowed by tag, owner, stage, environment, transport and workspace \
             (several values with commas); each entry says why it was found, the answer what it can be narrowed by.",
        ),
        extension(
            "changes",
            "What changed, in the order in which it was committed: ?cursor= takes the mark of the answer before, ?limit= up \
         to 100. A reader that goes from mark to mark misses nothing.",
        ),
    ];
    told(&extensions)
}

fn managed_settings() -> Value {
    extension(
        "managed-settings",
        "Settings of clients that allow exactly the servers of this registry: ?client=copilot (the default) gives the content \
         of managed-settings.json, ?client=vscode the policies of VS Code.",
    )
}

fn extension(name: &str, description: &str) -> Value {
    json!({"name": format!("{NAMESPACE}/{name}"), "path": format!("/v0.1/x/{NAMESPACE}/{name}"),
           "methods": ["GET"], "description": description})
}

fn told(extensions: &[Value]) -> Answer {
    let body = json!({"extensions": extensions, "metadata": {"count": extensions.len()}});
    Answer::json(StatusCode::OK, body.to_string().into_bytes())
}

impl Registry {
    /// The changes of servers after a mark, in commit order, and the mark to go on from.
    ///
    /// The mark is always there, so that a reader can come back with it; `nextCursor` is there while more is waiting.
    pub(super) async fn changes(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        query: Option<&str>,
    ) -> Result<Answer, Problem> {
        let parameters = Parameters::parse(query)?;
        let limit = usize::try_from(parameters.limit()?).unwrap_or(Limit::DEFAULT);
        let mut mark: Mark = match parameters.get("cursor") {
            Some(cursor) => {
                Cursor::from_text(cursor).place().map_err(|error| Problem::bad_request(error.to_string()))?
            }
            None => Mark::default(),
        };
        if let Some(workspace) = workspace {
            self.catalog.workspace(actor, workspace).await?;
        }

        let mut changes = Vec::new();
        let mut more = true;
        for _ in 0..PAGES_A_REQUEST {
            if changes.len() == limit {
                break;
            }
            // Taken before the page is read: everything up to it that may be shown is in the page, if that is the last.
            let newest = self.catalog.newest_mark().await?;
            let page = self.catalog.changes(actor, mark, Limit(Limit::MAX)).await?;
            let last = page.len() < Limit::MAX;
            for change in page {
                if changes.len() == limit {
                    break;
                }
                mark = change.mark;
                if change.kind == Kind::Mcp && workspace.is_none_or(|workspace| workspace == change.workspace) {
                    changes.push(json!({
                        "at": timestamp(change.at),
                        "verb": change.verb,
                        "name": change.registry_name,
                        "workspace": change.workspace,
                    }));
                }
            }
            if last && changes.len() < limit {
                mark = mark.max(newest);
                more = false;
                break;
            }
        }

        let mark = Cursor::of(&mark);
        let mut metadata = Map::new();
        metadata.insert("count".to_owned(), changes.len().into());
        metadata.insert("mark".to_owned(), mark.as_str().into());
        if more {
            metadata.insert("nextCursor".to_owned(), mark.as_str().into());
        }
        let body = json!({"changes": Value::Array(changes), "metadata": metadata});
        Ok(Answer::json(StatusCode::OK, body.to_string().into_bytes()))
    }
}
