"""The condition of a failure, read in the same way on every line of Spark.

What lives here: `condition_of`. From Spark 4.0 on, PySpark's exceptions have `getCondition`. In Spark 3.5 they have `getErrorClass`, and
what fails in a task is a `Py4JJavaError`, whose causes in Java have the condition.
"""

from __future__ import annotations

from typing import Any


def condition_of(error: BaseException) -> str | None:
    """The condition of a query's failure, for example `FLAMBEAU_BAD_INPUT`.

    Args:
        error: what the query raised: a `PySparkException`, or a `Py4JJavaError` of Spark 3.5.

    Returns:
        The name of the condition; None if the error has none.
    """
    from pyspark.errors import PySparkException

    if isinstance(error, PySparkException):
        return (error.getCondition() if hasattr(error, "getCondition") else error.getErrorClass()) or None
    cause = getattr(error, "java_exception", None)
    while cause is not None:
        # Its name on all lines.
        if _is_spark(cause) and (name := cause.getErrorClass()):
            return str(name)
        cause = cause.getCause()
    return None


def _is_spark(cause: Any) -> bool:
    from py4j.java_gateway import is_instance_of  # type: ignore[import-untyped]  # py4j has no types
    from pyspark import SparkContext

    return bool(is_instance_of(SparkContext._gateway, cause, "org.apache.spark.SparkThrowable"))
