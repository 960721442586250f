package io.flambeau.train

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{Precision, ProgramSpec, TrainingSettings, TrainingSpec}
import io.flambeau.models.ModelStore

/** From the user's parameters and the facts about the rows to the native training specification. */
private[flambeau] object NativeSpec {

  /**
   * @param facts
   *   of all workers' rows
   * @throws FlambeauException
   *   if rows and request do not fit
   */
  def of(owner: String, run: RunSpec, feed: FeedPlan, facts: Facts): TrainingSpec = {
    if (facts.rows == 0) {
      refuse(owner,
        if (facts.skipped > 0) s"there is no row to train on: all ${facts.skipped} were left out${facts.firstSkipped.fold("")(", for example " + _)}"
        else if (facts.validationRows > 0) "there is no row to train on: all are for validation"
        else "there is no row to train on")
    }
    val (outputs, weights) = outputsOf(owner, run.learning, facts)
    val (program, augment) = run.program match {
      case head: Program.Head => (ProgramSpec(Some(head.sized(facts.features, outputs)), None, None, Nil, None), None)
      case Program.Package(ref, output, frozen, lossMethod, changes) =>
        (ProgramSpec(None, Some(ModelStore.localDirectory(ref)), Some(output), frozen, lossMethod), changes)
    }
    TrainingSpec(program, feed.inputs, weights, MemoryLimit.ofExecutor(), feed.images, augment, run.settings)
  }

  /** How many outputs a head has, and the weight of each class if there are weights. There is at least one row. */
  def outputsOf(owner: String, learning: Learning, facts: Facts): (Int, Option[Seq[Double]]) = learning match {
    case Learning.Numbers => (facts.targets, None)
    case Learning.Classes(declared, given, balance) =>
      val found = facts.classes.keys.max + 1
      if (declared.isEmpty) checkGaps(owner, found, facts.classes.size.toLong)
      if (balance && declared.exists(_ > FeedColumns.LargestClass))
        refuse(owner, s"balance counts the rows of each class, but there are too many classes: ${declared.mkString}")
      val classes = declared.getOrElse(math.max(found, 2))
      if (found > classes) refuse(owner, s"there is a label ${found - 1}, but there are $classes classes, so labels end at ${classes - 1}")
      given.foreach { w => if (w.length != classes) refuse(owner, s"classWeights has ${w.length} weights, there are $classes classes") }
      (classes, given.orElse(if (balance) Some(balanced(facts, classes)) else None))
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

  /**
   * Which of a job's trainings step together, by index: heads that differ only in how they are optimized, with at most
   * [[StackParameters]] parameters in total. Other trainings are alone. There is at least one row.
   */
  def stacks(job: JobSpec, facts: Facts): Seq[Seq[Int]] =
    job.runs.indices.groupBy(place => shared(job, job.runs(place)).toLeft(place)).toSeq.flatMap {
      case (Left((head, learning, _)), places) =>
        val widths = facts.features +: head.hidden :+ outputsOf(job.owner, learning, facts)._1
        val parameters = widths.zip(widths.tail).map { case (in, out) => (in + 1L) * out }.sum
        places.grouped(math.max(1L, StackParameters / parameters).toInt)
      case (Right(_), alone) => Seq(alone)
    }.sortBy(_.head)

  /** The common values of a stack's trainings; None for one that steps alone. */
  private def shared(job: JobSpec, run: RunSpec): Option[(Program.Head, Learning, TrainingSettings)] = run.program match {
    case head: Program.Head if run.settings.precision == Precision.F32 && run.settings.microBatchRows.isEmpty =>
      Some((head, run.learning, run.settings.steppingLike(job.runs.head.settings)))
    case _ => None
  }

  /** 16 MB of parameters, and about 80 MB with their gradients, an optimizer's state and copies of the best. */
  private val StackParameters = 4 << 20

  private def refuse(owner: String, why: String): Nothing =
    throw new FlambeauException("FLAMBEAU_BAD_INPUT", s"$owner: $why", Map("model" -> owner, "cause" -> why), null)

  /** Weights that make every class count the same; a class without rows gets 0. */
  private def balanced(facts: Facts, classes: Int): Seq[Double] = {
    val sums = (0 until classes).map(c => facts.classes.get(c).fold(0.0)(_.weight))
    val there = sums.count(_ > 0)
    sums.map(sum => if (sum > 0) sums.sum / (there * sum) else 0.0)
  }
}
