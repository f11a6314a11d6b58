//! Where an import comes from, as lines with the place each came from.

use super::super::{client::fetch, files};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

/// One line to send.
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// For people: the file, with the line's number where it has one.
    pub(super) place: String,
}

/// Lines, read as they are needed.
pub(super) struct Source {
    ready: VecDeque<Line>,
    files: VecDeque<PathBuf>,
    /// The next page of another registry.
    page: Option<(String, Option<String>)>,
}

impl Source {
    /// What `place` means: a file, a folder, or a URL of a document or of a registry.
    pub(super) async fn open(place: &str) -> Result<Self> {
        let mut source = Self { ready: VecDeque::new(), files: VecDeque::new(), page: None };
        if place.starts_with("http://") || place.starts_with("https://") {
            source.open_url(place).await?;
        } else {
            let path = Path::new(place);
            let kind = fs::metadata(path).context("cannot be read")?;
            if kind.is_dir() {
                source.files = files::below(path)?.into();
            } else {
                source.files.push_back(path.to_owned());
            }
            source.fill().await?;
        }
        Ok(source)
    }

    /// How many lines are known to come; none while files or pages are left unread.
    pub(super) fn remaining(&self) -> Option<u64> {
        (self.files.is_empty() && self.page.is_none()).then_some(self.ready.len() as u64)
    }

    pub(super) async fn next(&mut self) -> Result<Option<Line>> {
        self.fill().await?;
        Ok(self.ready.pop_front())
    }

