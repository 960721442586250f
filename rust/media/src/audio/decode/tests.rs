//! WAV files are written here byte by byte; FLAC, MP3 and Ogg Vorbis come from real files in `tests/audio_parity.rs`.

use super::*;
use crate::audio::AudioSpec;
use proptest::prelude::*;

/// A WAV file of one `format` (1 integer, 3 float), any content.
fn wav(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate.saturating_mul(u32::from(block))).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    let length = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn samples(bytes: &[u8]) -> Vec<f32> {
    decode(bytes, 600.0).unwrap().samples
}

#[test]
fn every_wav_format() {
    assert_eq!(samples(&wav(1, 1, 16_000, 8, &[0, 128, 192])), [-1.0, 0.0, 0.5]);
    assert_eq!(samples(&wav(1, 1, 16_000, 16, &[0, 0x80, 0, 0, 0, 0x40])), [-1.0, 0.0, 0.5]);
    assert_eq!(samples(&wav(1, 1, 16_000, 24, &[0, 0, 0x80, 0, 0, 0x40])), [-1.0, 0.5]);
    assert_eq!(samples(&wav(1, 1, 16_000, 32, &[0, 0, 0, 0x80, 0, 0, 0, 0x40])), [-1.0, 0.5]);
    assert_eq!(samples(&wav(3, 1, 16_000, 32, &floats(&[-1.5, 0.25]))), [-1.5, 0.25]);
    let doubles: Vec<u8> = [-0.5f64, 0.25].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(samples(&wav(3, 1, 16_000, 64, &doubles)), [-0.5, 0.25]);
    assert_eq!(decode(&wav(1, 1, 44_100, 16, &[0; 8]), 600.0).unwrap().sample_rate, 44_100);
}

#[test]
fn channels_are_averaged() {
    assert_eq!(samples(&wav(3, 2, 8_000, 32, &floats(&[1.0, 0.0, -0.5, -0.5]))), [0.5, -0.5]);
    assert_eq!(samples(&wav(3, 3, 8_000, 32, &floats(&[0.3, 0.6, 0.9]))), [(0.3 + 0.6 + 0.9) / 3.0]);
}

#[test]
fn extensible_wav() {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x28\0\0\0".to_vec();
    file.extend([0xfe, 0xff, 1, 0]);
    file.extend(16_000u32.to_le_bytes());
    file.extend(32_000u32.to_le_bytes());
    file.extend([2, 0, 16, 0, 22, 0, 16, 0, 4, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    file.extend(b"data\x04\0\0\0\0\x80\0\x40");
    let length = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    assert_eq!(samples(&file), [-1.0, 0.5]);
}

#[test]
fn one_sample_and_silence() {
    assert_eq!(samples(&wav(1, 1, 16_000, 16, &[0, 0x40])), [0.5]);
    assert_eq!(samples(&wav(1, 1, 16_000, 16, &[0; 64_000])), vec![0.0; 32_000]);
}

#[test]
fn nothing_in_it() {
    assert_eq!(decode(&[], 600.0), Err(AudioError::Empty("0 bytes")));
    assert!(matches!(decode(&wav(1, 1, 16_000, 16, &[]), 600.0), Err(AudioError::Empty(_))));
}

#[test]
fn samples_that_are_no_numbers() {
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let error = decode(&wav(3, 1, 16_000, 32, &floats(&[0.0, value])), 600.0).unwrap_err();
        assert_eq!(error.to_string(), format!("corrupt audio: sample 1 is {name}"));
    }
}

#[test]
fn a_cut_file_is_an_error() {
    let whole = wav(1, 1, 16_000, 16, &[1; 20_000]);
    for keep in [0, 1, 3, 11, 12, 20, 36, 43, 44, 45, 46, 1_000, 19_000, whole.len() - 1] {
        let error = decode(&whole[..keep], 600.0).unwrap_err();
        assert!(matches!(error, AudioError::Corrupt(_) | AudioError::Empty(_) | AudioError::NotAudio { .. }), "{keep}: {error}");
    }
}

#[test]
fn a_piped_file_is_whole() {
    let data: Vec<u8> = (0..5_001u32).flat_map(|n| (n as i16).to_le_bytes()).collect();
    for unknown in [u32::MAX, 0x7fff_f000, u32::MAX - 36] {
        let mut piped = wav(1, 1, 16_000, 16, &data);
        let expected = samples(&piped);
        piped[40..44].copy_from_slice(&unknown.to_le_bytes());
        piped[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(samples(&piped), expected);
    }
}

#[test]
fn too_long_is_noticed_before_it_is_decoded() {
    let second = wav(1, 1, 8_000, 8, &[128; 8_000]);
    assert_eq!(decode(&second, 1.0).unwrap().samples.len(), 8_000);
    assert_eq!(decode(&second, 0.999), Err(AudioError::TooLong { max_seconds: 0.999 }));
}

#[test]
fn not_audio_and_not_ours() {
    assert_eq!(decode(b"hello, world, this is only text", 600.0), Err(AudioError::NotAudio { bytes: 31 }));
    assert!(matches!(decode(&[0; 100_000], 600.0), Err(AudioError::NotAudio { .. })));
    assert!(matches!(decode(b"\x89PNG\r\n\x1a\n0000000000000000000000000000", 600.0), Err(AudioError::NotAudio { .. })));
    assert!(matches!(decode(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0", 600.0), Err(AudioError::Unsupported(_))));
    assert!(matches!(decode(&wav(1, 1, 16, 16, &[0; 4]), 600.0), Err(AudioError::Unsupported(_))));
    assert!(matches!(decode(&wav(1, 1, 4_000_000_000, 16, &[0; 4]), 600.0), Err(AudioError::Unsupported(_))));
    assert!(decode(&wav(1, 0, 16_000, 16, &[0; 4]), 600.0).is_err());
    assert!(decode(&wav(0x4444, 1, 16_000, 16, &[0; 4]), 600.0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_headers_never_panic(
        changes in prop::collection::vec((0usize..120, any::<u8>()), 1..12),
        keep in 0usize..=1_000,
        format in prop_oneof![Just((1u16, 16u16)), Just((3, 32)), Just((1, 24)), Just((6, 8)), Just((2, 4)), Just((17, 4))],
    ) {
        let mut file = wav(format.0, 2, 16_000, format.1.max(8), &[7; 960]);
        for (at, value) in changes {
            file[at] = value;
        }
        if let Ok(waveform) = decode_tracks(&file[..keep.min(file.len())], 600.0) {
            prop_assert!(AudioSpec::RATES.contains(&waveform.sample_rate) || waveform.samples.is_empty());
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in 0usize..5) {
        let mut file = [b"RIFF\x90\x01\0\0WAVE".as_slice(), b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb"][magic].to_vec();
        file.extend(bytes);
        let _ = decode_tracks(&file, 600.0);
    }
}
