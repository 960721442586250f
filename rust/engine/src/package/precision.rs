//! The precision that a query asks for.

use serde::Deserialize;

use crate::EngineError;

/// The values of `spark.flambeau.precision`; see [`super::Package::choose_variant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Precision {
    F32,
    Bf16,
    F16,
    /// The first variant of a package that the machine can run.
    Fastest,
}

impl Precision {
    const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::F16, Self::Fastest];

    /// The name in the setting, and in variants except for [`Self::Fastest`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Fastest => "fastest",
        }
    }
}

impl TryFrom<String> for Precision {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            EngineError::BadRequest(format!("spark.flambeau.precision is '{text}'; it can be {names}"))
        })
    }
}
