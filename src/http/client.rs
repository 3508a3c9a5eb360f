//! The one place from which anything is sent.

use super::error::{Fault, HttpError, is_transient_status};
use super::policy::HostPolicy;
use super::proxy::Proxies;
use super::response::{Body as ResponseBody, Response};
use super::retry::Retry;
use super::tls::{Tls, TlsError};
use super::url::{Origin, Scheme, Url};
use super::{Clock, Method, Secret};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http;

/// The most redirects that one request follows.
const MAX_REDIRECTS: usize = 5;
/// The longest headers of an answer, in bytes.
const MAX_HEADERS: usize = 64 << 10;
/// The connections that are kept for the next request: as many as blobs travel at once.
const CONNECTIONS: usize = 8;

/// What the site and the command say about connections.
#[derive(Clone)]
pub struct Settings {
    /// No connection is opened at all.
    pub offline: bool,
    /// The proxies.
    pub proxies: Proxies,
    /// Whom TLS trusts.
    pub tls: Tls,
    /// The same for single hosts, by `HOST[:PORT]`.
    pub tls_of: BTreeMap<String, Tls>,
    /// How long a peer may be silent.
    pub timeouts: Timeouts,
    /// How often is tried again.
    pub retry: Retry,
    /// Gives the time that has passed since some moment of this run, by a clock that never
    /// goes back.
    pub clock: Clock,
}

/// How long a peer may be silent before it counts as dead.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until it is connected, TLS and proxies included.
    pub connect: Duration,
    /// Until the first byte of an answer. Some registries hash a large blob only then.
    pub answer: Duration,
    /// Between two pieces of a body, in either direction.
    pub stall: Duration,
}

impl Timeouts {
    /// Takes one patience for everything; an answer may take twice as long.
    pub fn of(patience: Duration) -> Self {
        Self { connect: patience, answer: patience.saturating_mul(2), stall: patience }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::of(Duration::from_secs(30))
    }
}

/// Why no client can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SetupError {
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("TLS of `{0}`: {1}")]
    TlsOf(String, TlsError),
    #[error("`{0}` names no proxy that karat can use: `http://HOST:PORT` or `https://HOST:PORT`")]
    Proxy(&'static str),
}

/// Opens connections to the hosts of a policy. Cheap to clone: the connections that are kept
/// open are shared.
#[derive(Clone)]
pub struct Client {
    policy: HostPolicy,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    agents: Agents,
    of_hosts: BTreeMap<String, Agents>,
}

/// One agent for each way out.
struct Agents {
    direct: ureq::Agent,
    https: Option<ureq::Agent>,
    http: Option<ureq::Agent>,
}

/// What is asked of a server.
#[derive(Clone)]
pub struct Request<'a> {
    /// What to do.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers by their names.
    pub headers: Vec<(&'static str, String)>,
    /// The value of `Authorization`. It is sent to the origin of `url` and to no other.
    pub authorization: Option<&'a Secret>,
    /// The body.
    pub body: Body<'a>,
}

/// What is sent along.
#[derive(Clone, Copy, Default)]
pub enum Body<'a> {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(&'a [u8]),
    /// So many bytes of a source, which is opened anew for each try.
    Stream {
        /// Where the bytes are from.
        source: &'a dyn Source,
        /// How many of them are sent.
        size: u64,
    },
}

/// Bytes that can be read more than once.
pub trait Source: Sync {
    /// Starts with the first byte.
    ///
    /// # Errors
    /// When the bytes cannot be had.
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;
}

impl<'a> Request<'a> {
    /// Asks for what is at an address.
    pub fn get(url: Url) -> Self {
        Self::new(Method::Get, url)
    }

    /// Starts a request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), authorization: None, body: Body::Empty }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn authorized(mut self, authorization: Option<&'a Secret>) -> Self {
        self.authorization = authorization;
        self
    }

    /// Sends a body along.
    #[must_use]
    pub fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}

impl Client {
    /// Makes a client for the hosts of a policy. Opens no connection.
    ///
    /// # Errors
    /// When certificates, keys or proxies cannot be used.
    pub fn new(settings: Settings, policy: HostPolicy) -> Result<Self, SetupError> {
        let agents = Agents::new(&settings, &settings.tls)?;
        let mut of_hosts = BTreeMap::new();
        for (host, tls) in &settings.tls_of {
            let agents = Agents::new(&settings, tls).map_err(|error| match error {
                SetupError::Tls(error) => SetupError::TlsOf(host.clone(), error),
                other => other,
            })?;
            of_hosts.insert(host.clone(), agents);
        }
        Ok(Self { policy, shared: Arc::new(Shared { settings, agents, of_hosts }) })
    }

