"""Flambeau: deep learning inside Apache Spark.

    import flambeau
    from flambeau import functions as F
    from pyspark.sql import SparkSession

    spark = flambeau.configure(SparkSession.builder).getOrCreate()
    photos = spark.read.format("binaryFile").load("photos")
    photos.select("path", F.classify("content", "efficientnet_lite0", 3)).show(truncate=False)

What lives here: `configure` and the modules `functions` (the SQL functions as Columns), `export` (PyTorch model ->
package; needs torch) and `models` (what a package holds). The work itself is done by the jars, in the executors' own
process: no Python worker takes part, and none of these modules needs Flambeau on an executor.
"""

from .session import FlambeauError, configure, find_jars
from .version import __version__

__all__ = ["FlambeauError", "__version__", "configure", "find_jars"]
