//! The headers in which a modern request repeats what stands in its body.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde_json::{Map, Value};

pub(super) const VERSION: &str = "mcp-protocol-version";
pub(super) const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// The value of a header that may stand once, without the whitespace around it.
///
/// # Errors
/// What is wrong, in words: it stands twice, or holds what is not printable ASCII.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the header {name} stands more than once"));
    }
    let text =
        value.to_str().map_err(|_| format!("the header {name} holds characters that are not printable ASCII"))?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

/// Whether `Mcp-Method` and, where the method asks for it, `Mcp-Name` say what the body says.
///
/// # Errors
/// What does not, in words.
pub(super) fn check(headers: &HeaderMap, method: &str, params: Option<&Map<String, Value>>) -> Result<(), String> {
    match single(headers, METHOD)? {
        None => return Err("the header Mcp-Method is missing".to_owned()),
        Some(named) if named != method => {
            return Err(format!("Mcp-Method is {named}, but the body's method is {method}"));
        }
        Some(_) => {}
    }
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    // A body without the member is refused for that, and not for its header.
    let Some(named) = params.and_then(|params| params.get(member)).and_then(Value::as_str) else { return Ok(()) };
    let Some(value) = single(headers, NAME)? else {
        return Err(format!("the header Mcp-Name is missing; it repeats `params.{member}`"));
    };
    if decoded(value)? == named { Ok(()) } else { Err(format!("Mcp-Name is not the body's `params.{member}`")) }
}

/// The text of a value, which is base64 between `=?base64?` and `?=` where a header could not carry it plainly.
fn decoded(value: &str) -> Result<String, String> {
    let prefix = value.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("=?base64?"));
    let Some(inner) = value.get(9..).filter(|_| prefix).and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    let bytes = STANDARD.decode(inner).map_err(|_| "Mcp-Name holds base64 that cannot be decoded".to_owned())?;
    String::from_utf8(bytes).map_err(|_| "Mcp-Name holds base64 that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_plain_or_from_base64() {
        for (value, expected) in [
            ("search_catalog", Ok("search_catalog")),
            ("=?base64?w7x4?=", Ok("üx")),
            ("=?BASE64?w7x4?=", Ok("üx")),
            ("=?base64?x", Ok("=?base64?x")),
            ("=?base64?***?=", Err("decoded")),
            ("=?base64?/w==?=", Err("UTF-8")),
        ] {
            match (decoded(value), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (got, _) => panic!("{value}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_header_stands_once_and_is_printable() {
        let mut headers = HeaderMap::new();
        headers.append(METHOD, "tools/list ".parse().unwrap());
        assert_eq!(single(&headers, METHOD).unwrap(), Some("tools/list"));

        headers.append(METHOD, "tools/list".parse().unwrap());
        assert!(single(&headers, METHOD).unwrap_err().contains("more than once"));

        headers.insert(METHOD, http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(single(&headers, METHOD).unwrap_err().contains("ASCII"));
    }
}
