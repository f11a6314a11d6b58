//! Where settings come from, and the complaints about them.

use super::setting::Setting;
use crate::base::nearest;
use std::{collections::BTreeMap, fmt, path::Path};

/// Which source a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File,
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
        })
    }
}

/// Which settings were given, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(BTreeMap<&'static str, Origin>);

impl Given {
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.0.get(name).copied().unwrap_or(Origin::Default)
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self(vec![format!("{}: cannot be read ({error})", path.display())])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "a setting is" } else { "settings are" };
        write!(f, "{plural} wrong:")?;
        self.0.iter().try_for_each(|complaint| write!(f, "\n  - {complaint}"))
    }
}

impl std::error::Error for ConfigError {}

const PREFIX: &str = "WHARFINGER_";

/// Variables that begin like ours but speak to the commands of the client, to the tests or to the command line.
const NOT_SETTINGS: &[&str] = &["URL", "KEY", "CONFIG", "SHARED", "UPDATE_DOCS"];

/// The values that were given, by name, and the complaints collected so far.
pub(super) struct Values {
    names: &'static [&'static str],
    given: BTreeMap<&'static str, (String, Origin)>,
    complaints: Vec<String>,
}

impl Values {
    pub(super) fn collect(
        names: &'static [&'static str],
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut values = Self { names, given: BTreeMap::new(), complaints: Vec::new() };
        if let Some(text) = file {
            values.add_file(text);
        }
        for (variable, value) in environment {
            if let Some(name) = variable.strip_prefix(PREFIX)
                && !NOT_SETTINGS.contains(&name)
                && !is_service_link(name)
            {
                values.add(&name.to_ascii_lowercase(), value, Origin::Environment);
            }
        }
        values
    }

    fn add_file(&mut self, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                self.complaints.push(format!("the file is not TOML: {}", error.to_string().trim()));
                return;
            }
        };
        for (name, value) in table {
            match tables(&name, &value).or_else(|| plain(&value)) {
                Some(value) => self.add(&name, value, Origin::File),
                None => {
                    self.complaints.push(format!("{name}: use a text, a number, `true`, `false` or a list of these"))
                }
            }
        }
    }

    fn add(&mut self, name: &str, value: String, origin: Origin) {
        let shown = |name: &str| match origin {
            Origin::Environment => format!("{PREFIX}{}", name.to_ascii_uppercase()),
            _ => name.to_owned(),
        };
        match self.names.iter().find(|known| **known == name) {
            Some(known) => {
                self.given.insert(known, (value, origin));
            }
            None => {
                let hint = nearest(name, self.names.iter().copied())
                    .map_or_else(String::new, |known| format!("; did you mean {}?", shown(known)));
                self.complaints.push(format!("{}: there is no such setting{hint}", shown(name)));
            }
        }
    }

    /// The value of the setting `name`; an empty text counts as absent. None after a complaint.
    pub(super) fn take<T: Setting>(&mut self, name: &'static str, default: &str) -> Option<T> {
        let (text, origin) = match self.given.get(name) {
            Some((text, origin)) if !text.trim().is_empty() => (text.trim().to_owned(), *origin),
            _ => {
                self.given.remove(name);
                (default.to_owned(), Origin::Default)
            }
        };
        if text.is_empty() {
            return T::absent();
        }
        match T::parse(&text) {
            Ok(value) => Some(value),
            // The value is not repeated: it may be a secret in the wrong place.
            Err(form) => {
                self.complaints.push(format!("{name} (from the {origin}): {form}"));
                None
            }
        }
    }

    pub(super) fn given(&self) -> Given {
        Given(self.given.iter().map(|(name, (_, origin))| (*name, *origin)).collect())
    }

    /// The outcome when all values could be read; `further` are complaints about values that do not go together.
    pub(super) fn finish(mut self, further: Vec<String>) -> Result<(), ConfigError> {
        self.complaints.extend(further);
        if self.complaints.is_empty() { Ok(()) } else { Err(self.failed()) }
    }

    pub(super) fn failed(self) -> ConfigError {
        ConfigError(self.complaints)
    }
}

