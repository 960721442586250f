//! Every failure as one Java exception, `io.flambeau.bridge.NativeException(kind, message, row)`.
//!
//! Panics are caught at the export. They carry their message and their location, which a panic hook records per thread. An
//! exception that is already pending in the JVM is left as it is. Nothing here throws `java.lang.OutOfMemoryError`.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

use arrow_schema::ArrowError;
use flambeau_engine::EngineError;
use flambeau_torch_ext::TorchError;
use jni::errors::{Error as JniError, ErrorPolicy};
use jni::objects::JClass;
use jni::objects::{JThrowable, JValue};
use jni::refs::Global;
use jni::{Env, jni_sig};
use once_cell::sync::OnceCell;

/// The failures of an export.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The engine's own errors.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// libtorch fails outside of any model.
    #[error("libtorch: {0}")]
    Torch(#[from] TorchError),
    /// Arrow data that is not consistent.
    #[error("Arrow: {0}")]
    Arrow(#[from] ArrowError),
    /// JSON from the JVM side that does not parse.
    #[error("arguments: {0}")]
    Json(#[from] serde_json::Error),
    /// A call into the JVM failed.
    #[error("JNI: {0}")]
    Jni(#[from] JniError),
    /// A handle that is closed or was never open.
    #[error("{0} is not an open {1} handle")]
    StaleHandle(i64, &'static str),
    /// An address that cannot hold a C struct.
    #[error("the address of the {0} is null or misaligned")]
    BadAddress(&'static str),
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Torch(TorchError::OutOfMemory(_)) => "out_of_memory",
            Self::Torch(_) => "torch",
            Self::Json(_) => "bad_request",
            Self::Arrow(_) | Self::Jni(_) | Self::StaleHandle(..) | Self::BadAddress(_) => "internal",
        }
    }

    fn row(&self) -> i64 {
        match self {
            Self::Engine(error) => error.row().and_then(|row| i64::try_from(row).ok()).unwrap_or(-1),
            _ => -1,
        }
    }
}

static EXCEPTION_CLASS: OnceCell<Global<JClass<'static>>> = OnceCell::new();

thread_local! {
    // Per thread, so that two panicking tasks cannot exchange their locations.
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Resolves the exception class while the loader of Flambeau's classes is available, and starts recording where panics happen.
pub(crate) fn prepare(env: &mut Env<'_>) -> Result<(), JniError> {
    if EXCEPTION_CLASS.get().is_none() {
        let class = env.find_class(jni::jni_str!("io/flambeau/bridge/NativeException"))?;
        let class = env.new_global_ref(class)?;
        let _ = EXCEPTION_CLASS.set(class);
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            PANIC_PLACE.with(|cell| *cell.borrow_mut() = place);
            earlier(info);
        }));
    });
    Ok(())
}

/// What every export does with a failure: throw, and return the neutral value.
pub(crate) struct ThrowNative;

impl<T: Default> ErrorPolicy<T, Failure> for ThrowNative {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _captures: &mut Self::Captures<'unowned_env_local, 'native_method>,
        failure: Failure,
    ) -> jni::errors::Result<T> {
        throw(env, failure.kind(), &failure.to_string(), failure.row())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _captures: &mut Self::Captures<'unowned_env_local, 'native_method>,
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        let place = PANIC_PLACE.with(|cell| cell.borrow_mut().take()).unwrap_or_else(|| "a helper thread".to_owned());
        let message = format!("panic at {place}: {}", panic_text(payload.as_ref()));
        // Dropping a payload may panic itself; forgetting a few bytes may not.
        std::mem::forget(payload);
        throw(env, "panic", &message, -1)
    }
}

/// `panic!("literal")` carries a `&str`; formatted panics, `unwrap`, `expect` and index errors carry a `String`.
fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a payload that is not text")
}

fn throw<T: Default>(env: &mut Env<'_>, kind: &str, message: &str, row: i64) -> jni::errors::Result<T> {
    if env.exception_check() {
        return Ok(T::default());
    }
    let Some(class) = EXCEPTION_CLASS.get() else {
        let _ = env.throw(format!("{kind}: {message}"));
        return Ok(T::default());
    };
    let kind = env.new_string(kind)?;
    let message = env.new_string(message)?;
    let signature = jni_sig!("(Ljava/lang/String;Ljava/lang/String;J)V");
    let exception = env.new_object(class, signature, &[JValue::from(&kind), JValue::from(&message), JValue::Long(row)])?;
    let exception = env.cast_local::<JThrowable>(exception)?;
    // throw reports success as Err(JavaException), so that `?` would stop here.
    let _ = env.throw(exception);
    Ok(T::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(body: impl FnOnce() + std::panic::UnwindSafe) -> String {
        panic_text(std::panic::catch_unwind(body).unwrap_err().as_ref()).to_owned()
    }

    #[test]
    #[expect(clippy::unnecessary_literal_unwrap, reason = "the message of unwrap is what is tested")]
    fn panics_keep_their_message_whatever_raised_them() {
        assert_eq!(caught(|| panic!("literal")), "literal");
        assert_eq!(caught(|| panic!("{}", 7)), "7");
        assert!(
            caught(|| {
                None::<u8>.unwrap();
            })
            .contains("None")
        );
        assert!(
            caught(|| {
                let empty: Vec<u8> = Vec::new();
                let _ = empty[std::hint::black_box(3)];
            })
            .contains("out of bounds")
        );
    }
}
