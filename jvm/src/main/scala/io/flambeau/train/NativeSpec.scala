package io.flambeau.train

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{ProgramSpec, TrainingSpec}

/** From the user's parameters and the statistics of the rows to the native training specification. */
private[flambeau] object NativeSpec {

  /**
   * @param stats
   *   of all workers' rows
   * @throws FlambeauException
   *   if rows and request do not fit
   */
  def of(owner: String, run: RunSpec, dataset: DatasetPlan, stats: DatasetStats): TrainingSpec = {
    if (stats.rows == 0) {
      refuse(owner,
        if (stats.skipped > 0) s"there is no row to train on: all ${stats.skipped} were left out${stats.firstSkipped.fold("")(", for example " + _)}"
        else if (stats.validationRows > 0) "there is no row to train on: all are for validation"
        else "there is no row to train on")
    }
    val (outputs, weights) = outputsOf(owner, run.learning, stats)
    val (program, augment) = run.program match {
      case head: Program.Head => (ProgramSpec.of(head.sized(stats.features, outputs)), None)
      case whole: Program.Package => (whole.spec, whole.augment)
    }
    TrainingSpec(program, dataset.inputs, dataset.pairInputs, weights, MemoryLimit.ofExecutor(), dataset.images, augment, run.settings)
  }

  /** How many outputs a head has, and the weight of each class if there are weights. There is at least one row. */
  def outputsOf(owner: String, learning: LearningTask, stats: DatasetStats): (Int, Option[Seq[Double]]) = learning match {
    case LearningTask.Regression => (stats.targets, None)
    case LearningTask.Classification(declared, given, balance) =>
      val found = stats.classes.keys.max + 1
      if (declared.isEmpty) checkGaps(owner, found, stats.classes.size.toLong)
      if (balance && declared.exists(_ > DatasetColumns.LargestClass))
        refuse(owner, s"balance counts the rows of each class, but there are too many classes: ${declared.mkString}")
      val classes = declared.getOrElse(math.max(found, 2))
      if (found > classes) refuse(owner, s"there is a label ${found - 1}, but there are $classes classes, so labels end at ${classes - 1}")
      given.foreach { w => if (w.length != classes) refuse(owner, s"classWeights has ${w.length} weights, there are $classes classes") }
      (classes, given.orElse(if (balance) Some(balanced(stats, classes)) else None))
  }

  /**
   * Rejects a number of classes from the largest label if few of them have rows: a wrong label would need memory for all classes
   * in between.
   */
  def checkGaps(owner: String, classes: Int, different: Long): Unit =
    if (classes > MostGuessedClasses && classes > SparseFactor * different) {
      refuse(owner,
        s"the largest label is ${classes - 1}, but there are only $different different labels: is it mistyped? " +
          "StringIndexer numbers labels without gaps; or say how many classes there are in the label column's metadata (NominalAttribute)")
    }

  private val MostGuessedClasses = 100
  private val SparseFactor = 10L

  private def refuse(owner: String, why: String): Nothing =
    throw new FlambeauException("FLAMBEAU_BAD_INPUT", s"$owner: $why", Map("model" -> owner, "cause" -> why), null)

  /** Weights that make every class count the same; a class without rows gets 0. */
  private def balanced(stats: DatasetStats, classes: Int): Seq[Double] = {
    val sums = (0 until classes).map(c => stats.classes.get(c).fold(0.0)(_.weight))
    val there = sums.count(_ > 0)
    sums.map(sum => if (sum > 0) sums.sum / (there * sum) else 0.0)
  }
}
