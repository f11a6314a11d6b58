//! Metadata: fields of a workspace's own, each with a JSON Schema, for assets, environments and deployments.

use super::Error;
use crate::base::{FieldError, MetadataSchemaId, Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Most bytes the metadata of one thing may have as JSON.
const MAX_BYTES: usize = 64 * 1024;

/// What can carry metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    Asset,
    Environment,
    Deployment,
}

impl Carrier {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Environment => "environment",
            Self::Deployment => "deployment",
        }
    }
}

/// A metadata field of a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetadataSchema {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub metadata_schema_id: MetadataSchemaId,
    /// The field's name.
    #[schema(value_type = String)]
    pub name: Slug,
    pub title: String,
    pub description: String,
    /// JSON Schema (2020-12) of the field's value.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// `asset`, `environment`, `deployment`.
    #[schema(value_type = Vec<Carrier>)]
    pub assigned_to: Vec<String>,
    /// Those of `assignedTo` that must have a value.
    #[schema(value_type = Vec<Carrier>)]
    pub required_for: Vec<String>,
    /// Whether search counts and filters by its values.
    #[serde(rename = "facet")]
    pub is_facet: bool,
    #[serde(skip)]
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A metadata field to make, or what it is to be from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataSchemaInput {
    #[schema(value_type = String, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", example = "cost-centre")]
    pub name: Slug,
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    /// JSON Schema (2020-12); references over the network are not followed.
    #[schema(value_type = Object)]
    pub schema: Value,
    #[schema(min_items = 1, max_items = 3)]
    pub assigned_to: Vec<Carrier>,
    #[serde(default)]
    #[schema(max_items = 3)]
    pub required_for: Vec<Carrier>,
    #[serde(default)]
    pub facet: bool,
}

impl MetadataSchemaInput {
    /// # Errors
    /// [`Error::Invalid`] when the schema is none, or something is required where it is not assigned.
    pub fn check(&self) -> Result<(), Error> {
        if self.assigned_to.is_empty() {
            return Err(Error::invalid_at("body.assignedTo", "name at least one of asset, environment, deployment"));
        }
        if self.required_for.iter().any(|carrier| !self.assigned_to.contains(carrier)) {
            return Err(Error::invalid_at("body.requiredFor", "may only name what assignedTo names"));
        }
        if !self.schema.is_object() {
            return Err(Error::invalid_at("body.schema", "must be a JSON Schema, as an object"));
        }
        if self.schema.to_string().len() > MAX_BYTES {
            return Err(Error::invalid_at("body.schema", "at most 64 KiB"));
        }
        jsonschema::draft202012::new(&self.schema)
            .map(|_| ())
            .map_err(|error| Error::invalid_at("body.schema", format!("is no JSON Schema: {error}")))
    }
}

