//! MariaDB's UUID, INET6 and INET4: rows hold their bytes in network order without the zeros at the end, clients see text
//! (measured on 10.11.19).

use std::io::Write as _;
use std::net::Ipv4Addr;

use crate::error::Fault;

/// A type whose values clients see as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// `11223344-5566-1788-99aa-bbccddeeff00`
    Uuid,
    /// `2001:db8::1`
    Inet6,
    /// `1.2.3.4`
    Inet4,
}

impl Address {
    /// Appends the text as the server writes it, without quotes.
    ///
    /// # Errors
    /// More bytes than the type has.
    pub fn write(self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
        let mut whole = [0; 16];
        let width = if self == Address::Inet4 { 4 } else { 16 };
        if bytes.len() > width {
            return Err(Fault::invalid("length of an address", bytes.len()));
        }
        whole[..bytes.len()].copy_from_slice(bytes);
        match self {
            Address::Uuid => {
                for (at, byte) in whole.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        out.push(b'-');
                    }
                    // Writing to memory does not fail.
                    let _ = write!(out, "{byte:02x}");
                }
            }
            Address::Inet4 => write_inet4(out, &whole[..4]),
            Address::Inet6 => write_inet6(out, &whole),
        }
        Ok(())
    }
}

fn write_inet4(out: &mut Vec<u8>, bytes: &[u8]) {
    if let [a, b, c, d] = *bytes {
        let _ = write!(out, "{}", Ipv4Addr::new(a, b, c, d));
    }
}

/// The longest run of zeros is left out, the first of those, also if it is a single one; addresses that hold one of IPv4 end in it.
fn write_inet6(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    let (words, _) = bytes.as_chunks::<2>();
    let words: [u16; 8] = std::array::from_fn(|at| words.get(at).map_or(0, |word| u16::from_be_bytes(*word)));
    let holds_ipv4 = words[..5] == [0; 5] && (words[5] == 0xffff || (words[5] == 0 && words[6] != 0));
    let count = if holds_ipv4 { 6 } else { 8 };
    let (mut gap, mut run) = (0..0, 0..0);
    for (at, word) in words[..count].iter().enumerate() {
        run = if *word == 0 { run.start..at + 1 } else { at + 1..at + 1 };
        if run.len() > gap.len() {
            gap = run.clone();
        }
    }
    let mut at = 0;
    while at < count {
        if at == gap.start && !gap.is_empty() {
            out.extend_from_slice(b"::");
            at = gap.end;
            continue;
        }
        if at > 0 && at != gap.end {
            out.push(b':');
        }
        let _ = write!(out, "{:x}", words[at]);
        at += 1;
    }
    if holds_ipv4 {
        if gap.end != count {
            out.push(b':');
        }
        write_inet4(out, &bytes[12..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: Address, hex: &str) -> String {
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
        let mut out = Vec::new();
        address.write(&mut out, &bytes).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What MariaDB 10.11.19 shows of these bytes.
    #[test]
    fn texts_of_the_server() {
        for (hex, shown) in [
            ("20010db8000000000000000000000001", "2001:db8::1"),
            ("", "::"),
            ("00000000000000000000ffff01020304", "::ffff:1.2.3.4"),
            ("00000000000000000000ffff", "::ffff:0.0.0.0"),
            ("00010000000000020000000000000003", "1:0:0:2::3"),
            ("00010002000300040005000600070008", "1:2:3:4:5:6:7:8"),
            ("00000000000000000000000001020304", "::1.2.3.4"),
            ("00000000000000000000000000000001", "::1"),
            ("0001", "1::"),
            ("000100020003000400050006", "1:2:3:4:5:6::"),
            ("0000000000000000ffff000001020304", "::ffff:0:102:304"),
            ("00000001000000000000000000000001", "0:1::1"),
            ("0064ff9b000000000000000001020304", "64:ff9b::102:304"),
            ("00000000000000000000000000000002", "::2"),
            ("0000000000000000000000000001", "::0.1.0.0"),
            ("0000000000000000000000000000ffff", "::ffff"),
            ("00010000000200030004000500060007", "1::2:3:4:5:6:7"),
            ("00000000000100020003000400050006", "::1:2:3:4:5:6"),
            ("00010000000000020003000000000004", "1::2:3:0:0:4"),
            ("00000001000200030004000500060007", "::1:2:3:4:5:6:7"),
            ("0001000200030004000500060007", "1:2:3:4:5:6:7::"),
            ("00010000000200000000000300040005", "1:0:2::3:4:5"),
            ("000100000000000000000008", "1::8:0:0"),
            ("00000000000000000000fffe00010002", "::fffe:1:2"),
            ("00000000000000000001", "::1:0:0:0"),
        ] {
            assert_eq!(text(Address::Inet6, hex), shown, "{hex}");
        }
        assert_eq!(text(Address::Inet4, "0a0020"), "10.0.32.0");
        assert_eq!(
            text(Address::Uuid, "112233445566178899aabbccddeeff"),
            "11223344-5566-1788-99aa-bbccddeeff00"
        );
        assert!(Address::Inet4.write(&mut Vec::new(), &[0; 5]).is_err());
    }
}
