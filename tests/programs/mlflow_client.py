"""A user of Spark Connect whose server knows an MLflow server, with credentials that the client does not have; prints JSON.

SPARK_REMOTE=sc://HOST:PORT python mlflow_client.py URI OTHER_ADDRESS
"""

from __future__ import annotations

import json
import sys

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

SETTING = "spark.flambeau.mlflow.trackingUri"


def main(uri: str, other: str) -> None:
    """The features by the model, and the answer to another spelling of the server's address, which does not get the credentials."""
    spark = SparkSession.builder.getOrCreate()
    statement = f"SELECT featurize(array(id, 2, 3, 4), '{uri}') AS f FROM range(0, 8, 1, 4) ORDER BY id"
    found = [list(row.f) for row in spark.sql(statement).collect()]
    spark.conf.set(SETTING, other)
    refused = ""
    try:
        spark.sql(statement).collect()
    except PySparkException as error:
        refused = f"{error.getCondition()} {error}"
    print(json.dumps({"features": found, "refused": refused}))


if __name__ == "__main__":
    main(*sys.argv[1:])