/// Whether `values` fit the schemas assigned to `carrier`: nothing required missing, nothing unknown, each value valid.
///
/// # Errors
/// [`Error::Invalid`] with every wrong field; where no schemas exist, any metadata is taken.
pub fn check(schemas: &[MetadataSchema], carrier: Carrier, values: &Map<String, Value>) -> Result<(), Error> {
    let assigned: Vec<_> =
        schemas.iter().filter(|schema| schema.assigned_to.iter().any(|to| to == carrier.as_str())).collect();
    let mut wrong = Vec::new();
    if serde_json::to_vec(values).is_ok_and(|json| json.len() > MAX_BYTES) {
        wrong.push(FieldError::new("body.metadata", "at most 64 KiB"));
    }
    for schema in &assigned {
        let required = schema.required_for.iter().any(|to| to == carrier.as_str());
        let location = format!("body.metadata.{}", schema.name);
        match values.get(schema.name.as_str()) {
            None if required => wrong.push(FieldError::new(
                location,
                format!("is required for every {} of this workspace ({})", carrier.as_str(), schema.title),
            )),
            None => {}
            Some(value) => {
                let Ok(validator) = jsonschema::draft202012::new(&schema.schema) else { continue };
                wrong.extend(
                    validator.iter_errors(value).take(5).map(|error| {
                        FieldError::new(format!("{location}{}", error.instance_path()), error.to_string())
                    }),
                );
            }
        }
    }
    if !assigned.is_empty() {
        for name in values.keys().filter(|name| !assigned.iter().any(|schema| schema.name.as_str() == name.as_str())) {
            let known: Vec<_> = assigned.iter().map(|schema| schema.name.as_str()).collect();
            wrong.push(FieldError::new(
                format!("body.metadata.{name}"),
                format!("is no metadata field of this workspace; there are {}", known.join(", ")),
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid(wrong)) }
}

pub(super) async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<MetadataSchema>, sqlx::Error> {
    sqlx::query_as(
        "select metadata_schema_id, name, title, description, schema, assigned_to, required_for, is_facet, revision,
                created_at, updated_at
         from metadata_schema
         where workspace_id = $1
         order by name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await
}

/// The names of all fields that are facets, of any workspace.
pub(super) async fn facets(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select distinct name from metadata_schema where is_facet and 'asset' = any(assigned_to) order by name",
    )
    .fetch_all(conn)
    .await
}

/// Makes the field, or sets it anew; gives whether it was there.
pub(super) async fn put(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    input: &MetadataSchemaInput,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let names = |carriers: &[Carrier]| carriers.iter().map(|carrier| carrier.as_str()).collect::<Vec<_>>();
    sqlx::query_scalar(
        "insert into metadata_schema (metadata_schema_id, workspace_id, name, title, description, schema, assigned_to,
                                      required_for, is_facet, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         on conflict on constraint metadata_schema_name_key do update
         set title = excluded.title, description = excluded.description, schema = excluded.schema,
             assigned_to = excluded.assigned_to, required_for = excluded.required_for, is_facet = excluded.is_facet,
             updated_at = excluded.updated_at, revision = metadata_schema.revision + 1
         returning revision > 1",
    )
    .bind(MetadataSchemaId::new())
    .bind(workspace)
    .bind(&input.name)
    .bind(input.title.as_deref().unwrap_or(input.name.as_str()))
    .bind(input.description.as_deref().unwrap_or_default())
    .bind(&input.schema)
    .bind(names(&input.assigned_to))
    .bind(names(&input.required_for))
    .bind(input.facet)
    .bind(now)
    .fetch_one(conn)
    .await
}

pub(super) async fn delete(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("delete from metadata_schema where workspace_id = $1 and name = $2")
        .bind(workspace)
        .bind(name)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(name: &str, schema: Value, required: bool) -> MetadataSchema {
        MetadataSchema {
            metadata_schema_id: MetadataSchemaId::new(),
            name: Slug::parse(name).unwrap(),
            title: name.to_owned(),
            description: String::new(),
            schema,
            assigned_to: vec!["asset".to_owned()],
            required_for: if required { vec!["asset".to_owned()] } else { vec![] },
            is_facet: false,
            revision: 1,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_field_that_does_not_fit_is_named() {
        let schemas = [
            schema("cost-centre", json!({"type": "string", "pattern": "^[0-9]{4}$"}), true),
            schema("data-class", json!({"enum": ["public", "secret"]}), true),
        ];
        let values = json!({"cost-centre": "12", "colour": "red"});

        let wrong = check(&schemas, Carrier::Asset, values.as_object().unwrap());

        let Err(Error::Invalid { errors, .. }) = wrong else { panic!("{wrong:?}") };
        let places: Vec<_> = errors.iter().map(|error| error.location.as_str()).collect();
        assert_eq!(places, ["body.metadata.cost-centre", "body.metadata.data-class", "body.metadata.colour"]);
    }

    #[test]
    fn without_schemas_any_metadata_is_taken() {
        let values = json!({"anything": {"goes": true}});

        assert!(check(&[], Carrier::Asset, values.as_object().unwrap()).is_ok());
        assert!(check(&[schema("x", json!({}), true)], Carrier::Deployment, values.as_object().unwrap()).is_ok());
    }
}
