//! The verbs of those who look after the gateway. Each takes the actor first, checks the whole of the settings as they
//! would be, and stores, records and announces in one transaction.

mod apply;
mod import;
mod purge;
mod reload;
mod rights;
mod sealing;
mod unknown;
mod write;

pub use apply::{Applied, Applying, Rehearsed};
pub use import::{Import, Imported, Source};
pub use write::Stored;

use super::settings::{Book, Finding, Owner, Section, Settings, Thing};
use super::{Gateway, store};
use crate::auth::Actor;
use crate::base::Problem;
use rights::Right;
use sqlx::PgConnection;
use write::{Deed, Edit};

/// What a thing is to be.
#[derive(Clone, Debug)]
pub struct Put<'a> {
    /// The name of a workspace; none for a thing of the instance.
    pub workspace: Option<&'a str>,
    pub name: &'a str,
    pub settings: Settings,
    /// The revision the sender has read.
    pub if_match: Option<i64>,
}

impl Gateway {
    /// The things of a section: those of a workspace, or of the instance.
    ///
    /// # Errors
    /// 404 when there is no such workspace the actor may know of; 403 when it may not read them.
    pub async fn list(&self, actor: &Actor, section: Section, workspace: Option<&str>) -> Result<Vec<Thing>, Problem> {
        let book = self.book().await?;
        let owner = rights::owner(&book, actor, workspace, Right::Read)?;
        Ok(book.things.into_iter().filter(|thing| thing.section() == section && thing.owner == owner).collect())
    }

    /// One thing, with what it is warned of.
    ///
    /// # Errors
    /// As [`Gateway::list`]; 404 when there is none of this name.
    pub async fn find(
        &self,
        actor: &Actor,
        section: Section,
        workspace: Option<&str>,
        name: &str,
    ) -> Result<Stored, Problem> {
        let mut conn = self.inner.db.read.acquire().await?;
        let (book, _) = store::load(&mut conn).await?;
        let owner = rights::owner(&book, actor, workspace, Right::Read)?;
        let thing = book.find(section, &owner, name).cloned().ok_or_else(|| missing(section, name))?;
        let warnings = self.warnings(&mut conn, &book, &thing).await?;
        Ok(Stored { thing, warnings, is_new: false })
    }

    /// All settings this actor may read.
    ///
    /// # Errors
    /// 401, 403 for who may read none; 503.
    pub async fn readable(&self, actor: &Actor) -> Result<Book, Problem> {
        rights::require_somewhere(actor, Right::Read)?;
        let mut book = self.book().await?;
        book.things.retain(|thing| rights::may(actor, &thing.owner, Right::Read));
        book.things.sort_by_key(|thing| thing.id);
        Ok(book)
    }

    /// Whether this actor may change what belongs to `owner`.
    #[must_use]
    pub fn may_manage(actor: &Actor, owner: &Owner) -> bool {
        rights::may(actor, owner, Right::Manage)
    }

    /// All settings this actor may read, as one file; `workspace` narrows it to those of one.
    ///
    /// # Errors
    /// As [`Gateway::list`]; 403 for who may read none.
    pub async fn export(&self, actor: &Actor, workspace: Option<&str>) -> Result<serde_json::Value, Problem> {
        let book = match workspace {
            None => self.readable(actor).await?,
            Some(_) => {
                let mut book = self.book().await?;
                let owner = rights::owner(&book, actor, workspace, Right::Read)?;
                book.things.retain(|thing| thing.owner == owner);
                book
            }
        };
        Ok(super::settings::File::of(&book))
    }

    /// Makes a thing, or sets it anew. A credential whose secret is a reference (`${NAME}`) keeps the secret it has.
    ///
    /// # Errors
    /// 404, 403; 412 when it was changed meanwhile; 422 names every place that is wrong.
    pub async fn put(&self, actor: &Actor, put: Put<'_>) -> Result<Stored, Problem> {
        let section = put.settings.section();
        let deed = Deed::Put { settings: put.settings, secret: None, if_match: put.if_match };
        let edits = |book: &Book| {
            let owner = rights::owner(book, actor, put.workspace, Right::Manage)?;
            Ok(vec![Edit { section, owner, name: put.name.to_owned(), deed, at: "body".to_owned() }])
        };
        let mut done = self.write(actor, edits).await?;
        Ok(done.pop().expect("one edit has one outcome"))
    }

    /// Takes a thing away.
    ///
    /// # Errors
    /// 404, 403; 412; 409 when others still name it.
    pub async fn delete(
        &self,
        actor: &Actor,
        section: Section,
        workspace: Option<&str>,
        name: &str,
        if_match: Option<i64>,
    ) -> Result<(), Problem> {
        let edits = |book: &Book| {
            let owner = rights::owner(book, actor, workspace, Right::Manage)?;
            let deed = Deed::Delete { if_match };
            Ok(vec![Edit { section, owner, name: name.to_owned(), deed, at: "body".to_owned() }])
        };
        self.write(actor, edits).await.map(|_| ())
    }

    /// Takes a backend out of every pool, or puts it back; requests under way finish.
    ///
    /// # Errors
    /// 404, 403.
    pub async fn drain(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        name: &str,
        drained: bool,
    ) -> Result<Stored, Problem> {
        let edits = |book: &Book| {
            let owner = rights::owner(book, actor, workspace, Right::Manage)?;
            let found = book.find(Section::Backend, &owner, name).ok_or_else(|| missing(Section::Backend, name))?;
            let mut settings = found.settings.clone();
            if let Settings::Backend(backend) = &mut settings {
                backend.drained = drained;
            }
            let deed = Deed::Put { settings, secret: None, if_match: None };
            Ok(vec![Edit { section: Section::Backend, owner, name: name.to_owned(), deed, at: "body".to_owned() }])
        };
        let mut done = self.write(actor, edits).await?;
        Ok(done.pop().expect("one edit has one outcome"))
    }

    /// The stored settings.
    async fn book(&self) -> Result<Book, Problem> {
        let mut conn = self.inner.db.read.acquire().await?;
        Ok(store::load(&mut conn).await?.0)
    }

    /// What a stored thing is warned of.
    async fn warnings(&self, conn: &mut PgConnection, book: &Book, thing: &Thing) -> Result<Vec<Finding>, Problem> {
        let findings = self.findings(conn, book).await?.into_iter();
        Ok(findings.filter(|one| thing.is(one.section, &one.owner, &one.name)).collect())
    }
}

fn missing(section: Section, name: &str) -> Problem {
    Problem::not_found(format!("There is no {section} {name:?} here."))
}
