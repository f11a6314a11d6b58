//! Rules for the document's own fields: name, texts, version, repository, icons, extension data.

use super::{
    ACCEPTED_SCHEMAS, NEWEST_SCHEMA,
    found::{Found, IssueKind, Place},
    package, schema_date, schema_url, text, transport,
};
use crate::wire::server_json::{PUBLISHER_DATA_LIMIT, PUBLISHER_PROVIDED};

const IMAGE_TYPES: [&str; 5] = ["image/png", "image/jpeg", "image/jpg", "image/svg+xml", "image/webp"];

pub(super) fn check(found: &mut Found, server: Place<'_>) {
    schema(found, &server);
    name(found, &server);
    description(found, &server);
    title(found, &server);
    version(found, &server);
    website(found, &server);
    repository(found, &server);
    for icon in server.objects(found, "icons", "Icon") {
        self::icon(found, &icon);
    }
    for package in server.objects(found, "packages", "Package") {
        package::check(found, &package);
    }
    for remote in server.objects(found, "remotes", "RemoteTransport") {
        transport::of_remote(found, &remote);
    }
    extension_data(found, &server);

    let nothing = |key: &str| server.map.get(key).and_then(|list| list.as_array()).is_none_or(Vec::is_empty);
    if nothing("packages") && nothing("remotes") {
        found.info("", "nothing-to-connect", "neither packages nor remotes say how a client reaches this server");
    }
}

fn schema(found: &mut Found, server: &Place<'_>) {
    let url = server.text(found, "$schema");
    if url.is_none() && server.has("$schema") {
        return;
    }
    let newest = schema_url(NEWEST_SCHEMA);
    match url.filter(|url| !url.is_empty()) {
        None => {
            let message = format!("$schema is required; the newest is {newest}");
            found.tolerable(IssueKind::Schema, "$schema", "schema-field-required", message);
        }
        Some(url) => match schema_date(url) {
            Some(NEWEST_SCHEMA) => {}
            Some(date) if ACCEPTED_SCHEMAS.contains(&date) => found.warning(
                IssueKind::Schema,
                "$schema",
                "schema-version-deprecated",
                format!("schema {date} is no longer the newest; {newest} is"),
            ),
            _ => found.tolerable(
                IssueKind::Schema,
                "$schema",
                "schema-version-not-supported",
                format!("{url:?} is no schema we know; known are {} to {newest}", ACCEPTED_SCHEMAS[0]),
            ),
        },
    }
}

fn name(found: &mut Found, server: &Place<'_>) {
    let Some(name) = server.required_text(found, "name") else { return };
    let length = name.chars().count();
    let (namespace, slug) = name.split_once('/').unwrap_or((name, ""));
    let pattern = !namespace.is_empty()
        && !slug.is_empty()
        && namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !(3..=200).contains(&length) {
        server.breach(found, "name", format!("a name has 3 to 200 characters, this one {length}"));
    } else if !pattern {
        server.breach(
            found,
            "name",
            "expected string to match pattern ^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$: a namespace in reverse-DNS form, one \
             slash, the server's name, as in com.example/weather",
        );
    } else if ![namespace, slug].into_iter().all(is_proper_part) {
        found.semantic(
            server.at("name"),
            "invalid-server-name",
            "namespace and name each have at least two characters and begin and end with a letter or digit",
        );
    }
}

fn is_proper_part(part: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = part.as_bytes();
    bytes.len() >= 2 && end(bytes.first()) && end(bytes.last())
}

fn description(found: &mut Found, server: &Place<'_>) {
    let Some(description) = server.required_text(found, "description") else { return };
    let length = description.chars().count();
    if !(1..=100).contains(&length) {
        server.breach(
            found,
            "description",
            format!(
                "a description has 1 to 100 characters, this one {length}; a longer one can stand in the publisher's \
                 data under `fullDescription`"
            ),
        );
    }
}

fn title(found: &mut Found, server: &Place<'_>) {
    let Some(title) = server.text(found, "title") else { return };
    let length = title.chars().count();
    if !(1..=100).contains(&length) {
        server.breach(found, "title", format!("a title has 1 to 100 characters, this one {length}"));
    } else if title.trim().is_empty() {
        found.semantic(server.at("title"), "blank-title", "a title is not only white space; leave it out instead");
    }
}

fn version(found: &mut Found, server: &Place<'_>) {
    let Some(version) = server.required_text(found, "version") else { return };
    let length = version.chars().count();
    if length > 255 {
        server.breach(found, "version", format!("a version has at most 255 characters, this one {length}"));
    } else if version.trim().is_empty() {
        found.semantic(server.at("version"), "version-required", "a version is not empty");
    } else if version == "latest" {
        found.semantic(
            server.at("version"),
            "reserved-version",
            "`latest` is the registry's word for the newest version; give this one a name of its own, such as 1.0.0",
        );
    } else if text::is_range(version) {
        range(found, server.at("version"), version);
    }
}

