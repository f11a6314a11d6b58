//! `[[oidc]]`: the OpenID Connect providers whose users may sign in and whose tokens are accepted.
//!
//! One provider fits into the plain settings `oidc_issuer`, `oidc_client_id` and so on; several are a list of tables in
//! the file. Both become the same [`OidcProvider`].

use super::Config;
use super::setting::Setting;
use crate::base::{Sealed, Slug};
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// The provider of the plain settings has this name.
pub const PLAIN_NAME: &str = "oidc";

/// Roles that a setting may give to all users of a provider.
pub const ROLES: &[&str] = &["reader", "consumer", "publisher", "reviewer", "compliance", "administrator"];

/// Signatures that are believed where the settings say nothing: those of a key pair whose private half stays with the
/// issuer. `none` and the HS family are not among them and cannot be added.
const ALGORITHMS: &[&str] = &["RS256", "PS256", "ES256", "EdDSA"];
const KNOWN_ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

/// The address by which an issuer calls itself, kept letter by letter: it is compared so (OpenID Connect Core 3.1.3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

/// One provider, as configured.
#[derive(Clone, Debug)]
pub struct OidcProvider {
    /// Source of its groups and part of its addresses.
    pub name: Slug,
    /// What the button on the sign-in page says.
    pub title: String,
    pub issuer: Issuer,
    /// Who we are there; without it nobody signs in by this provider, its tokens alone are accepted.
    pub client_id: Option<String>,
    pub client_secret: Option<Sealed<String>>,
    /// None: the usual ones.
    pub scopes: Option<Vec<String>>,
    pub prompt: Option<String>,
    /// The claim that lists a user's groups; a dot leads into an object (`realm_access.roles`).
    pub groups_claim: String,
    /// Audiences by which a bearer token may name us, beside our public address.
    pub audiences: Vec<String>,
    pub algorithms: Vec<String>,
    /// What the `typ` header of a bearer token may be.
    pub token_types: Vec<String>,
    /// A role that each of its users holds on the whole instance.
    pub role: Option<String>,
    /// How far its clock may be from ours, at most a minute.
    pub clock_skew: Duration,
    /// The namespace of the MCP registry below which each owner of a repository has its own: `io.github` of the workflows
    /// of GitHub, whose tokens name the owner. None: its tokens say nothing about owners.
    pub owners_below: Option<String>,
}

/// The issuer of the tokens of GitHub's workflows.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// The tables `[[oidc]]` of the file.
#[derive(Clone, Debug, Default)]
pub struct OidcProviders(Vec<Table>);

/// One table, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Slug,
    title: Option<String>,
    issuer: String,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scopes: Option<Vec<String>>,
    prompt: Option<String>,
    groups_claim: Option<String>,
    #[serde(default)]
    audiences: Vec<String>,
    algorithms: Option<Vec<String>>,
    token_types: Option<Vec<String>>,
    role: Option<String>,
    clock_skew: Option<String>,
    owners_below: Option<String>,
}

#[derive(Clone, Debug)]
struct Secret(Sealed<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Sealed::new(text)))
    }
}

impl Issuer {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As an address.
    ///
    /// # Panics
    /// Never: it was read as one.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::parse(&self.0).expect("an issuer was read as an address")
    }
}

