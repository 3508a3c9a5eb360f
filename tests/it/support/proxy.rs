//! A proxy that notes where its clients want to go, and brings them all to one place.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A proxy that knows `CONNECT` alone.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts a proxy from which everything goes to `HOST:PORT`.
    pub(crate) fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let own = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (to, seen) = (to.clone(), own.clone());
                std::thread::spawn(move || drop(pass(stream, &to, &seen)));
            }
        });
        Self { address, seen }
    }

    /// Where clients wanted to go, as `HOST:PORT`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn pass(mut client: TcpStream, to: &str, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let place = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(place.unwrap_or(&first).to_owned());
    let mut server = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut up, mut down) = (server.try_clone()?, client.try_clone()?);
    let upwards = std::thread::spawn(move || {
        let _ = io::copy(&mut reader, &mut up);
        let _ = up.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut server, &mut down);
    let _ = down.shutdown(Shutdown::Both);
    let _ = upwards.join();
    Ok(())
}
