//! Peers that disappear, cancellations, losses that are NaN or infinite, rows that cannot be trained on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::{ArrayRef, Float64Array, ListArray};
use flambeau_train::{ProcessGroup, ProcessGroupSpec, TrainingDataset};
use serde_json::json;

use crate::board::FolderBoard;
use crate::support::{
    Rows, Spread, Trainer, alone, class_rows, finish, folder, group, head_spec, member, open, spec, spread_group, struct_of,
};
use crate::whole;

/// Far longer than any test: reaching it means a hang.
const LONG_MS: u64 = 1_800_000;

#[test]
fn a_peer_that_goes_is_an_error_of_the_others_that_names_rank_and_phase() {
    let rows = class_rows(false);
    for spread in [Spread::Together, Spread::Apart, Spread::Pairs] {
        let errors = spread_group(3, spread, LONG_MS, |ranks| {
            let dataset = rows.dataset(&rows.of_rank(ranks.rank, 3), &rows.dense());
            let mut trainer = open(&dataset, &ranks, &head_spec()).unwrap();
            trainer.run(Duration::ZERO).unwrap();
            if ranks.rank == 1 {
                return None; // ends like a killed process: its sockets close
            }
            Some(finish(&mut trainer).unwrap_err())
        });
        for (rank, error) in errors.iter().enumerate().filter_map(|(rank, error)| error.as_ref().map(|e| (rank, e))) {
            assert_eq!(error.kind(), "peer", "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("rank {rank} of 3, while adding up gradients: ")), "{text}");
        }
        assert_eq!(errors.iter().flatten().count(), 2);
    }
}

/// A rank of plain Python torch, which joins, proves that it knows the secret, counts its rows (none) with the others, and then does
/// nothing.
const PYTHON_RANK: &str = r#"
import datetime, hashlib, os, sys, time, torch
import torch.distributed as dist

class Folder(dist.Store):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
    def file(self, key):
        return os.path.join(self.folder, key.replace("/", "_"))
    def set(self, key, value):
        with open(self.file(key) + ".part", "wb") as out:
            out.write(value.encode() if isinstance(value, str) else bytes(value))
        os.rename(self.file(key) + ".part", self.file(key))
    def wait(self, keys, timeout=None):
        while not all(os.path.exists(self.file(key)) for key in keys):
            time.sleep(0.01)
    def get(self, key):
        self.wait([key])
        with open(self.file(key), "rb") as file:
            return file.read()

Folder(sys.argv[1]).set("process/1", "python")
group = dist.ProcessGroupGloo(Folder(sys.argv[1]), 1, 2, datetime.timedelta(seconds=300))
digest = hashlib.sha256(b"flambeau worker of the tests 1").digest()
group.allreduce([torch.tensor([int.from_bytes(digest[at:at + 4], "big") for at in range(0, 32, 4)])]).wait()
group.allreduce([torch.zeros(int(sys.argv[2]), dtype=torch.float64)]).wait()
print("joined", flush=True)
time.sleep(3600)
"#;

/// Numbers that ranks add up before the first step of the trainings here: rows of 16 shards, and four sums over all rows.
const COUNTED: usize = 16 + 4;

#[test]
fn a_peer_that_is_killed_is_an_error_at_once() {
    use std::io::{BufRead, BufReader};
    let board = folder("board");
    let python = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let mut command = std::process::Command::new(python);
    let arguments = [std::ffi::OsStr::new("-c"), PYTHON_RANK.as_ref(), board.as_os_str()];
    let mut peer = command.args(arguments).arg(COUNTED.to_string()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let joined = ProcessGroup::join(&member(0, 2, LONG_MS), &mut FolderBoard(board), &AtomicBool::new(false));
    let ranks = Arc::new(joined.unwrap());
    let rows = class_rows(false);
    let mut trainer = open(&rows.dataset(&rows.of_rank(0, 1), &rows.dense()), &ranks, &head_spec()).unwrap();
    let mut line = String::new();
    BufReader::new(peer.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "joined\n");
    let error = std::thread::scope(|scope| {
        let training = scope.spawn(|| finish(&mut trainer).unwrap_err());
        std::thread::sleep(Duration::from_millis(200));
        peer.kill().unwrap();
        training.join().unwrap()
    });
    peer.wait().unwrap();
    assert_eq!(error.kind(), "peer");
    assert!(error.to_string().starts_with("rank 0 of 2, while adding up gradients: "), "{error}");
}

#[test]
fn a_peer_that_never_comes_is_an_error_at_the_deadline() {
    let error = ProcessGroup::join(&member(0, 2, 300), &mut FolderBoard(folder("board")), &AtomicBool::new(false)).err().unwrap();
    assert_eq!(error.kind(), "peer");
    assert!(error.to_string().contains("joining the group: not all workers came within 0.3 s"), "{error}");
}

#[test]
fn a_rank_without_the_secret_stops_all_before_any_gradient() {
    for process in ["", "its own"] {
        secrets_differ(process);
    }
}

/// `process`: of rank 1; empty: the same as rank 0's.
fn secrets_differ(process: &str) {
    let board = folder("board");
    let errors = std::thread::scope(|scope| {
        let join = |rank, secret: &str| {
            let process = if rank == 1 { process.to_owned() } else { String::new() };
            let (spec, board) = (ProcessGroupSpec { secret: secret.into(), process, ..member(rank, 2, LONG_MS) }, board.clone());
            scope.spawn(move || ProcessGroup::join(&spec, &mut FolderBoard(board), &AtomicBool::new(false)).err().unwrap())
        };
        let threads = [join(0, "ours"), join(1, "guessed")];
        threads.map(|thread| thread.join().unwrap())
    });
    for error in errors {
        assert_eq!(error.kind(), "peer");
        assert!(error.to_string().contains("does not know this job's secret"), "{error}");
    }
}

#[test]
fn ranks_listen_on_the_address_they_are_told_and_nowhere_else() {
    let before = listening();
    let during = spread_group(2, Spread::Apart, LONG_MS, |ranks| {
        let found: Vec<String> = listening().into_iter().filter(|socket| !before.contains(socket)).collect();
        // Neither leaves before both have checked.
        ranks.sum(&[&tch::Tensor::from_slice(&[1.0])], "staying", &AtomicBool::new(false)).unwrap();
        found
    });
    // Other tests of this process join groups too, on the same address.
    for socket in &during[0] {
        assert!(socket.starts_with("0100007F:"), "{socket} listens beyond 127.0.0.1");
    }
    assert!(!during[0].is_empty(), "the ranks listen somewhere");
}

/// Local addresses, as the kernel writes them, of the sockets on which this process listens.
fn listening() -> Vec<String> {
    let mut own = std::collections::HashSet::new();
    for descriptor in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        if let Ok(target) = std::fs::read_link(descriptor.path()) {
            own.insert(target.to_string_lossy().replace("socket:[", "").replace(']', ""));
        }
    }
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1)).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|fields| fields[3] == "0A" && own.contains(fields[9])).map(|fields| fields[1].to_owned()).collect()
}

