//! What compiled code takes, and whether a batch fits.
//!
//! One line for each tensor: its element type, its layout, then its sizes, each a number or a name with bounds. Sizes of one
//! name are equal: `int64 contiguous rows=1..65536 length0=2..128`.

use tch::{Kind, Tensor};

use crate::TorchError;

/// One program takes at most this many tensors.
const MAX_INPUTS: usize = 1_000;

/// One tensor that the code takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    kind: Kind,
    channels_last: bool,
    sizes: Vec<Size>,
}

#[derive(Debug, PartialEq, Eq)]
enum Size {
    Fixed(i64),
    Free { name: String, least: i64, most: i64 },
}

/// # Errors
/// A text that is not of the form above.
pub(super) fn parse(text: &str) -> Result<Vec<Expected>, TorchError> {
    let refuse = |line: &str| TorchError::Failed(format!("'{}' does not describe an input", line.chars().take(80).collect::<String>()));
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > MAX_INPUTS {
        return Err(TorchError::Failed(format!("the program takes more than {MAX_INPUTS} tensors")));
    }
    lines.iter().map(|line| expected(line).ok_or_else(|| refuse(line))).collect()
}

fn expected(line: &str) -> Option<Expected> {
    let mut words = line.split(' ');
    let kind = kind(words.next()?)?;
    let channels_last = match words.next()? {
        "contiguous" => false,
        "channels_last" => true,
        _ => return None,
    };
    let sizes: Vec<Size> = words.map(size).collect::<Option<_>>()?;
    (!channels_last || sizes.len() == 4).then_some(Expected { kind, channels_last, sizes })
}

fn size(word: &str) -> Option<Size> {
    let Some((name, bounds)) = word.split_once('=') else { return word.parse().ok().filter(|n| *n >= 0).map(Size::Fixed) };
    let (least, most) = bounds.split_once("..")?;
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (0 <= least && least <= most).then(|| Size::Free { name: name.to_owned(), least, most })
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "float32" => Kind::Float,
        "float64" => Kind::Double,
        "float16" => Kind::Half,
        "bfloat16" => Kind::BFloat16,
        "int64" => Kind::Int64,
        "int32" => Kind::Int,
        "int16" => Kind::Int16,
        "int8" => Kind::Int8,
        "uint8" => Kind::Uint8,
        "bool" => Kind::Bool,
        _ => return None,
    })
}

/// The batch in the layouts that the code takes.
///
/// # Errors
/// Its types or sizes are others.
pub(super) fn checked(expected: &[Expected], given: &[Tensor]) -> Result<Vec<Tensor>, TorchError> {
    if expected.len() != given.len() {
        return Err(TorchError::Failed(format!("the program takes {} tensors, not {}", expected.len(), given.len())));
    }
    let mut seen: Vec<(&str, i64)> = Vec::new();
    let mut batch = Vec::with_capacity(given.len());
    for (index, (wanted, tensor)) in expected.iter().zip(given).enumerate() {
        let sizes = tensor.size();
        if tensor.f_kind()? != wanted.kind || !fits(&wanted.sizes, &sizes, &mut seen) {
            let text = format!("tensor {index} is {:?} {sizes:?}; the program was compiled for {wanted}", tensor.f_kind()?);
            return Err(TorchError::Failed(text));
        }
        batch.push(in_layout(tensor, wanted)?);
    }
    Ok(batch)
}

fn fits<'a>(wanted: &'a [Size], sizes: &[i64], seen: &mut Vec<(&'a str, i64)>) -> bool {
    wanted.len() == sizes.len()
        && wanted.iter().zip(sizes).all(|(wanted, size)| match wanted {
            Size::Fixed(fixed) => fixed == size,
            Size::Free { name, least, most } => {
                let known = seen.iter().find(|(other, _)| other == name).map(|(_, size)| *size);
                if known.is_none() {
                    seen.push((name, *size));
                }
                (*least..=*most).contains(size) && known.is_none_or(|known| known == *size)
            }
        })
}

/// The strides are computed here: if a size is 1, libtorch calls a tensor contiguous in both layouts.
fn in_layout(tensor: &Tensor, wanted: &Expected) -> Result<Tensor, TorchError> {
    let sizes = tensor.size();
    let order: Vec<usize> = if wanted.channels_last { vec![0, 2, 3, 1] } else { (0..sizes.len()).collect() };
    let mut strides = vec![1_i64; sizes.len()];
    let mut step = 1;
    for place in order.into_iter().rev() {
        strides[place] = step;
        step *= sizes[place].max(1);
    }
    if tensor.stride() == strides {
        return Ok(tensor.shallow_clone());
    }
    let mut ordered = tch::Tensor::f_empty_strided(sizes, strides, (wanted.kind, tensor.device()))?;
    ordered.f_copy_(tensor)?;
    Ok(ordered)
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<String> = self
            .sizes
            .iter()
            .map(|size| match size {
                Size::Fixed(n) => n.to_string(),
                Size::Free { name, least, most } => format!("{name} from {least} to {most}"),
            })
            .collect();
        write!(f, "{:?} [{}]", self.kind, sizes.join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn batches_of_other_types_or_sizes_never_reach_the_code() {
        let text =
            "int64 contiguous rows=1..8 length0=2..5\nint64 contiguous rows=1..8 length0=2..5\nfloat32 channels_last rows=1..8 3 4 4\n";
        let wanted = parse(text).unwrap();
        let ids = |rows: i64, length: i64| Tensor::zeros([rows, length], (Kind::Int64, Device::Cpu));
        let pictures = |rows: i64, side: i64| Tensor::zeros([rows, 3, side, 4], (Kind::Float, Device::Cpu));
        let batch = checked(&wanted, &[ids(1, 5), ids(1, 5), pictures(1, 4)]).unwrap();
        assert_eq!(batch[2].stride(), [48, 1, 12, 3]);
        for (given, named) in [
            (vec![ids(2, 5), ids(2, 5)], "takes 3 tensors, not 2"),
            (vec![ids(9, 5), ids(9, 5), pictures(9, 4)], "tensor 0 is Int64 [9, 5]"),
            (vec![ids(2, 5), ids(2, 4), pictures(2, 4)], "tensor 1 is Int64 [2, 4]"),
            (vec![ids(2, 6), ids(2, 6), pictures(2, 4)], "length0 from 2 to 5"),
            (vec![ids(2, 5), ids(2, 5), pictures(3, 4)], "tensor 2 is Float"),
            (vec![ids(2, 5), ids(2, 5), pictures(2, 5)], "tensor 2 is Float"),
            (vec![pictures(2, 4), ids(2, 5), pictures(2, 4)], "tensor 0 is Float"),
        ] {
            let error = checked(&wanted, &given).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn lines_that_describe_nothing_are_refused() {
        for text in [
            "float31 contiguous 3",
            "float32",
            "float32 blocked 3",
            "float32 channels_last 3",
            "int8 contiguous -1",
            "int8 contiguous a=3..2",
        ] {
            assert!(parse(text).unwrap_err().to_string().contains("does not describe an input"), "{text}");
        }
        assert!(parse(&"int8 contiguous\n".repeat(MAX_INPUTS + 1)).is_err());
    }
}