/// A word that a version is a range.
pub(super) fn range(found: &mut Found, path: String, version: &str) {
    let message = format!("{version:?} is a range of versions; name a single one");
    found.semantic(path, "version-range", message);
}

fn website(found: &mut Found, server: &Place<'_>) {
    let Some(url) = server.text(found, "websiteUrl") else { return };
    if !text::is_uri(url) {
        server.breach(found, "websiteUrl", format!("{url:?} is no absolute URL"));
    } else if !text::is_https(url) {
        found.semantic(
            server.at("websiteUrl"),
            "invalid-website-url",
            "websiteUrl begins with https:// and has a host",
        );
    }
}

fn repository(found: &mut Found, server: &Place<'_>) {
    let Some(repository) = server.inner(found, "repository", "Repository") else { return };
    let blank = |key: &str| repository.map.get(key).is_none_or(|value| value.as_str() == Some(""));
    if blank("url") && blank("source") {
        found.tolerable(
            IssueKind::Schema,
            "repository",
            "#/definitions/Repository",
            "an empty repository says nothing; leave it out, or give url and source",
        );
        return;
    }
    repository.text(found, "id");
    let source = repository.required_text(found, "source");
    let url = repository.required_text(found, "url");
    if let Some(url) = url {
        if !text::is_uri(url) {
            repository.breach(found, "url", format!("{url:?} is no absolute URL"));
        } else if let Some(source) = source {
            forge(found, &repository, source, url);
        }
    }
    if let Some(subfolder) = repository.text(found, "subfolder")
        && !is_clean_relative(subfolder)
    {
        found.semantic(
            repository.at("subfolder"),
            "invalid-subfolder",
            "subfolder is a path below the repository's root, such as src/server: no leading slash, no `..`",
        );
    }
}

fn forge(found: &mut Found, repository: &Place<'_>, source: &str, url: &str) {
    let (host, example, deeper) = match source {
        "github" => ("github.com", "https://github.com/owner/repository", false),
        "gitlab" => ("gitlab.com", "https://gitlab.com/group/project", true),
        other => {
            let message = format!("source is github or gitlab, not {other:?}");
            found.semantic(repository.at("source"), "unknown-repository-source", message);
            return;
        }
    };
    let path = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .map(|rest| rest.strip_prefix("www.").unwrap_or(rest))
        .and_then(|rest| rest.strip_prefix(host)?.strip_prefix('/'));
    let parts: Vec<&str> =
        path.map(|path| path.strip_suffix('/').unwrap_or(path).split('/').collect()).unwrap_or_default();
    let legal = parts
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
    if !legal || parts.len() < 2 || (parts.len() > 2 && !deeper) {
        let message = format!("the url of a {source} repository looks like {example}");
        found.semantic(repository.at("url"), "invalid-repository-url", message);
    }
}

fn is_clean_relative(path: &str) -> bool {
    path.is_empty()
        || path.split('/').all(|part| {
            !["", ".", ".."].contains(&part)
                && !part.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace())
        })
}

fn icon(found: &mut Found, icon: &Place<'_>) {
    if let Some(src) = icon.required_text(found, "src") {
        if src.chars().count() > 255 {
            icon.breach(found, "src", "the address of an icon has at most 255 characters");
        } else if !text::is_uri(src) {
            icon.breach(found, "src", format!("{src:?} is no absolute URL"));
        } else if !text::is_https(src) {
            found.semantic(
                icon.at("src"),
                "invalid-icon-url",
                "the address of an icon begins with https:// and has a host",
            );
        }
    }
    if let Some(sort) = icon.text(found, "mimeType")
        && !IMAGE_TYPES.contains(&sort)
    {
        icon.breach(found, "mimeType", format!("mimeType is one of {}, not {sort:?}", IMAGE_TYPES.join(", ")));
    }
    for (path, size) in icon.items(found, "sizes") {
        if !size.as_str().is_some_and(is_icon_size) {
            found.schema(path, "Icon/properties/sizes", "a size is `any` or looks like 48x48");
        }
    }
    if let Some(theme) = icon.text(found, "theme")
        && !["light", "dark"].contains(&theme)
    {
        icon.breach(found, "theme", format!("theme is light or dark, not {theme:?}"));
    }
}

fn is_icon_size(size: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    size == "any" || size.split_once('x').is_some_and(|(width, height)| number(width) && number(height))
}

fn extension_data(found: &mut Found, server: &Place<'_>) {
    let Some(meta) = server.inner(found, "_meta", "ServerDetail/properties/_meta") else { return };
    let Some(publisher) = meta.inner(found, PUBLISHER_PROVIDED, "ServerDetail/properties/_meta") else { return };
    let size = serde_json::to_vec(publisher.map).map_or(0, |bytes| bytes.len());
    if size > PUBLISHER_DATA_LIMIT {
        found.semantic(
            publisher.path,
            "publisher-data-too-large",
            format!("the publisher's data has {size} bytes of JSON; {PUBLISHER_DATA_LIMIT} are allowed"),
        );
    }
}
