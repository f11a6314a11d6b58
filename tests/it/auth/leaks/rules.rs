//! The rules of what is seen, told once more in plain code that shares nothing with the program.

/// An asset of a round, as the rules know it.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) id: uuid::Uuid,
    pub(super) workspace: &'static str,
    pub(super) name: String,
    pub(super) word: String,
    pub(super) is_server: bool,
    pub(super) visibility: &'static str,
    pub(super) shared_with: Vec<String>,
    /// Whether 1.0.0 and 2.0.0 are approved.
    pub(super) approved: [bool; 2],
}

/// Somebody of a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    pub(super) signed_in: bool,
    pub(super) groups: Vec<String>,
    pub(super) everything: bool,
    pub(super) workspaces: Vec<&'static str>,
    pub(super) assets: Vec<uuid::Uuid>,
}

/// The rules.
impl Who {
    pub(super) fn inside(&self, thing: &Thing) -> bool {
        self.everything || self.workspaces.contains(&thing.workspace) || self.assets.contains(&thing.id)
    }

    pub(super) fn sees(&self, thing: &Thing) -> bool {
        let offered = match thing.visibility {
            "public" => true,
            "internal" => self.signed_in,
            _ => false,
        };
        let shared = thing.shared_with.iter().any(|group| self.groups.contains(group));
        self.inside(thing) || (thing.approved.contains(&true) && (offered || shared))
    }

    /// The versions it sees of a thing that it sees.
    pub(super) fn versions(&self, thing: &Thing) -> Vec<&'static str> {
        let all = ["1.0.0", "2.0.0"].into_iter().zip(thing.approved);
        all.filter(|(_, approved)| *approved || self.inside(thing)).map(|(name, _)| name).collect()
    }
}

impl Thing {
    /// The highest approved version, else the highest.
    pub(super) fn latest(&self) -> &'static str {
        if self.approved[1] || !self.approved[0] { "2.0.0" } else { "1.0.0" }
    }
}
