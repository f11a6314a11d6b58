//! Things by owner and name.

use crate::base::WorkspaceId;
use crate::gateway::settings::Owner;
use std::collections::HashMap;

/// Things by owner and name; who asks finds its own before those of the instance.
#[derive(Debug)]
pub(super) struct Names<T>(HashMap<Option<WorkspaceId>, HashMap<String, T>>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Names<T> {
    pub(super) fn add(&mut self, owner: Owner, name: String, thing: T) {
        self.0.entry(owner.workspace_id()).or_default().insert(name, thing);
    }

    pub(super) fn of(&self, owner: &Owner, name: &str) -> Option<&T> {
        self.0.get(&owner.workspace_id())?.get(name)
    }

    pub(super) fn find(&self, asker: &Owner, name: &str) -> Option<&T> {
        self.of(asker, name).or_else(|| self.of(&Owner::Instance, name))
    }
}

impl<T> FromIterator<(Owner, String, T)> for Names<T> {
    fn from_iter<I: IntoIterator<Item = (Owner, String, T)>>(things: I) -> Self {
        let mut names = Self::default();
        for (owner, name, thing) in things {
            names.add(owner, name, thing);
        }
        names
    }
}
