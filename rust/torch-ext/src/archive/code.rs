//! How deep the text of a program nests, found without a parser.
//!
//! The scan splits text into tokens as libtorch's lexer does, as far as strings, comments, brackets and line ends are concerned.
//! From them it computes an upper bound of the syntax tree's depth: an expression is at most as deep as it has tokens between two
//! commas, summed over the open brackets. Compilers write a few dozen. Blocks are counted by their indentation.

/// Maximum tokens from a statement to the innermost part of its expressions.
const MAX_TOKENS: usize = 4096;

/// Maximum depth of nested blocks. Python itself stops at 100.
const MAX_BLOCKS: usize = 200;

/// Operators that read or write files of the machine, by the names that programs call.
const FILE_OPERATORS: [&[u8]; 2] = [b"save", b"from_file"];

/// How many functions and classes the text defines.
///
/// # Errors
/// Why the text is rejected: it nests too deep, or calls an operator that reads or writes files.
pub(super) fn definitions(text: &[u8]) -> Result<usize, String> {
    let mut scan = Scan { text, at: 0, brackets: vec![0], blocks: Vec::new(), line: 1, definitions: 0, names: Names::default() };
    scan.run().map_err(|why| format!("line {}: {why}", scan.line))?;
    Ok(scan.definitions)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Tokens since the last comma, for the statement and each open bracket.
    brackets: Vec<usize>,
    /// For each open block: its indentation, and the length of its chain of `elif`.
    blocks: Vec<(usize, usize)>,
    line: usize,
    definitions: usize,
    names: Names,
}

/// Where the name of an attribute or operator may come next.
#[derive(Default)]
struct Names {
    after_dot: bool,
    /// This statement has `getattr(x, "name")`.
    by_text: bool,
    after_text: bool,
}

impl Names {
    /// Checks the next token; the reason if it is rejected.
    fn see(&mut self, token: &[u8]) -> Result<(), String> {
        let is_text = matches!(token, [b'"' | b'\'', _, ..]);
        let name: Option<Vec<u8>> = if is_text && self.by_text {
            let escapes = |pair: &[u8]| pair[0] == b'\\' && (pair[1].is_ascii_digit() || pair[1] == b'x' || pair[1] == b'u');
            if self.after_text || token.windows(2).any(escapes) {
                return Err("the name of an attribute is put together from pieces".into());
            }
            Some(token.iter().copied().filter(|b| !matches!(b, b'"' | b'\'')).collect())
        } else {
            self.after_dot.then(|| token.to_vec())
        };
        self.after_dot = token == b".";
        self.after_text = is_text;
        self.by_text |= token == b"getattr";
        match name.filter(|name| FILE_OPERATORS.contains(&name.as_slice())) {
            Some(name) => {
                let name = String::from_utf8_lossy(&name);
                Err(format!("the program calls {name}, which reads or writes files of the machine; models may not"))
            }
            None => Ok(()),
        }
    }
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut tokens = 0;
        self.begin_line()?;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                    if self.brackets.len() == 1 {
                        self.brackets[0] = 0;
                        tokens = 0;
                        self.names = Names::default();
                        self.begin_line()?;
                    }
                    continue;
                }
                b' ' | b'\t' => {
                    self.at += 1;
                    continue;
                }
                b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => {
                    self.line += 1;
                    self.at += 2;
                    continue;
                }
                b'#' if !self.text[self.at..].starts_with(b"# type:") => {
                    self.at += self.text[self.at..].iter().position(|b| *b == b'\n').unwrap_or(self.text.len() - self.at);
                    continue;
                }
                b',' => {
                    self.at += 1;
                    self.names.after_text = false;
                    tokens -= self.brackets.last().copied().unwrap_or(0);
                    if let Some(last) = self.brackets.last_mut() {
                        *last = 0;
                    }
                    continue;
                }
                b')' | b']' | b'}' => {
                    self.at += 1;
                    self.names.after_text = false;
                    if self.brackets.len() > 1 {
                        tokens -= self.brackets.pop().unwrap_or(0);
                    }
                    continue;
                }
                _ => self.token(byte)?,
            }
            if let Some(last) = self.brackets.last_mut() {
                *last += 1;
            }
            tokens += 1;
            if matches!(byte, b'(' | b'[' | b'{') {
                self.brackets.push(0);
            }
            if tokens > MAX_TOKENS {
                return Err(format!("the code nests too deep to be compiled safely (more than {MAX_TOKENS} parts of one expression)"));
            }
        }
        Ok(())
    }

    /// Skips a string, a word, a number or a sign.
    fn token(&mut self, byte: u8) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
        let length = match byte {
            b'"' | b'\'' => string_length(rest).unwrap_or(1),
            _ if is_word(&byte) => rest.iter().position(|b| !is_word(b)).unwrap_or(rest.len()),
            _ => 1,
        };
        let token = &rest[..length];
        self.names.see(token)?;
        self.line += token.iter().filter(|b| **b == b'\n').count();
        self.at += length;
        Ok(())
    }

    /// At the beginning of a statement: which blocks end and begin, and what is defined.
    fn begin_line(&mut self) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let indentation = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
        let statement = &rest[indentation..];
        if statement.first().is_none_or(|b| matches!(b, b'\n' | b'#')) {
            return Ok(());
        }
        while self.blocks.last().is_some_and(|(width, _)| *width > indentation) {
            self.blocks.pop();
        }
        if self.blocks.last().is_none_or(|(width, _)| *width < indentation) {
            self.blocks.push((indentation, 0));
        }
        let begins = |word: &[u8]| statement.starts_with(word);
        if let Some((_, chained)) = self.blocks.last_mut() {
            *chained = if begins(b"elif") { *chained + 1 } else { 0 };
        }
        if begins(b"def ") || begins(b"class ") {
            self.definitions += 1;
        }
        let depth: usize = self.blocks.iter().map(|(_, chained)| 1 + chained).sum();
        if depth > MAX_BLOCKS { Err(format!("the code has more than {MAX_BLOCKS} blocks within one another")) } else { Ok(()) }
    }
}

