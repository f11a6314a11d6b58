//! Refusals and failures as pages: what happened, why, what helps, and under which id to ask about it.

use super::Layout;
use crate::base::{FieldError, Problem};
use crate::door::PublicUrl;
use askama::Template;
use http::{HeaderMap, StatusCode};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemTemplate<'a> {
    layout: Layout,
    status: u16,
    title: &'a str,
    detail: &'a str,
    help: Option<&'a str>,
    errors: &'a [FieldError],
    asked: &'a str,
    kind: &'a str,
    /// Where signing in leads back to what was asked for; none where that would not help.
    sign_in: Option<String>,
}

/// The page of a problem, for a request with these headers to this path.
#[must_use]
pub fn problem_page(
    problem: &Problem,
    headers: &HeaderMap,
    path: &str,
    request_id: &str,
    public_url: &PublicUrl,
) -> String {
    let mut layout = Layout::of_problem(headers, public_url.clone(), Some(request_id.to_owned()));
    layout.path = path.to_owned();
    let page = ProblemTemplate {
        sign_in: (problem.status == StatusCode::UNAUTHORIZED).then(|| layout.sign_in_path()),
        layout,
        status: problem.status.as_u16(),
        title: problem.title,
        detail: &problem.detail,
        help: help(problem),
        errors: &problem.errors[..problem.errors.len().min(50)],
        asked: path,
        kind: problem.kind,
    };
    page.render().unwrap_or_else(|error| {
        tracing::error!(error = %error, "The page of a problem could not be written");
        "<!doctype html><title>Error</title><p>The page of this error could not be written.".to_owned()
    })
}

/// What helps a person: where the advice is for programs, the same in terms of pages.
fn help(problem: &Problem) -> Option<&str> {
    match problem.help.as_deref() {
        Some(help) if problem.status == StatusCode::UNAUTHORIZED && help.contains("Authorization:") => {
            Some("Sign in; programs send a key with the request.")
        }
        Some(help) if problem.kind == "not-found" && help.contains("/api/") => {
            Some("See whether the address is whole, or search above. What is private is shown with a key only.")
        }
        help => help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_sign_in_is_led_there_and_back() {
        let public_url = PublicUrl::new("http://127.0.0.1:8080");

        let page =
            problem_page(&Problem::unauthenticated("It is private."), &HeaderMap::new(), "/audit", "r", &public_url);

        assert!(page.contains("href=\"/signin?next=%2Faudit\"") && page.contains("Sign in; programs"), "{page}");
    }

    #[test]
    fn a_problem_says_what_happened_what_helps_and_its_id() {
        let problem = Problem::not_found("There is no asset <x>.").with_help("Search for it.");
        let public_url = PublicUrl::new("http://127.0.0.1:8080");

        let page = problem_page(&problem, &HeaderMap::new(), "/assets/a/<x>", "r-1", &public_url);

        for text in ["Not found", "There is no asset &#60;x&#62;.", "Search for it.", "r-1", "/problems/not-found"] {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
        assert!(!page.contains("<x>"));
    }
}
