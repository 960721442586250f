//! Trainings over real datasets, against Python torch, with several ranks, through checkpoints, faults and packages. No JVM.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "tests")]

mod board;
mod dtypes;
mod equality;
mod faults;
mod groups;
mod kinds;
mod packages;
mod ranks;
mod resume;
mod skipping;
mod support;
mod tails;
mod together;
mod validation;
mod whole;
