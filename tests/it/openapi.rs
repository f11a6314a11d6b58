//! Real API descriptions: every one that a person would call so is read, and says as many operations as it has.

use std::time::Duration;
use std::{fs, path::PathBuf};
use wharfinger::wire::{Format, read_definition};

/// The folder of descriptions; `None`, with a word, where it is absent.
fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("WHARFINGER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = root.join("corpus/openapi");
    if folder.join("expected.tsv").is_file() {
        return Some(folder);
    }
    eprintln!("skipped: {} is absent", folder.display());
    None
}

/// What this thread has spent of a processor: other work on the machine does not count.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number"))
}

#[test]
fn every_description_of_the_corpus_is_read_with_all_its_operations() {
    let Some(folder) = corpus() else { return };
    let table = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name: &str| head.iter().position(|title| *title == name).unwrap();
    let (file, operations) = (column("file"), column("operations_with_local_path_refs"));
    let mut count = 0;

    for row in lines {
        let name = row[file];
        let content = fs::read(folder.join(name)).unwrap();
        let start = spent();
        let read = read_definition(&content, None);
        let took = spent() - start;

        assert!(took < Duration::from_secs(2), "{name} took {took:?}");
        match (name, read) {
            ("broken-trailing-comma.json", Err(refusal)) => {
                assert_eq!(refusal.errors[0].location, "line 6, column 1", "{refusal}");
            }
            ("broken-paths-is-list.yaml", Err(refusal)) => {
                assert_eq!(refusal.errors[0].location, "/paths", "{refusal}");
            }
            (_, Ok(read)) => {
                assert_eq!(read.format, Format::OpenApi, "{name}");
                assert_eq!(read.outline.operations.len().to_string(), row[operations], "{name}");
                let largest = read.outline.operations.iter().map(|one| one.detail.to_string().len()).max();
                assert!(largest.unwrap_or(0) < 17 << 10, "{name}: {largest:?}");
            }
            (_, Err(refusal)) => panic!("{name}: {refusal}"),
        }
        count += 1;
    }

    assert_eq!(count, 40);
}

#[test]
fn faults_in_the_corpus_are_told() {
    let Some(folder) = corpus() else { return };
    for (file, rule, location) in [
        ("stripe.yaml", "duplicate-key", "line 20725, column 7"),
        (
            "broken-missing-refs.yaml",
            "dangling-reference",
            "/components/schemas/Fries/properties/favoriteDressings/items",
        ),
        ("broken-semantics.json", "dangling-reference", ""),
        ("svix-server.json", "undeclared-path-parameter", "/paths/~1api~1v1~1app~1{app_id}/get"),
        ("digitalocean-remote-refs.yaml", "external-reference", ""),
        ("circular.yaml", "missing-title", "/info"),
        ("all-the-components.yaml", "webhooks", "/webhooks"),
    ] {
        let read = read_definition(&fs::read(folder.join(file)).unwrap(), None).unwrap();

        let found = read
            .outline
            .findings
            .iter()
            .find(|finding| finding.rule == rule && (location.is_empty() || finding.location == location));
        assert!(found.is_some(), "{file}: {:?}", read.outline.findings);
    }
}
