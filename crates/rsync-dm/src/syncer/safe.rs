//! When rows are applied in safe mode: so that applying them twice does no harm (facts of DM, 3.4).

use std::time::{Duration, Instant};

use common::error::{DmError, dm_codes as code};
use mysql::Location;
use tracing::info;

use super::place::{Place, Spot};
use crate::config::SyncerConfig;

/// The state of safe mode.
#[derive(Debug, Clone)]
pub struct Safe {
    always: bool,
    until_place: Option<Place>,
    until_time: Option<Instant>,
}

impl Safe {
    /// What holds after a start at `start`, with the exit point that the checkpoint has.
    ///
    /// # Errors
    /// 36071: rows may have to be applied twice and the time for it is 0.
    pub fn at_start(config: &SyncerConfig, start: &Spot, exit: Option<&Location>) -> Result<Self, DmError> {
        let mut safe = Self { always: config.safe_mode, until_place: None, until_time: None };
        let exit = exit.map(|exit| Place::new(&exit.file, exit.pos));
        match exit {
            _ if safe.always => {}
            Some(exit) if exit == start.place => {}
            Some(_) if config.safe_mode_duration.is_zero() => {
                return Err(code::SYNCER_REPROCESS_WITH_SAFE_MODE_FAIL
                    .error("the exit point of safe mode is not the start and safe-mode-duration is 0"));
            }
            Some(exit) if exit > start.place => safe.until_place = Some(exit),
            _ if config.safe_mode_duration.is_zero() => {}
            _ => safe.until_time = Some(Instant::now() + config.safe_mode_duration),
        }
        if safe.is_on() {
            info!(until = ?safe.until_place, seconds = config.safe_mode_duration.as_secs(), always = safe.always, "enable safe-mode because of task initialization");
        }
        Ok(safe)
    }

    /// What holds after a start whose ledger is complete: only what was not over before.
    pub fn resumed(config: &SyncerConfig, until: Option<&(String, u64)>) -> Self {
        let mut safe = Self { always: config.safe_mode, until_place: None, until_time: None };
        match until {
            Some((file, pos)) if !file.is_empty() => safe.until_place = Some(Place::new(file, *pos)),
            Some(_) => {
                safe.until_time = Some(Instant::now() + config.safe_mode_duration.max(Duration::from_secs(1)))
            }
            None => {}
        }
        safe
    }

    /// Whether rows are applied in safe mode now.
    pub fn is_on(&self) -> bool {
        self.always || self.until_place.is_some() || self.until_time.is_some()
    }

    /// The reader has come to `end`. `true`: safe mode has just ended, a checkpoint is due.
    pub fn pass(&mut self, end: &Place) -> bool {
        let was = self.is_on();
        if self.until_place.as_ref().is_some_and(|until| end >= until) {
            self.until_place = None;
        }
        if self.until_time.is_some_and(|until| Instant::now() >= until) {
            self.until_time = None;
        }
        let over = was && !self.is_on();
        if over {
            info!(at = %end, "disable safe-mode after task initialization finished");
        }
        over
    }

    /// For the state: what has to be made up for after a restart.
    pub fn pending(&self) -> Option<(String, u64)> {
        match (&self.until_place, self.until_time) {
            (Some(place), _) => Some((place.file.to_string(), place.pos)),
            (None, Some(_)) => Some((String::new(), 0)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(seconds: u64) -> SyncerConfig {
        SyncerConfig {
            worker_count: 1,
            batch: 1,
            queue_size: 1,
            checkpoint_flush_interval: Duration::from_secs(30),
            compact: false,
            multiple_rows: false,
            safe_mode: false,
            safe_mode_duration: Duration::from_secs(seconds),
            async_flush: false,
        }
    }

    fn start() -> Spot {
        Spot { place: Place::new("b.000002", 100), gtid: None }
    }

    #[test]
    fn the_rules() {
        let at = |file: &str, pos| Location::new(file, pos);
        let safe =
            |seconds, exit: Option<Location>| Safe::at_start(&config(seconds), &start(), exit.as_ref());
        assert!(safe(60, None).unwrap().is_on());
        assert!(!safe(60, Some(at("b.000002", 100))).unwrap().is_on());
        assert!(!safe(0, Some(at("b.000002", 100))).unwrap().is_on());
        assert_eq!(safe(0, Some(at("b.000002", 200))).unwrap_err().code().code, 36071);
        let mut until = safe(60, Some(at("b.000003", 50))).unwrap();
        assert!(until.is_on() && !until.pass(&Place::new("b.000003", 49)));
        assert_eq!(until.pending(), Some(("b.000003".into(), 50)));
        assert!(until.pass(&Place::new("b.000003", 50)) && !until.is_on() && until.pending().is_none());
        let always = SyncerConfig { safe_mode: true, ..config(60) };
        assert!(Safe::at_start(&always, &start(), Some(&at("b.000002", 100))).unwrap().is_on());
        assert!(!Safe::resumed(&config(60), None).is_on());
        assert!(Safe::resumed(&config(60), Some(&(String::new(), 0))).is_on());
    }
}
