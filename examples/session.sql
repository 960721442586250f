-- A session in SQL alone: three kinds of columns, no line of Python or Scala. From the checkout's folder, after ./gradlew demo models:
--   spark-sql --jars … --conf spark.sql.extensions=io.flambeau.FlambeauExtensions \
--     --conf spark.flambeau.models.path=build/models --conf spark.flambeau.udf.meaning=minilm_l6_v2 -f examples/session.sql

-- Photos: a table of labels, and what is on most of them.
CREATE TEMPORARY VIEW labeled AS
  SELECT regexp_extract(path, '[^/]+$', 0) AS photo, classify(content, 'efficientnet_lite0', 1)[0] AS best
  FROM   binaryFile.`build/demo/photos`;

SELECT photo, best.label, round(best.probability, 2) AS probability FROM labeled ORDER BY probability DESC, photo LIMIT 5;

-- Texts: which complaint is about delivery? `meaning` is the model under a name of its own, from the configuration.
WITH complaints(text) AS (
  VALUES ('the parcel never came'), ('my card was charged twice'), ('the courier left it in the rain'), ('the app crashes at start')
), compared AS (
  SELECT text, dot(meaning(text), meaning('a problem with the delivery of a package')) AS cosine
  FROM   complaints
)
SELECT text, round(cosine, 2) AS cosine FROM compared ORDER BY cosine DESC LIMIT 2;

-- Broken rows: NULL and counted, instead of a failed query.
SELECT photo, try_classify(content, 'efficientnet_lite0', 1)[0].label AS label
FROM   VALUES ('nothing', CAST('no photo at all' AS BINARY)) AS broken(photo, content);
