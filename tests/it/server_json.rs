//! Our rules for `server.json` against real documents and against the published JSON schema.

use serde_json::{Value, json};
use std::fs;
use wharfinger::wire::{
    Severity,
    server_json::{Issue, IssueKind, Reading, check, is_valid, outline, read},
};

/// A file of the real data, where that is there.
fn shared(path: &str) -> Option<String> {
    let file = crate::support::shared()?.join(path);
    Some(fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"))
}

fn errors(issues: &[Issue]) -> Vec<&Issue> {
    issues.iter().filter(|issue| issue.severity == Severity::Error).collect()
}

#[test]
fn every_server_of_the_corpus_is_valid_and_read() {
    let Some(text) = shared("corpus/mcp-servers/servers.jsonl") else { return };
    let (mut count, mut tools) = (0, 0);

    for document in lines(&text) {
        let issues = check(&document, Reading::Published);
        assert!(is_valid(&issues), "{}: {:?}", document["name"], errors(&issues));
        let server = read(&document);
        assert_eq!(document["packages"].as_array().map_or(0, Vec::len), server.packages.len());
        assert_eq!(document["remotes"].as_array().map_or(0, Vec::len), server.remotes.len());
        let outline = outline(&document);
        assert!(outline.summary.is_some() && outline.version.is_some());
        tools += outline.operations.len();
        count += 1;
    }

    assert_eq!(count, 5_789);
    assert!(tools >= 5_657, "{tools} tools");
}

#[test]
fn the_official_snapshot_is_valid_but_for_its_known_exceptions() {
    let Some(text) = shared("corpus/mcp-servers/official-snapshot-2025-12-12.jsonl") else { return };
    let mut refused = Vec::new();

    for entry in lines(&text) {
        let issues = check(&entry["server"], Reading::Imported);
        let wrong = errors(&issues);
        if !wrong.is_empty() {
            let name = entry["server"]["name"].as_str().unwrap();
            refused.push((
                name.rsplit('/').next().unwrap().to_owned(),
                entry["server"]["version"].clone(),
                wrong[0].path.clone(),
            ));
        }
    }

    let refused: Vec<String> = refused.iter().map(|(name, version, path)| format!("{name} {version} {path}")).collect();
    assert_eq!(
        refused,
        [
            r#"memphora "0.1.2" packages[0].runtimeArguments[0].type"#,
            r#"memphora "0.1.3" packages[0].runtimeArguments[0].type"#,
            r#"mcp-server-browser "1.0.0" packages[0].version"#,
            r#"mcp-server-commands "1.0.0" packages[0].version"#,
            r#"mcp-server-filesystem "1.0.0" packages[0].version"#,
            r#"mcp-server-search "1.0.0" packages[0].version"#,
            r#"excalidraw-mcp "1.1.1" packages[0].packageArguments[0].type"#,
            r#"excalidraw-mcp "1.2.0" packages[0].packageArguments[0].type"#,
            r#"mac-letterhead "0.13.9" packages[0].packageArguments[0].type"#,
            r#"redmine-mcp-server "0.4.5" packages[0].environmentVariables[5].format"#,
            r#"mcp-server-fear-greed "1.0.2" packages[0].version"#,
        ]
    );
}

/// Documents made wrong, or odd, in every place: each value replaced by others, each member taken away.
#[test]
fn our_verdict_on_the_structure_is_the_schemas() {
    let (Some(schema), Some(corpus), Some(official)) = (
        shared("specs/mcp-registry/server.schema.2025-12-11.json"),
        shared("corpus/mcp-servers/servers.jsonl"),
        shared("corpus/mcp-servers/official-snapshot-2025-12-12.jsonl"),
    ) else {
        return;
    };
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let originals: Vec<Value> = lines(&corpus)
        .step_by(157)
        .chain(lines(&official).step_by(211).map(|entry| entry["server"].clone()))
        .chain([everything()])
        .collect();
    let (mut compared, mut invalid, mut differences) = (0, 0, Vec::new());

    for document in originals {
        for mutated in mutations(&document) {
            let by_schema = schema.is_valid(&mutated);
            let issues = check(&mutated, Reading::Published);
            let ours = issues.iter().all(|issue| {
                issue.kind != IssueKind::Schema || issue.severity != Severity::Error || is_ours_alone(issue, &mutated)
            });
            if ours != by_schema {
                let theirs: Vec<_> = schema.iter_errors(&mutated).map(|error| error.to_string()).collect();
                differences.push(format!("{mutated}\n  ours {:?}\n  the schema's {theirs:?}", errors(&issues)));
            }
            compared += 1;
            invalid += usize::from(!by_schema);
        }
    }

    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
    assert!(compared > 5_000 && invalid > 2_000, "{compared} compared, {invalid} of them invalid");
}

/// The API asks for `$schema`, and for one it knows; the schema itself takes any URI.
fn is_ours_alone(issue: &Issue, document: &Value) -> bool {
    let is_uri = |url: &Value| url.as_str().is_some_and(|url| url.starts_with("http") && !url.contains(' '));
    issue.reference.starts_with("schema-") && document.get("$schema").is_none_or(is_uri)
}

/// A document in which every member of the schema occurs.
fn everything() -> Value {
    let input = json!({"description": "d", "isRequired": true, "format": "number", "value": "1{x}", "isSecret": false,
        "default": "2", "placeholder": "p", "choices": ["1", "2"]});
    let mut with_variables = input.clone();
    with_variables["variables"] = json!({"x": input});
    let mut named = with_variables.clone();
    named["name"] = json!("NAME");
    let mut flag = with_variables.clone();
    flag["type"] = json!("named");
    flag["name"] = json!("--flag");
    flag["isRepeated"] = json!(false);
    let mut place = with_variables.clone();
    place["type"] = json!("positional");
    place["valueHint"] = json!("path");
    json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "com.example/all", "title": "All", "description": "All of it", "version": "1.0.0",
        "websiteUrl": "https://example.com/",
        "repository": {"url": "https://github.com/a/b", "source": "github", "id": "1", "subfolder": "src"},
        "icons": [{"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "light"}],
        "packages": [{
            "registryType": "npm", "registryBaseUrl": "https://example.com", "identifier": "all", "version": "1.0.0",
            "fileSha256": "a".repeat(64), "runtimeHint": "npx",
            "runtimeArguments": [flag], "packageArguments": [place, flag], "environmentVariables": [named],
            "transport": {"type": "streamable-http", "url": "http://localhost:{NAME}/", "headers": [named]},
        }, {"registryType": "oci", "identifier": "docker.io/a/b:1", "transport": {"type": "stdio"}}],
        "remotes": [{"type": "sse", "url": "https://{x}.example.com/sse", "headers": [named], "variables": {"x": input}}],
        "_meta": {"io.modelcontextprotocol.registry/publisher-provided": {"tool": "t"}, "com.example": 1},
    })
}

fn mutations(document: &Value) -> Vec<Value> {
    let mut mutated = vec![document.clone()];
    let mut pointers = Vec::new();
    collect(document, String::new(), &mut pointers);
    let replacements = [
        json!(null),
        json!(5),
        json!(true),
        json!(""),
        json!("latest"),
        json!("x"),
        json!([]),
        json!({}),
        json!([{}]),
        json!("https://e.com/a b"),
        json!("http://x"),
        json!("any"),
        json!("named"),
        json!("x".repeat(300)),
    ];
    for pointer in pointers {
        for replacement in &replacements {
            // An empty repository is judged as one fault of its own.
            let mut other = document.clone();
            *other.pointer_mut(&pointer).unwrap() = replacement.clone();
            mutated.push(other);
        }
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        let mut other = document.clone();
        match other.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.shift_remove(&key)),
            Value::Array(items) => drop(items.remove(key.parse().unwrap())),
            _ => unreachable!("only containers have members"),
        }
        mutated.push(other);
    }
    mutated
}

fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                pointers.push(pointer.clone());
                collect(inner, pointer, pointers);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                let pointer = format!("{pointer}/{index}");
                pointers.push(pointer.clone());
                collect(inner, pointer, pointers);
            }
        }
        _ => {}
    }
}
