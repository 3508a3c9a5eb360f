//! Compresses layers to gzip with bytes that depend on the input alone.
//!
//! The input is cut into blocks of [`BLOCK`] bytes and every block becomes one
//! complete gzip member (RFC 1952, section 2.2: a file is a series of members),
//! compressed in one shot. Neither the caller's write sizes nor the number of
//! threads can therefore change a byte. The header is minimal: no name, time 0,
//! operating system 255 (unknown). Why this encoder: docs/adr/0002-gzip-encoder.md.
//!
//! Input: tar bytes. Output: gzip bytes in the inner writer.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use libdeflater::{CompressionLvl, Compressor};

/// Identifies everything beside the input that decides the compressed bytes.
///
/// Any change of library version, level or block size must change this text:
/// it keys caches and is recorded in provenance.
pub const ENCODER_ID: &str = "libdeflate-1.26/level-1/block-512KiB";

/// Uncompressed bytes per gzip member.
pub const BLOCK: usize = 512 * 1024;

const LEVEL: i32 = 1;

/// Blocks in flight per worker: one being compressed, one ready to start.
const BLOCKS_PER_WORKER: usize = 2;

/// Compresses what is written to it and passes gzip members to `W`, in order.
///
/// Memory is at most `2 * threads + 1` blocks and their compressed forms.
/// [`Write::flush`] flushes the inner writer only; it never ends a block.
/// Dropping an encoder without [`Encoder::finish`] joins its threads and leaves
/// the inner writer without the blocks that had not been written yet.
#[derive(Debug)]
pub struct Encoder<W: Write> {
    inner: W,
    threads: usize,
    block: Block,
    spare: Vec<Block>,
    local: Option<BlockCompressor>,
    pool: Option<Pool>,
    members: u64,
    failed: bool,
}

impl<W: Write> Encoder<W> {
    /// Creates an encoder that compresses on up to `threads` worker threads.
    ///
    /// With one thread everything runs on the caller's. Workers start when full
    /// blocks arrive, so input below one block never starts any.
    pub fn new(inner: W, threads: NonZeroUsize) -> Self {
        Self {
            inner,
            threads: threads.get(),
            block: Block::default(),
            spare: Vec::new(),
            local: None,
            pool: None,
            members: 0,
            failed: false,
        }
    }

    /// Compresses the last block, writes all that is outstanding, returns `W`.
    ///
    /// Empty input gives one empty member, because zero bytes are no gzip file.
    /// `W` is not flushed.
    ///
    /// # Errors
    ///
    /// Errors of `W`, of a worker thread, or [`io::ErrorKind::BrokenPipe`] after
    /// an earlier failed write.
    pub fn finish(mut self) -> io::Result<W> {
        self.refuse_after_failure()?;
        if !self.block.plain.is_empty() || self.members == 0 {
            self.end_block()?;
        }
        while let Some(block) = self.pool.as_mut().and_then(Pool::next_done) {
            self.inner.write_all(block?.packed())?;
        }
        Ok(self.inner)
    }

