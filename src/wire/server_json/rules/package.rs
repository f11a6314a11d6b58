//! Rules for packages: ways to run a server locally.

use super::{
    found::{Found, IssueKind, Place},
    input, server, text, transport,
};
use serde_json::Value;

pub(super) fn check(found: &mut Found, package: &Place<'_>) {
    let sort = package.required_text(found, "registryType");
    if sort.is_some_and(|sort| sort.trim().is_empty()) {
        found.semantic(
            package.at("registryType"),
            "registry-type-required",
            "say which sort of registry it is: npm, pypi, oci, nuget, mcpb, cargo",
        );
    }
    identifier(found, package);
    if let Some(version) = package.text(found, "version") {
        version_of(found, package, version);
    }
    if let Some(url) = package.text(found, "registryBaseUrl")
        && !text::is_uri(url)
    {
        package.breach(found, "registryBaseUrl", format!("{url:?} is no absolute URL"));
    }
    if let Some(digest) = package.text(found, "fileSha256") {
        let legal = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !legal {
            package.breach(found, "fileSha256", "a SHA-256 digest is 64 hexadecimal digits in lower case");
        }
    }
    package.text(found, "runtimeHint");
    input::arguments(found, package, "runtimeArguments");
    input::arguments(found, package, "packageArguments");
    input::named_values(found, package, "environmentVariables");
    transport::of_package(found, package, &names(package));
    manners(found, package, sort.unwrap_or_default());
}

fn identifier(found: &mut Found, package: &Place<'_>) {
    let Some(identifier) = package.required_text(found, "identifier") else { return };
    if identifier.is_empty() || identifier.contains(char::is_whitespace) {
        found.semantic(
            package.at("identifier"),
            "invalid-package-identifier",
            "the identifier is the package's name, or its URL, without spaces",
        );
    }
}

fn version_of(found: &mut Found, package: &Place<'_>, version: &str) {
    if version.is_empty() {
        package.breach(found, "version", "an empty version says nothing; leave it out, or name one");
    } else if version == "latest" {
        package.breach(found, "version", "`latest` is not a version; name the one that was tested");
    } else if text::is_range(version) {
        server::range(found, package.at("version"), version);
    }
}

/// What the address of the package's transport may name as `{variables}`.
fn names<'a>(package: &Place<'a>) -> Vec<&'a str> {
    let members = [
        ("environmentVariables", &["name"][..]),
        ("runtimeArguments", &["name", "valueHint"]),
        ("packageArguments", &["name", "valueHint"]),
    ];
    let mut names = Vec::new();
    for (list, keys) in members {
        for item in package.map.get(list).and_then(Value::as_array).into_iter().flatten() {
            names.extend(keys.iter().filter_map(|key| item.get(key)?.as_str()).filter(|name| !name.is_empty()));
        }
    }
    names
}

/// What is legal, but leaves a client guessing.
fn manners(found: &mut Found, package: &Place<'_>, sort: &str) {
    match sort {
        "npm" | "pypi" | "nuget" | "cargo" if !package.has("version") => found.warning(
            IssueKind::Linter,
            package.at("version"),
            "package-without-version",
            "without a version every client installs whatever is newest that day",
        ),
        "mcpb" if !package.has("fileSha256") => found.warning(
            IssueKind::Linter,
            package.at("fileSha256"),
            "bundle-without-digest",
            "without fileSha256 clients cannot tell whether the bundle is the one that was published",
        ),
        _ => {}
    }
}
