//! The writes: publish, edit, delete, and the status of one version or of all.

use super::{Registry, answer::Answer, body, query::failed, render};
use crate::{
    auth::Actor,
    base::{FieldError, Problem},
    catalog::{Status, StatusChange, VersionFilter},
    wire::{
        Severity,
        server_json::{self, Issue, Reading},
    },
};
use axum::body::Body;
use http::{StatusCode, request::Parts};
use serde_json::{Map, Value};

/// Most characters of the message beside a status.
const MESSAGE_LIMIT: usize = 500;

impl Registry {
    pub(super) async fn publish(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Problem> {
        known(actor)?;
        let document = valid(body::object(parts, body).await?, "Failed to publish server")?;
        let entry = self.catalog.registry_publish(actor, workspace, &document).await?;
        Ok(Answer::json(StatusCode::OK, render::one(&entry)))
    }

    pub(super) async fn edit(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        (server, version): (&str, &str),
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Problem> {
        known(actor)?;
        let document = valid(body::object(parts, body).await?, "Failed to edit server")?;
        let entry = self.catalog.registry_edit(actor, workspace, (server, version), &document).await?;
        Ok(Answer::json(StatusCode::OK, render::one(&entry)))
    }

    pub(super) async fn delete(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        path: (&str, &str),
    ) -> Result<Answer, Problem> {
        known(actor)?;
        let (server, version) = (path.0, VersionFilter::Named(path.1));
        if self.catalog.registry_entry(actor, workspace, server, version, false).await?.is_none() {
            return Err(Problem::not_found("Server version not found"));
        }
        let change = StatusChange { status: Status::Deleted, message: None };
        let entry = self.catalog.registry_set_status(actor, workspace, path, &change).await?;
        Ok(Answer::json(StatusCode::OK, render::one(&entry)))
    }

    pub(super) async fn set_status(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        path: (&str, &str),
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Problem> {
        known(actor)?;
        let change = status_change(&body::object(parts, body).await?)?;
        let entry = self.catalog.registry_set_status(actor, workspace, path, &change).await?;
        Ok(Answer::json(StatusCode::OK, render::one(&entry)))
    }

    pub(super) async fn set_status_of_all(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        server: &str,
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Problem> {
        known(actor)?;
        let change = status_change(&body::object(parts, body).await?)?;
        let entries = self.catalog.registry_set_status_of_all(actor, workspace, server, &change).await?;
        Ok(Answer::json(StatusCode::OK, render::updated(&entries)))
    }
}

/// Refuses the anonymous before their body is read.
fn known(actor: &Actor) -> Result<(), Problem> {
    if actor.is_anonymous() {
        return Err(Problem::unauthenticated("Authorization header is missing. Expected 'Bearer <token>'"));
    }
    Ok(())
}

/// The document, if it breaks no rule.
fn valid(document: Map<String, Value>, what: &str) -> Result<Value, Problem> {
    let document = Value::Object(document);
    let issues = server_json::check(&document, Reading::Published);
    let wrong: Vec<&Issue> = issues.iter().filter(|issue| issue.severity == Severity::Error).collect();
    if wrong.is_empty() {
        return Ok(document);
    }
    let errors = wrong
        .iter()
        .map(|issue| {
            let location = if issue.path.is_empty() { "body".to_owned() } else { format!("body.{}", issue.path) };
            FieldError::new(location, issue.message.clone())
        })
        .collect();
    let problem = if wrong.iter().all(|issue| issue.reference == "publisher-data-too-large") {
        Problem::new(StatusCode::BAD_REQUEST, "registry-refused", "Bad Request", what)
    } else {
        Problem::invalid(format!("{what}, invalid schema: call /validate for details"))
    };
    Err(problem.with_errors(errors))
}

fn status_change(body: &Map<String, Value>) -> Result<StatusChange, Problem> {
    if let Some(name) = body.keys().find(|name| !["status", "statusMessage"].contains(&name.as_str())) {
        return Err(failed(FieldError::new(format!("body.{name}"), "unexpected property")));
    }
    let Some(status) = body.get("status") else {
        return Err(failed(FieldError::new("body", "expected required property status to be present")));
    };
    let Some(parsed) = status.as_str().and_then(|word| word.parse::<Status>().ok()) else {
        let message = "expected value to be one of \"active, deprecated, deleted\"";
        return Err(failed(FieldError::new("body.status", message).with_value(status.clone())));
    };
    let message = match body.get("statusMessage") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.chars().count() <= MESSAGE_LIMIT => Some(text.clone()),
        Some(Value::String(_)) => {
            let message = format!("expected length <= {MESSAGE_LIMIT}");
            return Err(failed(FieldError::new("body.statusMessage", message)));
        }
        Some(_) => return Err(failed(FieldError::new("body.statusMessage", "expected string"))),
    };
    Ok(StatusChange { status: parsed, message: message.filter(|text| !text.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(body: Value) -> Result<StatusChange, Problem> {
        status_change(body.as_object().unwrap())
    }

    #[test]
    fn a_status_is_one_of_three_with_perhaps_a_message() {
        let read = change(json!({"status": "deprecated", "statusMessage": "Use 2.0.0"})).unwrap();
        assert_eq!(read, StatusChange { status: Status::Deprecated, message: Some("Use 2.0.0".into()) });
        assert_eq!(change(json!({"status": "active", "statusMessage": null})).unwrap().message, None);

        for (body, location) in [
            (json!({}), "body"),
            (json!({"status": "gone"}), "body.status"),
            (json!({"status": 1}), "body.status"),
            (json!({"status": "deleted", "statusMessage": "x".repeat(501)}), "body.statusMessage"),
            (json!({"status": "deleted", "statusMessage": 5}), "body.statusMessage"),
            (json!({"status": "deleted", "reason": "x"}), "body.reason"),
        ] {
            let problem = change(body).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.errors[0].location.as_str()), (422, location));
        }
    }

    #[test]
    fn too_much_publisher_data_is_400_and_all_else_422() {
        let document = |extra: Value| {
            let mut document = json!({"$schema": server_json::schema_url(server_json::NEWEST_SCHEMA),
                "name": "com.example/files", "description": "Files", "version": "1.0.0"});
            document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            valid(document.as_object().unwrap().clone(), "Failed to publish server")
        };
        let large = json!({"_meta": {server_json::PUBLISHER_PROVIDED: {"x": "y".repeat(5_000)}}});

        assert!(document(json!({})).is_ok());
        assert_eq!(document(large).unwrap_err().status, 400);
        let problem = document(json!({"version": "^1"})).unwrap_err();
        assert_eq!(problem.status, 422);
        assert!(problem.detail.ends_with("call /validate for details"));
        assert_eq!(problem.errors[0].location, "body.version");
    }
}