/// A list of tables as the text of a file that holds only it.
fn tables(name: &str, value: &toml::Value) -> Option<String> {
    let items = value.as_array()?;
    let all = !items.is_empty() && items.iter().all(toml::Value::is_table);
    all.then(|| toml::Table::from_iter([(name.to_owned(), value.clone())]).to_string())
}

/// A scalar as text; a list as its items between commas.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(fact) => Some(fact.to_string()),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        toml::Value::Table(_) | toml::Value::Datetime(_) => None,
    }
}

/// Kubernetes gives every container `X_SERVICE_HOST`, `X_PORT` and the like for a service called X; one called
/// `wharfinger` must not keep us from starting.
fn is_service_link(name: &str) -> bool {
    name == "PORT" || name.starts_with("PORT_") || name == "SERVICE_HOST" || name.starts_with("SERVICE_PORT")
}

#[cfg(test)]
mod tests {
    use crate::base::config::{Config, Origin};
    use std::time::Duration;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let file = "listen = '127.0.0.1:1'\nheader_timeout = '3s'\nallowed_hosts = ['a', 'b']";

        let config = Config::from_sources(Some(file), variables(&[("WHARFINGER_LISTEN", "127.0.0.1:2")])).unwrap();

        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.limits.header_timeout, Duration::from_secs(3));
        assert_eq!(config.limits.body_timeout, Duration::from_secs(60));
        assert_eq!(config.server.allowed_hosts, ["a", "b"]);
        let origins: Vec<_> = config.shown().into_iter().map(|(name, _, origin)| (name, origin)).collect();
        assert!(origins.contains(&("listen", Origin::Environment)));
        assert!(origins.contains(&("header_timeout", Origin::File)));
        assert!(origins.contains(&("body_timeout", Origin::Default)));
    }

    #[test]
    fn all_complaints_come_at_once_and_unknown_names_get_a_hint() {
        let file = "lisen = 'x'\nmax_body = '8 parsecs'\n[table]\na = 1";
        let environment =
            variables(&[("WHARFINGER_HEADER_TIMEOUT", "soon"), ("WHARFINGER_PUBLC_URL", "x"), ("HOME", "/")]);

        let complaints = Config::from_sources(Some(file), environment).unwrap_err().0;

        let all = complaints.join("\n");
        assert_eq!(complaints.len(), 5, "{all}");
        assert!(all.contains("lisen: there is no such setting; did you mean listen?"), "{all}");
        assert!(
            all.contains("WHARFINGER_PUBLC_URL: there is no such setting; did you mean WHARFINGER_PUBLIC_URL?"),
            "{all}"
        );
        assert!(all.contains("header_timeout (from the environment)"), "{all}");
        assert!(all.contains("max_body (from the file)"), "{all}");
        assert!(all.contains("table:"), "{all}");
    }

    #[test]
    fn variables_of_a_kubernetes_service_of_our_name_do_no_harm() {
        let links = variables(&[
            ("WHARFINGER_PORT", "tcp://10.0.0.1:80"),
            ("WHARFINGER_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("WHARFINGER_SERVICE_HOST", "10.0.0.1"),
            ("WHARFINGER_SERVICE_PORT_HTTP", "80"),
        ]);

        assert!(Config::from_sources(None, links).is_ok());
    }

    #[test]
    fn secrets_show_as_stars_and_never_in_complaints() {
        let canary = "postgres://u:canary@h/db";
        let config = Config::from_sources(None, variables(&[("WHARFINGER_DATABASE_URL", canary)])).unwrap();
        let wrong = Config::from_sources(None, variables(&[("WHARFINGER_OIDC_ISSUER", "canary")])).unwrap_err();

        let shown = format!("{config:?} {:?} {wrong}", config.shown().iter().map(|s| &s.1).collect::<Vec<_>>());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let config = Config::from_sources(None, variables(&[("WHARFINGER_LISTEN", ""), ("WHARFINGER_PUBLIC_URL", "")]));

        assert_eq!(config.unwrap().server.listen.port(), 8080);
    }
}
