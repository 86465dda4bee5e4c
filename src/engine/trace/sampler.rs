//! Which of the traces that begin here are recorded.

/// Records a share of all traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampler {
    /// Traces whose number is below it are recorded.
    below: u64,
}

/// One more than the largest number of a trace.
const NUMBERS: f64 = (1_u64 << 63) as f64;

impl Sampler {
    /// Records a share from 0 to 1.
    pub(super) fn new(share: f64) -> Self {
        Self {
            below: (share.clamp(0.0, 1.0) * NUMBERS) as u64,
        }
    }

    /// The ID of a new trace; `None` where it is not recorded. Other samplers of the same share decide as this one does
    /// for the same ID: the number of a trace is in the last 8 bytes.
    pub(super) fn begin(self) -> Option<u128> {
        let low = fastrand::u64(..);
        if low >> 1 >= self.below {
            return None;
        }
        // Never 0, however small the number is.
        let high = fastrand::u64(1..);
        Some((u128::from(high) << 64) | u128::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(share: f64) -> usize {
        let sampler = Sampler::new(share);
        (0..10_000).filter_map(|_| sampler.begin()).count()
    }

    #[test]
    fn all_traces_are_recorded_or_none_or_a_share() {
        assert_eq!(recorded(1.0), 10_000);
        assert_eq!(recorded(0.0), 0);
        // 25 standard deviations are 1 000.
        let half = recorded(0.5);
        assert!((4_000..6_000).contains(&half), "{half}");
    }

    #[test]
    fn a_share_outside_of_the_range_is_the_nearest_one() {
        assert_eq!(Sampler::new(7.0), Sampler::new(1.0));
        assert_eq!(Sampler::new(-1.0), Sampler::new(0.0));
        assert_eq!(Sampler::new(f64::NAN).below, 0);
    }
}
