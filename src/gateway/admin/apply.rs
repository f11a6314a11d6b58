//! `apply`: brings the settings to what one file says.

use super::super::settings::{Action, Book, File, Section, Settings, Step, plan};
use super::rights::{self, Right};
use super::write::{Deed, Edit, referenced};
use super::{Gateway, Put, store};
use crate::auth::Actor;
use crate::base::{FieldError, Problem, Sealed};
use std::collections::{BTreeSet, HashMap};

/// What is to be applied, and how.
#[derive(Clone, Debug)]
pub struct Applying {
    pub file: File,
    /// The values behind the `${NAME}`s of the file.
    pub secrets: HashMap<String, Sealed<String>>,
    /// Take away what the file does not name, within the workspaces it names.
    pub prune: bool,
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug)]
pub struct Applied {
    pub steps: Vec<Step>,
    pub warnings: Vec<String>,
}

/// What one write would do.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The settings as they are; none of a new thing.
    pub before: Option<serde_json::Value>,
    pub after: serde_json::Value,
    /// What is most likely a slip.
    pub warnings: Vec<String>,
}

impl Gateway {
    /// What [`Gateway::put`] would do, refused as it would be; nothing is written.
    ///
    /// # Errors
    /// As [`Gateway::put`].
    pub async fn rehearse_put(&self, actor: &Actor, put: Put<'_>) -> Result<Rehearsed, Problem> {
        let mut conn = self.inner.db.read.acquire().await?;
        let (book, _) = store::load(&mut conn).await?;
        let sealed = store::secrets(&mut conn).await?;
        let owner = rights::owner(&book, actor, put.workspace, Right::Manage)?;
        let (section, name) = (put.settings.section(), put.name.to_owned());
        let before = book.find(section, &owner, &name).map(|thing| thing.settings.to_value());
        let deed = Deed::Put { settings: put.settings, secret: None, if_match: put.if_match };
        let edits = [Edit { section, owner, name, deed, at: "body".to_owned() }];
        let (after, _) = self.rehearsed(&book, &edits, &sealed)?;
        self.refuse_missing_assets(&mut conn, &edits).await?;
        let thing = after.find(section, &edits[0].owner, &edits[0].name).ok_or_else(Problem::internal)?;
        let warnings = self.warnings(&mut conn, &after, thing).await?.into_iter().map(|one| one.message).collect();
        Ok(Rehearsed { before, after: thing.settings.to_value(), warnings })
    }

    /// Brings the settings to what the file says, all of it or nothing. A second time it changes nothing.
    ///
    /// # Errors
    /// 403 for a thing the actor may not manage; 404; 422 names every place of the file that is wrong; 409 when what would
    /// be pruned is used from elsewhere.
    pub async fn apply(&self, actor: &Actor, applying: Applying) -> Result<Applied, Problem> {
        rights::require_somewhere(actor, Right::Manage)?;
        if applying.dry_run {
            return self.rehearse(actor, &applying).await;
        }
        let mut steps = Vec::new();
        let edits = |book: &Book| {
            steps = plan(book, &applying.file, applying.prune);
            edits(book, actor, &applying, &steps)
        };
        let before = self.book().await?;
        let stored = self.write(actor, edits).await?;
        for one in &stored {
            // A secret that was set anew is seen by the revision alone.
            let old = before.find(one.thing.section(), &one.thing.owner, &one.thing.name);
            let step = steps.iter_mut().find(|step| {
                step.action == Action::Keep
                    && step.section == one.thing.section()
                    && step.name == one.thing.name
                    && step.workspace.as_deref() == one.thing.owner.workspace_name().map(crate::base::Slug::as_str)
            });
            if let (Some(step), Some(old)) = (step, old)
                && old.revision != one.thing.revision
            {
                step.action = Action::Change;
                step.changed = vec!["secret".to_owned()];
            }
        }
        Ok(Applied { steps, warnings: self.all_warnings(actor).await? })
    }

    /// The plan, with everything that would refuse it: the edits are made in a transaction that is given up.
    async fn rehearse(&self, actor: &Actor, applying: &Applying) -> Result<Applied, Problem> {
        let mut conn = self.inner.db.read.acquire().await?;
        let (book, _) = store::load(&mut conn).await?;
        let sealed = store::secrets(&mut conn).await?;
        drop(conn);
        let mut steps = plan(&book, &applying.file, applying.prune);
        let edits = edits(&book, actor, applying, &steps)?;
        let (after, changed) = self.rehearsed(&book, &edits, &sealed)?;
        for (step, secret_changes) in steps.iter_mut().zip(changed) {
            if secret_changes && step.action != Action::Create {
                step.action = Action::Change;
                step.changed.push("secret".to_owned());
            }
        }
        let mut conn = self.inner.db.read.acquire().await?;
        self.refuse_missing_assets(&mut conn, &edits).await?;
        let findings = self.findings(&mut conn, &after).await?.into_iter();
        let warnings = findings.filter(|one| !one.is_error && rights::may(actor, &one.owner, Right::Read));
        Ok(Applied { steps, warnings: warnings.map(|one| one.to_string()).collect() })
    }

    async fn all_warnings(&self, actor: &Actor) -> Result<Vec<String>, Problem> {
        let mut conn = self.inner.db.read.acquire().await?;
        let (book, _) = store::load(&mut conn).await?;
        let findings = self.findings(&mut conn, &book).await?.into_iter();
        Ok(findings.filter(|one| rights::may(actor, &one.owner, Right::Read)).map(|one| one.to_string()).collect())
    }
}

/// The edits of a plan, in its order; refused where the actor may not do one of them.
fn edits(book: &Book, actor: &Actor, applying: &Applying, steps: &[Step]) -> Result<Vec<Edit>, Problem> {
    let mut edits = Vec::new();
    let mut needed = BTreeSet::new();
    for (number, step) in steps.iter().enumerate() {
        let owner = rights::owner(book, actor, step.workspace.as_deref(), Right::Manage)?;
        let (section, name) = (step.section, step.name.clone());
        if step.action == Action::Delete {
            let at = format!("{}[-]", section.plural());
            edits.push(Edit { section, owner, name, deed: Deed::Delete { if_match: None }, at });
            continue;
        }
        // The steps of what the file says come first, in its order.
        let said = &applying.file.things[number];
        let mut secret = None;
        if let Settings::Credential(credential) = &said.settings
            && let Some(variable) = referenced(credential.secret())
        {
            secret = applying.secrets.get(variable).cloned();
            let is_new = book.find(Section::Credential, &owner, &name).is_none();
            if secret.is_none() && is_new {
                needed.insert((said.at.clone(), variable.to_owned()));
            }
        }
        let deed = Deed::Put { settings: said.settings.clone(), secret, if_match: None };
        edits.push(Edit { section, owner, name, deed, at: said.at.clone() });
    }
    if needed.is_empty() {
        return Ok(edits);
    }
    let errors: Vec<_> = needed
        .into_iter()
        .map(|(at, variable)| FieldError::new(at, format!("the value of ${{{variable}}} is not given")))
        .collect();
    let problem = Problem::invalid(format!("{}: {}.", errors[0].location, errors[0].message)).with_errors(errors);
    Err(problem.with_help("Set the variable where `wharfinger apply` runs, or send it in `secrets`."))
}
