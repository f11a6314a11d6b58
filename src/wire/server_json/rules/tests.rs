use super::*;
use serde_json::json;

fn with(member: &str, value: Value) -> Value {
    let mut document = json!({
        "$schema": schema_url(NEWEST_SCHEMA), "name": "com.example/weather", "description": "Weather", "version": "1.0.0",
        "remotes": [{"type": "streamable-http", "url": "https://example.com/mcp"}],
    });
    document[member] = value;
    document
}

fn package(member: &str, value: Value) -> Value {
    let mut package =
        json!({"registryType": "npm", "identifier": "weather", "version": "1.0.0", "transport": {"type": "stdio"}});
    package[member] = value;
    with("packages", json!([package]))
}

fn remote(value: Value) -> Value {
    with("remotes", json!([value]))
}

fn issues(document: &Value) -> Vec<Issue> {
    check(document, Reading::Published)
}

#[test]
fn a_plain_document_has_nothing_wrong() {
    assert_eq!(issues(&with("title", json!("Weather"))), []);
    assert_eq!(issues(&package("runtimeHint", json!("npx"))), []);
}

#[test]
fn legal_variety_is_let_pass() {
    for document in [
        with("name", json!("io.github.some-user/Name_with.dots-1")),
        with("version", json!("2021.03.05")),
        with("version", json!("snapshot")),
        with("version", json!("1.0.0+20130313144700")),
        with("websiteUrl", json!("https://example.com/a?b=c#d")),
        with("repository", json!({"url": "https://github.com/owner/repo", "source": "github", "subfolder": "src/a.b"})),
        with("repository", json!({"url": "http://www.github.com/owner/repo/", "source": "github", "id": "1"})),
        with("repository", json!({"url": "https://gitlab.com/group/sub/project", "source": "gitlab"})),
        with(
            "icons",
            json!([{"src": "https://example.com/i.svg", "mimeType": "image/svg+xml", "sizes": ["any", "48x48"], "theme": "dark"}]),
        ),
        with(
            "_meta",
            json!({"com.example": {"any": "thing"}, "io.modelcontextprotocol.registry/publisher-provided": {}}),
        ),
        with("unknownMember", json!({"kept": true})),
        with("remotes", json!([])),
        remote(
            json!({"type": "sse", "url": "https://{tenant}.example.com:{port}/sse", "variables": {"tenant": {"isRequired": true}, "port": {"default": "443"}},
            "headers": [{"name": "Authorization", "value": "Bearer {t}", "isSecret": true, "variables": {"t": {"format": "string"}}}]}),
        ),
        package("transport", json!({"type": "streamable-http", "url": "http://localhost:{PORT}/{root}/{--x}"}))
            .tap("environmentVariables", json!([{"name": "PORT"}]))
            .tap(
                "packageArguments",
                json!([{"type": "positional", "valueHint": "root"}, {"type": "named", "name": "--x", "default": "y"}]),
            ),
        package("registryType", json!("cargo")),
        package("packageArguments", json!([{"type": "positional", "value": "x", "name": 5, "isRepeated": true}])),
        package("fileSha256", json!("fe333e598595000ae021bd27117db32ec69af6987f507ba7a63c90638ff633ce")),
    ] {
        let issues = issues(&document);
        assert!(is_valid(&issues), "{issues:?}");
    }
}

trait Tap {
    fn tap(self, member: &str, value: Value) -> Value;
}

impl Tap for Value {
    fn tap(mut self, member: &str, value: Value) -> Value {
        self["packages"][0][member] = value;
        self
    }
}

