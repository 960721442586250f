"""Flambeau: deep learning inside Apache Spark.

    import flambeau
    from flambeau import functions as F
    from pyspark.sql import SparkSession

    spark = flambeau.configure(SparkSession.builder).getOrCreate()
    photos = spark.read.format("binaryFile").load("photos")
    photos.select("path", F.classify("content", "efficientnet_lite0", 3)).show(truncate=False)

What lives here: `configure` sets up a session, `register` turns a model into a SQL function, and `nearest` and `near_duplicates`
compare the rows of tables by their vectors. `condition_of` reads the condition of a failure. In a notebook, `show` draws rows and `progress` draws progress bars. The modules are `functions`
(the SQL functions as Column functions), `ml` (Spark ML stages), `export` (PyTorch model -> package; needs torch) and
`models` (the contents of packages).

The jars do the work, in the executors' own process. No Python worker takes part, and executors do not need this package.
"""

from . import _java_package as _java_package  # saved pipelines are read by Java names
from .conditions import condition_of
from .doctor import doctor
from .drawing import show
from .neighbors import near_duplicates, nearest
from .progress import progress
from .register import register
from .session import FlambeauError, configure, find_jars
from .version import __version__

__all__ = [
    "FlambeauError",
    "__version__",
    "condition_of",
    "configure",
    "doctor",
    "find_jars",
    "near_duplicates",
    "nearest",
    "progress",
    "register",
    "show",
]
