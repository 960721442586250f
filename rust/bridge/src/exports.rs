//! The native methods of `io.flambeau.bridge.NativeBridge`. Only `registerNatives` is an exported symbol; it registers the
//! others from [`METHODS`], whose signatures are checked against the Rust functions when this crate is compiled, and
//! against the Java class when they are registered.

use std::path::Path;
use std::sync::Once;

use flambeau_engine::{
    Counters, ModelOptions, Package, Request, Session, StartSpec, allow_machine_code, keep_choices, package, pool, registry,
};
use flambeau_torch_ext::process;
use jni::objects::{JClass, JLongArray, JString};
use jni::sys::jlong;
use jni::{Env, NativeMethod, native_method};

use crate::answer::{Answer, json, parsed};
use crate::failure::{self, ThrowNative};
use crate::nearest::{nearest_queries, nearest_results, nearest_rows, open_nearest};
use crate::training::{
    add_rows, cancel_trainers, check_program, finish_dataset, join_process_group, open_dataset, open_trainers, restore_checkpoint,
    run_trainers, save_checkpoint, save_package, stop_trainer, train_groups, trainings_together,
};
use crate::{arrow, handles, jlog};

macro_rules! methods {
    ($($name:literal => { $($definition:tt)* }),* $(,)?) => {
        /// Everything but `registerNatives`.
        const METHODS: &[NativeMethod] = &[$(native_method! { $($definition)*, error_policy = ThrowNative }),*];
        /// Java names, in the same order.
        const NAMES: &[&str] = &[$($name),*];
    };
}

methods! {
    "nativeTable" => { static fn native_table() -> JString },
    "start" => { static fn start(settings: JString) -> JString },
    "describeModel" => { static fn describe_model(directory: JString) -> JString },
    "listPackage" => { static fn list_package(place: JString, manifest: JString) -> JString },
    "wrapProgram" => { static fn wrap_program(place: JString, description: JString, program: JString, hashes: JString) -> JString },
    "openModel" => { static fn open_model(directory: JString, options: JString) -> jlong },
    "modelFacts" => { static fn model_facts(model: jlong) -> JString },
    "openSession" => { static fn open_session(model: jlong, schema: jlong, request: JString) -> jlong },
    "evaluate" => { static fn evaluate(session: jlong, input: jlong, output: jlong, schema: jlong, counters: jlong[]) },
    "estimateBytes" => { static fn estimate_bytes(session: jlong, rows: jlong) -> jlong },
    "openDataset" => { static fn open_dataset(spec: JString, schema: jlong) -> jlong },
    "addRows" => { static fn add_rows(dataset: jlong, array: jlong) -> JString },
    "finishDataset" => { static fn finish_dataset(dataset: jlong) -> JString },
    "checkProgram" => { static fn check_program(spec: JString) },
    "joinProcessGroup" => { static fn join_process_group(dataset: jlong, spec: JString, board: io.flambeau.bridge.Board) -> jlong },
    "trainingsTogether" => { static fn trainings_together(specs: JString) -> JString },
    "openTrainers" => { static fn open_trainers(dataset: jlong, group: jlong, specs: JString) -> jlong },
    "runTrainers" => { static fn run_trainers(trainers: jlong, max_millis: jlong) -> JString },
    "stopTrainer" => { static fn stop_trainer(trainers: jlong, place: jlong) },
    "saveCheckpoint" => { static fn save_checkpoint(trainers: jlong, place: jlong, file: JString) },
    "restoreCheckpoint" => { static fn restore_checkpoint(trainers: jlong, place: jlong, file: JString) },
    "savePackage" => { static fn save_package(trainers: jlong, place: jlong, directory: JString, spec: JString) -> JString },
    "trainGroups" => { static fn train_groups(dataset: jlong, spec: JString, array: jlong, schema: jlong) },
    "cancelTrainers" => { static fn cancel_trainers(trainers: jlong) },
    "openNearest" => { static fn open_nearest(spec: JString, query_schema: jlong, row_schema: jlong) -> jlong },
    "nearestQueries" => { static fn nearest_queries(search: jlong, array: jlong) },
    "nearestRows" => { static fn nearest_rows(search: jlong, array: jlong) },
    "nearestResults" => { static fn nearest_results(search: jlong, output: jlong, schema: jlong) },
    "close" => { static fn close(handle: jlong) },
    "stats" => { static fn stats() -> JString },
}

/// The exported symbol.
#[allow(dead_code, reason = "the constant exists for the symbol that its macro exports")]
const REGISTER: NativeMethod = native_method! {
    java_type = "io.flambeau.bridge.NativeBridge",
    static extern fn register_natives(),
    error_policy = ThrowNative,
};

fn register_natives<'local>(env: &mut Env<'local>, class: JClass<'local>) -> Answer<()> {
    failure::prepare(env)?;
    jlog::prepare(env)?;
    // SAFETY: all methods are static on the Java side too, and `native_method!` made pointers and signatures agree.
    unsafe { env.register_native_methods(&class, METHODS) }?;
    Ok(())
}

