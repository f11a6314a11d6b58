//! What every page and form needs, and what stands beside them.

use super::needs::{Needs::*, Row};
use wharfinger::auth::Permission::*;

/// The form of the register page, as a browser sends it.
const REGISTER: &str = "--x
Content-Disposition: form-data; name=\"workspace\"

WORKSPACE
--x
Content-Disposition: form-data; name=\"name\"

page-NEW
--x
Content-Disposition: form-data; name=\"kind\"

rest
--x
Content-Disposition: form-data; name=\"visibility\"

private
--x
Content-Disposition: form-data; name=\"document\"

{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"T\", \"version\": \"1.0.0\"}, \"paths\": {}}
--x
Content-Disposition: form-data; name=\"step\"

register
--x--
";

/// The same form with an address in place of a document; one that is never called.
const REGISTER_BY_ADDRESS: &str = "--x
Content-Disposition: form-data; name=\"url\"

http://10.0.0.1/openapi.json
--x
Content-Disposition: form-data; name=\"step\"

read
--x--
";

#[rustfmt::skip]
pub const ROUTES: &[Row] = &[
    ("get", "/", "", Nothing),
    ("get", "/browse", "", Nothing),
    ("get", "/workspaces", "", Nothing),
    ("get", "/workspaces/{workspace}", "", Acquaintance),
    ("get", "/workspaces/{workspace}/feed.atom", "", Acquaintance),
    ("post", "/workspaces/{workspace}/approval", "revision=999999", InWorkspace(GovernWorkspace)),
    ("get", "/approvals", "", Credential),
    ("get", "/approvals/{approval}", "", Inside),
    ("post", "/approvals/{approval}", "do=comment&reason=Why", InsideAny(&[ReviewAssets, WriteCatalog])),
    ("get", "/assets/{workspace}/{name}", "", Sight),
    ("get", "/assets/{workspace}/{name}/tools", "", Sight),
    ("get", "/assets/{workspace}/{name}/versions", "", Sight),
    ("get", "/assets/{workspace}/{name}/connect", "", Sight),
    ("get", "/assets/{workspace}/{name}/definition", "", Sight),
    ("get", "/assets/{workspace}/{name}/deployments", "", Sight),
    ("get", "/feed.atom", "", Nothing),
    ("get", "/register", "", Nothing),
    ("get", "/about", "", Nothing),
    ("get", "/status", "", Nothing),
    ("get", "/problems", "", Nothing),
    ("get", "/assets", "", Nothing),
    ("get", "/assets/", "", Nothing),
    ("get", "/search", "", Nothing),
    ("get", "/search/suggest", "", Nothing),
    ("get", "/search/suggest.json", "", Nothing),
    ("post", "/register", REGISTER, InWorkspace(WriteCatalog)),
    ("post", "/register", REGISTER_BY_ADDRESS, Somewhere(&[WriteCatalog])),
    ("get", "/workspaces/{workspace}/webhooks", "", InWorkspace(GovernWorkspace)),
    ("post", "/workspaces/{workspace}/webhooks", "step=delete&webhook=NONE", Absent(GovernWorkspace)),
    ("get", "/workspaces/{workspace}/upstreams", "", InWorkspace(GovernWorkspace)),
    ("post", "/workspaces/{workspace}/upstreams", "name=u-NEW&url=nowhere", InWorkspace(GovernWorkspace)),
    ("post", "/workspaces/{workspace}/upstreams/absent/sync", "", Absent(GovernWorkspace)),
    ("get", "/registries", "", Nothing),
    ("post", "/registries", "name=page-NEW&access=credentials", Instance(ManageInstance)),
    ("get", "/registries/view-{workspace}", "", NamedAcquaintance),
    ("post", "/registries/view-{workspace}", "title=T&access=credentials", InWorkspace(GovernWorkspace)),
    ("get", "/workspaces/{workspace}/members", "", InWorkspace(GovernWorkspace)),
    ("post", "/workspaces/{workspace}/members", "role=reader&kind=user&holder=stella", InWorkspace(GovernWorkspace)),
    ("post", "/workspaces/{workspace}/members/{assignment}/remove", "", OfMembers(GovernWorkspace)),
    // The gateway's pages.
    ("get", "/gateway", "", Credential),
    ("get", "/gateway/usage", "", Credential),
    ("get", "/gateway/prompts", "", Somewhere(&[ReadAudit])),
    ("get", "/gateway/pools", "", Somewhere(&[ReadCatalog])),
    ("get", "/gateway/backends", "", Somewhere(&[ReadCatalog])),
    ("get", "/gateway/routes", "", Somewhere(&[ReadCatalog])),
    ("get", "/gateway/limits", "", Somewhere(&[ReadCatalog])),
    ("post", "/gateway/drain", "workspace=WORKSPACE&backend=gate&drained=false", OfMembers(ManageGateway)),
    ("post", "/gateway/purge", "route=none", Instance(ManageGateway)),
    ("post", "/gateway/import", "workspace=WORKSPACE&name=page-NEW&source=compatible&url=https://api.example.com/v1&models=page-NEW", Both(&Somewhere(&[ManageGateway]), &OfMembers(ManageGateway))),
    ("get", "/gateway/playground", "", Credential),
    ("post", "/gateway/playground", "model=none&prompt=x", NotThere),
    ("get", "/gateway/backends/new", "", Somewhere(&[ManageGateway])),
    ("get", "/gateway/backends/edit?name=gate", "", Instance(ManageGateway)),
    ("get", "/gateway/backends/edit?name=gate&workspace={workspace}", "", OfMembers(ManageGateway)),
    ("post", "/gateway/backends/edit", "name=gate&do=none", Somewhere(&[ManageGateway])),
    ("get", "/gateway/credentials/new", "", Somewhere(&[ManageGateway])),
    ("get", "/gateway/credentials/edit?name=gate&workspace={workspace}", "", OfMembers(ManageGateway)),
    ("post", "/gateway/credentials/edit", "name=gate&do=none", Somewhere(&[ManageGateway])),
    // Requests for access to assets.
    ("get", "/access", "", Credential),
    ("get", "/access/new?workspace={workspace}&asset={name}", "", Both(&Credential, &Sight)),
    ("post", "/access/new", "workspace=WORKSPACE&asset=ASSET&purpose=To+try", Both(&Person, &Sight)),
    ("get", "/access/{request}", "", AnothersOwn),
    ("post", "/access/{request}/decision", "do=approve", AnothersOwn),
    ("post", "/access/{request}/withdraw", "", AnothersOwn),
    ("post", "/access/{request}/key", "name=k", AnothersOwn),
    // One's own account.
    ("get", "/account", "", Nothing),
    ("post", "/account/keys", "name=k", Person),
    ("post", "/account/keys/{key}/rotate", "", AnothersOwn),
    ("post", "/account/keys/{key}/revoke", "", AnothersOwn),
    ("post", "/account/sessions/{session}/end", "", AnothersOwn),
    ("post", "/account/sign-out-everywhere", "", Credential),
    // For administrators.
    ("get", "/audit", "", Somewhere(&[ReadAudit])),
    ("get", "/admin/users", "", Instance(ManageInstance)),
    ("post", "/admin/users", "name=person-NEW", Instance(ManageInstance)),
    ("post", "/admin/users/stella/disable", "", Instance(ManageInstance)),
    ("post", "/admin/users/stella/enable", "", Instance(ManageInstance)),
    ("post", "/admin/users/stella/sign-out", "", Instance(ManageInstance)),
    ("get", "/admin/groups", "", Instance(ManageInstance)),
    ("post", "/admin/groups", "name=people-NEW", Instance(ManageInstance)),
    ("get", "/admin/groups/crew", "", Instance(ManageInstance)),
    ("post", "/admin/groups/absent/delete", "", AbsentInstance(ManageInstance)),
    ("post", "/admin/groups/crew/members", "member=stella", Instance(ManageInstance)),
    ("post", "/admin/groups/crew/members/stella/remove", "", Instance(ManageInstance)),
    ("get", "/admin/service-accounts", "", Somewhere(&[ManageKeys])),
    ("post", "/admin/service-accounts", "name=robot-NEW", Instance(ManageKeys)),
    ("post", "/admin/service-accounts/robot-{workspace}/key", "", Owned(ManageKeys)),
    ("post", "/admin/service-accounts/robot-{workspace}/disable", "", Owned(ManageKeys)),
    ("post", "/admin/service-accounts/robot-{workspace}/enable", "", Owned(ManageKeys)),
    ("get", "/admin/roles", "", Instance(GovernWorkspace)),
    ("post", "/admin/roles", "role=reader&kind=user&holder=stella", Instance(GovernWorkspace)),
    ("post", "/admin/roles/{assignment}/remove", "", Instance(GovernWorkspace)),
    // Signing in is judged by what it brings, whoever brings it.
    ("get", "/signin", "", Nothing),
    ("post", "/signin", "name=stella&password=wrong", Proof),
    ("post", "/sign-out", "", Nothing),
    ("get", "/auth/start/absent", "", Proof),
    ("get", "/auth/callback", "", Proof),
    ("get", "/auth/callback/absent", "", Proof),
    ("post", "/auth/backchannel-logout/absent", "logout_token=x", Proof),
    ("get", "/invitation", "", Proof),
    ("post", "/invitation", "token=x&password=y", Proof),
    // What machines ask.
    ("get", "/problems/not-found", "", Nothing),
    ("get", "/opensearch.xml", "", Nothing),
    ("get", "/robots.txt", "", Nothing),
    ("get", "/favicon.svg", "", Nothing),
    ("get", "/static/{digest}/{name}", "", Proof),
    ("post", "/preferences/theme", "theme=dark", Nothing),
    ("get", "/healthz", "", Nothing),
    ("get", "/readyz", "", Nothing),
    ("get", "/metrics", "", Nothing),
];
