//! The samples of the last hour of one service, or of the node.

use super::sample::Packed;

/// How many samples are kept: those of one hour.
pub(super) const SAMPLES: usize = 360;

/// A ring of samples. The place of one follows from the number of its interval.
#[derive(Debug)]
pub(super) struct Ring {
    samples: Box<[Packed; SAMPLES]>,
    /// The last interval in which anything happened.
    last_used: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            samples: Box::new([Packed::default(); SAMPLES]),
            last_used: 0,
        }
    }
}

impl Ring {
    /// Keeps the sample of an interval, in place of the one an hour before. Each interval has one.
    pub(super) fn put(&mut self, interval: u64, sample: Packed) {
        if !sample.is_empty() {
            self.last_used = interval;
        }
        if let Some(place) = self.samples.get_mut(place(interval)) {
            *place = sample;
        }
    }

    /// The sample of an interval, which is one of the last hour.
    pub(super) fn get(&self, interval: u64) -> Packed {
        self.samples
            .get(place(interval))
            .copied()
            .unwrap_or_default()
    }

    /// Whether nothing has happened in the hour before an interval.
    pub(super) fn is_unused(&self, interval: u64) -> bool {
        interval.saturating_sub(self.last_used) >= SAMPLES as u64
    }
}

fn place(interval: u64) -> usize {
    // Smaller than the number of samples.
    (interval % SAMPLES as u64) as usize
}
