//! The register form as it is sent: a document by file, by address or by paste, and what the document cannot say.

use crate::base::{Fetched, Name, Problem, Slug};
use crate::catalog::{Kind, NewAsset, NewDefinition, NewVersion, Stage, Visibility};
use crate::door::{Body, Failure};
use axum::extract::{FromRequest, Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{StatusCode, header};

/// Longest value of a field that is no document, in bytes.
const LONGEST_FIELD: usize = 4_000;
/// A file up to this length, in bytes, goes into the text field, where it can be mended.
const EDITABLE: usize = 60_000;
/// Longest document that the page can carry from step to step, in bytes: as base64 it is a third longer, and the form is
/// a request like any other.
const LONGEST_KEPT: usize = 6_000_000;

/// What was sent. Everything but the key comes back in the page that answers.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// The document as text; empty when it is `kept`.
    pub document: String,
    /// A file that does not fit the text field byte for byte, as base64.
    pub kept: String,
    pub file_name: String,
    /// Where the document is to be fetched from.
    pub url: String,
    /// Where it was just fetched from; only told.
    pub fetched_from: String,
    pub workspace: String,
    pub name: String,
    pub kind: String,
    pub version: String,
    pub owners: String,
    pub stage: String,
    pub visibility: String,
    /// Whether the document is a further version of the asset of this name.
    pub as_version: bool,
    pub key: String,
    pub step: Step,
}

/// What the sender wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// To see what is understood.
    #[default]
    Read,
    Register,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                "This takes the form of the page, as multipart/form-data.",
            );
            problem.with_help("Programs register with POST /api/v1/workspaces/{workspace}/assets.")
        })?;
        let Body(bytes) = Body::from_request(request, state).await?;
        Ok(Self::read(bytes, &boundary).await?)
    }
}

