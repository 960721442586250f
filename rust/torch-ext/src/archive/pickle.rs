//! How deep the data of a program nests, found without building it.
//!
//! The scan runs the pickle's instructions on depths instead of values. Only the instructions of TorchScript files are known. A
//! value must be complete before it becomes part of another one, so a list can neither become deeper later nor hold itself.

/// Maximum depth of nested lists, dicts, tuples and objects. A module is two levels.
const MAX_DEPTH: u32 = 400;

/// Maximum depth of brackets in one string: some strings are types, which libtorch parses.
const MAX_TYPE_DEPTH: usize = 1000;

/// # Errors
/// Why the pickle is rejected.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut scan =
        Scan { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: std::collections::HashMap::new(), values: vec![Value::ATOM] };
    // An empty record means missing data.
    while scan.at < bytes.len() {
        if scan.step().map_err(|why| format!("byte {}: {why}", scan.at))? {
            break;
        }
    }
    Ok(())
}

/// Index into the scan's values.
type Id = usize;

/// Numbers, strings, types: values without parts.
const ATOM: Id = 0;

#[derive(Clone, Copy)]
struct Value {
    depth: u32,
    /// Whether something else holds it.
    held: bool,
}

impl Value {
    const ATOM: Self = Self { depth: 0, held: false };
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: std::collections::HashMap<u32, Id>,
    values: Vec<Value>,
}

