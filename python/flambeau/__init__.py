"""Flambeau: deep learning inside Apache Spark.

    import flambeau
    from flambeau import functions as F
    from pyspark.sql import SparkSession

    spark = flambeau.configure(SparkSession.builder).getOrCreate()
    photos = spark.read.format("binaryFile").load("photos")
    photos.select("path", F.classify("content", "efficientnet_lite0", 3)).show(truncate=False)

What lives here: `configure` and the modules `functions` (the SQL functions as Columns), `ml` (Spark ML stages),
`export` (PyTorch model -> package; needs torch) and `models` (what a package holds), and `register`, which makes a model
a SQL function. The work itself is done by the jars, in the executors' own process: no Python worker takes part, and none
of these modules needs Flambeau on an executor.
"""

from . import _java_package as _java_package  # saved pipelines are read by Java names
from .register import register
from .session import FlambeauError, configure, find_jars
from .version import __version__

__all__ = ["FlambeauError", "__version__", "configure", "find_jars", "register"]