/// Length of the string literal at the start of `text`; `None` if it does not end.
fn string_length(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let marks = if text.starts_with(&[quote; 3]) { 3 } else { 1 };
    let ends = |at: usize| text[at..].len() >= marks && text[at..at + marks].iter().all(|b| *b == quote);
    let mut at = marks;
    while at < text.len() && !ends(at) {
        match text[at] {
            b'\n' if marks == 1 => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    (at < text.len()).then_some(at + marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        definitions(text.as_bytes()).is_err()
    }

    #[test]
    fn what_compilers_write_passes() {
        let weights = format!("  __parameters__ = [{}]\n", "\"weight\", ".repeat(20_000));
        let text =
            format!("class M(Module):\n{weights}  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.add(x, 1)\n");
        assert_eq!(definitions(text.as_bytes()), Ok(2));
        assert!(!refused(&"    _0 = torch.add(torch.mul(x, 2), (1 + 2) * 3)\n".repeat(100_000)));
        assert!(!refused("x = [(1, 2), (3, 4)]\n".repeat(5_000).trim_end()));
    }

    #[test]
    fn every_way_to_nest_is_counted() {
        let n = 200_000;
        let ways = [
            format!("x = {}1{}", "(".repeat(n), ")".repeat(n)),
            format!("x = {}1{}", "[".repeat(n), "]".repeat(n)),
            format!("x = {}1", "-".repeat(n)),
            format!("x = {}1", "- ".repeat(n)),
            format!("x = {}True", "not ".repeat(n)),
            format!("x = 1{}", " + 1".repeat(n)),
            format!("x = {}1", "1 if a else ".repeat(n)),
            format!("x = y{}", ".a".repeat(n)),
            format!("x = y{}", "[0]".repeat(n)),
            format!("x = f{}", "()".repeat(n)),
            format!("x = {}1{}", "f(a, ".repeat(n), ")".repeat(n)),
            format!("x = {}1", "1 ** ".repeat(n)),
            format!("x = {}1{}", "(\n".repeat(n), ")".repeat(n)),
            format!("x = {}1", "-\\\n".repeat(n)),
            format!("x = {}1{}", "(\")\" + ".repeat(n), ")".repeat(n)),
            format!("x = {}1{}", "( # ))))\n".repeat(n), ")".repeat(n)),
            format!("def f(x: {}int{}): pass", "List[".repeat(n), "]".repeat(n)),
            format!("# type: {}int{}", "List[".repeat(n), "]".repeat(n)),
        ];
        for text in ways {
            assert!(refused(&text), "{}", &text[..40]);
        }
    }

    #[test]
    fn blocks_within_blocks_are_counted() {
        let nested: String = (0..300).map(|i| format!("{}if a:\n", " ".repeat(i))).collect();
        assert!(refused(&nested));
        let chained: String = std::iter::once("if a:\n x\n".to_owned()).chain((0..300).map(|_| "elif a:\n x\n".to_owned())).collect();
        assert!(refused(&chained));
        assert!(!refused(&"if a:\n x\nelse:\n y\n".repeat(300)));
    }

    #[test]
    fn brackets_in_strings_are_text() {
        assert!(!refused(&format!("x = \"{}\"\n", "(".repeat(10_000))));
        assert!(!refused(&format!("x = '''{}\n\\'''''\n", "[\n".repeat(10_000))));
        assert!(refused(&format!("x = '\\'' {}", "(".repeat(10_000))));
    }

    #[test]
    fn file_operators_are_refused_wherever_they_are_called_from() {
        let calls = [
            "torch.save(x, \"f\")",
            "x . save(\"f\")",
            "ops.aten.from_file(\"f\")",
            "\"f\".from_file(None)",
            "(x. # c\n save)(\"f\")",
            "x.\\\nsave(\"f\")",
            "getattr(x, \"save\")(\"f\")",
            "getattr(f(\"a\"), '''save''')(\"f\")",
            "getattr(x, \"s\\x61ve\")(\"f\")",
            "getattr(x, \"sa\" \"ve\")(\"f\")",
        ];
        for text in calls {
            assert!(refused(text), "{text}");
        }
        assert!(!refused("self.saved(x)\nsave = 1\nx = \".save\"\ny = f(getattr(self, \"0\", \"1\"), \"2\")\nz = f(\"save\" \"d\")\n"));
    }
}
