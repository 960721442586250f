//! A package's description for the JVM: what a query's plan needs to know, and nothing of how it runs.

use serde_json::{Value, json};

use super::Package;

impl Package {
    /// Name, hash, licence, inputs and outputs as JSON.
    #[must_use]
    pub fn describe(&self) -> Value {
        let descriptor = &self.descriptor;
        let inputs: Vec<Value> = descriptor
            .inputs
            .iter()
            .map(|input| json!({"name": input.name, "kind": input.kind, "dtype": input.dtype, "shape": input.shape}))
            .collect();
        let outputs: Vec<Value> = descriptor
            .outputs
            .iter()
            .zip(&self.labels)
            .map(|(output, labels)| {
                // -1: rows differ in length.
                let shape: Vec<i64> = output.lengths.iter().map(|_| -1).chain(output.shape.iter().map(|n| *n as i64)).collect();
                json!({
                    "name": output.name, "role": output.role, "dtype": output.dtype,
                    "shape": shape, "labels": labels.len(),
                })
            })
            .collect();
        json!({
            "name": descriptor.name,
            "hash": self.hash,
            "description": descriptor.description,
            "license": descriptor.license,
            "batch_rows": descriptor.batch_rows(),
            "trainable": descriptor.trainable,
            "inputs": inputs,
            "outputs": outputs,
        })
    }
}
