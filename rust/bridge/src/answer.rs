//! Arguments and results of exports: JSON in, JSON out, or a failure that becomes an exception.

use jni::Env;
use jni::objects::JString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The result of an export.
pub(crate) type Answer<T> = Result<T, Failure>;

/// An argument in JSON.
pub(crate) fn parsed<T: DeserializeOwned>(env: &mut Env<'_>, text: &JString<'_>) -> Answer<T> {
    Ok(serde_json::from_str(&text.try_to_string(env)?)?)
}

/// An answer in JSON.
pub(crate) fn json<'local>(env: &mut Env<'local>, value: &impl Serialize) -> Answer<JString<'local>> {
    Ok(env.new_string(serde_json::to_string(value)?)?)
}