    fn refuse_after_failure(&self) -> io::Result<()> {
        if self.failed {
            let message = "gzip encoder has already failed";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.members += 1;
        let full = self.block.plain.len() == BLOCK;
        if self.threads == 1 || (self.pool.is_none() && !full) {
            let local = self.local.get_or_insert_with(BlockCompressor::new);
            local.compress(&mut self.block)?;
            self.inner.write_all(self.block.packed())?;
            self.block.plain.clear();
            return Ok(());
        }
        let pool = self.pool.get_or_insert_with(|| Pool::new(self.threads));
        if pool.pending.len() >= self.threads * BLOCKS_PER_WORKER
            && let Some(done) = pool.next_done()
        {
            let mut done = done?;
            self.inner.write_all(done.packed())?;
            done.plain.clear();
            self.spare.push(done);
        }
        let next = self.spare.pop().unwrap_or_default();
        pool.submit(std::mem::replace(&mut self.block, next))
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.refuse_after_failure()?;
        self.block.plain.reserve_exact(BLOCK - self.block.plain.len());
        let taken = buf.len().min(BLOCK - self.block.plain.len());
        self.block.plain.extend_from_slice(&buf[..taken]);
        if self.block.plain.len() == BLOCK
            && let Err(error) = self.end_block()
        {
            self.failed = true;
            return Err(error);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// One block and its gzip member; the buffers are reused.
#[derive(Debug, Default)]
struct Block {
    plain: Vec<u8>,
    buffer: Vec<u8>,
    packed_len: usize,
}

impl Block {
    fn packed(&self) -> &[u8] {
        &self.buffer[..self.packed_len]
    }
}

struct BlockCompressor(Compressor);

impl std::fmt::Debug for BlockCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockCompressor")
    }
}

impl BlockCompressor {
    fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self(Compressor::new(level))
    }

    fn compress(&mut self, block: &mut Block) -> io::Result<()> {
        let bound = self.0.gzip_compress_bound(block.plain.len());
        if block.buffer.len() < bound {
            block.buffer.resize(bound, 0);
        }
        block.packed_len = self
            .0
            .gzip_compress(&block.plain, &mut block.buffer)
            .map_err(|error| io::Error::other(format!("compress gzip block: {error}")))?;
        Ok(())
    }
}

struct Job {
    block: Block,
    reply: SyncSender<io::Result<Block>>,
}

/// Worker threads that share one queue; answers are taken in order of submission.
#[derive(Debug)]
struct Pool {
    threads: usize,
    jobs: Option<SyncSender<Job>>,
    queue: Arc<Mutex<Receiver<Job>>>,
    workers: Vec<JoinHandle<()>>,
    pending: VecDeque<Receiver<io::Result<Block>>>,
}

impl Pool {
    fn new(threads: usize) -> Self {
        // The encoder keeps at most this many jobs pending, so sending never blocks.
        let (jobs, queue) = sync_channel(threads * BLOCKS_PER_WORKER);
        Self {
            threads,
            jobs: Some(jobs),
            queue: Arc::new(Mutex::new(queue)),
            workers: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    fn submit(&mut self, block: Block) -> io::Result<()> {
        if self.workers.len() < self.threads {
            let queue = Arc::clone(&self.queue);
            let named = thread::Builder::new().name("gzip".to_owned());
            self.workers.push(named.spawn(move || work(&queue))?);
        }
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { block, reply }).is_ok());
        if !sent {
            return Err(worker_lost());
        }
        self.pending.push_back(answer);
        Ok(())
    }

    fn next_done(&mut self) -> Option<io::Result<Block>> {
        let answer = self.pending.pop_front()?;
        Some(answer.recv().unwrap_or_else(|_| Err(worker_lost())))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Closing the queue is what ends the workers; replies have a slot each,
        // so no worker can wait for an encoder that is gone.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panicked worker was already reported as a lost answer.
            drop(worker.join());
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut compressor = BlockCompressor::new();
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(Job { mut block, reply }) = job else {
            return;
        };
        let result = compressor.compress(&mut block).map(|()| block);
        // The encoder may have been dropped; then nobody wants the answer.
        drop(reply.send(result));
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("gzip worker thread stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};
    use std::io::Read;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// Bytes that look a little like a program: repetitive, with noise.
    fn sample(length: usize) -> Vec<u8> {
        let mut state: u32 = 1;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let word = (state >> 24).to_le_bytes()[0];
            bytes.extend_from_slice(&[word & 0x3f, 0x48, 0x8b, word >> 6, 0x00, 0xe8]);
        }
        bytes.truncate(length);
        bytes
    }

    fn encode(input: &[u8], workers: usize, chunk: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), threads(workers));
        for chunk in input.chunks(chunk) {
            encoder.write_all(chunk).unwrap();
        }
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    fn members(bytes: &[u8]) -> usize {
        let mut rest = bytes;
        let mut count = 0;
        while !rest.is_empty() {
            let mut decoder = flate2::bufread::GzDecoder::new(rest);
            io::copy(&mut decoder, &mut io::sink()).unwrap();
            rest = decoder.into_inner();
            count += 1;
        }
        count
    }

