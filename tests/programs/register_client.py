"""A Connect client that registers a model on the server, uses it and describes it; prints JSON.

python register_client.py FOLDER_OF_PACKAGES    (SPARK_REMOTE names the server)
"""

from __future__ import annotations

import json
import os
import sys

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.functions import array, call_function, lit

import flambeau


def main(packages: str) -> None:
    """One client session, and one more that must not see what the first registered."""
    spark = SparkSession.builder.getOrCreate()
    result: dict[str, object] = {"type": flambeau.register(spark, "mine", f"{packages}/tiny")}
    row = spark.sql("SELECT mine(array(1, 2, 3, 4)) AS f, named(array(1, 2, 3, 4)) AS c").head(1)[0]
    result["sql"], result["configured"] = row.f, row.c
    frame = spark.range(1).select(call_function("mine", array(lit(1), lit(2), lit(3), lit(4))).alias("f"))
    result["call_function"] = frame.head(1)[0].f
    result["described"] = "\n".join(r[0] for r in spark.sql("DESCRIBE FUNCTION EXTENDED mine").collect())
    result["shown"] = [r[0] for r in spark.sql("SHOW FUNCTIONS LIKE 'mine'").collect()]
    try:
        flambeau.register(spark, "other", "no_such_model")
    except AnalysisException as error:
        result["unknown"] = str(error)
    other = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).create()
    result["shown in another session"] = [r[0] for r in other.sql("SHOW FUNCTIONS LIKE 'mine'").collect()]
    spark.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