impl Scan<'_> {
    /// Runs one instruction; whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            // PROTO
            0x80 => drop(self.take(1)?),
            b'N' | 0x88 | 0x89 => self.stack.push(ATOM),
            b'K' => self.atom(1)?,
            b'M' => self.atom(2)?,
            b'J' => self.atom(4)?,
            b'G' => self.atom(8)?,
            // LONG1, BINUNICODE, BINSTRING, SHORT_BINSTRING
            0x8a | b'U' => {
                let length = usize::from(self.take(1)?[0]);
                self.atom(length)?;
            }
            b'X' | b'T' => {
                let length = self.number(4)? as usize;
                self.string(length)?;
            }
            // GLOBAL: module and name, a line each
            b'c' => {
                self.line()?;
                self.line()?;
                self.stack.push(ATOM);
            }
            b']' | b'}' | b')' => self.push(Vec::new())?,
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let parts = self.pop_many(count)?;
                self.push(parts)?;
            }
            // TUPLE, LIST, DICT of the values above the mark
            b't' | b'l' | b'd' => {
                let parts = self.pop_to_mark()?;
                self.push(parts)?;
            }
            b'a' => self.add(1)?,
            b's' => self.add(2)?,
            b'b' => self.add(1)?,
            b'e' | b'u' => {
                let parts = self.pop_to_mark()?;
                self.hold(&parts)?;
            }
            // REDUCE and NEWOBJ: a function or class and its arguments become one value
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.push(parts)?;
            }
            // BINPERSID: a tensor by its description
            b'Q' => {
                let parts = self.pop_many(1)?;
                self.push(parts)?;
            }
            b'0' => drop(self.pop()?),
            b'2' => {
                let top = *self.stack.last().ok_or("the stack is empty")?;
                self.stack.push(top);
            }
            b'q' => {
                let place = self.number(1)?;
                self.remember(place)?;
            }
            b'r' => {
                let place = self.number(4)?;
                self.remember(place)?;
            }
            b'h' => {
                let place = self.number(1)?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number(4)?;
                self.recall(place)?;
            }
            other => return Err(format!("instruction {other:#04x} has no place in a TorchScript file")),
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or("the pickle ends within an instruction")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u32, String> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    fn line(&mut self) -> Result<(), String> {
        let length = self.bytes[self.at..].iter().position(|b| *b == b'\n').ok_or("the pickle ends within a name")?;
        self.at += length + 1;
        Ok(())
    }

    fn atom(&mut self, bytes: usize) -> Result<(), String> {
        self.take(bytes)?;
        self.stack.push(ATOM);
        Ok(())
    }

    fn string(&mut self, bytes: usize) -> Result<(), String> {
        let mut depth = 0_usize;
        for byte in self.take(bytes)? {
            match byte {
                b'[' | b'(' => depth += 1,
                b']' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_TYPE_DEPTH {
                return Err(format!("a string nests too deep to be read as a type (more than {MAX_TYPE_DEPTH} brackets)"));
            }
        }
        self.stack.push(ATOM);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let first = self.stack.len().checked_sub(count).ok_or("the stack is empty")?;
        Ok(self.stack.split_off(first))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark))
    }

    /// A new value that holds these.
    fn push(&mut self, parts: Vec<Id>) -> Result<(), String> {
        self.values.push(Value { depth: 1, held: false });
        self.stack.push(self.values.len() - 1);
        self.hold(&parts)
    }

    /// The `count` topmost values become parts of the one below them.
    fn add(&mut self, count: usize) -> Result<(), String> {
        let parts = self.pop_many(count)?;
        self.hold(&parts)
    }

    /// These become parts of the topmost value.
    fn hold(&mut self, parts: &[Id]) -> Result<(), String> {
        let whole = *self.stack.last().ok_or("the stack is empty")?;
        if whole == ATOM || self.values[whole].held {
            return Err("something is put into a value that is complete".into());
        }
        for &part in parts {
            if part == whole {
                return Err("a value is put into itself".into());
            }
            let inner = self.values[part].depth + 1;
            self.values[whole].depth = self.values[whole].depth.max(inner);
            self.values[part].held = part != ATOM;
        }
        if self.values[whole].depth > MAX_DEPTH {
            return Err(format!("the data nests too deep to be loaded safely (more than {MAX_DEPTH} levels)"));
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), String> {
        let top = *self.stack.last().ok_or("the stack is empty")?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), String> {
        let value = *self.memo.get(&place).ok_or("nothing is remembered there")?;
        self.stack.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &[u8], close: &[u8], levels: usize) -> Vec<u8> {
        [b"\x80\x02".to_vec(), open.repeat(levels), close.repeat(levels - 1), b".".to_vec()].concat()
    }

    #[test]
    fn flat_data_passes_and_deep_data_does_not() {
        let flat = [b"\x80\x02](".to_vec(), b"]K\x01a".repeat(100_000), b"e.".to_vec()].concat();
        assert_eq!(check(&flat), Ok(()));
        assert_eq!(check(&nested(b"]", b"a", 300)), Ok(()));
        for (open, close) in [(&b"]"[..], &b"a"[..]), (b"](", b"e"), (b"(", b"t"), (b")", b"\x85"), (b"}K\x01", b"s")] {
            assert!(check(&nested(open, close, 2_000_000)).is_err(), "{open:?}");
        }
        // A tuple of the tuple before, a hundred thousand times.
        assert!(check(&[b"\x80\x02)".to_vec(), b"\x85".repeat(100_000), b".".to_vec()].concat()).is_err());
    }

    #[test]
    fn a_list_cannot_grow_once_it_is_part_of_another() {
        // l0 = []; l1 = []; l0.append(l1); l1.append(l2): each is put into its holder while it is empty.
        assert!(check(b"\x80\x02]q\x00]q\x01a0h\x01]a.").is_err());
        assert!(check(b"\x80\x02]q\x00h\x00a.").is_err(), "a list in itself");
    }

    #[test]
    fn a_string_can_be_a_type_that_nests() {
        let string = |text: String| [b"X".to_vec(), u32::try_from(text.len()).unwrap().to_le_bytes().to_vec(), text.into_bytes()].concat();
        assert_eq!(check(&string("[1] ".repeat(100_000))), Ok(()));
        assert!(check(&string("List[".repeat(200_000))).is_err());
    }

    #[test]
    fn broken_pickles_are_refused() {
        for bytes in [&b"X\xff\xff\xff\xff"[..], b"a", b"t", b"h\x01", b"ctorch", b"\x95", b"Na"] {
            assert!(check(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(check(b""), Ok(()));
    }
}
