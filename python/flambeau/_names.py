"""Names that several modules share, where none of them should import another for it."""

JAVA_PACKAGE = "io.flambeau.ml"
"""The package of the ML stages in the JVM; saved pipelines name them by it."""