fn native_table<'local>(env: &mut Env<'local>, _class: JClass<'local>) -> Answer<JString<'local>> {
    Ok(env.new_string(NAMES.join("\n"))?)
}

fn start<'local>(env: &mut Env<'local>, _class: JClass<'local>, settings: JString<'local>) -> Answer<JString<'local>> {
    static ONCE: Once = Once::new();
    let settings: StartSpec = parsed(env, &settings)?;
    let mut outcome = Ok(());
    ONCE.call_once(|| {
        jlog::set_level(&settings.log_level);
        process::tune_malloc();
        process::bound_allocations();
        pool::configure(settings.decode_threads);
        registry::configure(settings.idle_model_bytes);
        allow_machine_code(settings.machine_code);
        keep_choices(settings.choices_folder.into());
        outcome = process::set_intra_op_threads(settings.intra_op_threads)
            .and_then(|()| process::handle_traps())
            .and_then(|()| process::register_vision_operators());
    });
    outcome?;
    let versions = serde_json::json!({
        "flambeau": env!("CARGO_PKG_VERSION"),
        "libtorch": process::libtorch_version(),
        "intra_op_threads": settings.intra_op_threads,
        "decode_threads": settings.decode_threads,
    });
    Ok(env.new_string(versions.to_string())?)
}

fn describe_model<'local>(env: &mut Env<'local>, _class: JClass<'local>, directory: JString<'local>) -> Answer<JString<'local>> {
    let directory = directory.try_to_string(env)?;
    let package = Package::open(Path::new(&directory))?;
    json(env, &package.describe())
}

fn list_package<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    place: JString<'local>,
    manifest: JString<'local>,
) -> Answer<JString<'local>> {
    let listed = package::list(&place.try_to_string(env)?, &manifest.try_to_string(env)?)?;
    json(env, &listed)
}

fn wrap_program<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    place: JString<'local>,
    description: JString<'local>,
    program: JString<'local>,
    hashes: JString<'local>,
) -> Answer<JString<'local>> {
    let hashes = parsed(env, &hashes)?;
    let wrapped = package::wrap(&place.try_to_string(env)?, &description.try_to_string(env)?, &program.try_to_string(env)?, &hashes)?;
    json(env, &wrapped)
}

fn open_model<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    directory: JString<'local>,
    options: JString<'local>,
) -> Answer<jlong> {
    let directory = directory.try_to_string(env)?;
    let options: ModelOptions = parsed(env, &options)?;
    Ok(handles::add_model(registry::open(Path::new(&directory), &options)?))
}

fn model_facts<'local>(env: &mut Env<'local>, _class: JClass<'local>, model: jlong) -> Answer<JString<'local>> {
    json(env, &handles::model(model)?.facts())
}

fn open_session<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    model: jlong,
    schema: jlong,
    request: JString<'local>,
) -> Answer<jlong> {
    let fields = arrow::take_schema(schema)?;
    let request: Request = parsed(env, &request)?;
    Ok(handles::add_session(Session::new(handles::model(model)?, fields, request)?))
}

fn evaluate<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    session: jlong,
    input: jlong,
    output: jlong,
    schema: jlong,
    counters: JLongArray<'local>,
) -> Answer<()> {
    let session = handles::session(session)?;
    let batch = arrow::take_batch(input, session.columns().clone())?;
    let mut counted = Counters::default();
    let result = session.evaluate_until(&batch, &mut counted, &mut || task_is_killed(env, &class));
    counters.set_region(env, 0, &as_longs(&counted))?;
    arrow::give_batch(&result?, output, schema)
}

/// Whether Spark killed the task of this thread. If the check itself fails, the task continues.
fn task_is_killed(env: &mut Env<'_>, class: &JClass<'_>) -> bool {
    let answer = env.call_static_method(class, jni::jni_str!("taskIsKilled"), jni::jni_sig!("()Z"), &[]);
    answer.and_then(|value| value.z()).unwrap_or(false)
}

/// The order that `ModelSession.Counters` reads.
fn as_longs(c: &Counters) -> Vec<i64> {
    let mut all = vec![
        c.rows,
        c.forwards,
        c.bad_rows,
        c.prepare_ns,
        c.forward_ns,
        c.convert_ns,
        c.peak_native_bytes,
        c.real_tokens,
        c.padded_tokens,
        c.passes_again,
    ];
    all.extend(c.bad_by_cause);
    all.into_iter().map(|n| i64::try_from(n).unwrap_or(i64::MAX)).collect()
}

fn estimate_bytes<'local>(_env: &mut Env<'local>, _class: JClass<'local>, session: jlong, rows: jlong) -> Answer<jlong> {
    let bytes = handles::session(session)?.estimate_bytes(u64::try_from(rows).unwrap_or(0));
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn close<'local>(_env: &mut Env<'local>, _class: JClass<'local>, handle: jlong) -> Answer<()> {
    handles::close(handle);
    Ok(())
}

fn stats<'local>(env: &mut Env<'local>, _class: JClass<'local>) -> Answer<JString<'local>> {
    let totals = registry::totals(handles::live() as u64);
    json(env, &totals)
}