#[test]
fn a_cancellation_ends_a_worker_that_waits_for_others() {
    let rows = class_rows(false);
    for spread in [Spread::Together, Spread::Apart] {
        canceled_while_waiting(&rows, spread);
    }
}

fn canceled_while_waiting(rows: &Rows, spread: Spread) {
    let waiting = std::sync::Barrier::new(2);
    let kinds = spread_group(2, spread, LONG_MS, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        let canceled = Arc::new(AtomicBool::new(false));
        let mut trainer = Trainer::open(&dataset, &ranks, spec(&head_spec()), canceled.clone()).unwrap();
        if ranks.rank == 1 {
            // Does not step, so that the other waits for its gradients; leaves when that one has given up.
            waiting.wait();
            return "left";
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                canceled.store(true, Ordering::Relaxed);
            });
            let kind = finish(&mut trainer).unwrap_err().kind();
            waiting.wait();
            kind
        })
    });
    assert_eq!(kinds[0], "canceled");
}

#[test]
fn a_canceled_trainer_makes_no_step() {
    let rows = class_rows(false);
    let all: Vec<usize> = (0..rows.x.len()).collect();
    let dataset = rows.dataset(&all, &rows.dense());
    let canceled = Arc::new(AtomicBool::new(true));
    let mut trainer = Trainer::open(&dataset, &Arc::new(ProcessGroup::alone()), spec(&head_spec()), canceled).unwrap();
    assert_eq!(finish(&mut trainer).unwrap_err().kind(), "canceled");
}

