use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, BinaryArray, Int64Array, ListArray};
use arrow_schema::{DataType, Field};

use super::*;

type Row = (i64, Option<Vec<Option<f32>>>);

fn fields(id: &DataType) -> Fields {
    let item = Arc::new(Field::new("element", DataType::Float32, true));
    vec![Field::new("id", id.clone(), false), Field::new("vector", DataType::List(item), true)].into()
}

fn batch(ids: ArrayRef, vectors: impl IntoIterator<Item = Option<Vec<Option<f32>>>>) -> StructArray {
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(vectors);
    let item = Arc::new(Field::new("element", DataType::Float32, true));
    let (_, offsets, values, nulls) = lists.into_parts();
    let lists = ListArray::new(item, offsets, values, nulls);
    StructArray::new(fields(ids.data_type()), vec![ids, Arc::new(lists)], None)
}

fn numbered(rows: &[Row]) -> StructArray {
    batch(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))), rows.iter().map(|row| row.1.clone()))
}

fn whole(vector: &[f32]) -> Option<Vec<Option<f32>>> {
    Some(vector.iter().copied().map(Some).collect())
}

/// Pseudo-random rows of 13 elements, with many that are equal.
fn rows(count: i64, seed: u64) -> Vec<Row> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / 8_388_608.0) - 1.0
    };
    let mut made: Vec<Row> = Vec::new();
    for id in 0..count {
        let vector = if id % 3 == 2 { made[(id / 3) as usize].1.clone() } else { whole(&std::array::from_fn::<f32, 13, _>(|_| next())) };
        made.push((id, vector));
    }
    made
}

fn spec(metric: Metric, k: usize) -> NearestSpec {
    NearestSpec { metric, k, threshold: None, smaller_ids: false }
}

fn search(spec: NearestSpec, queries: &[Row], blocks: &[&[Row]]) -> Vec<(i32, i64, f64)> {
    let mut search = Nearest::new(spec, fields(&DataType::Int64), fields(&DataType::Int64)).unwrap();
    search.begin(&numbered(queries)).unwrap();
    for block in blocks {
        search.compare(&numbered(block)).unwrap();
    }
    let found = search.finish().unwrap();
    let query = found.column(0).as_primitive::<Int32Type>().values();
    let id = found.column(1).as_primitive::<Int64Type>().values();
    let score = found.column(2).as_primitive::<Float64Type>().values();
    (0..found.len()).map(|i| (query[i], id[i], score[i])).collect()
}

fn value(metric: Metric, x: &[f32], y: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match metric {
        Metric::Dot => dot(x, y),
        Metric::Cosine => dot(x, y) / (dot(x, x).sqrt() * dot(y, y).sqrt()),
        Metric::L2 => x.iter().zip(y).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt(),
    }
}

fn dense(row: &Row) -> Vec<f32> {
    row.1.as_ref().unwrap().iter().map(|number| number.unwrap()).collect()
}

#[test]
fn the_neighbors_are_those_of_all_pairs_however_rows_fall_into_blocks() {
    let (queries, all) = (rows(600, 1), rows(700, 2));
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let found = search(spec(metric, 7), &queries, &[&all]);
        assert_eq!(found.len(), 600 * 7);
        for (query, row) in queries.iter().enumerate() {
            let mut scored: Vec<(f64, i64)> = all.iter().map(|other| (value(metric, &dense(row), &dense(other)), other.0)).collect();
            scored.sort_by(|a, b| if metric == Metric::L2 { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
            for (rank, (wanted, _)) in scored.iter().take(7).enumerate() {
                let (place, id, got) = found[query * 7 + rank];
                assert_eq!(place, query as i32);
                assert!((got - wanted).abs() < 1e-12, "{metric:?} query {query} rank {rank}: {got}, not {wanted}");
                assert!((value(metric, &dense(row), &dense(&all[id as usize])) - got).abs() < 1e-12);
            }
        }
        let blocks: Vec<&[Row]> = all.chunks(97).rev().collect();
        assert_eq!(search(spec(metric, 7), &queries, &blocks), found, "{metric:?}");
    }
}

#[test]
fn equal_vectors_have_equal_scores_and_go_by_id() {
    let vector = whole(&[0.1, 0.7, -0.3]);
    let all: Vec<Row> = [9, 4, 7, 1, 8].into_iter().map(|id| (id, vector.clone())).collect();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let blocks: Vec<&[Row]> = all.chunks(2).collect();
        let found = search(spec(metric, 3), &[(0, whole(&[0.3, 0.2, 0.9]))], &blocks);
        assert_eq!(found.iter().map(|row| row.1).collect::<Vec<_>>(), [1, 4, 7], "{metric:?}");
        assert!(found.iter().all(|row| row.2.to_bits() == found[0].2.to_bits()));
    }
}

