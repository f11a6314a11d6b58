//! What a route needs, as one word, and which answer follows from it for somebody somewhere.

use super::scene::{Asker, Spot};
use wharfinger::auth::{Permission, Role};

/// Method, path, a body that does no harm where one is needed, and what it needs.
///
/// In the path `{workspace}`, `{name}`, `{version}` and the other words of [`Spot::fill`] stand for those of the spot, in
/// the body `WORKSPACE`, `ASSET`, `NONE` (the id of nothing) and `NEW` (a word that was never used). Writes carry an
/// `If-Match` that never holds, so that one which is allowed ends in 412 where it can.
pub type Row = (&'static str, &'static str, &'static str, Needs);

/// What is needed for an answer other than 401, 403 and 404.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// What the request itself brings: who sends it changes nothing.
    Proof,
    /// A credential.
    Credential,
    /// To be a person.
    Person,
    /// To see the asset.
    Sight,
    /// To know of the workspace.
    Acquaintance,
    /// To come with a credential and know of the workspace; to others it does not exist.
    NamedAcquaintance,
    /// As [`Needs::NamedAcquaintance`], but without a credential one is asked for it.
    View,
    /// As [`Needs::View`], and to see the asset.
    ViewOfAsset,
    /// To know the asset of the request from within.
    Inside,
    /// This permission for the asset, which is seen.
    ForAsset(Permission),
    /// Any of these for the asset, which is seen.
    ForAssetAny(&'static [Permission]),
    /// A credential; it is of nothing that is there.
    NotThere,
    /// This permission in the workspace, which is known.
    InWorkspace(Permission),
    /// This permission in the workspace, whose members alone know what is asked for.
    OfMembers(Permission),
    /// This permission in the workspace; to others it does not exist.
    Owned(Permission),
    /// As [`Needs::InWorkspace`], of something that is not there: the allowed are told so.
    Absent(Permission),
    /// Any of these for the asset of the request, which is known from within.
    InsideAny(&'static [Permission]),
    /// This permission for the instance.
    Instance(Permission),
    /// As [`Needs::Instance`], of something that is not there.
    AbsentInstance(Permission),
    /// Any of these in some place or other.
    Somewhere(&'static [Permission]),
    /// To be somebody else: it is nobody's of those who ask.
    AnothersOwn,
    /// The one, and then the other.
    Both(&'static Needs, &'static Needs),
}

use Needs::*;

impl Needs {
    /// The status the rules ask for: 200 stands for anything but a refusal; none where the rules do not say.
    pub fn answer(self, asker: &Asker<'_>, spot: &Spot) -> Option<u16> {
        if matches!(self, Proof) {
            return None;
        }
        Some(self.expected(asker, spot))
    }

    fn expected(self, asker: &Asker<'_>, spot: &Spot) -> u16 {
        let or = |is: bool, status: u16| if is { 200 } else { status };
        let named = !asker.anonymous;
        match self {
            Nothing | Proof => 200,
            Credential => or(named, 401),
            Both(first, second) => match first.expected(asker, spot) {
                200 => second.expected(asker, spot),
                refused => refused,
            },
            // The root is a key that belongs to nobody.
            Person if asker.root => 403,
            Person => or(named, 401),
            Sight => or(asker.sees(spot), 404),
            Acquaintance => or(asker.knows(spot), 404),
            NamedAcquaintance => or(named && asker.knows(spot), 404),
            _ if !named => 401,
            AnothersOwn | NotThere => 404,
            View => or(asker.knows(spot), 404),
            ViewOfAsset => or(asker.knows(spot) && asker.sees(spot), 404),
            Inside => or(asker.inside(spot), 404),
            InsideAny(any) if asker.inside(spot) => or(any.iter().any(|one| asker.holds(*one, spot)), 403),
            ForAsset(permission) if asker.sees(spot) => or(asker.holds(permission, spot), 403),
            ForAssetAny(any) if asker.sees(spot) => or(any.iter().any(|one| asker.holds(*one, spot)), 403),
            InWorkspace(permission) if asker.knows(spot) => or(asker.holds(permission, spot), 403),
            OfMembers(permission) if asker.inside(spot) => or(asker.holds(permission, spot), 403),
            Owned(permission) => or(asker.holds(permission, spot), 404),
            Absent(permission) if asker.knows(spot) && !asker.holds(permission, spot) => 403,
            InsideAny(_) | ForAsset(_) | ForAssetAny(_) | InWorkspace(_) | OfMembers(_) | Absent(_) => 404,
            Instance(permission) => or(asker.root && Role::Administrator.allows(permission), 403),
            AbsentInstance(permission) => {
                if asker.root && Role::Administrator.allows(permission) {
                    404
                } else {
                    403
                }
            }
            Somewhere(any) => {
                or(asker.root || asker.role.is_some_and(|role| any.iter().any(|one| role.allows(*one))), 403)
            }
        }
    }
}
