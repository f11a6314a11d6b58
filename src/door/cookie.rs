//! The cookies of sessions and of sign-ins under way.
//!
//! Over TLS their names begin with `__Host-`: no other host, no other path and no plain connection can set one (RFC
//! 6265bis, 4.1.3.2). On plain loopback, where browsers would not keep such a cookie everywhere, the names are plain.

use super::handles::PublicUrl;
use crate::auth::{BrowserSecret, SIGN_IN_LASTS, SessionToken};
use http::{HeaderMap, HeaderValue, header};

const SESSION: &str = "wharfinger-session";
const SIGN_IN: &str = "wharfinger-sign-in";

/// The session of the browser that sent these headers; not yet known to be one.
#[must_use]
pub fn session(headers: &HeaderMap, url: &PublicUrl) -> Option<SessionToken> {
    session_over(headers, url.is_secure())
}

/// As [`session`], where it is known whether clients come over TLS.
#[must_use]
pub fn session_over(headers: &HeaderMap, is_secure: bool) -> Option<SessionToken> {
    value(headers, &named(SESSION, is_secure)).and_then(SessionToken::parse)
}

/// The secret of the browser's sign-in.
#[must_use]
pub fn sign_in(headers: &HeaderMap, url: &PublicUrl) -> Option<BrowserSecret> {
    value(headers, &named(SIGN_IN, url.is_secure())).and_then(BrowserSecret::parse)
}

/// Keeps the session until the browser is closed or the session ends here, whichever is first; our own bounds count.
#[must_use]
pub fn keep_session(token: &SessionToken, url: &PublicUrl) -> HeaderValue {
    set(SESSION, token.reveal(), None, url)
}

#[must_use]
pub fn drop_session(url: &PublicUrl) -> HeaderValue {
    set(SESSION, "", Some(0), url)
}

#[must_use]
pub fn keep_sign_in(secret: &BrowserSecret, url: &PublicUrl) -> HeaderValue {
    set(SIGN_IN, secret.reveal(), Some(SIGN_IN_LASTS.as_secs()), url)
}

#[must_use]
pub fn drop_sign_in(url: &PublicUrl) -> HeaderValue {
    set(SIGN_IN, "", Some(0), url)
}

fn named(name: &str, is_secure: bool) -> String {
    if is_secure { format!("__Host-{name}") } else { name.to_owned() }
}

/// Lax: the way back from an identity provider is a link from another site, and the cookie must come along.
fn set(name: &str, value: &str, max_age: Option<u64>, url: &PublicUrl) -> HeaderValue {
    let name = named(name, url.is_secure());
    let secure = if url.is_secure() { "; Secure" } else { "" };
    let age = max_age.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&text).expect("names and values are plain ASCII")
}

/// The value of a cookie that is there once: of two, one was planted.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut found = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(own, value)| (own == name).then_some(value));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn a_session_over_tls_is_bound_to_its_host() {
        let (secure, plain) = (PublicUrl::new("https://wharf.example"), PublicUrl::new("http://127.0.0.1:8080"));
        let token = SessionToken::generate();
        let text = token.reveal();

        let kept = keep_session(&token, &secure);
        assert_eq!(
            kept.to_str().unwrap(),
            format!("__Host-wharfinger-session={text}; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
        assert!(session(&cookies(&format!("a=b; __Host-wharfinger-session={text}")), &secure).is_some());
        assert!(session(&cookies(&format!("wharfinger-session={text}")), &secure).is_none(), "planted by plain http");
        assert!(session(&cookies(&format!("wharfinger-session={text}")), &plain).is_some());
        assert!(session(&cookies(&format!("wharfinger-session={text}; wharfinger-session={text}")), &plain).is_none());
        assert!(session(&cookies("wharfinger-session=x"), &plain).is_none());
    }
}
