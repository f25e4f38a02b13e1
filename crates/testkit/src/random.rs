//! Numbers that a seed repeats, for fuzz targets, workloads and the moments of kills.
//!
//! `FUZZ_SEED` repeats the run of a fuzz target, `FUZZ_FACTOR` makes all of them longer (`cargo xtask soak fuzz`).

use std::time::{SystemTime, UNIX_EPOCH};

/// xorshift64*.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Random {
        // Never zero, and two seeds never the same.
        Random(seed << 1 | 1)
    }

    /// For a fuzz target: from `FUZZ_SEED`, else from the clock. The seed is printed with the target's name.
    pub fn of_target(name: &str) -> Random {
        let seed = setting("FUZZ_SEED").unwrap_or_else(fresh_seed);
        println!("{name}: FUZZ_SEED={seed}");
        Random::new(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }

    /// Below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    /// At least `low`, below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % high.saturating_sub(low).max(1)
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.number() as u8
    }
}

/// A seed that nobody chose.
pub fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 % 1_000_000_007
}

/// Rounds of a fuzz target: those of the short form times `FUZZ_FACTOR`.
pub fn fuzz_rounds(short: usize) -> usize {
    short * setting("FUZZ_FACTOR").unwrap_or(1) as usize
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
