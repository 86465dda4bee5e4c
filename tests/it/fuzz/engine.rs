//! The engine of the fuzz targets: mutations of seeds, for a while. The unit tests of the library use it, too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::time::Instant;

/// How long a target runs.
pub(crate) fn duration() -> Duration {
    let seconds = std::env::var("CIDERY_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0.3);
    Duration::from_secs_f64(seconds)
}

/// The inputs are the same in each run unless another seed is set, so that failures are reproducible.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("CIDERY_FUZZ_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    seed.unwrap_or(24_337)
}

/// Runs a target over mutations of seeds.
pub(crate) fn fuzz(name: &str, seeds: &[&[u8]], target: impl Fn(&[u8])) {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let until = Instant::now() + duration();
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let mut runs = 0_u64;
    let check = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
            panic!(
                "{name} failed on {input:?}, seed {seed}: {:?}",
                String::from_utf8_lossy(input)
            );
        }
    };
    pool.iter().for_each(|input| check(input));
    while Instant::now() < until {
        let mut input = random.choice(&pool).cloned().unwrap_or_default();
        for _ in 0..random.usize(1..6) {
            mutate(&mut input, &pool, &mut random);
        }
        input.truncate(4_096);
        check(&input);
        runs += 1;
        // Some mutations join the pool, so that changes accumulate.
        if pool.len() < 512 {
            pool.push(input);
        } else if random.u8(..) == 0 {
            let place = random.usize(seeds.len()..pool.len());
            pool[place] = input;
        }
    }
    assert!(runs > 0, "{name} did not run");
}

pub(crate) fn mutate(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut fastrand::Rng) {
    const TOKENS: [&[u8]; 20] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0000",
        b"\\ud800",
        b"null",
        b"1e999",
        b"-0",
        b"\r\n",
        b";",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\0",
        b"\x0a\x00",
        b"\x7f",
        b"0.1234567890123456789",
    ];
    let at = random.usize(0..=input.len());
    match random.u8(0..8) {
        0 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
        1 if at < input.len() => input[at] = random.u8(..),
        2 => input.insert(at, random.u8(..)),
        3 if at < input.len() => drop(input.remove(at)),
        4 => input.truncate(at),
        5 => {
            let token = random.choice(TOKENS).unwrap_or_default();
            input.splice(at..at, token.iter().copied());
        }
        6 => {
            // A piece of another input.
            let other = random.choice(pool).map_or(&[][..], Vec::as_slice);
            let from = random.usize(0..=other.len());
            let to = random.usize(from..=other.len());
            input.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let to = random.usize(at..=input.len());
            let piece = input[at..to].to_vec();
            input.splice(at..at, piece);
        }
    }
}
