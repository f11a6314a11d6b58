//! Modules stand on floors, and a module uses only what stands below it. The table is the rule: a new arrow is argued
//! for here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each module, and what it may use besides itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wire", &["base"]),
    ("embed", &["base"]),
    ("queue", &["base"]),
    ("audit", &["base"]),
    ("notify", &["base"]),
    ("auth", &["base", "wire", "queue", "audit"]),
    ("audit_trail", &["base", "audit", "auth"]),
    ("catalog", &["base", "wire", "queue", "audit", "notify", "auth"]),
    ("search", &["base", "wire", "queue", "embed", "auth", "catalog"]),
    ("upstream", &["base", "wire", "audit", "notify", "auth", "catalog"]),
    // Traffic, beside the search; neither knows the other. Its own door stands on the floor of the doors.
    ("gateway", &["base", "wire", "queue", "embed", "audit", "notify", "auth", "catalog"]),
    ("webhook", &["base", "audit", "notify", "auth", "catalog"]),
    (
        "door",
        &[
            "base",
            "wire",
            "audit_trail",
            "webhook",
            "audit",
            "auth",
            "catalog",
            "search",
            "upstream",
            "gateway",
            "embed",
        ],
    ),
    (
        "api",
        &[
            "base",
            "wire",
            "audit_trail",
            "webhook",
            "door",
            "audit",
            "auth",
            "catalog",
            "search",
            "upstream",
            "gateway",
        ],
    ),
    ("registry", &["base", "wire", "door", "auth", "catalog", "search"]),
    (
        "web",
        &[
            "base",
            "wire",
            "audit_trail",
            "webhook",
            "notify",
            "door",
            "audit",
            "auth",
            "catalog",
            "search",
            "upstream",
            "gateway",
        ],
    ),
    ("mcp", &["base", "wire", "door", "auth", "catalog", "search"]),
];

/// The top floor puts everything together.
const ASSEMBLY: &[&str] = &["app", "lib", "main"];

#[test]
fn every_arrow_points_down() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut upward = Vec::new();

    for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let module = module_of(&file);
        if ASSEMBLY.contains(&module.as_str()) {
            continue;
        }
        let may_use = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no row in MAY_USE"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for used in used_modules(line) {
                if used != module && !may_use.contains(&used.as_str()) {
                    upward.push(format!("{}:{}: {module} -> {used}", file.display(), number + 1));
                }
            }
        }
    }

    assert!(upward.is_empty(), "arrows that do not point down:\n{}", upward.join("\n"));
}

#[test]
fn an_upward_arrow_would_be_seen() {
    assert_eq!(used_modules("use crate::search::Search;"), ["search"]);
    assert_eq!(used_modules("use crate::{base::Clock, door::{Handles, Caller}};"), ["base", "door"]);
    assert_eq!(used_modules("let x = crate::api::router(crate::web::y);"), ["api", "web"]);
    assert!(used_modules("// as crate::api does").is_empty());
    assert!(used_modules("use crate::Something;").is_empty());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let top = below.components().next().unwrap().as_os_str().to_string_lossy();
    top.trim_end_matches(".rs").to_owned()
}

/// The modules that `crate::` paths of a line lead into; `crate::{a::X, b::Y}` leads into two.
fn used_modules(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut used = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        // `$crate::` is a path too; `subcrate::` is none.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let heads = match rest.strip_prefix('{') {
            None => vec![rest],
            Some(group) => heads_of(group),
        };
        used.extend(
            heads.into_iter().map(first_word).filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())),
        );
    }
    used
}

/// What stands at the head of a brace group and after each comma of its own level.
fn heads_of(group: &str) -> Vec<&str> {
    let (mut depth, mut heads) = (0, vec![group.trim_start()]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(group[at + 1..].trim_start()),
            _ => {}
        }
    }
    heads
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