#[test]
fn each_breach_is_told_once_at_its_place() {
    let long = "x".repeat(101);
    let cases = [
        (json!(5), "", "#/definitions/ServerDetail"),
        (with("name", json!("no-slash")), "name", "#/definitions/ServerDetail/properties/name"),
        (with("name", json!("com.example/a/b")), "name", "#/definitions/ServerDetail/properties/name"),
        (with("name", json!("com.example//server")), "name", "#/definitions/ServerDetail/properties/name"),
        (with("name", json!("com.exa_mple/server")), "name", "#/definitions/ServerDetail/properties/name"),
        (with("name", json!("com.example/sérver")), "name", "#/definitions/ServerDetail/properties/name"),
        (with("name", json!("c/d")), "name", "invalid-server-name"),
        (with("name", json!("com.example/-server")), "name", "invalid-server-name"),
        (with("name", json!(".com/server")), "name", "invalid-server-name"),
        (with("name", json!("com.example/server.")), "name", "invalid-server-name"),
        (with("name", json!(null)), "name", "#/definitions/ServerDetail/properties/name"),
        (with("description", json!("")), "description", "#/definitions/ServerDetail/properties/description"),
        (with("description", json!(long)), "description", "#/definitions/ServerDetail/properties/description"),
        (with("title", json!("")), "title", "#/definitions/ServerDetail/properties/title"),
        (with("title", json!(" \t")), "title", "blank-title"),
        (with("version", json!("latest")), "version", "reserved-version"),
        (with("version", json!("^1.2.3")), "version", "version-range"),
        (with("version", json!("1.x")), "version", "version-range"),
        (with("version", json!("")), "version", "version-required"),
        (with("version", json!("9".repeat(256))), "version", "#/definitions/ServerDetail/properties/version"),
        (with("websiteUrl", json!("/relative")), "websiteUrl", "#/definitions/ServerDetail/properties/websiteUrl"),
        (with("websiteUrl", json!("http://example.com")), "websiteUrl", "invalid-website-url"),
        (with("repository", json!([])), "repository", "#/definitions/ServerDetail/properties/repository"),
        (with("repository", json!({})), "repository", "#/definitions/Repository"),
        (
            with("repository", json!({"url": "https://github.com/a/b"})),
            "repository.source",
            "#/definitions/Repository/properties/source",
        ),
        (
            with("repository", json!({"url": "https://github.com/a", "source": "github"})),
            "repository.url",
            "invalid-repository-url",
        ),
        (
            with("repository", json!({"url": "https://github.com/a/b/c", "source": "github"})),
            "repository.url",
            "invalid-repository-url",
        ),
        (
            with("repository", json!({"url": "https://gitlab.com/a/b", "source": "github"})),
            "repository.url",
            "invalid-repository-url",
        ),
        (
            with("repository", json!({"url": "https://github.com.evil.example/a/b", "source": "github"})),
            "repository.url",
            "invalid-repository-url",
        ),
        (
            with("repository", json!({"url": "https://github.com/a/b", "source": "sourceforge"})),
            "repository.source",
            "unknown-repository-source",
        ),
        (
            with("repository", json!({"url": "https://github.com/a/b", "source": "github", "subfolder": "../x"})),
            "repository.subfolder",
            "invalid-subfolder",
        ),
        (
            with("repository", json!({"url": "https://github.com/a/b", "source": "github", "subfolder": "/x"})),
            "repository.subfolder",
            "invalid-subfolder",
        ),
        (with("icons", json!([{"src": "http://example.com/i.png"}])), "icons[0].src", "invalid-icon-url"),
        (with("icons", json!([{"src": "data:image/png;base64,AA"}])), "icons[0].src", "invalid-icon-url"),
        (with("icons", json!([{"mimeType": "image/png"}])), "icons[0].src", "#/definitions/Icon/properties/src"),
        (
            with("icons", json!([{"src": "https://e.com/i", "mimeType": "image/gif"}])),
            "icons[0].mimeType",
            "#/definitions/Icon/properties/mimeType",
        ),
        (
            with("icons", json!([{"src": "https://e.com/i", "sizes": ["48"]}])),
            "icons[0].sizes[0]",
            "#/definitions/Icon/properties/sizes",
        ),
        (
            with("icons", json!([{"src": "https://e.com/i", "theme": "blue"}])),
            "icons[0].theme",
            "#/definitions/Icon/properties/theme",
        ),
        (with("_meta", json!("x")), "_meta", "#/definitions/ServerDetail/properties/_meta"),
        (with("packages", json!([7])), "packages[0]", "#/definitions/Package"),
        (package("identifier", json!("two words")), "packages[0].identifier", "invalid-package-identifier"),
        (package("version", json!("latest")), "packages[0].version", "#/definitions/Package/properties/version"),
        (package("version", json!("")), "packages[0].version", "#/definitions/Package/properties/version"),
        (package("version", json!(">=1.2")), "packages[0].version", "version-range"),
        (package("fileSha256", json!("FE33")), "packages[0].fileSha256", "#/definitions/Package/properties/fileSha256"),
        (
            package("transport", json!({"type": "stdio", "url": "https://x.y"})),
            "packages[0].transport.url",
            "stdio-transport-with-url",
        ),
        (
            package("transport", json!({"type": "carrier-pigeon"})),
            "packages[0].transport.type",
            "#/definitions/LocalTransport/properties/type",
        ),
        (
            package("transport", json!({"type": "sse"})),
            "packages[0].transport.url",
            "#/definitions/LocalTransport/properties/url",
        ),
        (
            package("transport", json!({"type": "sse", "url": "ftp://x"})),
            "packages[0].transport.url",
            "#/definitions/LocalTransport/properties/url",
        ),
        (
            package("transport", json!({"type": "sse", "url": "http://x:{port}"})),
            "packages[0].transport.url",
            "undeclared-url-variable",
        ),
        (
            package("packageArguments", json!([{"value": "x"}])),
            "packages[0].packageArguments[0].type",
            "#/definitions/Argument/properties/type",
        ),
        (
            package("packageArguments", json!([{"type": "", "value": "x"}])),
            "packages[0].packageArguments[0].type",
            "#/definitions/Argument/properties/type",
        ),
        (
            package("packageArguments", json!([{"type": "positional"}])),
            "packages[0].packageArguments[0].valueHint",
            "#/definitions/Argument/properties/valueHint",
        ),
        (
            package("runtimeArguments", json!([{"type": "named"}])),
            "packages[0].runtimeArguments[0].name",
            "#/definitions/Argument/properties/name",
        ),
        (
            package("runtimeArguments", json!([{"type": "named", "name": "--a <b>"}])),
            "packages[0].runtimeArguments[0].name",
            "invalid-named-argument-name",
        ),
        (
            package("runtimeArguments", json!([{"type": "named", "name": "--a", "value": "--a=1"}])),
            "packages[0].runtimeArguments[0].value",
            "argument-value-starts-with-name",
        ),
        (
            package("environmentVariables", json!([{"value": "x"}])),
            "packages[0].environmentVariables[0].name",
            "#/definitions/KeyValueInput/properties/name",
        ),
        (
            package("environmentVariables", json!([{"name": "A", "format": "path"}])),
            "packages[0].environmentVariables[0].format",
            "#/definitions/KeyValueInput/properties/format",
        ),
        (
            package("environmentVariables", json!([{"name": "A", "isSecret": "yes"}])),
            "packages[0].environmentVariables[0].isSecret",
            "#/definitions/KeyValueInput/properties/isSecret",
        ),
        (
            package("environmentVariables", json!([{"name": "A", "choices": [1]}])),
            "packages[0].environmentVariables[0].choices[0]",
            "#/definitions/Input/properties/choices",
        ),
        (remote(json!({"type": "stdio"})), "remotes[0].type", "#/definitions/RemoteTransport/properties/type"),
        (remote(json!({"type": "sse"})), "remotes[0].url", "#/definitions/RemoteTransport/properties/url"),
        (remote(json!({"type": "sse", "url": "http://example.com"})), "remotes[0].url", "remote-not-https"),
        (remote(json!({"type": "sse", "url": "https://localhost:1/"})), "remotes[0].url", "loopback-remote"),
        (remote(json!({"type": "sse", "url": "https://a.localhost/"})), "remotes[0].url", "loopback-remote"),
        (remote(json!({"type": "sse", "url": "https://{x}/"})), "remotes[0].url", "undeclared-url-variable"),
        (remote(json!({"type": "sse", "url": "https://:0/"})), "remotes[0].url", "invalid-transport-url"),
        (
            remote(json!({"type": "sse", "url": "https://x.y", "variables": {"a": 1}})),
            "remotes[0].variables.a",
            "#/definitions/Input",
        ),
    ];
    for (document, path, reference) in cases {
        let wrong: Vec<_> = issues(&document).into_iter().filter(|issue| issue.severity == Severity::Error).collect();
        assert_eq!(wrong.len(), 1, "{path} {reference}: {wrong:?}");
        assert_eq!((wrong[0].path.as_str(), wrong[0].reference.as_str()), (path, reference));
    }
}

