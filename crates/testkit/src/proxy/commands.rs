//! Finds the text commands in what a MySQL client sends.

/// Commands longer than this are not looked at: a test holds back a COMMIT, not a batch of rows.
const LONGEST: usize = 4096;
const HEADER: usize = 4;
const COM_QUERY: u8 = 3;
const CLIENT_SSL: u32 = 0x800;

/// A piece of the client's stream, in order and without gaps.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to pass on.
    Bytes(Vec<u8>),
    /// A whole short COM_QUERY packet with its text.
    Query {
        /// The packet with its header.
        packet: Vec<u8>,
        /// The statement.
        text: String,
    },
}

/// Cuts a client's stream into pieces.
#[derive(Debug, Default)]
pub struct Commands {
    /// Bytes of a packet of which the kind is not known yet, or of a short command that is not complete.
    pending: Vec<u8>,
    /// Bytes of the present packet that pass without a look.
    pass: usize,
    packets: u64,
    encrypted: bool,
}

impl Commands {
    /// Takes the next bytes and returns the pieces that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        if self.encrypted {
            return vec![Piece::Bytes(bytes.to_vec())];
        }
        self.pending.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.next(&mut pieces) {}
        pieces
    }

    fn next(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.encrypted || self.pass > 0 {
            let take = if self.encrypted { self.pending.len() } else { self.pass.min(self.pending.len()) };
            if take == 0 {
                return false;
            }
            self.pass = self.pass.saturating_sub(take);
            pieces.push(Piece::Bytes(self.pending.drain(..take).collect()));
            return true;
        }
        if self.pending.len() < HEADER + 1 {
            // An empty packet (the end of a 16 MB one, or an empty password) has no first byte to wait for.
            if self.pending.len() == HEADER && self.pending[..3] == [0, 0, 0] {
                self.begin_pass(HEADER);
                return true;
            }
            return false;
        }
        let length = u32::from_le_bytes([self.pending[0], self.pending[1], self.pending[2], 0]) as usize;
        let (sequence, first) = (self.pending[3], self.pending[4]);
        let short_query = self.packets > 0 && sequence == 0 && first == COM_QUERY && length <= LONGEST;
        let first_packet = self.packets == 0;
        if !(short_query || first_packet) || length == 0 {
            self.begin_pass(HEADER + length);
            return true;
        }
        if self.pending.len() < HEADER + length {
            return false;
        }
        self.packets += 1;
        let packet: Vec<u8> = self.pending.drain(..HEADER + length).collect();
        if first_packet {
            // The first packet answers the greeting; with the TLS bit set only encrypted bytes follow.
            let flags = packet.get(4..8).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            self.encrypted = flags & CLIENT_SSL != 0 && length == 32;
            pieces.push(Piece::Bytes(packet));
        } else {
            // Query attributes (8.0.23 and later) put two bytes before the text when there are none.
            let body = packet[HEADER + 1..].strip_prefix(&[0, 1]).unwrap_or(&packet[HEADER + 1..]);
            let text = String::from_utf8_lossy(body).trim().to_owned();
            pieces.push(Piece::Query { packet, text });
        }
        true
    }

    fn begin_pass(&mut self, bytes: usize) {
        self.packets += 1;
        self.pass = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        bytes.push(sequence);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn stream() -> Vec<u8> {
        let login = packet(1, &[0x85, 0xa2, 0, 0, 1, 2, 3]);
        let insert = packet(0, &[b"\x03INSERT ".as_slice(), &[b'x'; 9000]].concat());
        [
            login,
            packet(0, b"\x03BEGIN"),
            insert,
            packet(3, b""),
            packet(0, b"\x03 commit "),
            packet(0, b"\x01"),
        ]
        .concat()
    }

    #[test]
    fn queries_are_found_at_any_split_and_no_byte_is_lost() {
        let stream = stream();
        for step in [1, 2, 3, 7, 1000, stream.len()] {
            let mut commands = Commands::default();
            let mut passed = Vec::new();
            let mut texts = Vec::new();
            for chunk in stream.chunks(step) {
                for piece in commands.push(chunk) {
                    match piece {
                        Piece::Bytes(bytes) => passed.extend(bytes),
                        Piece::Query { packet, text } => {
                            passed.extend(packet);
                            texts.push(text);
                        }
                    }
                }
            }
            assert_eq!(texts, ["BEGIN", "commit"], "step {step}");
            assert_eq!(passed, stream, "step {step}");
        }
    }

    #[test]
    fn after_a_request_for_tls_everything_passes() {
        let mut request = vec![0u8; 32];
        request[1] = 0x08;
        let mut commands = Commands::default();
        commands.push(&packet(1, &request));
        assert_eq!(commands.push(&packet(0, b"\x03COMMIT")), vec![Piece::Bytes(packet(0, b"\x03COMMIT"))]);
    }
}
