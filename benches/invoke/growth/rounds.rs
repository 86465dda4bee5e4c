//! Rounds in which all sizes are measured in turn.

use super::curve::Sample;

/// How thorough the measurement is.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) is_quick: bool,
}

impl Scale {
    pub(super) fn rounds(self) -> usize {
        if self.is_quick { 3 } else { 7 }
    }

    /// The sizes to measure: in a quick run, those up to `quick`.
    pub(super) fn sizes(self, sizes: &[usize], quick: usize) -> Vec<usize> {
        let sizes = sizes.iter().copied();
        sizes
            .filter(|size| !self.is_quick || *size <= quick)
            .collect()
    }
}

/// Measures all subjects in turn, each in several ways, and returns for each way the medians of the rounds. The first
/// round is a warm-up.
pub(super) async fn alternate<S, const WAYS: usize>(
    subjects: &[S],
    rounds: usize,
    measure: impl AsyncFn(&S) -> [Sample; WAYS],
) -> [Vec<Sample>; WAYS] {
    let mut measured: Vec<Vec<[Sample; WAYS]>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (subject, samples) in subjects.iter().zip(&mut measured) {
            let sample = measure(subject).await;
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    std::array::from_fn(|way| {
        let of_subject = |samples: &Vec<[Sample; WAYS]>| {
            let rounds: Vec<Sample> = samples.iter().map(|round| round[way]).collect();
            Sample::median(&rounds)
        };
        measured.iter().map(of_subject).collect()
    })
}