#[test]
fn a_missing_schema_is_an_error_for_a_publisher_and_a_warning_for_an_import() {
    for value in [json!(""), json!("https://example.com/schema.json"), json!(schema_url("draft"))] {
        let document = with("$schema", value);

        assert!(!is_valid(&check(&document, Reading::Published)));
        let imported = check(&document, Reading::Imported);
        assert!(is_valid(&imported));
        assert_eq!(imported[0].severity, Severity::Warning);
    }
}

#[test]
fn an_older_schema_is_valid_with_a_warning() {
    for date in &ACCEPTED_SCHEMAS[..5] {
        let issues = issues(&with("$schema", json!(schema_url(date))));

        assert!(is_valid(&issues));
        assert_eq!(issues[0].reference, "schema-version-deprecated");
    }
}

#[test]
fn the_former_name_of_a_field_is_pointed_out() {
    let document = with(
        "packages",
        json!([{"registry_type": "npm", "identifier": "x", "version": "1.0.0", "transport": {"type": "stdio"}}]),
    );

    assert!(issues(&document)[0].message.contains("`registry_type` is called `registryType`"));
}

#[test]
fn too_much_publisher_data_is_refused() {
    let document =
        with("_meta", json!({"io.modelcontextprotocol.registry/publisher-provided": {"a": "x".repeat(4_096)}}));

    assert_eq!(issues(&document)[0].reference, "publisher-data-too-large");
}

#[test]
fn the_issue_has_the_members_that_validate_answers_with() {
    let issue = serde_json::to_value(&issues(&with("version", json!("latest")))[0]).unwrap();

    assert_eq!(issue["type"], "semantic");
    assert_eq!(issue["severity"], "error");
    assert_eq!(issue["path"], "version");
    assert!(issue["message"].is_string() && issue["reference"].is_string());
}
