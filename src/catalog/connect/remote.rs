//! Remotes: an address with headers.

use super::escape::{variable, visible};
use super::option::{ConnectOption, Endpoint, Way};
use super::template::{Needs, Style};
use crate::wire::server_json::{Input, Transport};

/// The remote as a way to connect; none when its address is not one of the web.
pub(super) fn option(key: &str, transport: &Transport) -> Option<ConnectOption> {
    // The variables of a remote carry the server's name: a stranger must not choose which secret of the user's
    // environment goes to his address.
    let mut needs = Needs::new(&format!("{}_", variable(key)));
    let endpoint = endpoint(transport, &mut needs)?;
    let shown = endpoint.url.render(&needs.list, Style::Written);
    let host = shown.split("://").nth(1)?.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    let protocol = if endpoint.is_sse { "Server-sent events" } else { "Streamable HTTP" };
    Some(ConnectOption {
        label: format!("{protocol} at {host}"),
        key: key.to_owned(),
        way: Way::Remote(endpoint),
        needs: needs.list,
        optional: needs.optional,
    })
}

/// The address with its headers; none for an address that is not `http` or `https`.
pub(super) fn endpoint(transport: &Transport, needs: &mut Needs) -> Option<Endpoint> {
    let url = visible(transport.url.as_deref()?).replace(' ', "%20");
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    });
    if !is_web {
        return None;
    }
    let url = needs.with_variables(&url, &transport.variables, false);
    let mut headers = Vec::new();
    for header in transport.headers.iter().filter(|header| is_header_name(&header.name)) {
        let input = Input { is_secret: header.is_secret || names_a_secret(&header.name), ..header.clone() };
        if let Some(value) = needs.value(&input, &header.name) {
            headers.push((header.name.clone(), value));
        }
    }
    Some(Endpoint { is_sse: transport.kind == "sse", url, headers })
}

// RFC 9110, 5.6.2: a field name is a token.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Many publishers forget to mark the header that carries the key.
fn names_a_secret(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    ["authorization", "authentication", "cookie"].contains(&name.as_str())
        || ["key", "token", "secret", "password"].iter().any(|part| name.ends_with(part))
}
