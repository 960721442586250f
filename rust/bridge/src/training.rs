//! The bodies of the native methods that train. A trainer's lock makes sure that one thread uses it at a time; `cancel` takes no
//! lock.

use std::path::Path;
use std::time::Duration;

use flambeau_engine::EngineError;
use flambeau_train::spec::{ProgramSpec, TrainingSpec};
use flambeau_train::{Board, DatasetSpec, ExportSpec, GroupsSpec, ProcessGroup, ProcessGroupSpec, TrainingDataset, TrainingLoop};
use jni::objects::{JByteArray, JClass, JObject, JString, JValue};
use jni::sys::jlong;
use jni::{Env, jni_sig, jni_str};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::answer::{Answer, json, parsed};
use crate::failure::Failure;
use crate::{arrow, handles};

pub(crate) fn open_dataset<'local>(env: &mut Env<'local>, _class: JClass<'local>, spec: JString<'local>, schema: jlong) -> Answer<jlong> {
    // Taken first, so that it is released even if the specification is wrong.
    let fields = arrow::take_schema(schema)?;
    let spec: DatasetSpec = parsed(env, &spec)?;
    Ok(handles::add_dataset(TrainingDataset::create(spec, fields)?))
}

/// A JSON array of the rows that were left out.
pub(crate) fn add_rows<'local>(env: &mut Env<'local>, _class: JClass<'local>, dataset: jlong, array: jlong) -> Answer<JString<'local>> {
    let dataset = handles::dataset(dataset)?;
    let batch = arrow::take_batch(array, dataset.columns().clone())?;
    json(env, &dataset.add(&batch)?)
}

pub(crate) fn finish_dataset<'local>(env: &mut Env<'local>, _class: JClass<'local>, dataset: jlong) -> Answer<JString<'local>> {
    let summary = handles::dataset(dataset)?.finish()?;
    json(env, &summary)
}

/// `dataset`: the worker's own; canceling it ends the wait for the others. `board`: where the workers find one another; asked on this
/// thread, until all have joined.
pub(crate) fn join_process_group<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    dataset: jlong,
    spec: JString<'local>,
    board: JObject<'local>,
) -> Answer<jlong> {
    let spec: ProcessGroupSpec = parsed(env, &spec)?;
    let dataset = handles::dataset(dataset)?;
    let ranks = ProcessGroup::join(&spec, &mut JavaBoard { env, board }, dataset.canceled())?;
    Ok(handles::add_group(ranks))
}

/// An `io.flambeau.bridge.Board`. Its exceptions stay pending, so the JVM sees them.
struct JavaBoard<'a, 'local> {
    env: &'a mut Env<'local>,
    board: JObject<'local>,
}

/// References that one call needs.
const BOARD_REFERENCES: usize = 4;

fn board_failed(error: jni::errors::Error) -> EngineError {
    EngineError::Internal(format!("the board of the workers' addresses: {error}"))
}

impl Board for JavaBoard<'_, '_> {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), EngineError> {
        let board = &self.board;
        let put = self.env.with_local_frame(BOARD_REFERENCES, |env| -> jni::errors::Result<()> {
            let (key, value) = (env.new_string(key)?, env.byte_array_from_slice(value)?);
            let signature = jni_sig!("(Ljava/lang/String;[B)V");
            env.call_method(board, jni_str!("put"), signature, &[JValue::from(&key), JValue::from(&value)])?;
            Ok(())
        });
        put.map_err(board_failed)
    }

    fn look(&mut self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let board = &self.board;
        let found = self.env.with_local_frame(BOARD_REFERENCES, |env| -> jni::errors::Result<Option<Vec<u8>>> {
            let key = env.new_string(key)?;
            let value = env.call_method(board, jni_str!("look"), jni_sig!("(Ljava/lang/String;)[B"), &[JValue::from(&key)])?.l()?;
            if value.is_null() {
                return Ok(None);
            }
            let value = env.cast_local::<JByteArray>(value)?;
            env.convert_byte_array(value).map(Some)
        });
        found.map_err(board_failed)
    }
}

