//! Telling apart the documents of one import whose titles make the same name.

use super::source::Line;
use crate::catalog::ImportLine;
use crate::wire::Format;
use std::collections::{BTreeSet, HashMap};
use url::Url;

/// The names that documents of this import have taken.
#[derive(Default)]
pub(super) struct Names(HashMap<String, Vec<Document>>);

/// What tells whether two documents are about one API.
struct Document {
    version: String,
    hosts: BTreeSet<String>,
    digest: Vec<u8>,
}

impl Document {
    /// A further version of the same API has another version, and runs where the other does if both say where. What has
    /// the same title without that is another API: taking it for the same would overwrite the first with the second.
    fn is_of_the_same_api(&self, other: &Self) -> bool {
        let elsewhere = !self.hosts.is_empty() && !other.hosts.is_empty() && self.hosts.is_disjoint(&other.hosts);
        self.digest == other.digest || (self.version != other.version && !elsewhere)
    }
}

impl Names {
    /// The line as it is; or, where another document has taken the name and is about another API, under that name and
    /// the name of its file. Files come in the order of their paths, so the same folder gives the same names again.
    pub(super) fn told_apart(&mut self, line: Line) -> Line {
        let Some((name, document)) = read(&line) else { return line };
        let taken = self.0.entry(name.clone()).or_default();
        if taken.iter().all(|other| document.is_of_the_same_api(other)) {
            taken.push(document);
            return line;
        }
        let Some(renamed) = line.file_name().map(|file| format!("{name}-{file}")) else { return line };
        line.named(&renamed).unwrap_or(line)
    }
}

/// The name a bare document would take, and what it is; none for other lines, and for documents that name themselves.
fn read(line: &Line) -> Option<(String, Document)> {
    line.named("")?;
    let draft = ImportLine::read(&line.text).ok()?.draft;
    if draft.version.definition.as_ref()?.format == Format::ServerJson {
        return None;
    }
    let hosts =
        draft.version.deployments.iter().filter_map(|one| Url::parse(&one.url).ok()?.host_str().map(str::to_owned));
    let document =
        Document { version: draft.version.name, hosts: hosts.collect(), digest: draft.version.source_digest };
    Some((draft.name.to_string(), document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line(file: &str, version: &str, server: &str) -> Line {
        let document = json!({
            "openapi": "3.1.0", "info": {"title": "Burger Shop", "version": version}, "servers": [{"url": server}],
            "paths": {},
        });
        let text = json!({"definition": {"value": document.to_string()}}).to_string();
        Line { text: text.into(), place: format!("apis/{file}") }
    }

    fn names(files: &[(&str, &str, &str)]) -> Vec<Option<String>> {
        let mut names = Names::default();
        let told = files.iter().map(|(file, version, server)| names.told_apart(line(file, version, server)));
        told.map(|line| serde_json::from_slice::<Value>(&line.text).unwrap()["name"].as_str().map(str::to_owned))
            .collect()
    }

    #[test]
    fn versions_of_one_api_keep_its_name() {
        let told = names(&[
            ("v1.yaml", "1.0.0", "https://api.example.com/v1"),
            ("v2.yaml", "2.0.0", "https://api.example.com/v2"),
            ("v3.yaml", "3.0.0", "/v3"),
        ]);

        assert_eq!(told, [None, None, None]);
    }

    #[test]
    fn another_api_of_the_same_title_goes_by_its_file_too() {
        let told = names(&[
            ("a.yaml", "1.2", "https://a.example.com"),
            ("Rival Shop.yaml", "1.2", "https://a.example.com/rival"),
            ("c.yaml", "1.3", "https://c.example.com"),
        ]);

        assert_eq!(told, [None, Some("burger-shop-rival-shop".into()), Some("burger-shop-c".into())]);
    }

    #[test]
    fn the_same_document_twice_is_one() {
        assert_eq!(names(&[("a.yaml", "1.2", "/"), ("copy.yaml", "1.2", "/")]), [None, None]);
    }
}
