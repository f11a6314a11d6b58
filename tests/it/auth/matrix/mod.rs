//! The matrix: every role against every route, page, setting of the gateway and tool, for what is its own, what is shared
//! with it, and what is foreign, gives exactly the answer that the table of roles allows.
//!
//! What a route needs is told here, once, in the tables of `rest`, `gateway`, `registry` and `pages`; who holds it is asked
//! of the table of roles. A route that the program serves and that stands in none of them fails a test of `complete`.

mod alike;
mod complete;
mod gateway;
mod needs;
mod pages;
mod registry;
mod rest;
mod scene;
mod tools;

use crate::support::{Answer, TestApp};
use needs::Row;
use scene::{Asker, NONE, Spot, askers, spots};
use wharfinger::auth::Role;

const IMPORT: &str = "/api/v1/import";

fn rows() -> impl Iterator<Item = &'static Row> {
    [rest::ROUTES, gateway::ROUTES, registry::ROUTES, pages::ROUTES].into_iter().flatten()
}

#[tokio::test]
async fn every_role_gets_of_the_rest_api_what_the_table_allows() {
    judge(rest::ROUTES).await;
}

#[tokio::test]
async fn every_role_gets_of_the_gateways_settings_what_the_table_allows() {
    judge(gateway::ROUTES).await;
}

#[tokio::test]
async fn every_role_gets_of_the_registry_what_the_table_allows() {
    judge(registry::ROUTES).await;
}

#[tokio::test]
async fn every_role_gets_of_every_page_what_the_table_allows() {
    judge(pages::ROUTES).await;
}

/// Asks for every row as everybody, for every spot where the row is of a place.
async fn judge(rows: &[Row]) {
    let app = TestApp::start().await;
    let members: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).chain(["nobody"]).collect();
    app.group("crew", &members).await;
    let spots = spots(&app).await;
    let askers = askers(&app).await;
    let (mut wrong, mut asked) = (Vec::new(), 0);

    for row in rows {
        let (method, pattern, body, needs) = row;
        let is_of_place = pattern.contains('{') || body.contains("ASSET") || body.contains("WORKSPACE");
        for spot in spots.iter().take(if is_of_place { spots.len() } else { 1 }) {
            let mut to_everybody = None;
            for asker in &askers {
                asked += 1;
                let new = asked.to_string();
                let path = spot.fill(&app, method, pattern, &new).await;
                let answer = sent(row, spot, asker, &path, &new).await;
                let told = match answer.status {
                    status @ (401 | 403 | 404) => status,
                    status if status >= 500 => status,
                    _ => 200,
                };
                let expected = match needs.answer(asker, spot) {
                    Some(expected) => expected,
                    None => *to_everybody.get_or_insert(told),
                };
                if told != expected {
                    let text: String = answer.text.chars().take(160).collect();
                    let who = &asker.label;
                    let said = answer.status;
                    wrong.push(format!("{method} {path} as {who} ({needs:?}): {said}, not {expected}: {text}"));
                }
            }
        }
    }

    assert!(wrong.is_empty(), "{} of {asked} answers:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{asked} answers as the table says");
}

/// The answer to a row at a path that was filled for the spot.
async fn sent(row: &Row, spot: &Spot, asker: &Asker<'_>, path: &str, new: &str) -> Answer {
    let (method, pattern, body, _) = row;
    // Names of the servers are all different: a server whose name is another's elsewhere is found by that.
    let text =
        body.replace("NEW", new).replace("NONE", NONE).replace("WORKSPACE", spot.workspace).replace("ASSET", spot.name);
    let text = if body.starts_with("--x") { text.replace('\n', "\r\n") } else { text };
    let verb: reqwest::Method = method.to_uppercase().parse().unwrap();
    let mut request = asker.person.request(verb, path).header("accept", "application/json");
    if *method != "get" {
        let is_form = !pattern.starts_with("/api") && body.contains('=');
        let media = match (is_form, *pattern) {
            _ if body.starts_with("--x") => "multipart/form-data; boundary=x",
            (true, _) => "application/x-www-form-urlencoded",
            (_, IMPORT) => "application/x-ndjson",
            _ => "application/json",
        };
        request = request.header("if-match", "\"999999\"");
        if !text.is_empty() || *pattern == IMPORT {
            request = request.header("content-type", media).body(text);
        }
    }
    asker.person.send(request).await
}
