package io.flambeau.bridge.spec

/**
 * What the package of a trained model says of itself.
 *
 * @param labels
 *   names of the classes
 * @param license
 *   SPDX expression
 * @param featurizer
 *   folder of the package in front of a head: the package written then takes that one's inputs
 */
final case class ExportSpec(name: String, labels: Option[Seq[String]], license: String, description: String, featurizer: Option[String])
