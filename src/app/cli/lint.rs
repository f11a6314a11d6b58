//! `wharfinger lint`: what the register would say of definitions, without a register.

use super::{files, print};
use crate::catalog::{CheckOutcome, assess_document};
use crate::wire::{Finding, Format, Severity, read_definition};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::{fs, path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// Definitions (OpenAPI in JSON or YAML, AsyncAPI, server.json, agent cards), and folders of them.
    #[arg(required = true, num_args = 1.., value_name = "FILE|FOLDER")]
    places: Vec<PathBuf>,
    /// Fail for warnings too.
    #[arg(long)]
    strict: bool,
    /// Print the findings as a JSON list.
    #[arg(long)]
    json: bool,
}

/// A finding, and what would help.
#[derive(Debug, PartialEq, Serialize)]
struct Told {
    file: String,
    #[serde(flatten)]
    finding: Finding,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: String,
}

/// 0 without errors, 2 with errors, 1 when a file cannot be read or there is nothing to look at.
pub(super) fn run(args: &LintArgs) -> Result<ExitCode> {
    let (mut told, mut read, mut unread) = (Vec::new(), 0_usize, 0_usize);
    for (file, is_named) in files_of(&args.places, &mut unread) {
        let name = file.display().to_string();
        match fs::read(&file) {
            Ok(content) => {
                let Some(found) = findings(&name, &content, is_named) else { continue };
                read += 1;
                told.extend(found);
            }
            Err(error) => pass_over(&name, &error.into(), &mut unread),
        }
    }
    if read + unread == 0 {
        bail!("there is no definition to look at");
    }

    let count = |severity| told.iter().filter(|one| one.finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if args.json {
        print(&serde_json::to_string_pretty(&told)?);
    } else {
        told.iter().for_each(|one| print(&one.line()));
        print(&format!("{read} looked at: {errors} to mend, {warnings} to look at"));
    }
    let is_wrong = errors > 0 || args.strict && warnings > 0;
    Ok(match (unread, is_wrong) {
        (1.., _) => ExitCode::FAILURE,
        (0, true) => ExitCode::from(2),
        (0, false) => ExitCode::SUCCESS,
    })
}

/// The files to look at, each with whether it was named itself; what cannot be read is told and counted.
fn files_of(places: &[PathBuf], unread: &mut usize) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for place in places {
        if !place.is_dir() {
            found.push((place.clone(), true));
            continue;
        }
        match files::below(place) {
            Ok(files) => {
                let documents = files.into_iter().filter(|file| !files::holds_lines(file));
                found.extend(documents.map(|file| (file, false)));
            }
            Err(error) => pass_over(&place.display().to_string(), &error, unread),
        }
    }
    found
}

fn pass_over(name: &str, error: &anyhow::Error, unread: &mut usize) {
    eprintln!("wharfinger: {name} cannot be read: {error:#}");
    *unread += 1;
}

/// What is found in a document; none for what is no definition and needs not be one.
fn findings(file: &str, content: &[u8], is_meant: bool) -> Option<Vec<Told>> {
    let told = |finding: Finding, help: &str| Told { file: file.to_owned(), finding, help: help.to_owned() };
    let read = match read_definition(content, None) {
        Ok(read) if read.format == Format::Other => {
            let finding = Finding::warning("unknown-format", "", "no format was recognised, so nothing was looked at");
            return is_meant.then(|| vec![told(finding, "")]);
        }
        Ok(read) => read,
        Err(refusal) => {
            let refused = refusal.errors.into_iter().map(|error| {
                let finding = Finding::warning("not-read", error.location, error.message);
                told(Finding { severity: Severity::Error, ..finding }, "The register refuses it as it is.")
            });
            return Some(refused.collect());
        }
    };
    let checks = assess_document(&read);
    let odd = checks.into_iter().filter_map(|check| {
        let severity = match check.outcome {
            CheckOutcome::Failed => Severity::Error,
            CheckOutcome::Warned => Severity::Warning,
            CheckOutcome::Passed | CheckOutcome::Skipped => return None,
        };
        let finding = Finding { severity, rule: check.rule, location: String::new(), message: check.detail };
        Some(told(finding, &check.help))
    });
    Some(read.outline.findings.into_iter().map(|finding| told(finding, "")).chain(odd).collect())
}

impl Told {
    /// `api.yaml: /info: warning missing-version: the document says no version`
    fn line(&self) -> String {
        let Finding { severity, rule, location, message } = &self.finding;
        let place = if location.is_empty() { self.file.clone() } else { format!("{}: {location}", self.file) };
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let help = if self.help.is_empty() { String::new() } else { format!("\n    {}", self.help) };
        format!("{place}: {severity} {rule}: {message}{help}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(content: &str) -> Vec<(Severity, String)> {
        let found = findings("a", content.as_bytes(), true).unwrap();
        found.into_iter().map(|told| (told.finding.severity, told.finding.rule)).collect()
    }

    #[test]
    fn a_definition_is_told_what_the_register_and_its_rules_would_say() {
        let hidden = "openapi: 3.1.0\ninfo: {title: Crane, version: '1', license: {name: MIT}}\npaths:\n  /lift:\n    get: {operationId: lift, summary: \"Lift\u{200b} it\", responses: {'200': {description: Lifted}}}\n";
        assert_eq!(rules(hidden), [(Severity::Error, "hidden-characters".to_owned())]);

        let bare = rules("openapi: 3.1.0\ninfo: {title: Crane}\npaths: {}\n");
        assert!(bare.contains(&(Severity::Warning, "missing-version".to_owned())), "{bare:?}");
        assert!(bare.contains(&(Severity::Warning, "licence-present".to_owned())), "{bare:?}");
        assert!(bare.iter().all(|(severity, _)| *severity != Severity::Error), "{bare:?}");
    }

    #[test]
    fn a_document_that_is_refused_is_an_error_with_its_place() {
        let found = findings("a.yaml", b"openapi: 3.0.0\npaths: []\n", true).unwrap();

        assert!(
            found[0].line().starts_with("a.yaml: /paths: error not-read: `paths` is a list"),
            "{}",
            found[0].line()
        );
    }

    #[test]
    fn what_lies_beside_definitions_is_passed_over_unless_it_was_named() {
        assert_eq!(findings("a", b"services: {}\n", false), None);
        assert_eq!(rules("services: {}\n"), [(Severity::Warning, "unknown-format".to_owned())]);
    }
}
