//! Long clips, cut into windows.

use std::ops::Range;

use super::{AudioSpec, Pool};

impl AudioSpec {
    /// The rows of the program for a clip of `samples`: the whole clip if it is no longer than the window (or no window is
    /// declared). Otherwise windows start every hop and together cover the clip. The last one is shortened to the end of the
    /// clip, never empty, and omitted if the previous one already reaches the end.
    #[must_use]
    pub fn windows(&self, samples: usize) -> Vec<Range<usize>> {
        let Some(window) = self.window_samples.filter(|&window| samples > window) else {
            return std::iter::once(0..samples).collect();
        };
        if self.pooling() == Pool::First {
            return std::iter::once(0..window).collect();
        }
        let hop = self.hop_samples.unwrap_or(window).max(1);
        let count = (samples - window).div_ceil(hop) + 1;
        (0..count).map(|index| index * hop).map(|start| start..samples.min(start + window)).collect()
    }
}

#[cfg(test)]
// A list of one range is meant here, not the list of its numbers.
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(window: usize, hop: usize, pool: Pool) -> AudioSpec {
        toml::from_str::<AudioSpec>(&format!("sample_rate = 16000\nwindow_samples = {window}\nhop_samples = {hop}"))
            .map(|spec| AudioSpec { pool: Some(pool), ..spec })
            .unwrap()
    }

    #[test]
    fn short_clips_stay_whole() {
        assert_eq!(spec(10, 5, Pool::Mean).windows(10), [0..10]);
        assert_eq!(spec(10, 5, Pool::Mean).windows(1), [0..1]);
        assert_eq!(spec(10, 5, Pool::Mean).windows(11), [0..10, 5..11]);
        assert_eq!(spec(10, 5, Pool::First).windows(99), [0..10]);
        assert_eq!(toml::from_str::<AudioSpec>("sample_rate = 16000").unwrap().windows(7), [0..7]);
    }

    proptest! {
        #[test]
        fn windows_cover_the_clip(samples in 1usize..5_000, window in 1usize..700, hop in 1usize..700) {
            let hop = hop.min(window);
            let windows = spec(window, hop, Pool::Mean).windows(samples);
            let mut covered = 0;
            for (index, range) in windows.iter().enumerate() {
                prop_assert!(range.start <= covered && range.end > covered || index == 0);
                prop_assert!(range.len() <= window && !range.is_empty());
                covered = range.end;
            }
            prop_assert_eq!(covered, samples);
            prop_assert!(windows[..windows.len() - 1].iter().all(|r| r.len() == window));
        }
    }
}
