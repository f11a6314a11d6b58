//! Nothing that the program serves is missing from the matrix.

use super::{gateway, pages, registry, rest};
use std::collections::BTreeSet;
use std::path::Path;

/// Files of the source that serve routes beside the REST API's, the registry's and the discovery endpoint's.
const PAGES: &[&str] = &["src/web", "src/api", "src/app"];

#[test]
fn every_route_of_the_rest_api_stands_in_the_matrix() {
    let document = wharfinger::api::document("http://127.0.0.1");
    let paths = document["paths"].as_object().unwrap().iter();
    let served: BTreeSet<(String, String)> = paths
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone())))
        .collect();

    let missing: Vec<_> = served.iter().filter(|(method, path)| !stands(method, path)).collect();

    assert!(missing.is_empty(), "say what these need, in tests/it/auth/matrix/: {missing:#?}");
    let rows = rest::ROUTES.iter().chain(gateway::ROUTES);
    let gone: Vec<_> = rows
        .filter(|(method, row, ..)| !served.iter().any(|(own, path)| own == method && fits(path, row)))
        .filter(|(_, row, ..)| !["/api/v1/openapi.json", "/api/docs"].contains(row))
        .map(|(method, row, ..)| format!("{method} {row}"))
        .collect();
    assert!(gone.is_empty(), "served no more: {gone:#?}");
}

#[test]
fn every_page_stands_in_the_matrix() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let served: Vec<(String, String)> = PAGES.iter().flat_map(|folder| routes_below(&root.join(folder))).collect();
    assert!(served.len() > 60, "routes are found in the source: {served:?}");

    let missing: Vec<_> = served.iter().filter(|(method, path)| !stands(method, path)).collect();
    let gone: Vec<_> = pages::ROUTES
        .iter()
        .filter(|(method, row, ..)| !served.iter().any(|(own, path)| own == method && fits(path, row)))
        .map(|(method, row, ..)| format!("{method} {row}"))
        .collect();

    assert!(missing.is_empty(), "say what these need, in tests/it/auth/matrix/pages.rs: {missing:#?}");
    assert!(gone.is_empty(), "served no more: {gone:#?}");
}

#[test]
fn every_resource_of_the_registry_stands_in_the_matrix() {
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/registry/path.rs")).unwrap();
    let (_, variants) = source.split_once("enum Resource {").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let variants: BTreeSet<&str> = variants
        .lines()
        .filter(|line| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim().trim_end_matches(['{', ',', ' ']))
        .collect();

    let told: BTreeSet<&str> = registry::RESOURCES.iter().map(|(variant, _)| *variant).collect();
    assert_eq!(variants, told, "say in tests/it/auth/matrix/registry.rs how a resource is asked for");
    for prefix in ["", "/workspaces/{workspace}"] {
        for (variant, path) in registry::RESOURCES {
            let path = format!("{prefix}/v0.1{path}");
            assert!(registry::ROUTES.iter().any(|(_, row, ..)| fits(&path, row)), "{variant}: no row for {path}");
        }
    }
}

fn stands(method: &str, path: &str) -> bool {
    super::rows().any(|(own, row, ..)| *own == method && fits(path, row))
}

/// Whether a row asks for a route: the same words, and anything for what stands in braces.
fn fits(route: &str, row: &str) -> bool {
    let row = row.split('?').next().unwrap_or_default();
    let (mut route, mut row) = (route.split('/'), row.split('/'));
    loop {
        match (route.next(), row.next()) {
            (None, None) => return true,
            (Some(rest), Some(_)) if rest.starts_with("{*") => return true,
            (Some(part), Some(own)) if part == own || (part.starts_with('{') && !own.is_empty()) => {}
            _ => return false,
        }
    }
}

/// The calls of `.route(path, methods)` in the source below a folder: method and path each.
fn routes_below(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(routes_below(&path));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for call in source.split(".route(").skip(1) {
            let Some(call) = call.trim_start().strip_prefix('"') else { continue };
            let (route, rest) = call.split_once('"').unwrap();
            let end = rest.find(".route(").or_else(|| rest.find(".merge(")).unwrap_or(rest.len());
            let rest = rest[..end].split("\n}").next().unwrap_or_default();
            for method in ["get", "post", "put", "patch", "delete"] {
                if rest.contains(&format!("{method}(")) {
                    found.push((method.to_owned(), route.to_owned()));
                }
            }
        }
    }
    found
}