    /// Returns a client for other hosts that shares this one's connections.
    #[must_use]
    pub fn with_policy(&self, policy: HostPolicy) -> Self {
        Self { policy, shared: self.shared.clone() }
    }

    /// Returns the hosts that may be reached.
    pub fn policy(&self) -> &HostPolicy {
        &self.policy
    }

    /// Returns how often a request is sent again.
    pub fn retry(&self) -> Retry {
        self.shared.settings.retry
    }

    /// Says whether no connection may be opened.
    pub fn is_offline(&self) -> bool {
        self.shared.settings.offline
    }

    /// Sends a request once and returns whatever the server answers, redirects included.
    ///
    /// # Errors
    /// When it may not be sent, or there is no answer.
    pub fn once(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let failed = |fault| HttpError { method: request.method, url: request.url.clone(), fault };
        let settings = &self.shared.settings;
        self.policy
            .check(request.method, &request.url, request.authorization.is_some())
            .map_err(|refused| failed(refused.into()))?;
        if settings.offline {
            return Err(failed(Fault::Offline));
        }
        let origin = request.url.origin();
        let agents = self.shared.of_hosts.get(&origin.authority()).unwrap_or(&self.shared.agents);
        let agent = agents.of(origin, &settings.proxies);
        let mut builder =
            http::Request::builder().method(request.method.name()).uri(request.url.to_request());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(secret) = request.authorization {
            let mut value = http::HeaderValue::from_str(secret.expose()).map_err(|_| {
                failed(Fault::Unexpected("the credentials hold a byte that no header has".into()))
            })?;
            value.set_sensitive(true);
            builder = builder.header(http::header::AUTHORIZATION, value);
        }
        let built = |error: http::Error| failed(Fault::Unexpected(error.to_string()));
        let answered = match &request.body {
            Body::Empty if request.method.only_reads() || request.method == Method::Delete => {
                agent.run(builder.body(()).map_err(built)?)
            }
            Body::Empty => agent.run(builder.body(&[][..]).map_err(built)?),
            Body::Bytes(bytes) => agent.run(builder.body(*bytes).map_err(built)?),
            Body::Stream { source, size } => {
                let source = source.open();
                let source = source.map_err(|error| failed(Fault::Source(error)))?;
                let mut source = Watched { inner: source.take(*size), failed: None };
                let builder = builder.header(http::header::CONTENT_LENGTH, *size);
                let body = ureq::SendBody::from_reader(&mut source);
                let answered = agent.run(builder.body(body).map_err(built)?);
                if let Some(error) = source.failed {
                    return Err(failed(Fault::Source(error)));
                }
                answered
            }
        };
        let (parts, body) = answered.map_err(|error| failed(fault(error)))?.into_parts();
        Ok(Response {
            method: request.method,
            url: request.url.clone(),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: ResponseBody {
                inner: body.into_reader(),
                method: request.method,
                url: request.url.clone(),
                clock: settings.clock,
                patience: settings.timeouts.stall,
                waited: Duration::ZERO,
                seen: 0,
            },
        })
    }

    /// Sends a request, and sends it again when the connection breaks or the server asks for
    /// patience. Returns the last answer, whatever its status is.
    ///
    /// Only for requests that may arrive twice.
    ///
    /// # Errors
    /// As [`Client::once`].
    pub fn retried(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let mut number = 0;
        loop {
            let answered = self.once(request);
            let asked = match &answered {
                Ok(answer) if is_transient_status(answer.status) => answer.retry_after(),
                Err(error) if error.is_transient() => None,
                _ => return answered,
            };
            let Some(pause) = self.shared.settings.retry.pause(number, asked) else {
                return answered;
            };
            drop(answered);
            std::thread::sleep(pause);
            number += 1;
        }
    }

    /// Sends a request that only reads, and follows redirects: each address is held against
    /// the policy, TLS is never given up, and other origins get no `Authorization`.
    ///
    /// # Errors
    /// As [`Client::once`], and for redirects that are not followed.
    pub fn follow(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let mut request = request.clone();
        let asked = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.retried(&request)?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header("location");
            let location = location.ok_or_else(|| answer.error(Fault::NoLocation))?;
            let next =
                answer.url.join(location).map_err(|error| answer.error(Fault::Location(error)))?;
            if next.origin() != asked.origin() {
                request.authorization = None;
            }
            let refused =
                |error| answer.error(Fault::RefusedRedirect { place: next.to_string(), error });
            let to_plain =
                next.origin().scheme() == Scheme::Http && asked.origin().scheme() == Scheme::Https;
            if to_plain {
                return Err(refused(super::Refused::PlainHttp(next.origin().authority())));
            }
            let credentials = request.authorization.is_some();
            self.policy.check(request.method, &next, credentials).map_err(refused)?;
            request.url = next;
        }
        Err(HttpError {
            method: request.method,
            url: asked,
            fault: Fault::Redirects(MAX_REDIRECTS),
        })
    }

    /// Reads a whole document of at most `limit` bytes.
    ///
    /// # Errors
    /// When the answer is not `200`, is a web page, or is longer.
    pub fn document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, HttpError> {
        let mut number = 0;
        loop {
            let read = self
                .follow(&Request::get(url.clone()))
                .and_then(|answer| answer.expect(&[200]))
                .and_then(|answer| answer.bytes(limit));
            match read {
                // An answer that broke off; other faults have been tried again already.
                Err(error) if matches!(error.fault, Fault::Broken(_) | Fault::Slow(_)) => {
                    let Some(pause) = self.shared.settings.retry.pause(number, None) else {
                        return Err(error);
                    };
                    std::thread::sleep(pause);
                    number += 1;
                }
                other => return other,
            }
        }
    }
}

