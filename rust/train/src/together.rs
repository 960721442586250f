//! Who steps together: which trainings of a fit, and which groups of a dataset's rows. It is decided here alone.

use flambeau_engine::EngineError;

use super::budget;
use super::group_sampler::Group;
use super::groups_spec::GroupsSpec;
use super::spec::TrainingSpec;
use super::state::is_plain;

/// Maximum number of parameters of trainings that step together: 16 MB of them, and about 80 MB with their gradients, an optimizer's state
/// and copies of the best.
const MOST_PARAMETERS: u128 = 4 << 20;

/// Which of these trainings step together, by their places: heads that differ only in how they are optimized, as many as fit. A
/// training of another kind is by itself.
#[must_use]
pub fn trainings(specs: &[TrainingSpec]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    for (place, spec) in specs.iter().enumerate() {
        let fits = |group: &Vec<usize>| {
            let parameters = spec.program.head.as_ref().map_or(0, budget::parameters);
            alike(&specs[group[0]], spec) && parameters.saturating_mul(group.len() as u128 + 1) <= MOST_PARAMETERS
        };
        // Only the last one with such heads may have room left.
        match all.iter_mut().rfind(|group| fits(group)) {
            Some(group) => group.push(place),
            None => all.push(vec![place]),
        }
    }
    all
}

/// Whether these can step together.
pub(super) fn check(specs: &[TrainingSpec]) -> Result<(), EngineError> {
    let Some(first) = specs.first().filter(|_| specs.len() > 1) else { return Ok(()) };
    if specs.iter().all(|spec| alike(first, spec)) {
        return Ok(());
    }
    Err(EngineError::BadRequest("heads that step together may differ only in how they are optimized".into()))
}

/// Whether both are heads that see the same rows in the same way.
fn alike(first: &TrainingSpec, spec: &TrainingSpec) -> bool {
    let can = |spec: &TrainingSpec| is_plain(spec) && spec.micro_batch_rows.is_none() && spec.augment.is_none();
    first.program.head.is_some()
        && can(first)
        && can(spec)
        && spec.program.head == first.program.head
        && spec.inputs == first.inputs
        && (spec.loss, spec.batch_rows, spec.steps_per_epoch, spec.drop_last, spec.seed)
            == (first.loss, first.batch_rows, first.steps_per_epoch, first.drop_last, first.seed)
        && (&spec.class_weights, spec.label_smoothing, spec.huber_delta) == (&first.class_weights, first.label_smoothing, first.huber_delta)
}

/// Maximum number of feature values of groups that step together: 64 MB.
const GROUPS_VALUES: usize = 16 << 20;
/// Maximum number of groups that step together.
const MOST_GROUPS: usize = 1024;
/// Maximum number of their parameters, not counting the first group: 64 MB.
const GROUPS_PARAMETERS: u128 = 16 << 20;

/// Sets of groups that step together: they have the same number of steps per epoch and similar sizes. `groups`: smallest first.
pub(super) fn groups(groups: Vec<Group>, spec: &GroupsSpec) -> Vec<Vec<Group>> {
    let mut all: Vec<Vec<Group>> = Vec::new();
    for group in groups {
        let rows = group.rows.len();
        let steps = |rows: usize| rows.div_ceil(spec.batch(rows));
        let fits = all.last().is_some_and(|others| {
            let smallest = others[0].rows.len();
            let values = (others.len() + 1) * rows * spec.head.inputs;
            let parameters = (others.len() as u128 + 1) * budget::parameters(&spec.head);
            let small = others.len() < MOST_GROUPS && values <= GROUPS_VALUES && parameters <= GROUPS_PARAMETERS;
            steps(smallest) == steps(rows) && rows <= 2 * smallest && small
        });
        match all.last_mut().filter(|_| fits) {
            Some(others) => others.push(group),
            None => all.push(vec![group]),
        }
    }
    all
}