#[test]
fn vectors_that_cannot_be_compared_have_no_neighbors_and_are_none() {
    let bad = [None, Some(vec![Some(1.0), None]), whole(&[f32::NAN, 1.0]), whole(&[1.0, f32::INFINITY])];
    let all: Vec<Row> = (0..).zip(bad).chain([(8, whole(&[0.0, 0.0])), (9, whole(&[3.0, 4.0]))]).collect();
    let ids = |metric, query: usize| {
        search(spec(metric, 10), &all, &[&all]).iter().filter(|row| row.0 == query as i32).map(|row| row.1).collect::<Vec<_>>()
    };
    for query in 0..4 {
        assert!(ids(Metric::Cosine, query).is_empty() && ids(Metric::L2, query).is_empty());
    }
    assert_eq!((ids(Metric::Cosine, 4), ids(Metric::Cosine, 5)), (vec![], vec![9]));
    assert_eq!((ids(Metric::L2, 4), ids(Metric::Dot, 5)), (vec![8, 9], vec![9, 8]));
}

#[test]
fn large_and_small_numbers_are_not_lost() {
    let all: Vec<Row> = [1e30_f32, 3e38, 1e-30, 1e-44, 2.0].into_iter().enumerate().map(|(id, x)| (id as i64, whole(&[x, x]))).collect();
    let ids =
        |metric, query: f32| search(spec(metric, 3), &[(0, whole(&[query, query]))], &[&all]).iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(ids(Metric::Dot, 1e20), [1, 0, 4]);
    // To f64, the other small ones are equally far.
    assert_eq!(ids(Metric::L2, 1e30), [0, 2, 3]);
    assert_eq!(ids(Metric::L2, 1e-30), [2, 3, 4]);
}

#[test]
fn a_threshold_and_smaller_ids_limit_the_neighbors() {
    let all: Vec<Row> = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.0]].iter().enumerate().map(|(id, v)| (id as i64, whole(v))).collect();
    let near = NearestSpec { threshold: Some(0.9), smaller_ids: true, ..spec(Metric::Cosine, 10) };
    let pairs = |spec| search(spec, &all, &[&all[..3], &all[3..]]).iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
    assert_eq!(pairs(near.clone()), [(1, 0), (3, 0), (3, 1)]);
    assert_eq!(pairs(NearestSpec { k: 1, ..near.clone() }), [(1, 0), (3, 0)]);
    assert_eq!(pairs(NearestSpec { metric: Metric::L2, threshold: Some(0.05), ..near }), [(3, 0)]);
}

#[test]
fn ids_may_be_texts_and_order_by_bytes() {
    let ids: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"b".as_slice(), b"\xff", b"a"]));
    let mut search = Nearest::new(spec(Metric::Dot, 2), fields(&DataType::Int64), fields(&DataType::Binary)).unwrap();
    search.begin(&numbered(&[(0, whole(&[1.0]))])).unwrap();
    search.compare(&batch(ids, vec![whole(&[1.0]), whole(&[1.0]), whole(&[1.0])])).unwrap();
    let found = search.finish().unwrap();
    assert_eq!(found.column(1).as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), [b"a", b"b"]);
    // Neither queries nor rows: no neighbors.
    assert_eq!(search.finish().unwrap().len(), 0);
    search.begin(&numbered(&[])).unwrap();
    assert_eq!(search.finish().unwrap().len(), 0);
}

#[test]
fn vectors_of_another_length_are_named() {
    let mut search = Nearest::new(spec(Metric::Dot, 2), fields(&DataType::Int64), fields(&DataType::Int64)).unwrap();
    search.begin(&numbered(&[(0, None), (1, whole(&[1.0, 2.0]))])).unwrap();
    let error = search.compare(&numbered(&[(0, whole(&[1.0, 2.0])), (1, whole(&[1.0]))])).unwrap_err();
    assert_eq!(
        (error.row(), error.kind(), error.to_string().as_str()),
        (Some(1), "bad_input", "a vector has 1 elements, and others have 2")
    );
}
