//! The bodies of the native methods that train. A trainer is used by one thread at a time, which its lock sees to; `cancel` takes
//! no lock.

use std::path::Path;
use std::time::Duration;

use flambeau_engine::train::spec::TrainingSpec;
use flambeau_engine::train::{Feed, FeedSpec, GroupSpec, GroupsSpec, PublishSpec, Ranks, RoundSpec, Stack, StoreSpec};
use jni::Env;
use jni::objects::{JClass, JString};
use jni::sys::jlong;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exports::{Answer, parsed};
use crate::failure::Failure;
use crate::{arrow, handles};

pub(crate) fn open_feed<'local>(env: &mut Env<'local>, _class: JClass<'local>, spec: JString<'local>, schema: jlong) -> Answer<jlong> {
    // Taken first, so that it is released whatever the specification says.
    let fields = arrow::take_schema(schema)?;
    let spec: FeedSpec = parsed(env, &spec)?;
    Ok(handles::add_feed(Feed::create(spec, fields)?))
}

/// A JSON array of the rows that were left out.
pub(crate) fn feed<'local>(env: &mut Env<'local>, _class: JClass<'local>, feed: jlong, array: jlong) -> Answer<JString<'local>> {
    let feed = handles::feed(feed)?;
    let batch = arrow::take_batch(array, feed.columns().clone())?;
    Ok(env.new_string(serde_json::to_string(&feed.add(&batch)?)?)?)
}

pub(crate) fn seal_feed<'local>(env: &mut Env<'local>, _class: JClass<'local>, feed: jlong) -> Answer<JString<'local>> {
    let summary = handles::feed(feed)?.seal()?;
    Ok(env.new_string(serde_json::to_string(&summary)?)?)
}

pub(crate) fn open_store<'local>(env: &mut Env<'local>, _class: JClass<'local>, spec: JString<'local>) -> Answer<jlong> {
    let spec: StoreSpec = parsed(env, &spec)?;
    Ok(handles::add_store(spec.open()?))
}

pub(crate) fn say<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    store: jlong,
    round: JString<'local>,
    message: JString<'local>,
) -> Answer<()> {
    let round: RoundSpec = parsed(env, &round)?;
    let message = message.try_to_string(env)?;
    Ok(round.say(handles::store(store)?.as_ref(), &message)?)
}

/// Null while somebody has not said anything.
pub(crate) fn heard<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    store: jlong,
    round: JString<'local>,
) -> Answer<JString<'local>> {
    let round: RoundSpec = parsed(env, &round)?;
    match round.heard(handles::store(store)?.as_ref())? {
        Some(all) => Ok(env.new_string(serde_json::to_string(&all)?)?),
        None => Ok(JString::null()),
    }
}

pub(crate) fn store_port<'local>(_env: &mut Env<'local>, _class: JClass<'local>, store: jlong) -> Answer<jlong> {
    Ok(i64::from(handles::store(store)?.port()))
}

/// `feed`: the worker's own; cancelling it ends the wait for the others.
pub(crate) fn open_group<'local>(env: &mut Env<'local>, _class: JClass<'local>, feed: jlong, spec: JString<'local>) -> Answer<jlong> {
    let spec: GroupSpec = parsed(env, &spec)?;
    let feed = handles::feed(feed)?;
    let store = spec.store.map(handles::store).transpose()?;
    Ok(handles::add_group(Ranks::join(&spec, store.as_deref(), feed.cancelled())?))
}

pub(crate) fn open_trainers<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    feed: jlong,
    group: jlong,
    specs: JString<'local>,
) -> Answer<jlong> {
    let specs: Vec<TrainingSpec> = parsed(env, &specs)?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let stack = Stack::open(&handles::feed(feed)?, &handles::group(group)?, specs, cancelled.clone())?;
    Ok(handles::add_trainers(stack, cancelled))
}

pub(crate) fn run_trainers<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    max_millis: jlong,
) -> Answer<JString<'local>> {
    let limit = Duration::from_millis(u64::try_from(max_millis).unwrap_or(0));
    let progress = handles::trainers(trainers)?.lock().run(limit)?;
    Ok(env.new_string(serde_json::to_string(&progress)?)?)
}

fn at(place: jlong) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

pub(crate) fn save_checkpoint<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    place: jlong,
    file: JString<'local>,
) -> Answer<()> {
    let file = file.try_to_string(env)?;
    Ok(handles::trainers(trainers)?.lock().trainer(at(place))?.save_checkpoint(Path::new(&file))?)
}

pub(crate) fn restore_checkpoint<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    trainers: jlong,
    place: jlong,
    file: JString<'local>,
) -> Answer<()> {
    let file = file.try_to_string(env)?;
    Ok(handles::trainers(trainers)?.lock().trainer(at(place))?.restore_checkpoint(Path::new(&file))?)
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
    let spec: PublishSpec = parsed(env, &spec)?;
    let described = handles::trainers(trainers)?.lock().trainer(at(place))?.save_package(Path::new(&directory), &spec)?;
    Ok(env.new_string(described.to_string())?)
}

pub(crate) fn train_groups<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    feed: jlong,
    spec: JString<'local>,
    array: jlong,
    schema: jlong,
) -> Answer<()> {
    let spec: GroupsSpec = parsed(env, &spec)?;
    let feed = handles::feed(feed)?;
    arrow::give_batch(&flambeau_engine::train::train_groups(&feed, &spec, feed.cancelled())?, array, schema)
}

/// A feed's number stops what works on the feed without a trainer.
pub(crate) fn cancel_trainers<'local>(_env: &mut Env<'local>, _class: JClass<'local>, trainers: jlong) -> Answer<()> {
    if let Ok(feed) = handles::feed(trainers) {
        feed.cancelled().store(true, Ordering::Relaxed);
        return Ok(());
    }
    match handles::trainers(trainers) {
        Ok(stack) => stack.cancelled.store(true, Ordering::Relaxed),
        // It may have closed a moment ago: there is nothing left to stop.
        Err(Failure::StaleHandle(..)) => {}
        Err(other) => return Err(other),
    }
    Ok(())
}
