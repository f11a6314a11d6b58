//! A browser without a window: it keeps cookies, follows redirects and sends forms, and lets a story look at each step.

use std::collections::BTreeMap;
use url::Url;

/// Somebody's browser.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    /// By host and port, then name.
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The `Set-Cookie` lines of the last answer.
    pub set: Vec<String>,
}

/// What it shows.
#[derive(Clone, Debug)]
pub struct Seen {
    pub url: Url,
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Browser {
    pub fn new() -> Self {
        wharfinger::base::use_tls();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, cookies: BTreeMap::new(), set: Vec::new() }
    }

    /// Opens an address and follows where it leads.
    pub async fn open(&mut self, url: &str) -> Seen {
        let seen = self.step(reqwest::Method::GET, url, None, &[]).await;
        self.follow(seen).await
    }

    /// One request, not followed.
    pub async fn step(
        &mut self,
        method: reqwest::Method,
        url: &str,
        form: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> Seen {
        let url: Url = url.parse().unwrap();
        let place = format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap());
        let mut request = self.http.request(method, url.clone()).header("accept", "text/html");
        if let Some(own) = self.cookies.get(&place) {
            let line: Vec<_> = own.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", line.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        self.set = headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect();
        let jar = self.cookies.entry(place).or_default();
        for line in &self.set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match line.contains("Max-Age=0") || line.contains("1970") || value.is_empty() {
                true => jar.remove(name),
                false => jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        Seen { url, status, headers, text: answer.text().await.unwrap() }
    }

    async fn follow(&mut self, mut seen: Seen) -> Seen {
        for _ in 0..20 {
            let Some(there) = seen.leads_to() else { return seen };
            seen = self.step(reqwest::Method::GET, there.as_str(), None, &[]).await;
        }
        panic!("{} leads in circles", seen.url);
    }

    /// Sends the form of a page that posts to `action`, with its hidden fields and these, and follows.
    pub async fn send(&mut self, page: &Seen, action: &str, fields: &[(&str, &str)]) -> Seen {
        let seen = self.send_once(page, action, fields).await;
        self.follow(seen).await
    }

    /// As [`Browser::send`], not followed.
    pub async fn send_once(&mut self, page: &Seen, action: &str, fields: &[(&str, &str)]) -> Seen {
        let hidden = page.hidden(action);
        let mut all: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(fields);
        let url = page.url.join(action).unwrap();
        let origin = page.url.origin().ascii_serialization();
        let headers = [("sec-fetch-site", "same-origin"), ("origin", origin.as_str())];
        self.step(reqwest::Method::POST, url.as_str(), Some(&all), &headers).await
    }

    /// Signs in at the test's identity provider, from our sign-in page on.
    pub async fn sign_in(&mut self, service: &str, name: &str) -> Seen {
        let back = self.reach_callback(service, name).await;
        self.open(&back).await
    }

    /// The way to the identity provider and through it; gives the address that leads back, not yet opened.
    pub async fn reach_callback(&mut self, service: &str, name: &str) -> String {
        self.reach_callback_from(service, "/auth/start/oidc", name).await
    }

    /// As [`Browser::reach_callback`], begun at this path.
    pub async fn reach_callback_from(&mut self, service: &str, start: &str, name: &str) -> String {
        let mut seen = self.step(reqwest::Method::GET, &format!("{service}{start}"), None, &[]).await;
        let password = format!("{name}-password");
        for _ in 0..20 {
            if let Some(there) = seen.leads_to() {
                if there.as_str().starts_with(&format!("{service}/auth/callback")) {
                    return there.into();
                }
                seen = self.step(reqwest::Method::GET, there.as_str(), None, &[]).await;
                continue;
            }
            assert_eq!(seen.status, 200, "{}: {}", seen.url, seen.text);
            let fields: &[(&str, &str)] =
                if seen.text.contains("name=\"login\"") { &[("login", name), ("password", &password)] } else { &[] };
            let url = seen.url.to_string();
            seen = self.step(reqwest::Method::POST, &url, Some(fields), &[]).await;
        }
        panic!("the identity provider leads in circles");
    }

    /// The session's cookie here, where there is one.
    pub fn session(&self, service: &str) -> Option<&str> {
        let url: Url = service.parse().unwrap();
        let jar = self.cookies.get(&format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()))?;
        jar.get("wharfinger-session").map(String::as_str)
    }
}

impl Seen {
    fn leads_to(&self) -> Option<Url> {
        let there = self.headers.get("location").filter(|_| (300..400).contains(&self.status))?;
        Some(self.url.join(there.to_str().unwrap()).unwrap())
    }

    /// Itself when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.url, self.text);
        self
    }

    /// The hidden fields of the form that posts to `action`.
    pub fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let start = self.text.find(&format!("action=\"{action}\""));
        let start = start.unwrap_or_else(|| panic!("there is no form to {action} in {}", self.text));
        let form = self.text[start..].split("</form>").next().unwrap();
        let attribute = |tag: &str, name: &str| {
            let rest = &tag[tag.find(&format!("{name}=\""))? + name.len() + 2..];
            Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
        };
        form.split("<input ")
            .skip(1)
            .filter(|tag| tag.starts_with("type=\"hidden\""))
            .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
            .collect()
    }
}
