//! The receive buffer: bytes in, whole messages out, without a copy.
//!
//! States: between messages (`Header`), and inside one (`Payload`). Owner: one connection. Invariants:
//! 1. `start <= end <= buffer.len()`; `start..end` was received and not lent yet.
//! 2. In `Payload` the message begins at `start`. A message of several packets is joined in place: the headers inside it
//!    are closed up as soon as they are seen, so that it is one slice at the end.
//! 3. A lent range stays valid until [`Receiver::spare`] is called: only that moves bytes.

use std::ops::Range;

use super::parse::{Malformed, Parsed};

/// The payload of a packet that is followed by another of the same message.
pub(crate) const FULL_PACKET: usize = 0xff_ffff;

const HEADER: usize = 4;

/// What one read asks the system for, and the memory of a connection with ordinary rows.
const BASE: usize = 256 * 1024;

/// No read is started with less room than this, so that a small rest at the end of the buffer does not make reads small.
const LEAST_READ: usize = 32 * 1024;

/// Servers send at most 1 GiB (the largest `max_allowed_packet`); events and rows may come with some bytes around it.
const LARGEST_MESSAGE: usize = (1 << 30) + (1 << 20);

/// Calls of `spare` without a large message after which the memory of a large one is given back.
const SHRINK_AFTER: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// `length`: of the packets whose headers were seen; `more`: the last of them was full.
    Payload {
        length: usize,
        more: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Receiver {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    state: State,
    sequence: u8,
    out_of_order: bool,
    calm: u32,
    total: u64,
    limit: usize,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Receiver {
            // The handshake needs little; the first large result grows it.
            buffer: vec![0; LEAST_READ],
            start: 0,
            end: 0,
            state: State::Header,
            sequence: 0,
            out_of_order: false,
            calm: 0,
            total: 0,
            limit: LARGEST_MESSAGE,
        }
    }

    /// The bytes of a range that [`next_message`](Self::next_message) gave.
    #[inline]
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        // The range came from this buffer, which never gets shorter before the next `spare`.
        self.buffer.get(range).unwrap_or_default()
    }

    /// Refuses messages longer than this; below one full packet (16 MiB) it has no effect.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.saturating_add(1 << 20).min(LARGEST_MESSAGE);
    }

    /// Bytes received so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The sequence number that the next packet must have.
    pub(crate) fn sequence(&self) -> u8 {
        self.sequence
    }

    pub(crate) fn set_sequence(&mut self, next: u8) {
        self.sequence = next;
    }

    /// Whether bytes are there that were not asked for, or are not read yet.
    pub(crate) fn has_rest(&self) -> bool {
        self.start != self.end || self.state != State::Header
    }

    /// The next whole message, if it is here. The range is for [`bytes`](Self::bytes).
    #[inline]
    pub(crate) fn next_message(&mut self) -> Parsed<Option<Range<usize>>> {
        // The common case in a few instructions: a whole packet of an ordinary message in order.
        if self.state == State::Header
            && let Some(&[a, b, c, sequence]) =
                self.buffer.get(self.start..self.end).and_then(<[u8]>::first_chunk)
        {
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let body = self.start + HEADER;
            if length < FULL_PACKET && sequence == self.sequence && length <= self.end - body {
                self.sequence = sequence.wrapping_add(1);
                self.start = body + length;
                return Ok(Some(body..self.start));
            }
        }
        self.next_message_slowly()
    }

    #[cold]
    fn next_message_slowly(&mut self) -> Parsed<Option<Range<usize>>> {
        loop {
            let here = self.end - self.start;
            match self.state {
                State::Header => {
                    if here < HEADER {
                        return Ok(None);
                    }
                    let length = self.header(self.start);
                    self.start += HEADER;
                    self.state = State::Payload { length, more: length == FULL_PACKET };
                }
                State::Payload { length, more: true } => {
                    if here < length + HEADER {
                        return Ok(None);
                    }
                    let at = self.start + length;
                    let next = self.header(at);
                    self.buffer.copy_within(at + HEADER..self.end, at);
                    self.end -= HEADER;
                    let length = length + next;
                    if length > self.limit {
                        return Err(Malformed("message (longer than max_allowed_packet)"));
                    }
                    self.state = State::Payload { length, more: next == FULL_PACKET };
                }
                State::Payload { length, more: false } => {
                    if here < length {
                        return Ok(None);
                    }
                    let range = self.start..self.start + length;
                    self.start = range.end;
                    self.state = State::Header;
                    // A server that ends a connection tells why with a number of its own.
                    if std::mem::take(&mut self.out_of_order) && self.buffer.get(range.start) != Some(&0xff) {
                        return Err(Malformed("sequence number of a packet"));
                    }
                    return Ok(Some(range));
                }
            }
        }
    }

    /// Reads the header at `at`, which is inside `start..end`.
    fn header(&mut self, at: usize) -> usize {
        let Some(&[a, b, c, sequence]) = self.buffer.get(at..).and_then(<[u8]>::first_chunk) else {
            return 0;
        };
        self.out_of_order |= sequence != self.sequence;
        self.sequence = sequence.wrapping_add(1);
        usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
    }

    /// Room for the next read, never empty. Moves what is here: lent ranges end.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        let here = self.end - self.start;
        let wanted = match self.state {
            State::Header => HEADER,
            State::Payload { length, more } => length + if more { HEADER } else { 0 },
        };
        let missing = wanted.saturating_sub(here).max(LEAST_READ);
        if here == 0 {
            self.start = 0;
            self.end = 0;
        }
        self.calm = if wanted > BASE { 0 } else { self.calm.saturating_add(1) };
        if self.buffer.len() > 4 * BASE && self.calm > SHRINK_AFTER && here + missing <= BASE {
            self.replace_buffer(here, BASE);
        }
        if self.buffer.len() - self.end < missing {
            self.make_room(here, missing);
        }
        &mut self.buffer[self.end..]
    }

    fn make_room(&mut self, here: usize, missing: usize) {
        let needed = here + missing;
        if self.buffer.len() < needed {
            // A message of many packets grows by half each time, so that its bytes are copied a bounded number of times.
            let length = if needed > FULL_PACKET { needed + needed / 2 } else { needed.max(BASE) };
            self.replace_buffer(here, length);
        } else {
            self.buffer.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = here;
        }
    }

    /// Moves what is here to the beginning of a new buffer, which is long enough.
    fn replace_buffer(&mut self, here: usize, length: usize) {
        let mut buffer = vec![0; length];
        buffer[..here].copy_from_slice(&self.buffer[self.start..self.end]);
        self.buffer = buffer;
        self.start = 0;
        self.end = here;
    }

    /// Grows the buffer for a result with many rows.
    pub(crate) fn expect_much(&mut self) {
        if self.buffer.len() < BASE {
            let here = self.end - self.start;
            self.make_room(here, BASE.saturating_sub(here));
        }
    }

    /// Says that `count` bytes were put into the room that [`spare`](Self::spare) gave.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
        self.total += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames payloads as a server does, starting with sequence number 0.
    pub(crate) fn frame(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sequence = 0u8;
        for payload in payloads {
            let mut rest = payload.as_slice();
            loop {
                let (head, tail) = rest.split_at(rest.len().min(FULL_PACKET));
                out.extend_from_slice(&(head.len() as u32).to_le_bytes()[..3]);
                out.push(sequence);
                sequence = sequence.wrapping_add(1);
                out.extend_from_slice(head);
                rest = tail;
                if head.len() < FULL_PACKET {
                    break;
                }
            }
        }
        out
    }

    fn receive_all(bytes: &[u8], step: usize) -> Parsed<Vec<Vec<u8>>> {
        let mut receiver = Receiver::new();
        let mut messages = Vec::new();
        for piece in bytes.chunks(step) {
            let mut piece = piece;
            while !piece.is_empty() {
                let room = receiver.spare();
                let count = room.len().min(piece.len());
                room[..count].copy_from_slice(&piece[..count]);
                receiver.filled(count);
                piece = &piece[count..];
                while let Some(range) = receiver.next_message()? {
                    messages.push(receiver.bytes(range).to_vec());
                }
            }
        }
        assert_eq!(receiver.total(), bytes.len() as u64);
        assert!(!receiver.has_rest());
        Ok(messages)
    }

    fn pattern(length: usize, seed: u8) -> Vec<u8> {
        (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let payloads: Vec<Vec<u8>> =
            [0, 1, 5, 300, 70_000, 0, 40_000].iter().map(|length| pattern(*length, 3)).collect();
        let bytes = frame(&payloads);
        for step in [1, 3, 4, 5, 1000, 32 * 1024, 1 << 20] {
            assert_eq!(receive_all(&bytes, step).unwrap(), payloads, "step {step}");
        }
    }

    #[test]
    fn split_messages_are_joined() {
        for length in [FULL_PACKET - 1, FULL_PACKET, FULL_PACKET + 1, 2 * FULL_PACKET, 2 * FULL_PACKET + 77] {
            let payloads = vec![pattern(10, 1), pattern(length, 2), pattern(20, 3)];
            let bytes = frame(&payloads);
            for step in [100_003, 1 << 18, bytes.len()] {
                assert!(receive_all(&bytes, step).unwrap() == payloads, "length {length} step {step}");
            }
        }
    }

    #[test]
    fn memory_of_a_large_message_is_given_back() {
        let mut payloads = vec![pattern(20 << 20, 1)];
        payloads.extend((0..300).map(|i| pattern(30_000, i as u8)));
        let mut receiver = Receiver::new();
        let bytes = frame(&payloads);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let room = receiver.spare();
            let count = room.len().min(rest.len()).min(30_004);
            room[..count].copy_from_slice(&rest[..count]);
            receiver.filled(count);
            rest = &rest[count..];
            while receiver.next_message().unwrap().is_some() {}
        }
        assert!(receiver.buffer.len() <= 4 * BASE, "{}", receiver.buffer.len());
    }

    #[test]
    fn packets_out_of_order_are_refused_but_for_errors() {
        let mut bytes = frame(&[vec![1, 2, 3]]);
        bytes[3] = 9;
        assert!(receive_all(&bytes, 100).is_err());
        let mut bytes = frame(&[vec![0xff, 2, 3]]);
        bytes[3] = 9;
        assert!(receive_all(&bytes, 100).is_ok());
    }

    #[test]
    fn a_message_without_end_is_refused_before_it_takes_the_memory() {
        let mut receiver = Receiver::new();
        receiver.set_limit(60 << 20);
        let packet = frame(&[vec![7; FULL_PACKET]]);
        let packet = &packet[..FULL_PACKET + HEADER];
        let mut refused = false;
        'all: for _ in 0..5 {
            let mut rest = packet;
            while !rest.is_empty() {
                let room = receiver.spare();
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                receiver.filled(count);
                rest = &rest[count..];
                receiver.out_of_order = false;
                if receiver.next_message().is_err() {
                    refused = true;
                    break 'all;
                }
            }
        }
        assert!(refused);
    }
}
