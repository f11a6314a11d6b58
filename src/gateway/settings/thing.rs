//! `Thing` and `Book`: one thing of the settings whatever its sort, and all of them side by side; what checks, plans and
//! files work on. Pure.

use super::{BackendSettings, CredentialSettings, Owner, PolicySettings, PoolSettings, PriceSettings, RouteSettings};
use crate::base::{Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The sorts of things there are; each names only things of sorts before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = GatewaySection)]
pub enum Section {
    Credential,
    Backend,
    Pool,
    Policy,
    Route,
    Price,
}

impl Section {
    pub const ALL: [Self; 6] = [Self::Credential, Self::Backend, Self::Pool, Self::Policy, Self::Route, Self::Price];

    /// `backend`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Backend => "backend",
            Self::Pool => "pool",
            Self::Policy => "policy",
            Self::Route => "route",
            Self::Price => "price",
        }
    }

    /// `backends`: the list of a file, and the path of the REST API.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Credential => "credentials",
            Self::Backend => "backends",
            Self::Pool => "pools",
            Self::Policy => "policies",
            Self::Route => "routes",
            Self::Price => "prices",
        }
    }

    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.as_str() == text)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings of one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    Credential(CredentialSettings),
    Backend(Box<BackendSettings>),
    Pool(PoolSettings),
    Policy(PolicySettings),
    Route(RouteSettings),
    Price(PriceSettings),
}

impl Settings {
    #[must_use]
    pub const fn section(&self) -> Section {
        match self {
            Self::Credential(_) => Section::Credential,
            Self::Backend(_) => Section::Backend,
            Self::Pool(_) => Section::Pool,
            Self::Policy(_) => Section::Policy,
            Self::Route(_) => Section::Route,
            Self::Price(_) => Section::Price,
        }
    }

    /// # Errors
    /// Names the place that does not read.
    pub fn read(section: Section, value: Value) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        Ok(match section {
            Section::Credential => Self::Credential(serde_path_to_error::deserialize(value)?),
            Section::Backend => Self::Backend(serde_path_to_error::deserialize(value)?),
            Section::Pool => Self::Pool(serde_path_to_error::deserialize(value)?),
            Section::Policy => Self::Policy(serde_path_to_error::deserialize(value)?),
            Section::Route => Self::Route(serde_path_to_error::deserialize(value)?),
            Section::Price => Self::Price(serde_path_to_error::deserialize(value)?),
        })
    }

    /// As JSON, without what is as it would be unsaid. Of a credential with whatever stands in the secret's place.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Credential(one) => serde_json::to_value(one),
            Self::Backend(one) => serde_json::to_value(one),
            Self::Pool(one) => serde_json::to_value(one),
            Self::Policy(one) => serde_json::to_value(one),
            Self::Route(one) => serde_json::to_value(one),
            Self::Price(one) => serde_json::to_value(one),
        }
        .expect("settings are plain data")
    }
}

/// The settings of one section, out of those of any.
pub trait OfSection: Sized + Into<Settings> {
    const SECTION: Section;

    /// None when they are of another section.
    fn of(settings: Settings) -> Option<Self>;
}

macro_rules! of_section {
    ($($name:ident($inner:ty, $found:ident => $unboxed:expr)),+) => {$(
        impl From<$inner> for Settings {
            fn from(settings: $inner) -> Self {
                Self::$name(settings.into())
            }
        }

        impl OfSection for $inner {
            const SECTION: Section = Section::$name;

            fn of(settings: Settings) -> Option<Self> {
                match settings {
                    Settings::$name($found) => Some($unboxed),
                    _ => None,
                }
            }
        }
    )+};
}
of_section!(
    Credential(CredentialSettings, one => one),
    Backend(BackendSettings, one => *one),
    Pool(PoolSettings, one => one),
    Policy(PolicySettings, one => one),
    Route(RouteSettings, one => one),
    Price(PriceSettings, one => one)
);

/// One thing as it is stored. Of a credential the secret's place holds a reference, never the secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    pub id: Uuid,
    pub owner: Owner,
    /// A slug; of a price the model.
    pub name: String,
    /// Counts the changes.
    pub revision: i64,
    pub settings: Settings,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl Thing {
    #[must_use]
    pub const fn section(&self) -> Section {
        self.settings.section()
    }

    /// `backend team/eu`, `pool chat`.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.section(), &self.owner, &self.name)
    }

    #[must_use]
    pub fn is(&self, section: Section, owner: &Owner, name: &str) -> bool {
        self.section() == section && self.owner == *owner && self.name == name
    }
}

/// How a thing is called in messages: `backend team/eu`, `pool chat`.
#[must_use]
pub fn label(section: Section, owner: &Owner, name: &str) -> String {
    match owner.workspace_name() {
        Some(workspace) => format!("{section} {workspace}/{name}"),
        None => format!("{section} {name}"),
    }
}

/// All settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    pub generation: i64,
    /// Those that exist; settings name them.
    pub workspaces: Vec<(WorkspaceId, Slug)>,
    pub things: Vec<Thing>,
}

impl Book {
    #[must_use]
    pub fn find(&self, section: Section, owner: &Owner, name: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.is(section, owner, name))
    }

    /// What `asker` means by this name: its own thing, else that of the instance.
    #[must_use]
    pub fn named(&self, section: Section, asker: &Owner, name: &str) -> Option<&Thing> {
        self.find(section, asker, name).or_else(|| self.find(section, &Owner::Instance, name))
    }

    /// Adds a thing, or puts it in the place of the one of its name.
    pub fn put(&mut self, thing: Thing) {
        let same = |one: &Thing| one.is(thing.section(), &thing.owner, &thing.name);
        match self.things.iter().position(same) {
            Some(at) => self.things[at] = thing,
            None => self.things.push(thing),
        }
    }

    /// Takes a thing out.
    pub fn remove(&mut self, section: Section, owner: &Owner, name: &str) -> Option<Thing> {
        let at = self.things.iter().position(|thing| thing.is(section, owner, name))?;
        Some(self.things.remove(at))
    }

    /// The owner of this workspace name; none when there is no such workspace.
    #[must_use]
    pub fn owner(&self, workspace: Option<&str>) -> Option<Owner> {
        let Some(workspace) = workspace else { return Some(Owner::Instance) };
        let (id, name) = self.workspaces.iter().find(|(_, name)| name.as_str() == workspace)?;
        Some(Owner::Workspace { id: *id, name: name.clone() })
    }

    pub fn backends(&self) -> impl Iterator<Item = (&Thing, &BackendSettings)> {
        self.things.iter().filter_map(|thing| match &thing.settings {
            Settings::Backend(settings) => Some((thing, &**settings)),
            _ => None,
        })
    }

    pub fn pools(&self) -> impl Iterator<Item = (&Thing, &PoolSettings)> {
        self.things.iter().filter_map(|thing| match &thing.settings {
            Settings::Pool(settings) => Some((thing, settings)),
            _ => None,
        })
    }

    pub fn policies(&self) -> impl Iterator<Item = (&Thing, &PolicySettings)> {
        self.things.iter().filter_map(|thing| match &thing.settings {
            Settings::Policy(settings) => Some((thing, settings)),
            _ => None,
        })
    }

    pub fn routes(&self) -> impl Iterator<Item = (&Thing, &RouteSettings)> {
        self.things.iter().filter_map(|thing| match &thing.settings {
            Settings::Route(settings) => Some((thing, settings)),
            _ => None,
        })
    }
}
