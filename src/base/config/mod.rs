//! `Config`: every setting, its default, its unit and its reason.
//!
//! A setting has one name in two spellings: `header_timeout` in the TOML file given with `--config`,
//! `WHARFINGER_HEADER_TIMEOUT` in the environment. Later sources win: defaults, file, environment. All that is wrong is
//! told at once, and a name nobody knows is refused rather than ignored.

mod check;
mod oidc;
mod reference;
mod setting;
mod source;

use crate::base::{Network, Sealed};
use setting::Setting;
use source::{Given, Values};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

pub use oidc::{Issuer, OidcProvider, OidcProviders, PLAIN_NAME as PLAIN_PROVIDER, ROLES as PROVIDER_ROLES};
pub use setting::{ByteSize, LogFormat, Ratio};
pub use source::{ConfigError, Origin};

/// What the reference tells of one setting.
pub struct About {
    /// `header_timeout`; the environment's name is this in capitals after `WHARFINGER_`.
    pub name: &'static str,
    pub default: String,
    pub doc: &'static [&'static str],
}

/// What the reference tells of one group of settings.
pub struct Section {
    pub doc: &'static [&'static str],
    pub settings: Vec<About>,
}

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $kind:ty = $default:expr;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug)]
            pub struct $Section {
                $($(#[doc = $doc])+ pub $name: $kind,)+
            }
        )+

        /// All settings, one struct a concern.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $section: $Section,)+
            given: Given,
        }

        impl Config {
            /// Reads each setting from `values`, which collects what is wrong on the way.
            fn read(values: &mut Values) -> Option<Self> {
                $(
                    $(let $name = values.take::<$kind>(stringify!($name), $default);)+
                    let $section = (|| Some($Section { $($name: $name?,)+ }))();
                )+
                Some(Self { $($section: $section?,)+ given: values.given() })
            }

            /// Every setting with its value as text (secrets as `***`) and where it came from, in the reference's order.
            #[must_use]
            pub fn shown(&self) -> Vec<(&'static str, String, Origin)> {
                vec![$($((stringify!($name), self.$section.$name.show(), self.given.origin(stringify!($name))),)+)+]
            }

            /// The reference: what each setting means.
            #[must_use]
            pub fn reference() -> Vec<Section> {
                vec![$(Section {
                    doc: &[$($section_doc),+],
                    settings: vec![$(About {
                        name: stringify!($name),
                        default: $default.to_owned(),
                        doc: &[$($doc),+],
                    }),+],
                }),+]
            }
        }

        /// The names of all settings, as in a file.
        const NAMES: &[&str] = &[$($(stringify!($name)),+),+];
    };
}