#[test]
fn a_loss_that_is_no_number_names_step_rate_and_rows() {
    let mut rows = class_rows(false);
    rows.x[77] = vec![f32::MAX; 6];
    let error = finish(&mut alone(&rows, &head_spec())).unwrap_err();
    assert_eq!(error.kind(), "diverged");
    let text = error.to_string();
    assert!(text.contains("learning rate 0.01") && text.contains("at step ") && text.contains("clipNorm"), "{text}");
    // The step of epoch 0 whose batch holds row 77: all workers see it there.
    let mut spec = head_spec();
    spec["batch_rows"] = json!(1);
    let text = finish(&mut alone(&rows, &spec)).unwrap_err().to_string();
    assert!(text.contains("have the ids 77."), "{text}");
    for error in group(2, LONG_MS, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        finish(&mut open(&dataset, &ranks, &head_spec()).unwrap()).unwrap_err()
    }) {
        assert_eq!(error.kind(), "diverged", "every worker ends alike: {error}");
    }
}

fn refused(columns: Vec<(&str, ArrayRef)>) -> (String, Option<usize>, String) {
    let batch = struct_of(columns);
    let spec = whole::dataset(&json!({"directory": folder("dataset"), "shards": 4, "dense": {"x": {"shape": [2]}}}));
    let dataset = TrainingDataset::create(spec, batch.fields().clone()).unwrap();
    let error = dataset.add(&batch).unwrap_err();
    (error.kind().to_owned(), error.row(), error.to_string())
}

#[test]
fn rows_that_cannot_be_trained_on_are_refused_with_their_position() {
    use arrow_array::types::Float32Type;
    let lists = |rows: Vec<Option<Vec<Option<f32>>>>| Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows)) as ArrayRef;
    let sound = || lists(vec![Some(vec![Some(1.0), Some(2.0)]); 2]);
    let numbers = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let shards = |values: Vec<i32>| Arc::new(arrow_array::Int32Array::from(values)) as ArrayRef;
    let fine = || numbers(vec![Some(0.0), Some(1.0)]);
    let cases = vec![
        (vec![("x", sound()), ("__label", numbers(vec![Some(0.0), None]))], "the label is NULL"),
        (vec![("x", sound()), ("__label", numbers(vec![Some(0.0), Some(f64::NAN)]))], "the label is NaN"),
        (vec![("x", lists(vec![Some(vec![Some(1.0), Some(2.0)]), None])), ("__label", fine())], "input 'x': the value is NULL"),
        (vec![("x", lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0)])])), ("__label", fine())], "has 1 values"),
        (
            vec![("x", lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0), Some(f32::NAN)])])), ("__label", fine())],
            "is NaN or infinite",
        ),
        (vec![("x", lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(1.0), None])])), ("__label", fine())], "NULL"),
        (vec![("x", sound()), ("__label", fine()), ("__weight", numbers(vec![Some(1.0), Some(-1.0)]))], "a weight must be"),
        (vec![("x", sound()), ("__label", fine()), ("__shard", shards(vec![3, 4]))], "a shard must be in 0..4"),
    ];
    for (columns, needle) in cases {
        let (kind, row, text) = refused(columns);
        assert_eq!((kind.as_str(), row), ("bad_input", Some(1)), "{text}");
        assert!(text.contains(needle), "{text}");
    }
}

