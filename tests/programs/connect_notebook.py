"""What a notebook does over Spark Connect: `connect_notebook.py ADDRESS PHOTOS`. Prints the page as JSON; the bar is on stderr."""

import json
import sys

from pyspark.sql import SparkSession

import flambeau
from flambeau import functions as F

address, photos = sys.argv[1:]
spark = SparkSession.builder.remote(address).getOrCreate()
files = spark.read.format("binaryFile").load(photos).selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content")
labeled = files.select("file", "content", F.classify("content", "efficientnet_lite0", 2).alias("labels")).orderBy(
    "file"
)
with flambeau.progress(spark):
    shown = flambeau.show(labeled, limit=3)
print(json.dumps({"html": shown.html}))