settings! {
    /// Where clients reach the service.
    server: Server {
        /// Address and port to listen on. Port 0 takes a free one.
        listen: SocketAddr = "127.0.0.1:8080";
        /// Address and port where `/metrics` is served, and nothing else: its labels name models, policies and what policies
        /// count by. Unset: with all else at `listen`, to everybody who reaches that.
        metrics_listen: Option<SocketAddr> = "";
        /// The address clients use; every absolute URL in an answer starts with it. Unset: `http://` and the address listened on.
        public_url: Option<Url> = "";
        /// Hosts that the MCP endpoint may be called by, beside that of the public URL and loopback names: a guard
        /// against DNS rebinding.
        allowed_hosts: Vec<String> = "";
        /// Web origins (`https://tool.example.com`) that may call the MCP endpoint from a browser, beside our own.
        allowed_origins: Vec<String> = "";
        /// Networks of reverse proxies whose `X-Forwarded-For` and `X-Request-Id` are believed.
        trusted_proxies: Vec<Network> = "";
    }

    /// What is stored, and where.
    storage: Storage {
        /// Postgres, `postgres://user:password@host/database`. Unset: a private Postgres below the data directory,
        /// started and stopped by the program.
        database_url: Option<Sealed<String>> = "";
        /// Search index, model, private Postgres, the keys that seal credentials, and records of usage on their way to the
        /// database: of value also where Postgres is elsewhere. Unset: `$XDG_DATA_HOME/wharfinger`, else
        /// `~/.local/share/wharfinger`; as root `/var/lib/wharfinger`.
        data_dir: Option<PathBuf> = "";
        /// Where the programs `postgres` and `initdb` of the private Postgres lie. Unset: `PATH`, then the usual places.
        postgres_bin: Option<PathBuf> = "";
        /// Connections of the pool that writes; the pool that reads has as many again.
        database_connections: u32 = "10";
        /// How long a request waits for a free connection before it is answered 503.
        database_acquire_timeout: Duration = "2s";
        /// How long one statement may run.
        database_statement_timeout: Duration = "10s";
        /// How long one statement may wait for a lock.
        database_lock_timeout: Duration = "2s";
    }

    /// Who may do what on a first start.
    access: Access {
        /// The admin key to create on the first start, for automation: at least 16 characters, better `whf_` and 48 random ones.
        /// Unset: one is made and printed once. Another one on a later start is added, to let in who lost every key.
        admin_key: Option<Sealed<String>> = "";
        /// Whether names of the MCP registry may be published only in namespaces that an administrator gave to a workspace.
        /// Otherwise names of no registered namespace are free.
        registered_namespaces_only: bool = "false";
        /// The DNS server, address and port, that is asked for the keys of domains which publish by proof of the DNS. Unset:
        /// those of the system.
        dns_server: Option<SocketAddr> = "";
    }

    /// How people sign in, and how long a session lasts.
    sign_in: SignIn {
        /// The organisation's identity provider: its issuer, letter by letter as its discovery document has it. Our redirect
        /// address there is `/auth/callback` below the public URL, for a provider of a table `/auth/callback/{name}`.
        oidc_issuer: Option<Issuer> = "";
        /// Our client id there. Unset: nobody signs in there, its bearer tokens alone are accepted.
        oidc_client_id: Option<String> = "";
        /// Our client secret there. Unset: we are a public client.
        oidc_client_secret: Option<Sealed<String>> = "";
        /// What the button of the sign-in page says, `Continue with ...`. Unset: the issuer's host.
        oidc_title: Option<String> = "";
        /// What we ask for; with `offline_access` groups follow without a new sign-in. Unset: `openid`, `profile`, `email`, and
        /// `groups` and `offline_access` where the provider says that it knows them.
        oidc_scopes: Vec<String> = "";
        /// The `prompt` we send along: some providers give a refresh token after `consent` only.
        oidc_prompt: Option<String> = "";
        /// The claim that lists a user's groups; a dot leads into an object (`realm_access.roles`).
        oidc_groups_claim: String = "groups";
        /// A role that each of its users holds on the whole instance: `reader`, `consumer`, `publisher`, `reviewer`,
        /// `compliance` or `administrator`.
        oidc_role: Option<String> = "";
        /// Audiences by which its bearer tokens may name us, beside the public URL and the address of `/mcp` below it.
        oidc_audiences: Vec<String> = "";
        /// Signatures of its tokens that are believed.
        oidc_algorithms: Vec<String> = "RS256,PS256,ES256,EdDSA";
        /// What the `typ` of its bearer tokens may be. `at+jwt` (RFC 9068) alone keeps ID tokens out.
        oidc_token_types: Vec<String> = "at+jwt";
        /// How far its clock may be from ours, at most a minute.
        oidc_clock_skew: Duration = "30s";
        /// How long a provider may take to answer before a sign-in is given up with a page that says so.
        oidc_timeout: Duration = "2500ms";
        /// Further providers: tables `[[oidc]]` of the file, each with a `name` and the settings above without their `oidc_`.
        oidc: OidcProviders = "";
        /// How long a session may rest before it ends.
        session_idle_timeout: Duration = "12h";
        /// How long a session lasts at most, however busy.
        session_lifetime: Duration = "168h";
        /// How often a session's groups are asked for anew, where the provider gave a refresh token.
        session_refresh: Duration = "15m";
    }

    /// How meaning is found.
    embedding: Embedding {
        /// Folder with the embedding model's files. Unset: the one `make setup` prepares below the data directory.
        model_dir: Option<PathBuf> = "";
        /// The ONNX Runtime library. Unset: `libonnxruntime.so` beside the model, or where `ORT_DYLIB_PATH` says.
        model_runtime: Option<PathBuf> = "";
        /// Whether a missing model may be downloaded from the model hub (`HF_ENDPOINT` names another hub).
        model_hub: bool = "false";
        /// Threads that turn what is searched for into vectors; as many more, of lowest priority, do so with what is
        /// registered.
        embedding_threads: u32 = "1";
    }

    /// What the front door lets in.
    limits: Limits {
        /// How long a new connection may stay silent.
        first_byte_timeout: Duration = "5s";
        /// How long the head of a request may take from its first byte.
        header_timeout: Duration = "5s";
        /// How long a body may pause between two pieces.
        body_idle_timeout: Duration = "5s";
        /// How long a whole body may take; the body of an import has ten times as long.
        body_timeout: Duration = "60s";
        /// How long a connection without a request is kept open.
        keep_alive_timeout: Duration = "75s";
        /// How long writing an answer may stand still before the connection is closed.
        write_timeout: Duration = "30s";
        /// The longest body of an ordinary request.
        max_body: ByteSize = "8MiB";
        /// The longest body of an import, which is read line by line.
        max_import_body: ByteSize = "1GiB";
        /// The longest head of a request: its first line and all headers.
        max_header_bytes: ByteSize = "32KiB";
        /// The most header lines of a request.
        max_headers: u32 = "100";
        /// The most connections at once; more are answered 503.
        max_connections: u32 = "16384";
        /// The most connections of one address; trusted proxies and loopback are not counted.
        max_connections_per_ip: u32 = "256";
        /// The most streams at once in one HTTP/2 connection.
        max_http2_streams: u32 = "128";
        /// After the signal to stop: how long `/readyz` says 503 and each answer ends its connection before the listener
        /// closes, so that a load balancer looks elsewhere; connections that rest are then kept for as long again.
        drain_delay: Duration = "0s";
        /// After the listener closed: how long requests under way may take to finish.
        drain_timeout: Duration = "60s";
    }

    /// What the service fetches on behalf of its users: definitions by URL.
    fetch: Fetch {
        /// Networks that may be fetched from although they are not part of the public internet.
        fetch_allowed_networks: Vec<Network> = "";
        /// How long one fetch may take.
        fetch_timeout: Duration = "10s";
        /// The longest document that is fetched.
        fetch_max_size: ByteSize = "8MiB";
    }

    /// How the gateway reaches backends, and how their credentials are kept.
    gateway: Gateway {
        /// Hosts that backends may have although they do not lie on the public internet, or may be called without TLS:
        /// names, addresses or networks (`127.0.0.1`, `ollama.internal`, `10.4.0.0/16`).
        gateway_allowed_hosts: Vec<String> = "";
        /// PEM file with certificate authorities of the house: backends, token servers and hooks are believed with
        /// certificates of these, too. Unset: those of the system alone.
        gateway_ca_file: Option<PathBuf> = "";
        /// Keys that seal credentials in the database, `id:` and 32 bytes in base64; the first one seals, all open. They also
        /// sign the heads of the audit record and the secrets of webhooks: a key that is taken away leaves what it sealed
        /// unreadable and what it signed unverifiable, so seal anew (`rewrap`) and verify the record before. Unset: those of
        /// `encryption_key_file`.
        encryption_keys: Option<Sealed<String>> = "";
        /// The file of those keys, one a line; made on the first start. Unset: `encryption-keys` in the data directory.
        encryption_key_file: Option<PathBuf> = "";
        /// Whether who goes on from a response that nobody was given here, or longer than thirty days ago, may `pass` or is
        /// `refuse`d.
        unknown_responses: String = "pass";
        /// The most memory for all bodies of requests of more than 64 KiB; what would take more is answered 503 unread.
        gateway_body_memory: ByteSize = "512MiB";
    }

    /// The record of who did what.
    audit: Audit {
        /// How long lines of the audit record are kept, at least `30d`. Unset: for ever.
        audit_retention: Option<Duration> = "";
    }

    /// What replicas share beside the database.
    shared: Shared {
        /// Redis or Valkey, `redis://:password@host:6379/0`, in which all replicas share the counters of limits and the cache of
        /// answers. Unset: each process has its own.
        redis_url: Option<Sealed<String>> = "";
        /// What limits do while it does not answer: `share`, where each replica goes on with its part of each limit, or
        /// `refuse`, where what is not covered by what a replica holds is answered 503.
        redis_away: String = "share";
    }

    /// What is kept of the traffic through the gateway.
    usage: Usage {
        /// How often the spool of usage records is forced to the disk: what a power cut may cost. A crash of the process
        /// or of the database costs nothing.
        usage_sync: Duration = "1s";
        /// How long records of single requests are kept.
        usage_records_kept: Duration = "840h";
        /// How long sums by the minute are kept.
        usage_minutes_kept: Duration = "72h";
        /// How long sums by the hour are kept.
        usage_hours_kept: Duration = "2400h";
        /// How long sums by the day are kept.
        usage_days_kept: Duration = "26400h";
        /// The most different values of a label of the gateway's metrics; further ones are counted as `other`.
        metric_label_values: u32 = "200";
        /// Whether each request through the gateway is logged in a line, without what was said.
        access_log: bool = "false";
        /// The most memory for answers that are given again, by the policy `semanticCache`: of this process, or in Redis.
        answer_cache_size: ByteSize = "64MiB";
    }

    /// Spans and metrics of requests through the gateway for a collector of OpenTelemetry: no prompts, no credentials.
    export: Export {
        /// The collector, which takes OTLP over HTTP: `http://collector:4318`; `/v1/traces` and `/v1/metrics` below it are
        /// posted to. Unset: no spans are made.
        otlp_endpoint: Option<Url> = "";
        /// Headers for the collector, `name=value` with commas between them: `authorization=Bearer abc,x-scope=team`.
        otlp_headers: Option<Sealed<String>> = "";
        /// The part of the requests whose spans are sent. Who sends a `traceparent` has decided for its own.
        otlp_sampling: Ratio = "1";
        /// How often metrics are sent.
        otlp_metrics_every: Duration = "15s";
    }

    /// Looking after what was approved.
    approval: Approval {
        /// How often the running MCP servers of workspaces that ask for approval are compared with what was approved.
        tool_check_every: Duration = "6h";
    }

    /// What is written down.
    logging: Logging {
        /// What is logged: a level (`info`), or levels by part (`info,wharfinger::search=debug`).
        log: String = "info,rmcp=warn,sqlx=warn";
        /// How a line is written: `text` for people, `json` for collectors.
        log_format: LogFormat = "text";
    }
}

