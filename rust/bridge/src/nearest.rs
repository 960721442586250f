//! The bodies of the native methods that search for nearest neighbors. One thread uses a search at a time: a lock makes sure of it.

use flambeau_engine::nearest::{Nearest, NearestSpec};
use jni::Env;
use jni::objects::{JClass, JString};
use jni::sys::jlong;

use crate::answer::{Answer, parsed};
use crate::{arrow, handles};

pub(crate) fn open_nearest<'local>(
    env: &mut Env<'local>,
    _class: JClass<'local>,
    spec: JString<'local>,
    query_schema: jlong,
    row_schema: jlong,
) -> Answer<jlong> {
    // Both taken first, so that they are released even if the specification is wrong.
    let (queries, rows) = (arrow::take_schema(query_schema), arrow::take_schema(row_schema));
    let spec: NearestSpec = parsed(env, &spec)?;
    Ok(handles::add_nearest(Nearest::new(spec, queries?, rows?)?))
}

pub(crate) fn nearest_queries<'local>(_env: &mut Env<'local>, _class: JClass<'local>, search: jlong, array: jlong) -> Answer<()> {
    let search = handles::nearest(search)?;
    let mut search = handles::locked(&search);
    let batch = arrow::take_batch(array, search.query_columns().clone())?;
    Ok(search.begin(&batch)?)
}

pub(crate) fn nearest_rows<'local>(_env: &mut Env<'local>, _class: JClass<'local>, search: jlong, array: jlong) -> Answer<()> {
    let search = handles::nearest(search)?;
    let mut search = handles::locked(&search);
    let batch = arrow::take_batch(array, search.row_columns().clone())?;
    Ok(search.compare(&batch)?)
}

pub(crate) fn nearest_results<'local>(
    _env: &mut Env<'local>,
    _class: JClass<'local>,
    search: jlong,
    output: jlong,
    schema: jlong,
) -> Answer<()> {
    let search = handles::nearest(search)?;
    let found = handles::locked(&search).finish()?;
    arrow::give_batch(&found, output, schema)
}