impl Form {
    async fn read(bytes: Bytes, boundary: &str) -> Result<Self, Problem> {
        let stream = futures::stream::once(async move { Ok::<_, std::io::Error>(bytes) });
        let mut parts = multer::Multipart::new(stream, boundary);
        let broken = |error: multer::Error| {
            Problem::bad_request(format!("The form cannot be read: {error}.")).with_kind("form-unreadable")
        };
        let (mut form, mut file) = (Self::default(), None);
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let content = part.bytes().await.map_err(broken)?;
            if name == "file" {
                file = Some((file_name.unwrap_or_default(), content)).filter(|(_, content)| !content.is_empty());
                continue;
            }
            form.set(&name, &content)?;
        }
        if let Some((file_name, content)) = file {
            form.url.clear();
            form.take_file(&file_name, &content);
        } else if !form.document.trim().is_empty() {
            form.kept.clear();
        }
        Ok(form)
    }

    fn set(&mut self, name: &str, content: &[u8]) -> Result<(), Problem> {
        let wrong = |message: &str| Problem::invalid_field(format!("body.{name}"), message);
        let text = std::str::from_utf8(content).map_err(|_| wrong("is no UTF-8"))?;
        let (field, longest) = match name {
            "document" => (&mut self.document, usize::MAX),
            "kept" => (&mut self.kept, usize::MAX),
            "file_name" => (&mut self.file_name, LONGEST_FIELD),
            "url" => (&mut self.url, LONGEST_FIELD),
            "workspace" => (&mut self.workspace, LONGEST_FIELD),
            "name" => (&mut self.name, LONGEST_FIELD),
            "kind" => (&mut self.kind, LONGEST_FIELD),
            "version" => (&mut self.version, LONGEST_FIELD),
            "owners" => (&mut self.owners, LONGEST_FIELD),
            "stage" => (&mut self.stage, LONGEST_FIELD),
            "visibility" => (&mut self.visibility, LONGEST_FIELD),
            "key" => (&mut self.key, LONGEST_FIELD),
            "as_version" => {
                self.as_version = true;
                return Ok(());
            }
            "step" => {
                self.step = if text == "register" { Step::Register } else { Step::Read };
                return Ok(());
            }
            _ => return Ok(()),
        };
        if text.len() > longest {
            return Err(wrong("is too long"));
        }
        *field = match name {
            // Forms send every end of a line as CR LF, whatever was in the field.
            "document" => text.replace("\r\n", "\n"),
            _ => text.trim().to_owned(),
        };
        Ok(())
    }

    fn take_file(&mut self, file_name: &str, content: &[u8]) {
        self.file_name = file_name.rsplit(['/', '\\']).next().unwrap_or_default().chars().take(200).collect();
        match std::str::from_utf8(content) {
            // What a text field gives back as it got it: no byte order mark, no CR, not too long.
            Ok(text) if text.len() <= EDITABLE && !text.contains(['\r', '\0', '\u{feff}']) => {
                self.document = text.to_owned();
                self.kept.clear();
            }
            _ => {
                self.document.clear();
                self.kept = STANDARD.encode(content);
            }
        }
    }

    /// Takes what was fetched as if it had been sent.
    ///
    /// # Errors
    /// 422 for a web page, which is what an address shows that is meant for people, and for what the form cannot carry.
    pub fn take_fetched(&mut self, fetched: &Fetched) -> Result<(), Problem> {
        let wrong = |message: String| Problem::invalid_field("body.url", message);
        let (url, bytes) = (&fetched.url, &fetched.bytes);
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).trim_start().to_ascii_lowercase();
        if head.starts_with("<!doctype html") || head.starts_with("<html") {
            return Err(wrong(format!("{url} is a web page"))
                .with_help("Give the address of the document itself, often called raw."));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(wrong(format!("{url} is empty")));
        }
        if bytes.len() > LONGEST_KEPT {
            let help = "POST /api/v1/workspaces/{workspace}/assets takes longer ones, by their address too.";
            return Err(wrong(format!("{url} is longer than {LONGEST_KEPT} bytes")).with_help(help));
        }
        let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        self.take_file(last, bytes);
        self.fetched_from = url.to_string();
        self.url.clear();
        Ok(())
    }

    /// Whether there is a document at all.
    #[must_use]
    pub fn has_document(&self) -> bool {
        !self.kept.is_empty() || !self.document.trim().is_empty()
    }

    /// How long the kept file is, in bytes.
    #[must_use]
    pub fn kept_size(&self) -> u64 {
        (self.kept.len() as u64) / 4 * 3
    }

    /// The body that registers this. What is left empty is left to the document.
    ///
    /// # Errors
    /// 422 for a field that cannot be what it stands for.
    pub fn new_asset(&self) -> Result<NewAsset, Problem> {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let wrong = |field: &str, error: &dyn std::fmt::Display| {
            Problem::invalid_field(format!("body.{field}"), error.to_string())
        };
        let name = filled(&self.name).map(|name| Name::parse(&name)).transpose().map_err(|e| wrong("name", &e))?;
        let kind = filled(&self.kind).map(|kind| kind.parse::<Kind>()).transpose().map_err(|e| wrong("kind", &e))?;
        let stage =
            filled(&self.stage).map(|stage| stage.parse::<Stage>()).transpose().map_err(|e| wrong("stage", &e))?;
        let visibility = filled(&self.visibility).map(|word| word.parse::<Visibility>()).transpose();
        let owners: Vec<_> = self.owners.split(',').map(str::trim).filter(|owner| !owner.is_empty()).collect();
        Ok(NewAsset {
            name,
            kind,
            visibility: visibility.map_err(|error| wrong("visibility", &error))?,
            owners: (!owners.is_empty()).then(|| owners.into_iter().map(str::to_owned).collect()),
            version: Some(NewVersion { name: filled(&self.version), stage, ..NewVersion::default() }),
            definition: Some(self.definition()),
            ..NewAsset::default()
        })
    }

    fn definition(&self) -> NewDefinition {
        if self.kept.is_empty() {
            NewDefinition { value: Some(self.document.clone().into()), ..NewDefinition::default() }
        } else {
            NewDefinition { base64: Some(self.kept.clone()), ..NewDefinition::default() }
        }
    }

    /// The workspace's name.
    ///
    /// # Errors
    /// 422 when none is given, or no name of a workspace.
    pub fn workspace(&self) -> Result<Slug, Problem> {
        if self.workspace.is_empty() {
            return Err(Problem::invalid_field("body.workspace", "say in which workspace"));
        }
        Slug::parse(&self.workspace).map_err(|error| Problem::invalid_field("body.workspace", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(parts: &[(&str, &str, &[u8])]) -> Form {
        let mut body = Vec::new();
        for (name, file, content) in parts {
            let file = if file.is_empty() { String::new() } else { format!("; filename=\"{file}\"") };
            body.extend(format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--x--\r\n");
        Form::read(body.into(), "x").await.unwrap()
    }

    #[tokio::test]
    async fn a_file_is_kept_byte_for_byte() {
        let windows = b"openapi: 3.1.0\r\ninfo: {}\r\n";

        let form = read(&[("file", "C:\\a\\api.yaml", windows), ("step", "", b"read")]).await;

        assert_eq!(form.file_name, "api.yaml");
        assert_eq!(form.new_asset().unwrap().definition.unwrap().base64, Some(STANDARD.encode(windows)));
    }

    #[tokio::test]
    async fn what_is_pasted_has_plain_ends_of_lines_and_wins_over_the_file_of_before() {
        let form = read(&[("document", "", b"a: 1\r\nb: 2"), ("kept", "", b"AAAA"), ("file", "x", b"")]).await;

        assert_eq!((form.document.as_str(), form.kept.as_str()), ("a: 1\nb: 2", ""));
    }

    #[tokio::test]
    async fn a_small_text_file_can_be_mended_on_the_page() {
        let form = read(&[("document", "", b"old"), ("file", "a.yaml", b"a: 1\n")]).await;

        assert_eq!((form.document.as_str(), form.kept.as_str()), ("a: 1\n", ""));
    }

    #[tokio::test]
    async fn a_chosen_file_wins_over_an_address_and_what_was_fetched_over_what_was_pasted() {
        let mut form = read(&[("url", "", b" https://x.example/api.yaml "), ("document", "", b"old")]).await;
        let fetched = |text: &'static str| Fetched {
            bytes: text.into(),
            content_type: None,
            url: "https://y.example/v1/api.yaml?raw=1".parse().unwrap(),
        };

        assert_eq!(form.url, "https://x.example/api.yaml");
        form.take_fetched(&fetched("a: 1\n")).unwrap();
        assert_eq!((form.document.as_str(), form.file_name.as_str(), form.url.as_str()), ("a: 1\n", "api.yaml", ""));
        let page = form.take_fetched(&fetched("\n<!DOCTYPE html><title>x</title>")).unwrap_err();
        assert_eq!(page.errors[0].location, "body.url");
        let file = read(&[("url", "", b"https://x.example/"), ("file", "a.yaml", b"a: 1\n")]).await;
        assert_eq!((file.url.as_str(), file.document.as_str()), ("", "a: 1\n"));
    }

    #[tokio::test]
    async fn fields_are_read_as_what_they_stand_for() {
        let form = read(&[("name", "", b" a/b "), ("owners", "", b"team-a, ,bob"), ("stage", "", b"preview")]).await;
        let new = form.new_asset().unwrap();
        assert_eq!(new.name.unwrap().as_str(), "a/b");
        assert_eq!(new.owners.unwrap(), ["team-a", "bob"]);

        let wrong = Form { stage: "sideways".into(), ..Form::default() }.new_asset().unwrap_err();
        assert_eq!(wrong.errors[0].location, "body.stage");
    }
}
