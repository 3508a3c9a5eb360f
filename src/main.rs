//! karat.
fn main() {}
