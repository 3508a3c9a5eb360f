//! A small HTTP server on loopback that answers as a test tells it to, faults included: it can
//! lie about lengths, cut, drip, hang, and write bytes that are no HTTP.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    /// By lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..])
    }

    /// The value of a pair of the query, unescaped as far as digests and repositories need it.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let value = query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    }
}

/// What the server answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What `Content-Length` says; by default the truth.
    pub(crate) says_length: Option<u64>,
    /// After so many bytes of the body the connection is closed.
    pub(crate) cut: Option<usize>,
    /// The pause after each single byte of the body.
    pub(crate) drip: Option<Duration>,
    /// Nothing is answered for so long, and then the connection is closed.
    pub(crate) hang: Option<Duration>,
    /// These bytes and nothing else are written.
    pub(crate) raw: Option<Vec<u8>>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;
/// Says after how many bytes of a request's body the connection is closed.
type Cutter = dyn Fn(&Asked) -> Option<usize> + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    cutter: Box<Cutter>,
    log: Mutex<Vec<Asked>>,
    stopped: AtomicBool,
    received: AtomicUsize,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_cutting(handler, |_| None)
    }

    pub(crate) fn start_cutting(
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        cutter: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            cutter: Box::new(cutter),
            log: Mutex::new(Vec::new()),
            stopped: AtomicBool::new(false),
            received: AtomicUsize::new(0),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if own.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, own.clone()) else { continue };
                std::thread::spawn(move || drop(converse(&stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// `HOST:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// What has been asked so far.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has been asked, as `METHOD PATH`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log().iter().map(|asked| format!("{} {}", asked.method, asked.path())).collect()
    }

    /// How many bytes of bodies have come in.
    pub(crate) fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }

    pub(crate) fn forget(&self) {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.received.store(0, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(mut asked) = head(&mut reader)? {
        let length = asked.header("content-length").and_then(|length| length.parse().ok());
        let cut = (shared.cutter)(&asked);
        let wanted: usize = length.unwrap_or(0);
        let taken = cut.unwrap_or(wanted).min(wanted);
        let mut body = vec![0; taken];
        reader.read_exact(&mut body)?;
        shared.received.fetch_add(taken, Ordering::SeqCst);
        asked.body = body;
        shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        if cut.is_some() {
            return stream.shutdown(Shutdown::Both);
        }
        let reply = (shared.handler)(&asked);
        if !answer(stream, &asked, &reply)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

fn head(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut asked = Asked {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => return Ok(Some(asked)),
        }
    }
}

/// Writes an answer; says whether the connection stays.
fn answer(mut stream: &TcpStream, asked: &Asked, reply: &Reply) -> io::Result<bool> {
    if let Some(pause) = reply.hang {
        std::thread::sleep(pause);
        return Ok(false);
    }
    if let Some(raw) = &reply.raw {
        stream.write_all(raw)?;
        return Ok(false);
    }
    let mut text = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = reply.says_length.unwrap_or(reply.body.len() as u64);
    text.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    let mut bytes = text.into_bytes();
    if asked.method == "HEAD" {
        stream.write_all(&bytes)?;
        return Ok(true);
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
    if let Some(pause) = reply.drip {
        stream.write_all(&bytes)?;
        for byte in body {
            stream.write_all(&[*byte])?;
            std::thread::sleep(pause);
        }
    } else {
        bytes.extend_from_slice(body);
        stream.write_all(&bytes)?;
    }
    Ok(reply.cut.is_none() && length == reply.body.len() as u64)
}
