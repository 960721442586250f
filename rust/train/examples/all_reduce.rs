//! One process of a sum over ranks as in training (buckets, waits that check for a cancellation), for comparison with
//! `torch.distributed` in `bench/train/all_reduce.py`, which starts both.
//!
//! `all_reduce FOLDER RANK WORLD TIMES BYTES…`: the ranks find one another by FOLDER, a new and empty one. Rank 0 prints a JSON line:
//! bytes -> seconds of each sum. A sum of one number before each keeps the ranks together.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "an example")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use board::FolderBoard;
use flambeau_torch_ext::process;
use flambeau_train::{ProcessGroup, ProcessGroupSpec};
use tch::{Device, Kind, Tensor};

#[path = "../tests/train/board.rs"]
mod board;

const TIMEOUT_MS: u64 = 60_000;

fn main() {
    process::tune_malloc();
    process::set_intra_op_threads(1).unwrap();
    let mut arguments = std::env::args().skip(1);
    let mut board = FolderBoard(arguments.next().expect("FOLDER").into());
    let numbers: Vec<usize> = arguments.map(|n| n.parse().expect("a number")).collect();
    let [rank, world, times, sizes @ ..] = numbers.as_slice() else { panic!("FOLDER RANK WORLD TIMES BYTES…") };
    let (own_host, secret, process) = (String::from("127.0.0.1"), String::new(), String::new());
    let member = ProcessGroupSpec { rank: *rank, world: *world, own_host, timeout_ms: TIMEOUT_MS, secret, process };
    let going = AtomicBool::new(false);
    let ranks = ProcessGroup::join(&member, &mut board, &going).unwrap();
    let mut seconds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let one = Tensor::ones([1], (Kind::Float, Device::Cpu));
    for bytes in sizes {
        let tensor = Tensor::ones([i64::try_from(bytes / 4).unwrap()], (Kind::Float, Device::Cpu));
        for turn in 0..=*times {
            ranks.sum(&[&one], "meeting", &going).unwrap();
            let started = Instant::now();
            ranks.sum(&[&tensor], "measuring", &going).unwrap();
            if turn > 0 {
                seconds.entry(*bytes).or_default().push(started.elapsed().as_secs_f64());
            }
        }
        let wanted = f64::from(u32::try_from(*world).unwrap()).powi(i32::try_from(*times).unwrap() + 1);
        assert!((tensor.double_value(&[0]) / wanted - 1.0).abs() < 1e-6, "the sum is wrong");
    }
    // Both wait until both are done: a rank that leaves early breaks the other's last sum.
    ranks.sum(&[&one], "leaving", &going).unwrap();
    if *rank == 0 {
        println!("{}", serde_json::to_string(&seconds).unwrap());
    }
}