#[test]
fn specifications_that_do_not_fit_are_refused_before_the_first_step() {
    let rows = class_rows(false);
    let all: Vec<usize> = (0..rows.x.len()).collect();
    let dataset = rows.dataset(&all, &rows.dense());
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = head_spec();
        change(&mut value);
        let error = open(&dataset, &Arc::new(ProcessGroup::alone()), &value).err().unwrap();
        assert_eq!(error.kind(), "bad_request", "{error}");
        error.to_string()
    };
    assert!(refused(&|s| s["program"]["head"]["inputs"] = json!(7)).contains("has shape [7] and dtype F32, column 'x' [6] and F32"));
    assert!(refused(&|s| s["program"]["head"]["hidden"] = json!([2_000_000_000])).contains("hiddenLayers [2000000000] between 6 features"));
    assert!(refused(&|s| (s["batch_rows"], s["drop_last"]) = (json!(1000), json!(true))).contains("dropLast leaves no row"));
    assert!(refused(&|s| s["inputs"] = json!(["y"])).contains("no column 'y'"));
    assert!(refused(&|s| s["optimizer"] = json!({"name": "sgd", "lr": 0.1, "nesterov": true})).contains("does not accept its settings"));
    assert!(refused(&|s| s["class_weights"] = json!([1.0])).contains("classWeights has 1 values; this loss takes 3"));
    assert!(refused(&|s| s["validation"] = json!({"patience": 2})).contains("validationIndicatorCol"));
    assert!(refused(&|s| s["batch_rows"] = json!(0)).contains("batchSize"));
    assert!(
        refused(&|s| s["program"]["frozen"] = json!(["nothing*"])).contains("no parameter of model 'head' matches 'nothing*' of frozen")
    );
    assert!(refused(&|s| s["program"]["frozen"] = json!(["*"])).contains("all are frozen"));
}

#[test]
fn a_label_that_does_not_fit_names_its_row() {
    let rows = class_rows(false);
    let all: Vec<usize> = (0..rows.x.len()).rev().collect();
    let mut value = head_spec();
    value["program"]["head"]["outputs"] = json!(2);
    let error = open(&rows.dataset(&all, &rows.dense()), &Arc::new(ProcessGroup::alone()), &value).err().unwrap();
    assert!(error.to_string().contains("whole numbers in 0..2; there is 2"), "{error}");
    let row = error.row().unwrap();
    assert_eq!((error.kind(), rows.labels[row]), ("bad_input", 2.0));
}

#[test]
fn a_batch_size_beyond_all_rows_costs_nothing() {
    let rows = class_rows(false);
    let all: Vec<usize> = (0..rows.x.len()).collect();
    let mut value = head_spec();
    value["batch_rows"] = json!(2_147_483_647);
    let mut trainer = open(&rows.dataset(&all, &rows.dense()), &Arc::new(ProcessGroup::alone()), &value).unwrap();
    assert_eq!(finish(&mut trainer).unwrap().step, 3, "an epoch is a step");
    let spec = json!({"directory": folder("dataset"), "shards": 2_147_483_647_u32, "dense": rows.dense()});
    let error = TrainingDataset::create(whole::dataset(&spec), rows.batch(&[]).fields().clone()).err().unwrap();
    assert!(error.to_string().contains("at most 65536 shards"), "{error}");
}

#[test]
fn shapes_beyond_all_memory_are_refused_before_a_row_comes() {
    let rows = class_rows(false);
    for shape in [json!([1_u64 << 40, 1_u64 << 40]), json!([1_u64 << 33]), json!([0])] {
        let spec = json!({"directory": folder("dataset"), "shards": 4, "dense": {"x": {"shape": shape}}});
        let refused = TrainingDataset::create(whole::dataset(&spec), rows.batch(&[]).fields().clone());
        assert_eq!(refused.err().map(|error| error.kind()), Some("bad_request"));
    }
}

#[test]
fn a_feed_deletes_its_file() {
    let directory = folder("dataset");
    let rows = Rows { x: vec![vec![1.0, 2.0]; 3], labels: vec![0.0; 3], ..Rows::default() };
    let spec = whole::dataset(&json!({"directory": directory, "shards": 16, "dense": {"x": {"shape": [2]}}}));
    let dataset = Arc::new(TrainingDataset::create(spec, rows.batch(&[]).fields().clone()).unwrap());
    dataset.add(&rows.batch(&[0, 1, 2])).unwrap();
    let summary = dataset.finish().unwrap();
    assert_eq!((summary.rows, summary.label_max, summary.label_integral), (3, Some(0.0), true));
    assert!(dataset.add(&rows.batch(&[0])).is_err(), "a finished dataset takes no rows");
    let files = || std::fs::read_dir(&directory).unwrap().count();
    assert_eq!(files(), 1);
    let mut value = head_spec();
    value["program"]["head"]["inputs"] = json!(2);
    let trainer = open(&dataset, &Arc::new(ProcessGroup::alone()), &value).unwrap();
    drop(dataset);
    assert_eq!(files(), 1, "a trainer keeps it");
    drop(trainer);
    assert_eq!(files(), 0);
}
