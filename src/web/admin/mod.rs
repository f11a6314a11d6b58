//! For administrators: people, groups and service accounts; and for those who govern a workspace: who holds which role.

mod groups;
mod people;
mod roles;
mod service_accounts;

pub(super) use groups::{add_member, delete_group, group, groups, make_group, remove_member};
pub(super) use people::{disable, enable, invite, sign_out, users};
pub(super) use roles::{give_role, give_role_everywhere, members, roles, take_role, take_role_everywhere};
pub(super) use service_accounts::{
    disable_service_account, enable_service_account, key_of_service_account, make_service_account, service_accounts,
};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct NamePath {
    name: String,
}
