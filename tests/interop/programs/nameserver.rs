//! Answers DNS queries on 127.0.0.1:53 for one name, for the interop tests.

use std::io::Write as _;
use std::net::UdpSocket;

/// `karat.interop.test` as a question has it: each label after its length.
const NAME: &[u8] = b"\x05karat\x07interop\x04test\x00";
const A: u16 = 1;
const AAAA: u16 = 28;

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 53))?;
    println!("ready");
    std::io::stdout().flush()?;
    let mut packet = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut packet)?;
        if let Some(answer) = answer(&packet[..length]) {
            socket.send_to(&answer, peer)?;
        }
    }
}

/// RFC 1035, section 4.1: the header, the question, then the answer.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(12..name_end + 4)?;
    let name = &query[12..name_end];
    let kind = u16::from_be_bytes([query[name_end], query[name_end + 1]]);
    let known = name.eq_ignore_ascii_case(NAME);
    let address: &[u8] = match kind {
        A if known => &[192, 0, 2, 7],
        AAAA if known => &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        _ => &[],
    };
    let mut answer = query[..2].to_vec();
    // A response, recursion desired and available; name error for any other name.
    answer.extend([0x81, if known { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(!address.is_empty()), 0, 0, 0, 0]);
    answer.extend(question);
    if !address.is_empty() {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60, 0, address.len() as u8]);
        answer.extend(address);
    }
    Some(answer)
}