/// Which of these trainings step together: a JSON array of arrays of their places.
pub(crate) fn trainings_together<'local>(env: &mut Env<'local>, _class: JClass<'local>, specs: JString<'local>) -> Answer<JString<'local>> {
    let specs: Vec<TrainingSpec> = parsed(env, &specs)?;
    json(env, &flambeau_train::trainings_together(&specs))
}

pub(crate) fn open_trainers<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    dataset: jlong,
    group: jlong,
    specs: JString<'local>,
) -> Answer<jlong> {
    let specs: Vec<TrainingSpec> = parsed(env, &specs)?;
    let canceled = Arc::new(AtomicBool::new(false));
    let training = TrainingLoop::open(&handles::dataset(dataset)?, &handles::group(group)?, specs, canceled.clone())?;
    Ok(handles::add_trainers(training, canceled))
}

/// Checks that a program can be trained as specified, before there are any rows.
pub(crate) fn check_program<'local>(env: &mut Env<'local>, _class: JClass<'local>, spec: JString<'local>) -> Answer<()> {
    let spec: ProgramSpec = parsed(env, &spec)?;
    Ok(flambeau_train::check_program(&spec)?)
}

pub(crate) fn run_trainers<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    max_millis: jlong,
) -> Answer<JString<'local>> {
    let limit = Duration::from_millis(u64::try_from(max_millis).unwrap_or(0));
    let progress = handles::trainers(trainers)?.lock().run(limit)?;
    json(env, &progress)
}

fn at(place: jlong) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

pub(crate) fn stop_trainer<'local>(_env: &mut Env<'local>, _class: JClass<'local>, trainers: jlong, place: jlong) -> Answer<()> {
    Ok(handles::trainers(trainers)?.lock().stop(at(place))?)
}

pub(crate) fn save_checkpoint<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    place: jlong,
    file: JString<'local>,
) -> Answer<()> {
    let file = file.try_to_string(env)?;
    Ok(handles::trainers(trainers)?.lock().save_checkpoint(at(place), Path::new(&file))?)
}

pub(crate) fn restore_checkpoint<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    place: jlong,
    file: JString<'local>,
) -> Answer<()> {
    let file = file.try_to_string(env)?;
    Ok(handles::trainers(trainers)?.lock().restore_checkpoint(at(place), Path::new(&file))?)
}

pub(crate) fn save_package<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    place: jlong,
    directory: JString<'local>,
    spec: JString<'local>,
) -> Answer<JString<'local>> {
    let directory = directory.try_to_string(env)?;
    let spec: ExportSpec = parsed(env, &spec)?;
    let described = handles::trainers(trainers)?.lock().save_package(at(place), Path::new(&directory), &spec)?;
    json(env, &described)
}

pub(crate) fn train_groups<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    dataset: jlong,
    spec: JString<'local>,
    array: jlong,
    schema: jlong,
) -> Answer<()> {
    let spec: GroupsSpec = parsed(env, &spec)?;
    let dataset = handles::dataset(dataset)?;
    arrow::give_batch(&flambeau_train::train_groups(&dataset, &spec, dataset.canceled())?, array, schema)
}

/// A dataset's number stops what works on the dataset without a trainer.
pub(crate) fn cancel_trainers<'local>(_env: &mut Env<'local>, _class: JClass<'local>, trainers: jlong) -> Answer<()> {
    if let Ok(dataset) = handles::dataset(trainers) {
        dataset.canceled().store(true, Ordering::Relaxed);
        return Ok(());
    }
    match handles::trainers(trainers) {
        Ok(trainers) => trainers.canceled.store(true, Ordering::Relaxed),
        // It may just have closed: then there is nothing to stop.
        Err(Failure::StaleHandle(..)) => {}
        Err(other) => return Err(other),
    }
    Ok(())
}
