//! Tags that programs put around a sound: ID3v2 before it; ID3v1, Lyrics3 and APEv2 after it. They are not part of a container,
//! and hide the last packet of a stream from its reader.

/// The bytes between the tags.
pub(super) fn without(mut bytes: &[u8]) -> &[u8] {
    while let Some(length) = id3v2(bytes) {
        bytes = &bytes[length..];
    }
    while let Some(length) = id3v1(bytes).or_else(|| ape(bytes)).or_else(|| lyrics3(bytes)) {
        bytes = &bytes[..bytes.len() - length];
    }
    bytes
}

/// Length of the ID3v2 tag that `bytes` begin with.
pub(super) fn id3v2(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..10).filter(|head| head.starts_with(b"ID3"))?;
    let size = &head[6..10];
    if size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let content = size.iter().fold(0usize, |sum, &byte| sum << 7 | usize::from(byte));
    let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + content + footer).filter(|&length| length <= bytes.len())
}

/// Length of the ID3v1 tag that `bytes` end with; "TAG+" before it is the enhanced tag.
fn id3v1(bytes: &[u8]) -> Option<usize> {
    let ends = |length: usize, magic: &[u8]| bytes.len() >= length && bytes[bytes.len() - length..].starts_with(magic);
    match ends(128, b"TAG") {
        true if ends(128 + 227, b"TAG+") => Some(128 + 227),
        true => Some(128),
        false => None,
    }
}

/// Length of the APE tag that `bytes` end with.
fn ape(bytes: &[u8]) -> Option<usize> {
    let footer = bytes.get(bytes.len().checked_sub(32)?..).filter(|footer| footer.starts_with(b"APETAGEX"))?;
    let number = |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
    let header = if number(20) & 1 << 31 != 0 { 32 } else { 0 };
    // The size counts the footer.
    let length = (number(12) as usize).checked_add(header)?;
    (length >= 32 && length <= bytes.len()).then_some(length)
}

/// Length of the Lyrics3 v2 block that `bytes` end with.
fn lyrics3(bytes: &[u8]) -> Option<usize> {
    let end = bytes.get(bytes.len().checked_sub(15)?..).filter(|end| end.ends_with(b"LYRICS200"))?;
    let size: usize = std::str::from_utf8(&end[..6]).ok()?.parse().ok()?;
    let length = size + 15;
    (length <= bytes.len() && bytes[bytes.len() - length..].starts_with(b"LYRICSBEGIN")).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(front: &[u8], back: &[u8]) -> Vec<u8> {
        [front, b"sound".as_slice(), back].concat()
    }

    #[test]
    fn tags_of_every_kind_are_left_out() {
        let id3v2 = [b"ID3\x04\0\0\0\0\0\x03".as_slice(), b"abc"].concat();
        let id3v1 = [b"TAG".as_slice(), &[b' '; 125]].concat();
        let enhanced = [b"TAG+".as_slice(), &[0; 223], &id3v1].concat();
        let mut footer = b"APETAGEX\xd0\x07\0\0".to_vec();
        footer.extend(40u32.to_le_bytes());
        footer.extend([0; 16]);
        let ape = [b"12345678".as_slice(), &footer].concat();
        assert_eq!(without(&with(&id3v2, b"")), b"sound");
        assert_eq!(without(&with(&id3v2.repeat(2), &id3v1)), b"sound");
        assert_eq!(without(&with(b"", &enhanced)), b"sound");
        assert_eq!(without(&with(b"", &ape)), b"sound");
        assert_eq!(without(&with(b"", &[ape.as_slice(), &id3v1].concat())), b"sound");
        assert_eq!(without(&with(b"", b"LYRICSBEGININD0000200000021LYRICS200")), b"sound");
    }

    #[test]
    fn what_only_looks_like_a_tag_stays() {
        for bytes in [b"ID3".as_slice(), b"ID3\x04\0\0\0\0\x7f\x7fabc", b"ID3\x04\0\0\x80\0\0\0abc", b"APETAGEX", b"999999LYRICS200", b""] {
            assert_eq!(without(bytes), bytes);
        }
        let huge = [b"APETAGEX\0\0\0\0\xff\xff\xff\xff".as_slice(), &[0; 16]].concat();
        assert_eq!(without(&huge), huge);
    }
}
