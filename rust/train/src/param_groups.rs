//! Groups of parameters that are optimized differently, as PyTorch's optimizers have them: by a factor of the learning rate, and with or
//! without weight decay.
//!
//! The parameters of a group lie next to one another in the flat vector, so that each group is a part of it with an optimizer of its own
//! (see `flat_params`). Without such settings there is one group.

use flambeau_engine::EngineError;
use tch::Tensor;

use super::param_filter::ParamFilter;
use super::spec::ProgramSpec;

/// One of them: a part of the flat vector, after those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ParamGroup {
    pub(super) learning_rate_factor: f64,
    pub(super) has_weight_decay: bool,
    /// How many numbers it has.
    pub(super) numbers: i64,
}

impl ParamGroup {
    /// All parameters, as the optimizer's settings say.
    pub(super) fn of_all(numbers: i64) -> Self {
        Self { learning_rate_factor: 1.0, has_weight_decay: true, numbers }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.learning_rate_factor - other.learning_rate_factor).abs() < f64::EPSILON && self.has_weight_decay == other.has_weight_decay
    }
}

/// Brings the parameters of each group together, and returns the groups in that order: each where its first parameter was.
///
/// # Errors
/// A pattern that matches no parameter, or a parameter with two factors.
pub(super) fn arrange(spec: &ProgramSpec, model: &str, parameters: &mut Vec<(String, Tensor)>) -> Result<Vec<ParamGroup>, EngineError> {
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let no_decay = ParamFilter::new("noWeightDecay", &spec.no_weight_decay)?;
    no_decay.check(model, &names)?;
    let mut factors = Vec::new();
    for one in &spec.learning_rate_factors {
        let filter = ParamFilter::new("learningRateFactors", std::slice::from_ref(&one.parameters))?;
        filter.check(model, &names)?;
        factors.push((one, filter));
    }
    let mut groups: Vec<(ParamGroup, Vec<(String, Tensor)>)> = Vec::new();
    for (name, tensor) in parameters.drain(..) {
        let mut matching = factors.iter().filter(|(_, filter)| filter.matches(&name)).map(|(one, _)| *one);
        let factor = matching.next();
        if let (Some(one), Some(other)) = (factor, matching.next()) {
            return Err(EngineError::BadRequest(format!(
                "learningRateFactors: both '{}' and '{}' match the parameter {name} of model '{model}'; it can have one factor",
                one.parameters, other.parameters
            )));
        }
        let wanted = ParamGroup {
            learning_rate_factor: factor.map_or(1.0, |one| one.factor),
            has_weight_decay: !no_decay.matches(&name),
            numbers: i64::try_from(tensor.numel()).unwrap_or(i64::MAX),
        };
        match groups.iter_mut().find(|(group, _)| group.is_like(&wanted)) {
            Some((group, members)) => {
                group.numbers += wanted.numbers;
                members.push((name, tensor));
            }
            None => groups.push((wanted, vec![(name, tensor)])),
        }
    }
    let (groups, members): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
    parameters.extend(members.into_iter().flatten());
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::spec::LearningRateFactor;
    use super::*;

    fn arranged(factors: &[(&str, f64)], no_decay: &[&str]) -> Result<(Vec<ParamGroup>, Vec<String>), EngineError> {
        let named = |(name, size): (&str, i64)| (name.to_owned(), Tensor::f_zeros([size], (Kind::Float, Device::Cpu)).unwrap());
        let mut parameters: Vec<_> = [("stem.weight", 8), ("stem.bias", 2), ("head.weight", 4), ("head.bias", 1)].map(named).into();
        let mut spec = ProgramSpec {
            head: None,
            package: Some("net".into()),
            output: None,
            frozen: Vec::new(),
            learning_rate_factors: Vec::new(),
            no_weight_decay: no_decay.iter().map(ToString::to_string).collect(),
            loss_method: None,
            metric_methods: Vec::new(),
        };
        let factor = |(parameters, factor): &(&str, f64)| LearningRateFactor { parameters: (*parameters).to_owned(), factor: *factor };
        spec.learning_rate_factors = factors.iter().map(factor).collect();
        let groups = arrange(&spec, "net", &mut parameters)?;
        Ok((groups, parameters.into_iter().map(|(name, _)| name).collect()))
    }

    #[test]
    fn members_of_a_group_lie_together() {
        let (groups, names) = arranged(&[("head", 10.0)], &["*.bias"]).unwrap();
        assert_eq!(names, ["stem.weight", "stem.bias", "head.weight", "head.bias"]);
        let group = |learning_rate_factor, has_weight_decay, numbers| ParamGroup { learning_rate_factor, has_weight_decay, numbers };
        assert_eq!(groups, [group(1.0, true, 8), group(1.0, false, 2), group(10.0, true, 4), group(10.0, false, 1)]);
        let (groups, names) = arranged(&[], &["*.bias"]).unwrap();
        assert_eq!(names, ["stem.weight", "head.weight", "stem.bias", "head.bias"]);
        assert_eq!(groups, [group(1.0, true, 12), group(1.0, false, 3)]);
        assert_eq!(arranged(&[], &[]).unwrap().0, [ParamGroup::of_all(15)]);
    }

    #[test]
    fn a_misspelled_pattern_and_two_factors_are_errors() {
        let text = |factors: &[(&str, f64)], no_decay: &[&str]| arranged(factors, no_decay).unwrap_err().to_string();
        assert!(text(&[("haed", 2.0)], &[]).contains("no parameter of model 'net' matches 'haed' of learningRateFactors"));
        assert!(text(&[], &["*norm*"]).contains("matches '*norm*' of noWeightDecay"));
        assert!(text(&[("head", 2.0), ("*.bias", 3.0)], &[]).contains("both 'head' and '*.bias' match the parameter head.bias"));
    }
}
