//! The rules, one a file. To add one, write its file and its line here.

mod definition_valid;
mod hidden_characters;
mod licence_present;
mod look_alike;
mod owner_known;
mod remote_reachable;
mod tools_as_documented;

use super::Rule;

/// In the order in which a reviewer reads what they say.
pub(super) const ALL: &[&dyn Rule] = &[
    &definition_valid::DefinitionValid,
    &remote_reachable::RemoteReachable,
    &tools_as_documented::ToolsAsDocumented,
    &hidden_characters::HiddenCharacters,
    &licence_present::LicencePresent,
    &owner_known::OwnerKnown,
    &look_alike::LookAlike,
];
