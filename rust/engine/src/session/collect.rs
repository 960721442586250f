//! Results of many passes into one tensor per output, in row order. Outputs that are not wanted may be undefined tensors, and stay so.

use flambeau_media::audio::Pool;
use tch::{Device, Kind, TchError, Tensor};

use super::passes::Pooling;
use crate::memory::if_defined;

/// Collects outputs by the index of their item.
pub(super) struct Collector {
    items: usize,
    outputs: Vec<Tensor>,
}

impl Collector {
    /// For the results of this many items.
    pub(super) fn new(items: usize) -> Self {
        Self { items, outputs: Vec::new() }
    }

    /// Takes the outputs of one pass. A single pass in order is kept as it is.
    pub(super) fn add(&mut self, output_indices: &[usize], outputs: Vec<Tensor>) -> Result<(), TchError> {
        let in_order = output_indices.iter().enumerate().all(|(i, output_index)| i == *output_index);
        if output_indices.len() == self.items && in_order {
            self.outputs = outputs;
            return Ok(());
        }
        if self.outputs.is_empty() {
            for output in &outputs {
                if !output.defined() {
                    self.outputs.push(Tensor::new());
                    continue;
                }
                let mut shape = output.size();
                shape[0] = self.items as i64;
                self.outputs.push(Tensor::f_zeros(shape, (output.f_kind()?, output.device()))?);
            }
        }
        for (all, output) in self.outputs.iter_mut().zip(&outputs).filter(|(_, output)| output.defined()) {
            widen(all, output)?;
        }
        let index: Vec<i64> = output_indices.iter().map(|output_index| *output_index as i64).collect();
        let device = outputs.iter().find(|output| output.defined()).map_or(Device::Cpu, Tensor::device);
        let index = Tensor::f_from_slice(&index)?.f_to_device(device)?;
        for (all, output) in self.outputs.iter_mut().zip(outputs).filter(|(_, output)| output.defined()) {
            let items = output.size().get(1).copied().filter(|n| all.size().get(1) != Some(n));
            // A pass of shorter rows fills the beginning of its part.
            let mut target = match items {
                Some(n) => all.f_narrow(1, 0, n)?,
                None => all.shallow_clone(),
            };
            let _ = target.f_index_copy_(0, &index, &output)?;
        }
        Ok(())
    }

    /// One tensor per output with a row per valid row, on the CPU; none if there was no pass. Waits for a device.
    pub(super) fn finish(self, pooling: Option<&Pooling>) -> Result<Vec<Tensor>, TchError> {
        let here = self
            .outputs
            .iter()
            .map(|output| if_defined(output, |output| output.f_to_device(Device::Cpu)))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(pooling) = pooling else { return Ok(here) };
        here.iter().map(|output| if_defined(output, |output| pooled(output, pooling))).collect()
    }
}

/// Makes room for the items of `output` in dimension 1, which differs between passes if rows differ in length.
fn widen(all: &mut Tensor, output: &Tensor) -> Result<(), TchError> {
    let (Some(&have), Some(&need)) = (all.size().get(1), output.size().get(1)) else { return Ok(()) };
    if need > have {
        let mut shape = all.size();
        shape[1] = need - have;
        let room = Tensor::f_zeros(shape, (all.f_kind()?, all.device()))?;
        *all = Tensor::f_cat(&[&*all, &room], 1)?;
    }
    Ok(())
}

fn pooled(output: &Tensor, pooling: &Pooling) -> Result<Tensor, TchError> {
    let rows = pooling.output_ranges.iter().map(|range| {
        let windows = output.f_narrow(0, range.start as i64, range.len() as i64)?;
        match pooling.pool {
            Pool::Mean => windows.f_to_kind(Kind::Double)?.f_mean_dim([0_i64].as_slice(), true, Kind::Double)?.f_to_kind(output.f_kind()?),
            Pool::Max => windows.f_amax([0_i64].as_slice(), true),
            Pool::First => windows.f_narrow(0, 0, 1),
        }
    });
    let rows: Vec<Tensor> = rows.collect::<Result<_, _>>()?;
    Tensor::f_cat(&rows, 0)?.f_contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the result at these indices.
    fn joined(windows: &[f32], width: i64, ranges: &[std::ops::Range<usize>], pool: Pool) -> Vec<f32> {
        let output = Tensor::f_from_slice(windows).unwrap().f_view([-1, width]).unwrap();
        let rows = pooled(&output, &Pooling { output_ranges: ranges.to_vec(), pool }).unwrap();
        assert_eq!(rows.size(), [ranges.len() as i64, width]);
        crate::memory::values::<f32>(&rows).unwrap().to_vec()
    }

    #[test]
    fn windows_of_a_clip_are_joined_element_by_element() {
        let windows = [1.0, 5.0, 3.0, -1.0, 8.0, 9.0];
        let ranges = [0..2, 2..3];
        assert_eq!(joined(&windows, 2, &ranges, Pool::Mean), [2.0, 2.0, 8.0, 9.0]);
        assert_eq!(joined(&windows, 2, &ranges, Pool::Max), [3.0, 5.0, 8.0, 9.0]);
        assert_eq!(joined(&windows, 2, &ranges, Pool::First), [1.0, 5.0, 8.0, 9.0]);
        assert!(joined(&[f32::NAN, 1.0], 1, std::slice::from_ref(&(0..2)), Pool::Max)[0].is_nan());
    }
}
