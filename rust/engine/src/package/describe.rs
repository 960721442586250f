//! A package's description for the JVM: everything that query planning needs.

use serde::Serialize;

use super::{Dtype, InputKind, Package, Role};

/// The description of a package.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Description {
    pub name: String,
    /// SHA-256 of `model.toml`.
    pub hash: String,
    pub description: String,
    pub license: String,
    /// Default rows of a batch.
    pub batch_rows: usize,
    pub trainable: bool,
    pub inputs: Vec<InputDescription>,
    pub outputs: Vec<OutputDescription>,
}

/// An input; type and shape of one row are those of a tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct InputDescription {
    pub name: String,
    pub kind: InputKind,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct OutputDescription {
    pub name: String,
    pub role: Role,
    pub dtype: Dtype,
    /// Of one row; begins with -1 if rows differ in length.
    pub shape: Vec<i64>,
    /// How many labels it has.
    pub labels: usize,
    /// Index of the label that says that one text follows from another: the first that begins with "entail", in any case.
    pub entailment: Option<usize>,
}

impl Package {
    /// Name, hash, license, inputs and outputs.
    #[must_use]
    pub fn describe(&self) -> Description {
        let descriptor = &self.descriptor;
        let input = |input: &super::Input| InputDescription {
            name: input.name.clone(),
            kind: input.kind,
            dtype: input.dtype,
            shape: input.shape.clone(),
        };
        let output = |(output, labels): (&super::Output, &Vec<String>)| OutputDescription {
            name: output.name.clone(),
            role: output.role,
            dtype: output.dtype,
            shape: output.lengths.iter().map(|_| -1).chain(output.shape.iter().map(|n| *n as i64)).collect(),
            labels: labels.len(),
            entailment: labels.iter().position(|label| label.to_lowercase().starts_with("entail")),
        };
        Description {
            name: descriptor.name.clone(),
            hash: self.hash.clone(),
            description: descriptor.description.clone(),
            license: descriptor.license.clone(),
            batch_rows: descriptor.batch_rows(),
            trainable: descriptor.trainable,
            inputs: descriptor.inputs.iter().map(input).collect(),
            outputs: descriptor.outputs.iter().zip(&self.labels).map(output).collect(),
        }
    }
}
