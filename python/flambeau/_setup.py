"""Whether a session can use Flambeau, and why not.

What lives here: `require`, which functions, stages and `register` call before they use a session. Without the
extension, Spark's own error is `UNRESOLVED_ROUTINE`, without a reason. A session is checked once, with one call into
the JVM or to the Connect server.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .session import EXTENSION, FlambeauError, check_spark_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ADVICE = f"--jars with both Flambeau jars and --conf spark.sql.extensions={EXTENSION}"
FUNCTION = "try_featurize"
"""A function that no other library has."""

_asked: weakref.WeakSet[Any] = weakref.WeakSet()


def require_active(who: str) -> None:
    """As `require`, for the active session of this thread, if there is one."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        require(session, who)


def require_stages(who: str) -> None:
    """As `require_active`, for stages of Spark ML, which Connect has from Spark 4.0 on."""
    import pyspark
    from pyspark.sql.utils import is_remote

    if is_remote() and pyspark.__version__.startswith("3."):
        raise FlambeauError(
            f"{who}: Spark Connect has stages of Spark ML from Spark 4.0 on, and this is Spark {pyspark.__version__}: "
            "use the SQL functions, or a classic session"
        )
    require_active(who)


def require(session: SparkSession, who: str) -> None:
    """Checks that a session has what Flambeau needs.

    Raises:
        FlambeauError: the jars or the extension are missing, or it is another version of Spark.
    """
    if session in _asked:
        return
    from pyspark.errors import PySparkException

    try:
        known = session.catalog.functionExists(FUNCTION)
    except PySparkException:
        return  # if something else is wrong with the session, the query itself has a better error
    if not known:
        raise FlambeauError(f"{who}: {_reason(session)}")
    _asked.add(session)


def _reason(session: SparkSession) -> str:
    check_spark_version(session.version)
    jvm = getattr(session, "_jvm", None) if hasattr(session, "_jsparkSession") else None
    if jvm is None:
        return f"the Connect server does not have Flambeau: start it with {ADVICE}"
    if not jvm.org.apache.spark.util.Utils.classIsLoadable(EXTENSION):
        return f"this application does not have the Flambeau jars: start it with {ADVICE}, or call flambeau.configure before its first session"
    return (
        f"this session lacks Flambeau's extension: set spark.sql.extensions={EXTENSION} when the application is started, "
        "or call flambeau.configure before its first session"
    )
