//! Sends Rust's `log` to the JVM's: messages of the JVM's threads go to `io.flambeau.bridge.NativeLog`, which adds stage and
//! partition. Those of other threads go to stderr: attaching them to the JVM costs too much.

use std::cell::Cell;

use jni::objects::{JClass, JValue};
use jni::refs::Global;
use jni::{Env, JavaVM, jni_sig, jni_str};
use log::{LevelFilter, Log, Metadata, Record};
use once_cell::sync::OnceCell;

static SINK: OnceCell<Global<JClass<'static>>> = OnceCell::new();
static LOGGER: Bridge = Bridge;

thread_local! {
    // jni itself logs: a message that is logged while another is being sent goes to stderr.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

struct Bridge;

/// Resolves the sink while the loader of Flambeau's classes is available; the first call wins.
pub(crate) fn prepare(env: &mut Env<'_>) -> jni::errors::Result<()> {
    if SINK.get().is_none() {
        let class = env.find_class(jni_str!("io/flambeau/bridge/NativeLog"))?;
        let _ = SINK.set(env.new_global_ref(class)?);
        let _ = log::set_logger(&LOGGER);
        log::set_max_level(LevelFilter::Warn);
    }
    Ok(())
}

/// Sets the level by its name; an unknown name changes nothing.
pub(crate) fn set_level(name: &str) {
    if let Ok(level) = name.parse() {
        log::set_max_level(level);
    }
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("flambeau") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string();
        let sent = !BUSY.replace(true) && send(record, &message);
        if sent {
            BUSY.set(false);
        } else {
            eprintln!("{} {}: {message}", record.level(), record.target());
        }
    }

    fn flush(&self) {}
}

fn send(record: &Record, message: &str) -> bool {
    let (Some(sink), Ok(vm)) = (SINK.get(), JavaVM::singleton()) else {
        BUSY.set(false);
        return false;
    };
    let attached = vm.is_thread_attached().unwrap_or(false);
    let outcome = attached && vm.with_top_local_frame(|env| call(env, sink, record, message)).is_ok();
    BUSY.set(false);
    outcome
}

fn call(env: &mut Env<'_>, sink: &Global<JClass<'static>>, record: &Record, message: &str) -> jni::errors::Result<()> {
    if env.exception_check() {
        return Err(jni::errors::Error::JavaException);
    }
    let target = record.target().strip_prefix("flambeau_").unwrap_or(record.target());
    let target = env.new_string(target)?;
    let message = env.new_string(message)?;
    let level = record.level() as i32;
    let arguments = [JValue::Int(level), JValue::from(&target), JValue::from(&message)];
    env.call_static_method(sink, jni_str!("log"), jni_sig!("(ILjava/lang/String;Ljava/lang/String;)V"), &arguments)?;
    Ok(())
}