impl Config {
    /// The settings of this process: defaults, then the TOML file where one is given, then the environment.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong.
    pub fn load(file: Option<&std::path::Path>) -> Result<Self, ConfigError> {
        let text = match file {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?),
        };
        // Not `vars()`, which panics on what is no Unicode.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
        Self::from_sources(text.as_deref(), environment)
    }

    /// The settings of a file's text and a list of environment variables; variables not called `WHARFINGER_...` are
    /// passed over.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong.
    pub fn from_sources(
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Values::collect(NAMES, file, environment);
        let config = Self::read(&mut values);
        match config {
            Some(config) => values.finish(config.complaints()).map(|()| config),
            None => Err(values.failed()),
        }
    }

    /// Where the data lies, made absolute.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.storage.data_dir.clone().unwrap_or_else(default_data_dir)
    }

    /// The address clients use, without a trailing slash. `bound` is the address really listened on.
    #[must_use]
    pub fn public_url(&self, bound: SocketAddr) -> String {
        match &self.server.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            // What listens everywhere is reached, from here, at the loopback address.
            None if bound.ip().is_unspecified() => format!("http://127.0.0.1:{}", bound.port()),
            None => format!("http://{bound}"),
        }
    }
}

/// A folder of this user; root's own home is closed to the account that its Postgres runs as.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/wharfinger");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir)
        .join("wharfinger")
}
