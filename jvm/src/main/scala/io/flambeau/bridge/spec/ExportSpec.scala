package io.flambeau.bridge.spec

/**
 * The description of the package of a trained model.
 *
 * @param labels
 *   names of the classes
 * @param license
 *   SPDX expression
 * @param featurizer
 *   folder of the featurizer's package, for a head: the new package then takes the featurizer's inputs
 */
final case class ExportSpec(name: String, labels: Option[Seq[String]], license: String, description: String, featurizer: Option[String])
