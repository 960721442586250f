//! Model packages: a folder with `model.toml`, the program in one or more variants, labels, tokenizer.
//!
//! This is the only parser of `model.toml`; the JVM asks for its description as JSON. Opening a package reads the small
//! files and checks them; the program's hash is checked when it is loaded.

mod check;
mod decoding;
mod describe;
mod descriptor;
mod manifest;
mod parsed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flambeau_torch_ext::{Archive, process};

pub use check::hash;
pub use describe::{Description, InputDescription, OutputDescription};
pub use descriptor::{
    Activation, BoxFormat, BoxSpec, BoxUnit, CtcSpec, Descriptor, Dtype, EngineKind, HeadProgram, Input, InputKind, Output, Role, Variant,
};
pub use manifest::{Listing, PackageFile, Wrapped, list, wrap};

use parsed::Parsed;

pub use crate::options::Precision;
use crate::{EngineError, ModelOptions, cpu};

/// A package that was read and checked. Its program is not loaded.
#[derive(Debug, Clone)]
pub struct Package {
    /// The folder.
    pub directory: PathBuf,
    /// SHA-256 of `model.toml` in hexadecimal: the identity of the content.
    pub hash: String,
    /// What `model.toml` says.
    pub descriptor: Arc<Descriptor>,
    /// Labels of each output, in order; empty if it has none.
    pub labels: Vec<Vec<String>>,
}

impl Package {
    /// Reads the package in `directory`.
    ///
    /// # Errors
    /// A descriptor that does not parse or contradicts itself, or a small file that is missing or altered.
    pub fn open(directory: &Path) -> Result<Self, EngineError> {
        let path = directory.join("model.toml");
        let fail = |cause: String| EngineError::model(&directory.display().to_string(), cause);
        let text = std::fs::read_to_string(&path).map_err(|error| fail(format!("model.toml cannot be read: {error}")))?;
        let Parsed { hash, descriptor } = parsed::read(&directory.display().to_string(), &text)?;
        for (name, sha256) in &descriptor.files {
            check::file(&descriptor.name, directory, name, sha256)?;
        }
        let labels = descriptor.outputs.iter().map(|output| check::labels(&descriptor, output, directory)).collect::<Result<_, _>>()?;
        Ok(Self { directory: directory.to_owned(), hash, descriptor, labels })
    }

    /// The f32 TorchScript program; other programs can be built from it.
    #[must_use]
    pub fn plain_variant(&self) -> Option<&Variant> {
        self.descriptor.variants.iter().find(|v| v.engine == EngineKind::Torchscript && v.precision == "f32" && v.head.is_none())
    }

    /// The first TorchScript variant that the device of `options` can run in their precision. `f32`: that one. `bf16` or `f16`: one of
    /// that precision with a recorded cosine of at least theirs, otherwise f32. `fastest`: the first in the package.
    ///
    /// # Errors
    /// If there is none; the message has the reason for each.
    pub fn choose_variant(&self, options: &ModelOptions) -> Result<&Variant, EngineError> {
        let chosen = self.first(EngineKind::Torchscript, options);
        chosen.map_err(|why| EngineError::model(&self.descriptor.name, format!("no variant can run here ({why})")))
    }

    /// The same among the variants that were compiled ahead of time; otherwise why there is none.
    pub(crate) fn compiled_variant(&self, options: &ModelOptions) -> Result<&Variant, String> {
        self.first(EngineKind::AotInductor, options)
    }

    fn first(&self, engine: EngineKind, options: &ModelOptions) -> Result<&Variant, String> {
        let precision = options.precision;
        let own = || self.descriptor.variants.iter().filter(|variant| variant.engine == engine);
        let asked = |variant: &&Variant| precision == Precision::Fastest || variant.precision == precision.name();
        let fallback = |variant: &&Variant| !asked(variant) && variant.precision == "f32";
        let mut refused = Vec::new();
        for variant in own().filter(asked).chain(own().filter(fallback)) {
            match obstacle(variant, options) {
                None => return Ok(variant),
                Some(why) => refused.push(format!("{}: {why}", variant.file)),
            }
        }
        if refused.is_empty() {
            refused.push(match engine {
                EngineKind::Torchscript => "it has no TorchScript program".to_owned(),
                EngineKind::AotInductor => "it has none that was compiled ahead of time".to_owned(),
            });
        }
        Err(refused.join("; "))
    }

    /// The text of `model.toml`.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn manifest(&self) -> Result<toml::Table, EngineError> {
        let fail = |cause: String| EngineError::model(&self.descriptor.name, format!("model.toml: {cause}"));
        let text = std::fs::read_to_string(self.directory.join("model.toml")).map_err(|error| fail(error.to_string()))?;
        toml::from_str(&text).map_err(|error| fail(error.to_string()))
    }

    /// The variant's file, open, its hash checked.
    ///
    /// # Errors
    /// If it is missing or altered.
    pub fn program(&self, variant: &Variant) -> Result<Archive, EngineError> {
        check::program(&self.descriptor.name, &self.directory, &variant.file, &variant.sha256)
    }

    /// The file of the program behind the variant's, open, its hash checked.
    ///
    /// # Errors
    /// If it is missing or altered.
    pub fn head(&self, head: &HeadProgram) -> Result<Archive, EngineError> {
        check::program(&self.descriptor.name, &self.directory, &head.file, &head.sha256)
    }
}

/// Why this machine cannot run a variant on the device of `options`. GPUs that libtorch runs on have every precision.
fn obstacle(variant: &Variant, options: &ModelOptions) -> Option<String> {
    let min_cosine = options.min_cosine;
    if let Some(feature) = cpu::lacks(&variant.requires).filter(|_| !options.device.is_cuda()) {
        return Some(format!("this processor lacks {feature}"));
    }
    let here = process::libtorch_version();
    if let Some(version) = variant.libtorch.as_ref().filter(|version| **version != here) {
        return Some(format!("it was compiled for libtorch {version}, and {here} is loaded"));
    }
    if variant.precision != "f32" && variant.cosine.is_none_or(|cosine| cosine < min_cosine) {
        let recorded = variant.cosine.map_or("none".to_owned(), |cosine| cosine.to_string());
        return Some(format!("its cosine against f32 ({recorded}) is below spark.flambeau.precision.minCosine ({min_cosine})"));
    }
    None
}