    /// Pinned to catch encoder drift: a change here changes every layer digest,
    /// so it needs a new [`ENCODER_ID`] and an entry in the changelog.
    #[test]
    fn golden_digest() {
        let packed = encode(&sample(2 * BLOCK + 12_345), 2, 7777);
        let digest: String =
            Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (ENCODER_ID, digest.as_str()),
            (
                "libdeflate-1.26/level-1/block-512KiB",
                "86e8ca058566510a5f49dbdb0d5ca6e35387e9b0a9dbb65c5142023d8146885e"
            )
        );
    }

    #[test]
    fn header_is_minimal() {
        // RFC 1952, section 2.3: magic, deflate, no flags, no time, fastest, unknown system.
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
        for input in [&b""[..], b"x"] {
            assert_eq!(encode(input, 1, 1)[..10], header);
        }
    }

    #[test]
    fn empty_input_is_one_empty_member() {
        for workers in [1, 2] {
            let packed = encode(b"", workers, 1);
            assert_eq!(members(&packed), 1);
            assert_eq!(decode(&packed), b"");
        }
    }

    #[test]
    fn members_are_counted_by_full_blocks() {
        for (length, count) in [(1, 1), (BLOCK - 1, 1), (BLOCK, 1), (BLOCK + 1, 2), (3 * BLOCK, 3)]
        {
            for workers in [1, 3] {
                let packed = encode(&sample(length), workers, 100_000);
                assert_eq!(members(&packed), count, "{length} bytes, {workers} threads");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bytes_depend_on_the_input_alone(length in 0..5 * BLOCK, chunk in 1..3 * BLOCK) {
            let input = sample(length);
            let expected = encode(&input, 1, input.len().max(1));
            prop_assert_eq!(&decode(&expected), &input);
            for workers in [1, 2, 3, 5] {
                prop_assert!(encode(&input, workers, chunk) == expected, "{} threads", workers);
            }
        }

        #[test]
        fn arbitrary_bytes_round_trip(input in proptest::collection::vec(any::<u8>(), 0..5000), chunk in 1..600usize) {
            prop_assert_eq!(decode(&encode(&input, 2, chunk)), input);
        }
    }

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn errors_of_the_inner_writer_come_back_and_stay() {
        for workers in [1, 3] {
            let mut encoder = Encoder::new(Full(1000), threads(workers));
            let error = io::copy(&mut &sample(12 * BLOCK)[..], &mut encoder).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(encoder.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert!(encoder.finish().is_err());
            let mut encoder = Encoder::new(Full(1000), threads(workers));
            encoder.write_all(&sample(BLOCK + 1)).ok();
            assert!(encoder.finish().is_err());
        }
    }

    #[test]
    fn dropping_an_unfinished_encoder_ends() {
        for length in [0, 10, BLOCK, 9 * BLOCK] {
            let mut encoder = Encoder::new(io::sink(), threads(4));
            encoder.write_all(&sample(length)).unwrap();
            drop(encoder);
        }
    }

    #[test]
    fn lost_worker_is_an_error() {
        let mut pool = Pool::new(1);
        let (reply, answer) = sync_channel(1);
        drop(reply);
        pool.pending.push_back(answer);
        assert!(matches!(pool.next_done(), Some(Err(_))));
    }

    #[test]
    fn flush_does_not_change_the_bytes() {
        let input = sample(1000);
        let mut encoder = Encoder::new(Vec::new(), threads(2));
        for chunk in input.chunks(10) {
            encoder.write_all(chunk).unwrap();
            encoder.flush().unwrap();
        }
        assert_eq!(encoder.finish().unwrap(), encode(&input, 1, 1000));
    }
}
