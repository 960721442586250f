package io.flambeau.bridge.spec

import com.fasterxml.jackson.annotation.JsonProperty

/** The tensor of a row of a dense column: its shape and element type, as in packages. */
final case class DenseColumn(shape: Seq[Int], dtype: String)

/**
 * The package that tries rows of the columns that are not dense when they are added.
 *
 * @param packageFolder
 *   on this machine
 * @param inputs
 *   the dataset's columns in the order of the package's inputs
 */
final case class TrialSpec(@JsonProperty("package") packageFolder: String, inputs: Seq[String], images: ImageLimits)

/**
 * How a dataset takes rows.
 *
 * @param directory
 *   a local folder of this task, with room for all of this worker's rows
 * @param shards
 *   number of shards of `__shard`; 0 if there is no such column
 * @param dense
 *   columns of numbers, checked as in inference and stored as tensors' rows; a `__label` that is an array is one, of f64
 * @param labelRange
 *   least and largest label, if labels have bounds
 * @param skipInvalid
 *   whether a row that cannot be trained on is left out instead of being an error
 * @param trial
 *   how rows that are not dense are tried, and left out
 */
final case class DatasetSpec(
    directory: String, shards: Int, dense: Map[String, DenseColumn], labelRange: Option[(Double, Double)], skipInvalid: Boolean,
    trial: Option[TrialSpec])
