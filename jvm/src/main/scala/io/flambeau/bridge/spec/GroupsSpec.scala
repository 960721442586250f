package io.flambeau.bridge.spec

import com.fasterxml.jackson.annotation.JsonUnwrapped

/**
 * The part of a specification of many heads that the estimator's parameters alone decide.
 *
 * @param batchRows
 *   rows of a group's batch; None: all of its rows
 */
final case class GroupsSettings(
    loss: LossName, labelSmoothing: Double, huberDelta: Double, optimizer: OptimizerSpec, schedule: ScheduleSpec, batchRows: Option[Int],
    epochs: Int, seed: Long)

/**
 * The training of one head for each group of a dataset's rows.
 *
 * @param input
 *   a dense column of the dataset
 */
final case class GroupsSpec(
    head: HeadSpec, input: String, classWeights: Option[Seq[Double]], memoryBytes: Option[Long], @JsonUnwrapped settings: GroupsSettings)
