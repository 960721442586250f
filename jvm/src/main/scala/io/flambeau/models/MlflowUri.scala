package io.flambeau.models

/**
 * What users write for a model of MLflow: `models:/name/3`, `models:/name@alias`, `models:/name/latest`, `models:/m-<id>` or
 * `runs:/<run id>/path`, as MLflow itself reads it. Names are not decoded: a space is a space.
 *
 * `spark.flambeau.models.allow` lists the same URIs, whole or shorter: `models:/` is every registered model, `models:/name` all versions of
 * one, `runs:/<run id>` all that a run logged.
 */
private[models] sealed trait MlflowUri {

  /** As the user wrote it. */
  def text: String
}

private[models] object MlflowUri {

  final case class OfVersion(text: String, name: String, version: String) extends MlflowUri

  final case class OfAlias(text: String, name: String, alias: String) extends MlflowUri

  /** The last version; with a stage (`Production`), the last one in it. */
  final case class Latest(text: String, name: String, stage: Option[String]) extends MlflowUri

  /** A logged model (MLflow 3). */
  final case class Logged(text: String, id: String) extends MlflowUri

  /** `path` is that of an artifact of the run, or the name of a model that it logged and a path in it. Never empty. */
  final case class InRun(text: String, run: String, path: Seq[String]) extends MlflowUri

  private val Models = "models"
  private val Runs = "runs"
  private val Forms = "write models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest or runs:/RUN_ID/PATH"

  /** Whether text is meant to be one. */
  def is(text: String): Boolean = FileLocation.schemeOf(text).exists(scheme => scheme == Models || scheme == Runs)

  /** @throws IllegalArgumentException if it has another form */
  def apply(text: String): MlflowUri = {
    val parts = segments(text)
    if (parts.isEmpty || parts.exists(part => part.trim.isEmpty || part == "." || part == "..")) malformed(text)
    (FileLocation.schemeOf(text), parts) match {
      case (Some(Runs), Seq(_)) => malformed(text)
      case (Some(Runs), run +: path) => InRun(text, run, path)
      case (Some(Models), Seq(name, "latest")) => Latest(text, name, None)
      case (Some(Models), Seq(name, version)) if version.forall(_.isDigit) => OfVersion(text, name, version)
      case (Some(Models), Seq(name, stage)) => Latest(text, name, Some(stage))
      case (Some(Models), Seq(one)) if one.contains('@') =>
        val at = one.lastIndexOf('@')
        val (name, alias) = (one.take(at), one.drop(at + 1))
        if (name.trim.isEmpty || alias.trim.isEmpty) malformed(text)
        OfAlias(text, name, alias)
      case (Some(Models), Seq(id)) => Logged(text, id)
      case _ => malformed(text)
    }
  }

  /** Whether an entry of the list of allowed places covers this. */
  def covers(entry: String, uri: MlflowUri): Boolean =
    is(entry) && FileLocation.schemeOf(entry) == FileLocation.schemeOf(uri.text) && {
      val wanted = segments(entry).filter(_.nonEmpty)
      val whole = uri match {
        case OfAlias(_, name, alias) if wanted.length != 1 || !wanted.head.contains('@') => Seq(name, s"@$alias")
        case other => segments(other.text)
      }
      whole.startsWith(wanted)
    }

  private def segments(text: String): Seq[String] = {
    val rest = text.drop(text.indexOf(':') + 1)
    val path = if (rest.startsWith("//")) rest.drop(2) else rest
    if (rest.startsWith("//") && !rest.startsWith("///")) {
      throw new IllegalArgumentException(s"'$text' names a profile of Databricks or another server, but all models come from one server: $Forms")
    }
    if (!path.startsWith("/")) malformed(text)
    path.drop(1).stripSuffix("/").split("/", -1).toSeq
  }

  private def malformed(text: String): Nothing = throw new IllegalArgumentException(s"'$text' has another form: $Forms")
}
