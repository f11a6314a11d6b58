//! Folders of documents.

use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files of a folder that are looked at; others are passed over.
const EXTENSIONS: &[&str] = &["json", "jsonl", "ndjson", "yaml", "yml", "graphql", "gql", "wsdl", "xml", "proto"];

/// All files below a folder that may be documents, in the order of their paths.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if EXTENSIONS.contains(&extension(&path).as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the file is one of import lines, each a thing of its own, by its name.
pub(super) fn holds_lines(path: &Path) -> bool {
    matches!(extension(path).as_str(), "jsonl" | "ndjson")
}

/// In lower case; empty where there is none.
fn extension(path: &Path) -> String {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase()
}