    async fn fill(&mut self) -> Result<()> {
        while self.ready.is_empty() {
            if let Some(path) = self.files.pop_front() {
                let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                self.ready = lines_of(bytes, &path.display().to_string());
            } else if let Some((base, cursor)) = self.page.take() {
                self.read_page(base, cursor).await?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A document is imported as it is; what answers as a registry is read page by page.
    async fn open_url(&mut self, url: &str) -> Result<()> {
        let base = url.trim_end_matches('/');
        if let Ok(bytes) = fetch(&format!("{base}/v0.1/servers?limit=1")).await
            && serde_json::from_slice::<Value>(&bytes).is_ok_and(|page| page["servers"].is_array())
        {
            self.page = Some((base.to_owned(), None));
            return self.fill().await;
        }
        self.ready = lines_of(fetch(url).await?, url);
        Ok(())
    }

    async fn read_page(&mut self, base: String, cursor: Option<String>) -> Result<()> {
        let mut url = url::Url::parse(&format!("{base}/v0.1/servers"))?;
        url.query_pairs_mut().append_pair("limit", "100");
        if let Some(cursor) = &cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let page: Value =
            serde_json::from_slice(&fetch(url.as_str()).await?).context("a page of the registry is no JSON")?;
        let Some(servers) = page["servers"].as_array() else {
            bail!("a page of the registry holds no list of servers")
        };
        for entry in servers {
            let place = entry["server"]["name"].as_str().unwrap_or(url.as_str()).to_owned();
            self.ready.push_back(Line { text: serde_json::to_vec(entry)?, place });
        }
        let next = page["metadata"]["nextCursor"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
        if next.is_some() && next != cursor {
            self.page = Some((base, next));
        }
        Ok(())
    }
}

/// The lines of a file: its own where it holds JSON lines, the entries of a registry's list, or the one document.
fn lines_of(bytes: Vec<u8>, place: &str) -> VecDeque<Line> {
    if is_json_lines(&bytes, place) {
        let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        return lines.map(|(at, line)| Line { text: line.to_vec(), place: format!("{place}:{}", at + 1) }).collect();
    }
    let list = serde_json::from_slice::<Value>(&bytes).ok();
    // An OpenAPI document has `servers` too; those of a registry each hold a `server`.
    let listed = |list: &Value| {
        list["servers"].as_array().filter(|all| all.iter().all(|one| one["server"].is_object())).cloned()
    };
    let entries = list.and_then(|list| list.as_array().cloned().or_else(|| listed(&list)));
    if let Some(entries) = entries.filter(|entries| !entries.is_empty() && entries.iter().all(Value::is_object)) {
        let line =
            |(at, entry): (usize, &Value)| Line { text: entry.to_string().into(), place: format!("{place}[{at}]") };
        return entries.iter().enumerate().map(line).collect();
    }
    VecDeque::from([Line { text: document_line(&bytes), place: place.to_owned() }])
}

impl Line {
    /// The same document under the name of its file, for one that does not say its own; none for other lines.
    pub(super) fn named_by_file(&self) -> Option<Self> {
        self.named(&self.file_name()?)
    }

    /// The name of its file, as a name of an asset could be written.
    pub(super) fn file_name(&self) -> Option<String> {
        let stem = Path::new(&self.place).file_stem()?.to_str()?.to_ascii_lowercase();
        let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        Some(plain.trim_matches(['-', '.']).to_owned())
    }

    /// The same document under this name; none for lines that are no bare document.
    pub(super) fn named(&self, name: &str) -> Option<Self> {
        let mut line: Value = serde_json::from_slice(&self.text).ok()?;
        let members =
            line.as_object_mut().filter(|members| members.len() == 1 && members.contains_key("definition"))?;
        members.insert("name".to_owned(), name.into());
        Some(Self { text: line.to_string().into(), place: self.place.clone() })
    }
}

/// Whether each line is a JSON value of its own: by the name, or by the first two lines.
fn is_json_lines(bytes: &[u8], place: &str) -> bool {
    if place.ends_with(".jsonl") || place.ends_with(".ndjson") {
        return true;
    }
    let mut lines = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let is_object = |line: &[u8]| serde_json::from_slice::<serde_json::Map<String, Value>>(line).is_ok();
    lines.next().is_some_and(is_object) && lines.next().is_some_and(is_object)
}

/// A document as an import line; byte for byte, whatever its encoding.
fn document_line(bytes: &[u8]) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let definition = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => json!({"value": text}),
        _ => json!({"base64": STANDARD.encode(bytes)}),
    };
    json!({"definition": definition}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, place: &str) -> Vec<(String, String)> {
        let lines = lines_of(text.as_bytes().to_vec(), place);
        lines.into_iter().map(|line| (String::from_utf8(line.text).unwrap(), line.place)).collect()
    }

    #[test]
    fn a_file_is_lines_or_a_list_or_one_document() {
        let lines = read("{\"a\": 1}\n\n{\"b\": 2}\n", "x.txt");
        assert_eq!(lines, [("{\"a\": 1}".into(), "x.txt:1".into()), ("{\"b\": 2}".into(), "x.txt:3".into())]);

        let listed = read(r#"{"servers": [{"server": {}}, {"server": {}}]}"#, "list.json");
        assert_eq!(listed[1], (r#"{"server":{}}"#.into(), "list.json[1]".into()));

        let document = read("openapi: 3.1.0\ninfo: {}\n", "a.yaml");
        assert_eq!(document, [(r#"{"definition":{"value":"openapi: 3.1.0\ninfo: {}\n"}}"#.into(), "a.yaml".into())]);

        let api = read(r#"{"openapi": "3.1.0", "servers": [{"url": "https://a.example"}]}"#, "api.json");
        assert!(api.len() == 1 && api[0].0.starts_with("{\"definition\""), "{api:?}");

        let pretty = read("{\n  \"openapi\": \"3.1.0\"\n}", "a.json");
        assert!(pretty.len() == 1 && pretty[0].0.starts_with("{\"definition\""));
    }

    #[test]
    fn a_document_without_a_title_can_go_by_its_file() {
        let line = lines_of(b"openapi: 3.1.0".to_vec(), "docs/Our API_v2.yaml").pop_front().unwrap();

        let named: Value = serde_json::from_slice(&line.named_by_file().unwrap().text).unwrap();

        assert_eq!(named["name"], "our-api-v2");
        assert!(lines_of(b"{\"name\": \"a\"}".to_vec(), "x.jsonl").pop_front().unwrap().named_by_file().is_none());
    }

    #[test]
    fn bytes_that_are_no_text_go_in_base64() {
        let line = document_line(b"\xff\xfe{\0}\0");

        assert!(String::from_utf8(line).unwrap().starts_with(r#"{"definition":{"base64":"#));
    }
}
