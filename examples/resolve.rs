//! Prints the addresses of a host name, to show that a static binary made with this
//! project's flags resolves names inside an image that has no C library.

use std::net::ToSocketAddrs;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("usage: resolve NAME");
        return ExitCode::from(2);
    };
    match (name.as_str(), 0).to_socket_addrs() {
        Ok(addresses) => {
            for address in addresses {
                println!("{}", address.ip());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
