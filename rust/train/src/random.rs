//! Random numbers that are a function of their purpose. So they are the same in every run, on every worker and after every
//! resume: there is no state that could be lost.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): the n-th number of a stream is a
//! mixing function of `key + n * GOLDEN`, so any number can be computed without those before it.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    key: u64,
}

impl Stream {
    /// The stream for these words: a seed, a purpose, an epoch, a row…
    pub(super) fn of(words: &[u64]) -> Self {
        let key = words.iter().fold(0, |key: u64, word| mix(key.wrapping_add(GOLDEN) ^ mix(word.wrapping_add(GOLDEN))));
        Self { key }
    }

    /// Its n-th number.
    pub(super) fn at(self, n: u64) -> u64 {
        mix(self.key.wrapping_add(n.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// Its n-th number, uniform in [0, 1).
    pub(super) fn unit(self, n: u64) -> f64 {
        (self.at(n) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Its n-th number, uniform in 0..bound (by multiplication; the bias is below bound / 2^64).
    pub(super) fn below(self, n: u64, bound: u64) -> u64 {
        ((u128::from(self.at(n)) * u128::from(bound)) >> 64) as u64
    }

    /// Shuffles `items` (Fisher and Yates).
    pub(super) fn shuffle<T>(self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64, i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_even_and_differ_by_every_word() {
        let stream = Stream::of(&[7, 1]);
        let mean: f64 = (0..10_000).map(|n| stream.unit(n)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((0..1000).all(|n| stream.below(n, 7) < 7));
        assert_ne!(stream.at(0), Stream::of(&[7, 2]).at(0));
        assert_ne!(stream.at(0), Stream::of(&[1, 7]).at(0));
    }

    #[test]
    fn a_shuffle_keeps_all_items() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::of(&[3]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
