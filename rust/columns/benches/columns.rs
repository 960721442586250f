//! Rows of numbers from Arrow into a tensor's buffer and back: `cargo bench -p flambeau-columns`. CONTRIBUTING.md says how to compare
//! two states of the code.

#![allow(missing_docs, clippy::expect_used, reason = "a program for people who measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, Float32Array, Float64Array, Int32Array, UInt8Array};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flambeau_columns::{dense, nested, normalize};

const ROWS: usize = 1024;
/// Values of a row: the features of a small network.
const WIDTH: usize = 1280;

fn values<T>(of: impl Fn(usize) -> T) -> Vec<T> {
    (0..ROWS * WIDTH).map(of).collect()
}

/// A list of `WIDTH` values in each row.
fn rows(values: ArrayRef) -> ArrayRef {
    nested::lists(values, &[WIDTH], &[true; ROWS]).expect("lists")
}

fn assemble(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assemble f32");
    group.throughput(Throughput::Elements((ROWS * WIDTH) as u64));
    let columns: [(&str, ArrayRef); 4] = [
        ("from f32", Arc::new(Float32Array::from(values(|i| i as f32)))),
        ("from f64", Arc::new(Float64Array::from(values(|i| i as f64)))),
        ("from i32", Arc::new(Int32Array::from(values(|i| i as i32)))),
        ("from u8", Arc::new(UInt8Array::from(values(|i| i as u8)))),
    ];
    let all: Vec<usize> = (0..ROWS).collect();
    let mut out = vec![0.0_f32; ROWS * WIDTH];
    for (name, column) in columns {
        let column = rows(column);
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert!(dense::gather(black_box(&column), &[WIDTH], &all, &mut out).is_empty()));
        });
    }
    let column = rows(Arc::new(Float32Array::from(values(|i| i as f32))));
    let half: Vec<usize> = (0..ROWS).step_by(2).collect();
    group.throughput(Throughput::Elements((half.len() * WIDTH) as u64));
    group.bench_function("every other row", |bencher| {
        let out = &mut out[..half.len() * WIDTH];
        bencher.iter(|| assert!(dense::gather(black_box(&column), &[WIDTH], &half, out).is_empty()));
    });
}

fn convert(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convert");
    group.throughput(Throughput::Elements(ROWS as u64));
    let values: ArrayRef = Arc::new(Float32Array::from(values(|i| i as f32)));
    group.bench_function("lists", |bencher| {
        bencher.iter(|| nested::lists(black_box(&values).clone(), &[WIDTH], &[true; ROWS]).expect("lists"));
    });
    let lists = rows(values);
    group.bench_function("lists for the JVM", |bencher| bencher.iter(|| normalize(black_box(&lists).to_data()).expect("lists")));
    let slice = lists.slice(1, ROWS - 1);
    group.bench_function("a slice for the JVM", |bencher| bencher.iter(|| normalize(black_box(&slice).to_data()).expect("lists")));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = assemble, convert
}
criterion_main!(benches);