impl Agents {
    fn new(settings: &Settings, tls: &Tls) -> Result<Self, SetupError> {
        let tls = tls.config()?;
        let agent = |proxy: Option<ureq::Proxy>| {
            let timeouts = &settings.timeouts;
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("karat/", env!("CARGO_PKG_VERSION")))
                .accept(ureq::config::AutoHeaderValue::None)
                .accept_encoding(ureq::config::AutoHeaderValue::None)
                .max_response_header_size(MAX_HEADERS)
                .max_idle_connections(4 * CONNECTIONS)
                .max_idle_connections_per_host(CONNECTIONS)
                .timeout_resolve(Some(timeouts.connect))
                .timeout_connect(Some(timeouts.connect))
                .timeout_send_request(Some(timeouts.stall))
                .timeout_recv_response(Some(timeouts.answer))
                .timeout_per_read(Some(timeouts.answer.max(timeouts.stall)))
                .timeout_per_write(Some(timeouts.stall))
                .tls_config(tls.clone())
                .proxy(proxy)
                .build()
                .new_agent()
        };
        let through = |scheme, name: &'static str| {
            let Some(text) = settings.proxies.of(scheme) else { return Ok(None) };
            // SOCKS is not compiled in, and the crate would panic.
            let known = text
                .split_once("://")
                .is_none_or(|(kind, _)| matches!(&kind.to_ascii_lowercase()[..], "http" | "https"));
            let proxy = ureq::Proxy::new(text).ok().filter(|_| known);
            proxy.map(|proxy| Some(agent(Some(proxy)))).ok_or(SetupError::Proxy(name))
        };
        Ok(Self {
            direct: agent(None),
            https: through(Scheme::Https, "HTTPS_PROXY")?,
            http: through(Scheme::Http, "HTTP_PROXY")?,
        })
    }

    fn of(&self, origin: &Origin, proxies: &Proxies) -> &ureq::Agent {
        let through = match origin.scheme() {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        };
        match through {
            Some(agent) if proxies.is_for(origin) => agent,
            _ => &self.direct,
        }
    }
}

/// Reads what is sent, and keeps why it could not be read apart from what the connection does.
struct Watched<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
            other => other,
        }
    }
}

/// Says in our words what the crate reports.
pub(super) fn fault(error: ureq::Error) -> Fault {
    use ureq::{Error, Timeout};
    match error {
        Error::Timeout(phase) => Fault::Timeout(match phase {
            Timeout::Resolve => "resolving the host's name",
            Timeout::Connect => "connecting",
            Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "sending",
            Timeout::RecvResponse => "waiting for the answer",
            _ => "reading the answer",
        }),
        Error::HostNotFound => Fault::UnknownHost,
        Error::ConnectionFailed => Fault::Connect("the connection failed".to_owned()),
        Error::ConnectProxyFailed(said) => Fault::Connect(format!("the proxy says: {said}")),
        Error::Rustls(error) => Fault::Tls(error.to_string()),
        Error::Tls(error) => Fault::Tls(error.to_owned()),
        Error::Pem(_) => Fault::Tls("a certificate cannot be read".to_owned()),
        Error::Io(error) => of_io(&error),
        Error::Protocol(error) => Fault::Broken(format!("no HTTP comes back: {error}")),
        Error::LargeResponseHeader(..) => Fault::Unexpected("its headers are too long".to_owned()),
        other => Fault::Broken(other.to_string()),
    }
}

fn of_io(error: &io::Error) -> Fault {
    match error.kind() {
        // So rustls reports what is wrong with a certificate, through the reader of its stream.
        io::ErrorKind::InvalidData => Fault::Tls(error.to_string()),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Fault::Timeout("reading the answer"),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Fault::Connect(error.to_string()),
        io::ErrorKind::UnexpectedEof => Fault::Broken("it ended too early".to_owned()),
        _ => Fault::Broken(error.to_string()),
    }
}