impl Setting for Issuer {
    fn parse(text: &str) -> Result<Self, String> {
        let form = "use the provider's issuer, an https address like `https://login.example.com/realms/staff`, letter by \
                    letter as its discovery document has it (http is for loopback only)";
        let url = Url::parse(text).map_err(|_| form.to_owned())?;
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let legal = (url.scheme() == "https" || (url.scheme() == "http" && loopback))
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if legal { Ok(Self(text.to_owned())) } else { Err(form.to_owned()) }
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Setting for OidcProviders {
    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct File {
            oidc: Vec<Table>,
        }
        // The error's own text would repeat the line, and with it the secret.
        let file: File = toml::from_str(text).map_err(|error| format!("a table [[oidc]]: {}", error.message()))?;
        file.oidc.iter().try_for_each(|table| table.check().map_err(|wrong| format!("`{}`: {wrong}", table.name)))?;
        Ok(Self(file.oidc))
    }
    fn show(&self) -> String {
        let shown = self.0.iter().map(|table| format!("{}={}", table.name, table.issuer));
        shown.collect::<Vec<_>>().join(",")
    }
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl Table {
    fn check(&self) -> Result<(), String> {
        Issuer::parse(&self.issuer).map_err(|form| format!("issuer: {form}"))?;
        for algorithm in self.algorithms.iter().flatten() {
            if !KNOWN_ALGORITHMS.contains(&algorithm.as_str()) {
                return Err(format!("algorithms: use some of {}", KNOWN_ALGORITHMS.join(", ")));
            }
        }
        if let Some(role) = &self.role
            && !ROLES.contains(&role.as_str())
        {
            return Err(format!("role: use one of {}", ROLES.join(", ")));
        }
        if self.clock_skew()? > Duration::from_secs(60) {
            return Err("clock_skew: must be at most 60s".to_owned());
        }
        let namespace =
            |text: &str| text.split('.').all(|label| !label.is_empty() && label.bytes().all(legal_in_label));
        if self.owners_below.as_deref().is_some_and(|text| !namespace(text)) {
            return Err("owners_below: use a namespace like io.github".to_owned());
        }
        if self.client_secret.is_some() && self.client_id.is_none() {
            return Err("client_secret: does nothing without client_id".to_owned());
        }
        Ok(())
    }

    fn clock_skew(&self) -> Result<Duration, String> {
        let text = self.clock_skew.as_deref().unwrap_or("30s");
        Duration::parse(text).map_err(|form| format!("clock_skew: {form}"))
    }

    fn provider(&self) -> Result<OidcProvider, String> {
        let words = |given: &Option<Vec<String>>, usual: &[&str]| {
            given.clone().unwrap_or_else(|| usual.iter().map(|word| (*word).to_owned()).collect())
        };
        let issuer = Issuer::parse(&self.issuer)?;
        let host = issuer.url().host_str().unwrap_or_default().to_owned();
        Ok(OidcProvider {
            name: self.name.clone(),
            title: self.title.clone().unwrap_or(host),
            issuer,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone().map(|secret| secret.0),
            scopes: self.scopes.clone(),
            prompt: self.prompt.clone(),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            audiences: self.audiences.clone(),
            algorithms: words(&self.algorithms, ALGORITHMS),
            token_types: words(&self.token_types, &["at+jwt"]),
            role: self.role.clone(),
            clock_skew: self.clock_skew()?,
            owners_below: self.owners_below.clone().or_else(|| (self.issuer == GITHUB).then(|| "io.github".to_owned())),
        })
    }
}

fn legal_in_label(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

impl Config {
    /// Every configured provider: that of the plain settings first, then the tables in their order.
    #[must_use]
    pub fn oidc_providers(&self) -> Vec<OidcProvider> {
        let plain = self.plain_provider().into_iter();
        let tables = self.sign_in.oidc.0.iter();
        let tables = tables.filter_map(|table| table.provider().ok());
        plain.chain(tables).collect()
    }

    fn plain_provider(&self) -> Option<OidcProvider> {
        let settings = &self.sign_in;
        let issuer = settings.oidc_issuer.as_ref()?;
        let filled = |words: &[String]| Some(words.to_vec()).filter(|words| !words.is_empty());
        let table = Table {
            name: Slug::parse(PLAIN_NAME).expect("a plain word is a slug"),
            title: settings.oidc_title.clone(),
            issuer: issuer.0.clone(),
            client_id: settings.oidc_client_id.clone(),
            client_secret: settings.oidc_client_secret.clone().map(Secret),
            scopes: filled(&settings.oidc_scopes),
            prompt: settings.oidc_prompt.clone(),
            groups_claim: Some(settings.oidc_groups_claim.clone()),
            audiences: settings.oidc_audiences.clone(),
            algorithms: filled(&settings.oidc_algorithms),
            token_types: filled(&settings.oidc_token_types),
            role: settings.oidc_role.clone(),
            clock_skew: Some(settings.oidc_clock_skew.show()),
            owners_below: None,
        };
        table.provider().ok()
    }

    /// What is wrong with the providers as a whole.
    pub(super) fn oidc_complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let settings = &self.sign_in;
        if settings.oidc_issuer.is_none() {
            for (name, is_given) in [
                ("oidc_client_id", settings.oidc_client_id.is_some()),
                ("oidc_client_secret", settings.oidc_client_secret.is_some()),
            ] {
                if is_given {
                    complaints.push(format!("{name}: does nothing without oidc_issuer"));
                }
            }
        }
        if settings.oidc_client_secret.is_some() && settings.oidc_client_id.is_none() {
            complaints.push("oidc_client_secret: does nothing without oidc_client_id".to_owned());
        }
        if let Some(role) = &settings.oidc_role
            && !ROLES.contains(&role.as_str())
        {
            complaints.push(format!("oidc_role: use one of {}", ROLES.join(", ")));
        }
        if let Some(wrong) = settings.oidc_algorithms.iter().find(|name| !KNOWN_ALGORITHMS.contains(&name.as_str())) {
            complaints.push(format!("oidc_algorithms: `{wrong}` is none of {}", KNOWN_ALGORITHMS.join(", ")));
        }
        if settings.oidc_clock_skew > Duration::from_secs(60) {
            complaints.push("oidc_clock_skew: must be at most 60s".to_owned());
        }
        if settings.session_idle_timeout.is_zero() || settings.session_lifetime < settings.session_idle_timeout {
            complaints.push("session_lifetime: must not be below session_idle_timeout, nor that nothing".to_owned());
        }
        let providers = self.oidc_providers();
        for (at, provider) in providers.iter().enumerate() {
            let before = &providers[..at];
            if before.iter().any(|other| other.name == provider.name) {
                complaints.push(format!("oidc: two providers are named `{}`", provider.name));
            }
            if before.iter().any(|other| other.issuer == provider.issuer) {
                complaints.push(format!("oidc: two providers have the issuer {}", provider.issuer.as_str()));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_providers_stand_side_by_side() {
        let file = "oidc_issuer = 'https://one.example'\noidc_client_id = 'a'\n\
                    [[oidc]]\nname = 'two'\nissuer = 'https://two.example/'\nclient_id = 'b'\nclient_secret = 'canary'\n\
                    groups_claim = 'realm_access.roles'\nrole = 'reader'";

        let config = Config::from_sources(Some(file), []).unwrap();

        let providers = config.oidc_providers();
        let named: Vec<_> = providers.iter().map(|p| (p.name.as_str(), p.issuer.as_str())).collect();
        assert_eq!(named, [("oidc", "https://one.example"), ("two", "https://two.example/")]);
        assert_eq!(providers[1].groups_claim, "realm_access.roles");
        assert_eq!(providers[1].client_secret.as_ref().unwrap().expose(), "canary");
        assert!(
            !format!("{config:?} {:?}", config.shown().iter().map(|s| &s.1).collect::<Vec<_>>()).contains("canary")
        );
    }

    #[test]
    fn what_could_never_work_is_refused_by_name() {
        for (file, says) in [
            ("oidc_issuer = 'http://login.example'", "oidc_issuer"),
            ("oidc_client_id = 'a'", "oidc_client_id: does nothing"),
            ("oidc_issuer = 'https://a.example'\noidc_role = 'king'", "oidc_role"),
            ("oidc_issuer = 'https://a.example'\noidc_algorithms = ['HS256']", "oidc_algorithms"),
            ("[[oidc]]\nname = 'a'\nissuer = 'https://a.example'\nalgorithms = ['none']", "algorithms"),
            ("[[oidc]]\nname = 'a'\nissuer = 'https://a.example'\nclock_skew = '2m'", "clock_skew"),
            ("[[oidc]]\nname = 'a'\nissuer = 'https://a.example'\nclient_secrte = 'canary'", "unknown field"),
            ("oidc_issuer = 'https://a.example'\n[[oidc]]\nname = 'b'\nissuer = 'https://a.example'", "two providers"),
        ] {
            let complaints = Config::from_sources(Some(file), []).unwrap_err().0.join("\n");
            assert!(complaints.contains(says) && !complaints.contains("canary"), "{file}: {complaints}");
        }
    }
}
