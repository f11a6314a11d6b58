//! What clients are told, over every real document at hand.

use crate::support::shared;
use serde_json::Value;
use wharfinger::catalog::connect::{Client, forms, options};

#[test]
fn every_real_document_with_a_remote_or_a_package_can_be_used_by_some_client() {
    let Some(shared) = shared() else { return };
    let (mut documents, mut unusable, mut total) = (0, Vec::new(), 0);
    for file in ["servers.jsonl", "official-snapshot-2025-12-12.jsonl"] {
        let text = std::fs::read_to_string(shared.join("corpus/mcp-servers").join(file)).unwrap();
        for line in text.lines() {
            let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { continue };
            let document = line.remove("server").unwrap_or(Value::Object(line));
            let promises = ["remotes", "packages"]
                .iter()
                .any(|list| document[list].as_array().is_some_and(|list| !list.is_empty()));
            if !promises {
                continue;
            }
            documents += 1;
            let options = options(&document);
            if options.is_empty() {
                unusable.push(document["packages"].to_string());
            }
            for option in options {
                let forms = forms(&option);
                total += forms.len();
                assert!(forms.iter().any(|form| form.client == Client::Json), "{}: {}", document["name"], option.label);
                for step in forms.iter().flat_map(|form| &form.steps).filter(|step| step.language == "json") {
                    serde_json::from_str::<Value>(&step.text).unwrap();
                }
            }
        }
    }
    // Names such as `files-(local)` are in no package registry: there is nothing to install.
    let strange: Vec<_> = unusable.iter().filter(|packages| !packages.contains(['(', '&', ' ', '%', ','])).collect();
    println!("{total} forms of {documents} documents; {} name no package that can exist", unusable.len());
    assert!(documents > 5_000 && unusable.len() * 20 < documents, "{} of {documents}", unusable.len());
    assert!(strange.is_empty(), "{strange:#?}");
}
