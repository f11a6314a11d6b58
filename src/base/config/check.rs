//! Settings that are well formed alone but make no sense together, or no sense yet.

use super::{Config, Origin};
use std::time::Duration;

/// Shorter admin keys are refused: they can be guessed.
const MIN_ADMIN_KEY: usize = 16;
/// Shorter ones are warned of.
const GOOD_ADMIN_KEY: usize = 32;

impl Config {
    /// What makes a start impossible or pointless.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut refuse = |wrong: bool, complaint: &str| {
            if wrong {
                complaints.push(complaint.to_owned());
            }
        };

        let limits = &self.limits;
        for (name, span) in [
            ("first_byte_timeout", limits.first_byte_timeout),
            ("header_timeout", limits.header_timeout),
            ("body_idle_timeout", limits.body_idle_timeout),
            ("body_timeout", limits.body_timeout),
            ("keep_alive_timeout", limits.keep_alive_timeout),
            ("write_timeout", limits.write_timeout),
            ("fetch_timeout", self.fetch.fetch_timeout),
            ("database_acquire_timeout", self.storage.database_acquire_timeout),
            ("database_statement_timeout", self.storage.database_statement_timeout),
            ("database_lock_timeout", self.storage.database_lock_timeout),
        ] {
            refuse(
                span == Duration::ZERO,
                &format!("{name}: must be longer than nothing; there is no way to switch it off"),
            );
        }
        for (name, number) in [
            ("max_connections", limits.max_connections),
            ("max_connections_per_ip", limits.max_connections_per_ip),
            ("max_http2_streams", limits.max_http2_streams),
            ("max_headers", limits.max_headers),
            ("database_connections", self.storage.database_connections),
            ("embedding_threads", self.embedding.embedding_threads),
        ] {
            refuse(number == 0, &format!("{name}: must be at least 1"));
        }
        refuse(limits.max_headers > 10_000, "max_headers: must be at most 10000");
        refuse(
            !(8 << 10..=1 << 20).contains(&limits.max_header_bytes.0),
            "max_header_bytes: must be between 8KiB and 1MiB",
        );
        refuse(limits.max_body.0 < 1 << 10, "max_body: must be at least 1KiB");
        refuse(
            limits.max_import_body < limits.max_body,
            "max_import_body: must not be below max_body, since an import is a request too",
        );
        refuse(
            self.audit.audit_retention.is_some_and(|kept| kept < Duration::from_secs(30 * 86_400)),
            "audit_retention: must be at least 30d; what was done a moment ago may still be asked about",
        );
        if let Some(url) = &self.server.public_url {
            refuse(
                url.query().is_some()
                    || url.fragment().is_some()
                    || !url.username().is_empty()
                    || url.password().is_some(),
                "public_url: give scheme, host, port and at most a path; no user, query or fragment",
            );
        }
        if let Some(url) = &self.storage.database_url {
            let scheme = url.expose().split_once("://").map(|(scheme, _)| scheme);
            refuse(
                !matches!(scheme, Some("postgres" | "postgresql")),
                "database_url: must start with postgres:// or postgresql://",
            );
        }
        if let Some(key) = &self.access.admin_key {
            let key = key.expose();
            refuse(
                key.len() < MIN_ADMIN_KEY || !key.bytes().all(|b| b.is_ascii_graphic()),
                "admin_key: must have at least 16 characters and no spaces; `echo whf_$(openssl rand -hex 24)` makes a good one",
            );
        }
        refuse(
            !crate::base::telemetry::is_filter(&self.logging.log),
            "log: use a level (error, warn, info, debug, trace), or levels by part like `info,wharfinger::search=debug`",
        );
        for origin in &self.server.allowed_origins {
            let legal = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            refuse(
                !legal,
                &format!("allowed_origins: `{origin}` is no origin; write it like `https://tool.example.com`"),
            );
        }
        refuse(
            !matches!(self.shared.redis_away.as_str(), "share" | "refuse"),
            "redis_away: must be `share` or `refuse`",
        );
        refuse(
            !matches!(self.gateway.unknown_responses.as_str(), "pass" | "refuse"),
            "unknown_responses: must be `pass` or `refuse`",
        );
        refuse(
            self.shared
                .redis_url
                .as_ref()
                .is_some_and(|url| !url.expose().starts_with("redis://") && !url.expose().starts_with("redis+unix://")),
            "redis_url: must begin with redis://",
        );
        refuse(self.export.otlp_metrics_every.is_zero(), "otlp_metrics_every: must be longer than nothing");
        let headers = crate::base::otlp::headers(self.export.otlp_headers.as_ref());
        refuse(headers.is_err(), &format!("otlp_headers: {}", headers.err().unwrap_or_default()));
        if let Some(Err(error)) = self.gateway.gateway_ca_file.as_deref().map(crate::base::trust::authorities) {
            refuse(true, &format!("gateway_ca_file: {error}"));
        }
        refuse(self.usage.usage_sync.is_zero(), "usage_sync: must be longer than nothing");
        complaints.extend(self.oidc_complaints());
        complaints
    }

    /// Settings that were given but do nothing: told at the start, so that nobody relies on them.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.access.admin_key.as_ref().is_some_and(|key| key.expose().len() < GOOD_ADMIN_KEY) {
            warnings.push("admin_key is short: whoever guesses it may do everything".to_owned());
        }
        let (no_redis, no_collector) = (self.shared.redis_url.is_none(), self.export.otlp_endpoint.is_none());
        for (setting, does_nothing, reason) in [
            ("postgres_bin", self.storage.database_url.is_some(), "while database_url is set"),
            ("model_hub", self.embedding.model_dir.is_some() && self.embedding.model_hub, "while model_dir is set"),
            ("encryption_key_file", self.gateway.encryption_keys.is_some(), "while encryption_keys is set"),
            ("redis_away", no_redis, "while redis_url is unset"),
            ("otlp_headers", no_collector, "while otlp_endpoint is unset"),
            ("otlp_sampling", no_collector, "while otlp_endpoint is unset"),
            ("otlp_metrics_every", no_collector, "while otlp_endpoint is unset"),
        ] {
            if does_nothing && self.given.origin(setting) != Origin::Default {
                warnings.push(format!("{setting} does nothing {reason}"));
            }
        }
        if self.server.public_url.is_none() && self.server.listen.ip().is_unspecified() {
            warnings
                .push("listening on every address without public_url: links in answers will say 127.0.0.1".to_owned());
        }
        if let Some(url) = &self.server.public_url
            && url.scheme() == "http"
            && !url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
        {
            warnings.push("public_url is plain http: sessions and keys travel in the open".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str) -> Result<Config, super::super::ConfigError> {
        Config::from_sources(Some(file), [])
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        for (file, name) in [
            ("header_timeout = '0s'", "header_timeout"),
            ("max_connections = 0", "max_connections"),
            ("max_header_bytes = '1KiB'", "max_header_bytes"),
            ("max_import_body = '1MiB'", "max_import_body"),
            ("public_url = 'https://a.example/?x'", "public_url"),
            ("database_url = 'mysql://a'", "database_url"),
            ("admin_key = 'whf_short'", "admin_key"),
            ("redis_url = 'http://h'", "redis_url"),
            ("redis_away = 'perhaps'", "redis_away"),
            ("unknown_responses = 'perhaps'", "unknown_responses"),
            ("gateway_ca_file = '/nowhere/ca.pem'", "gateway_ca_file"),
            ("otlp_headers = 'no value'", "otlp_headers"),
            ("otlp_metrics_every = '0s'", "otlp_metrics_every"),
            ("allowed_origins = ['https://a.example/path']", "allowed_origins"),
        ] {
            let complaints = config(file).unwrap_err().0;
            assert!(complaints.len() == 1 && complaints[0].starts_with(name), "{file}: {complaints:?}");
        }
    }

    #[test]
    fn settings_that_do_nothing_are_warned_of() {
        let quiet = config("").unwrap();
        let loud = config("listen = '0.0.0.0:80'").unwrap();

        assert!(quiet.warnings().is_empty());
        assert_eq!(loud.warnings().len(), 1);
        for (file, warning) in [
            ("redis_away = 'refuse'", "redis_away does nothing while redis_url is unset"),
            ("otlp_sampling = 0.5", "otlp_sampling does nothing while otlp_endpoint is unset"),
            (
                "database_url = 'postgres://a'\npostgres_bin = '/bin'",
                "postgres_bin does nothing while database_url is set",
            ),
        ] {
            assert_eq!(config(file).unwrap().warnings(), [warning]);
        }
    }
}
