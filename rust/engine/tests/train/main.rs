//! Trainings over real feeds, against Python torch, with several ranks, through checkpoints, faults and packages. No JVM.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod equality;
mod faults;
mod groups;
mod kinds;
mod packages;
mod ranks;
mod resume;
mod stack;
mod support;
mod validation;
