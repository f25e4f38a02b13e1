//! Free ports on 127.0.0.1.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Ports are taken below the range from which Linux gives source ports to outgoing connections (32768 and up), so
/// that a stopped server finds its port free when it starts again.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port that nobody listens on now and that this process has not handed out before. Another process may take it
/// first: whoever binds it must be ready to ask again.
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let taken = taken.get_or_insert_with(HashSet::new);
    let mut candidate = seed();
    for _ in 0..20_000 {
        candidate = candidate.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let span = u64::from(RANGE.end - RANGE.start);
        let port = (u64::from(RANGE.start) + (candidate >> 33) % span) as u16;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return port;
        }
    }
    panic!("no free port between {} and {} on 127.0.0.1", RANGE.start, RANGE.end);
}

/// Differs between processes and between calls; quality does not matter.
fn seed() -> u64 {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    now ^ (u64::from(std::process::id()) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_outside_the_ephemeral_range() {
        let ports: HashSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
        assert!(ports.iter().all(|port| RANGE.contains(&u32::from(*port))));
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        // Another process may have been quicker with one of them.
        let listeners: Vec<_> =
            (0..50).filter_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).ok()).collect();
        assert!(listeners.len() > 25);
        let used: HashSet<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        assert!((0..200).all(|_| !used.contains(&free_port())));
    }
}
