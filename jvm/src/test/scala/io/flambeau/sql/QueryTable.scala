package io.flambeau.sql

import org.apache.spark.sql.SparkSession

/**
 * One case per line: a query, the rows that go through the model for it, and a plain SQL query with the same answer.
 *
 * @param rows
 *   rows that the model may see; not one more, not one less
 * @param expected
 *   the same answer without a model: `tiny` gives features `2 * v[:3]` and scores `v[1:4]` with the labels a, b, c
 */
final case class Query(name: String, sql: String, rows: Long, expected: String)

object QueryTable {

  /** Tables of the queries: `t` 100 rows, `u` 20, `n` 10 with 3 NULLs, `d` 30 with 5 different values. */
  def createTables(spark: SparkSession): Unit = {
    def vector(id: String) = s"array(cast($id as float), cast(-$id as float), cast($id % 7 as float), cast(2.5 as float))"
    def table(name: String, select: String, files: Int): Unit = {
      spark.sql(s"DROP TABLE IF EXISTS $name")
      spark.sql(select).repartition(files).write.format("parquet").saveAsTable(name)
    }
    table("t", s"SELECT cast(id as int) id, ${vector("id")} v, cast(id % 10 as int) g, repeat('x', 100) pad FROM range(1, 101)", 2)
    table("u", s"SELECT cast(id as int) id, cast(id * 4 as float) w, ${vector("id")} v2 FROM range(1, 21)", 1)
    table("n", s"SELECT cast(id as int) id, if(id % 3 = 0, null, ${vector("id")}) v FROM range(1, 11)", 1)
    table("d", s"SELECT cast(id as int) id, ${vector("(id % 5)")} v FROM range(1, 31)", 2)
    // One row in five has a wrong shape.
    table("bad", s"SELECT cast(id as int) id, if(id % 5 = 0, array(1f, 2f), ${vector("id")}) v FROM range(1, 21)", 1)
    spark.sql("CREATE OR REPLACE TEMP VIEW tv AS SELECT id, g, featurize(v, 'tiny') f FROM t")
  }

  private val F = "featurize(v, 'tiny')"
  private val P = "transform(slice(v, 1, 3), x -> cast(x * 2 as float))"
  private val Label = "if(id % 7 >= 3, 'b', 'c')"

  val queries: Seq[Query] = Seq(
    Query("a projection", s"SELECT id, $F FROM t", 100, s"SELECT id, $P FROM t"),
    Query("a projection without other columns", s"SELECT $F FROM t", 100, s"SELECT $P FROM t"),
    Query("equal calls", s"SELECT $F, $F[0] + 1 FROM t", 100, s"SELECT $P, $P[0] + 1 FROM t"),
    Query("featurize and classify", s"SELECT id, $F, classify(v, 'tiny', 1)[0].label FROM t", 100, s"SELECT id, $P, $Label FROM t"),
    Query("featurize, classify and infer", s"SELECT $F[1], classify(v, 'tiny')[0].label, infer('tiny', v).logits FROM t", 100,
      s"SELECT $P[1], $Label, slice(v, 2, 3) FROM t"),
    Query("two k", "SELECT size(classify(v, 'tiny', 1)), size(classify(v, 'tiny', 2)) FROM t", 100, "SELECT 1, 2 FROM t"),
    Query("default k", "SELECT size(classify(v, 'tiny')), classify(v, 'tiny')[0].index FROM t", 100, "SELECT 3, if(id % 7 >= 3, 1, 2) FROM t"),
    Query("a filter on the result", s"SELECT id FROM t WHERE $F[0] > 100", 100, "SELECT id FROM t WHERE id > 50"),
    Query("a filter on the result that is selected", s"SELECT $F FROM t WHERE $F[0] > 100", 100, s"SELECT $P FROM t WHERE id > 50"),
    Query("a filter on another output", s"SELECT $F FROM t WHERE classify(v, 'tiny', 1)[0].label = 'b'", 100, s"SELECT $P FROM t WHERE $Label = 'b'"),
    Query("a filter on a column", s"SELECT $F FROM t WHERE id <= 10", 10, s"SELECT $P FROM t WHERE id <= 10"),
    Query("a filter on both", s"SELECT id, $F FROM t WHERE $F[0] > 10 AND id <= 10", 10, s"SELECT id, $P FROM t WHERE id > 5 AND id <= 10"),
    Query("a filter on the input", s"SELECT $F FROM t WHERE v[0] <= 10", 10, s"SELECT $P FROM t WHERE id <= 10"),
    Query("a filter outside of a subquery", s"SELECT f FROM (SELECT id, $F f FROM t) WHERE id <= 10", 10, s"SELECT $P FROM t WHERE id <= 10"),
    Query("a filter on the result outside of a subquery", s"SELECT f, f[1] FROM (SELECT $F f FROM t) WHERE f[0] > 100 AND f[2] >= 0", 100,
      s"SELECT $P, $P[1] FROM t WHERE id > 50"),
    Query("an unused result", s"SELECT id FROM (SELECT id, $F f FROM t)", 0, "SELECT id FROM t"),
    Query("an unused output", s"SELECT f FROM (SELECT $F f, classify(v, 'tiny') c FROM t)", 100, s"SELECT $P FROM t"),
    Query("a count", s"SELECT count(*) FROM (SELECT $F f FROM t)", 0, "SELECT 100"),
    Query("LIMIT", s"SELECT size(f) FROM (SELECT $F f FROM t LIMIT 5)", 5, "SELECT 3 FROM range(5)"),
    Query("LIMIT at the root", s"SELECT size($F) FROM t LIMIT 5", 5, "SELECT 3 FROM range(5)"),
    Query("OFFSET", s"SELECT size($F) FROM t LIMIT 5 OFFSET 3", 8, "SELECT 3 FROM range(5)"),
    Query("TABLESAMPLE of rows", s"SELECT size($F) FROM t TABLESAMPLE (10 ROWS)", 10, "SELECT 3 FROM range(10)"),
    Query("the first of an order without the result", s"SELECT id, $F f FROM t ORDER BY id DESC LIMIT 5", 5,
      s"SELECT id, $P FROM t WHERE id > 95 ORDER BY id DESC"),
    Query("the first of an order by the result", s"SELECT id, $F f FROM t ORDER BY f[0] DESC LIMIT 3", 100,
      s"SELECT id, $P FROM t WHERE id > 97 ORDER BY id DESC"),
    Query("a filter on the result above a limit", s"SELECT * FROM (SELECT id, $F f FROM t ORDER BY id LIMIT 5) WHERE f[0] > 4", 5,
      s"SELECT id, $P FROM t WHERE id IN (3, 4, 5)"),
    Query("either the result or a column", s"SELECT id FROM t WHERE $F[0] > 180 OR id <= 10", 100, "SELECT id FROM t WHERE id > 90 OR id <= 10"),
    Query("ORDER BY", s"SELECT id FROM t ORDER BY $F[0] DESC", 100, "SELECT id FROM t ORDER BY id DESC"),
    Query("ORDER BY another column", s"SELECT id, $F FROM t ORDER BY id DESC", 100, s"SELECT id, $P FROM t ORDER BY id DESC"),
    Query("GROUP BY the result", s"SELECT $F[2], count(*) FROM t GROUP BY $F[2]", 100, "SELECT cast(id % 7 * 2 as float), count(*) FROM t GROUP BY id % 7"),
    Query("an aggregate of the result", s"SELECT g, max($F[0]) FROM t GROUP BY g", 100, "SELECT g, cast(max(id) * 2 as float) FROM t GROUP BY g"),
    Query("an aggregate of a filtered result", s"SELECT count(*) FILTER (WHERE $F[0] > 100) FROM t", 100, "SELECT 50"),
    Query("over an aggregate", "SELECT g, featurize(max(v), 'tiny')[0] FROM t GROUP BY g", 10, "SELECT g, cast(max(id) * 2 as float) FROM t GROUP BY g"),
    Query("over a grouping key", s"SELECT $F FROM d GROUP BY v", 5, s"SELECT $P FROM d GROUP BY v"),
    Query("over a grouping key, beside a count", s"SELECT $F[0], count(*) FROM d GROUP BY v", 5,
      "SELECT cast(id % 5 * 2 as float), count(*) FROM d GROUP BY id % 5"),
    Query("HAVING", s"SELECT g FROM t GROUP BY g HAVING max($F[0]) > 190", 100, "SELECT g FROM t GROUP BY g HAVING max(id) > 95"),
    Query("HAVING over a grouping key", s"SELECT $F FROM d GROUP BY v HAVING $F[0] > 2", 5, s"SELECT $P FROM d WHERE id % 5 > 1 GROUP BY v"),
    Query("HAVING over a grouping key that is not selected", s"SELECT count(*) FROM d GROUP BY v HAVING $F[0] > 2 AND count(*) > 0", 5,
      "SELECT 6 FROM range(3)"),
    Query("count DISTINCT", s"SELECT count(DISTINCT $F) FROM d", 30, "SELECT 5"),
    Query("ROLLUP", s"SELECT k, count(*) FROM (SELECT $F[2] k FROM t) GROUP BY ROLLUP (k)", 100,
      "SELECT k, count(*) FROM (SELECT cast(id % 7 * 2 as float) k FROM t) GROUP BY ROLLUP (k)"),
    Query("DISTINCT", s"SELECT DISTINCT $F FROM d", 30, s"SELECT DISTINCT $P FROM d"),
    Query("a window over the result", s"SELECT id, row_number() OVER (ORDER BY $F[0]) FROM t", 100, "SELECT id, row_number() OVER (ORDER BY id) FROM t"),
    Query("a window partitioned by the result", s"SELECT id, count(*) OVER (PARTITION BY $F[2]) FROM t", 100,
      "SELECT id, count(*) OVER (PARTITION BY id % 7) FROM t"),
    Query("explode", s"SELECT id, explode($F) FROM t", 100, s"SELECT id, explode($P) FROM t"),
    Query("LATERAL VIEW", s"SELECT id, e FROM t LATERAL VIEW explode($F) x AS e WHERE e > 190", 100,
      s"SELECT id, e FROM t LATERAL VIEW explode($P) x AS e WHERE e > 190"),
    Query("UNION ALL", s"SELECT $F FROM t UNION ALL SELECT $F FROM d", 130, s"SELECT $P FROM t UNION ALL SELECT $P FROM d"),
    Query("a filter over UNION ALL", s"SELECT * FROM (SELECT id, $F f FROM t UNION ALL SELECT id, $F FROM d) WHERE id <= 3", 6,
      s"SELECT * FROM (SELECT id, $P f FROM t UNION ALL SELECT id, $P FROM d) WHERE id <= 3"),
    Query("EXCEPT", s"SELECT $F[0] FROM t EXCEPT SELECT w FROM u", 100, "SELECT cast(id * 2 as float) FROM t EXCEPT SELECT w FROM u"),
    Query("a self-join on the result", s"SELECT a.id, b.id FROM t a JOIN t b ON featurize(a.v, 'tiny')[0] = featurize(b.v, 'tiny')[0] + 2", 200,
      "SELECT a.id, b.id FROM t a JOIN t b ON a.id = b.id + 1"),
    Query("a join on the result", s"SELECT t.id, w FROM t JOIN u ON $F[0] = w", 100, "SELECT t.id, w FROM t JOIN u ON t.id * 2 = w"),
    Query("a join on the result that is selected", s"SELECT $F, w FROM t JOIN u ON $F[0] = w", 100, s"SELECT $P, w FROM t JOIN u ON t.id * 2 = w"),
    Query("a join on the result of some rows", s"SELECT t.id FROM t JOIN u ON $F[0] = w WHERE t.id <= 10", 10,
      "SELECT t.id FROM t JOIN u ON t.id * 2 = w WHERE t.id <= 10"),
    Query("over a join", s"SELECT $F FROM t JOIN u ON t.id = u.id", 20, s"SELECT $P FROM t WHERE id <= 20"),
    Query("a full join", s"SELECT t.id, u.id FROM t FULL JOIN u ON $F[0] = w", 100, "SELECT t.id, u.id FROM t FULL JOIN u ON t.id * 2 = w"),
    Query("a lateral subquery", "SELECT id, x FROM u, LATERAL (SELECT featurize(u.v2, 'tiny')[0] x)", 20, "SELECT id, cast(id * 2 as float) FROM u"),
    Query("a left join", s"SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND featurize(v2, 'tiny')[0] > 20", 20,
      "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND u.id > 10"),
    Query("inputs from both sides", "SELECT t.id, u.id FROM t JOIN u ON t.id = u.id AND featurize(array(v[0], v2[0], 0, 0), 'tiny')[1] > 20", 20,
      "SELECT id, id FROM u WHERE id > 10"),
    Query("IN a subquery", s"SELECT id FROM u WHERE id * 2 IN (SELECT $F[0] FROM t WHERE id <= 10)", 10, "SELECT id FROM u WHERE id <= 10"),
    Query("NOT EXISTS", s"SELECT id FROM u WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = u.id AND $F[0] > 20)", 100, "SELECT id FROM u WHERE id <= 10"),
    Query("a scalar subquery", s"SELECT id FROM u WHERE w > (SELECT min($F[0]) FROM t)", 100, "SELECT id FROM u WHERE w > 2"),
    Query("EXISTS with the call outside", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE w = featurize(t.v, 'tiny')[0])", 100,
      "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE w = t.id * 2)"),
    Query("EXISTS with the call inside", s"SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t WHERE $F[0] = u.w)", 100,
      "SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.id * 2 = u.w)"),
    Query("a correlated scalar subquery", s"SELECT id, (SELECT max($F[0]) FROM t WHERE t.id = u.id) FROM u", 100, "SELECT id, cast(id * 2 as float) FROM u"),
    Query("a CTE", s"WITH c AS (SELECT id, $F f FROM t) SELECT f FROM c WHERE id <= 10", 10, s"SELECT $P FROM t WHERE id <= 10"),
    Query("a CTE twice", s"WITH c AS (SELECT id, $F f FROM t WHERE id <= 10) SELECT a.f, b.f FROM c a JOIN c b ON a.id = b.id + 1", 20,
      s"SELECT a.f, b.f FROM (SELECT id, $P f FROM t WHERE id <= 10) a JOIN (SELECT id, $P f FROM t WHERE id <= 10) b ON a.id = b.id + 1"),
    Query("a CTE twice, one result used", s"WITH c AS (SELECT id, $F f FROM t WHERE id <= 10) SELECT a.id, b.f FROM c a JOIN c b ON a.id = b.id + 1", 10,
      s"SELECT a.id, b.f FROM t a JOIN (SELECT id, $P f FROM t) b ON a.id = b.id + 1 WHERE a.id <= 10"),
    Query("a temporary view", "SELECT f FROM tv WHERE id <= 10", 10, s"SELECT $P FROM t WHERE id <= 10"),
    Query("a temporary view without its result", "SELECT g FROM tv WHERE id <= 10", 0, "SELECT g FROM t WHERE id <= 10"),
    Query("nested calls", s"SELECT featurize(array_append($F, 0), 'tiny') FROM t", 200, "SELECT transform(slice(v, 1, 3), x -> cast(x * 4 as float)) FROM t"),
    Query("nested calls, both used", s"SELECT $F[0], featurize(array_append($F, 0), 'tiny')[0] FROM t", 200, "SELECT v[0] * 2, v[0] * 4 FROM t"),
    Query("a computed input", "SELECT featurize(transform(v, x -> x + 1), 'tiny')[0] FROM t", 100, "SELECT cast((id + 1) * 2 as float) FROM t"),
    Query("NULL inputs", s"SELECT id, $F FROM n", 7, s"SELECT id, $P FROM n"),
    Query("IS NOT NULL", s"SELECT id FROM n WHERE $F IS NOT NULL", 7, "SELECT id FROM n WHERE id % 3 <> 0"),
    Query("a NULL literal", "SELECT featurize(NULL, 'tiny') FROM u", 0, "SELECT cast(NULL as array<float>) FROM u"),
    Query("a literal input", "SELECT featurize(array(1, 2, 3, 4), 'tiny')", 1, "SELECT array(2f, 4f, 6f)"),
    Query("a literal input, many rows", "SELECT id, featurize(array(1.5, 2.5, 3.5, 4.5), 'tiny') FROM u", 20, "SELECT id, array(3f, 5f, 7f) FROM u"),
    Query("integers", "SELECT featurize(array(id, id, id, id), 'tiny')[0] FROM t", 100, "SELECT cast(id * 2 as float) FROM t"),
    Query("named arguments", "SELECT featurize(input => v, model => 'tiny')[0], classify(model => 'tiny', k => 1, input => v)[0].label FROM t", 100,
      s"SELECT v[0] * 2, $Label FROM t"),
    Query("named arguments of infer", "SELECT infer(model => 'tiny', x => v).features FROM t", 100, s"SELECT $P FROM t"),
    Query("a function from the configuration", "SELECT tiny_udf(v) FROM t", 100, s"SELECT $P FROM t"),
    Query("try_ over bad rows", "SELECT id, try_featurize(v, 'tiny') FROM bad", 16, s"SELECT id, if(id % 5 = 0, null, $P) FROM bad"),
    Query("try_classify and try_infer", "SELECT try_classify(v, 'tiny', 1)[0].label, try_infer('tiny', v).features FROM bad", 16,
      s"SELECT if(id % 5 = 0, null, $Label), if(id % 5 = 0, null, $P) FROM bad"),
    Query("strict after bad rows are filtered out", s"SELECT id, $F FROM bad WHERE try_featurize(v, 'tiny') IS NOT NULL", 32,
      s"SELECT id, $P FROM bad WHERE id % 5 <> 0"),
    Query("a REPARTITION hint", s"SELECT /*+ REPARTITION(3) */ id, $F FROM t", 100, s"SELECT id, $P FROM t"),
    Query("DISTRIBUTE BY the result", s"SELECT id FROM t DISTRIBUTE BY $F[0]", 100, "SELECT id FROM t"),
    Query("EXISTS beside the same call",
      "SELECT id, featurize(t.v, 'tiny') FROM t WHERE EXISTS (SELECT 1 FROM u WHERE w = featurize(t.v, 'tiny')[0]) AND featurize(t.v, 'tiny')[0] > 4", 100,
      s"SELECT id, $P FROM t WHERE id % 2 = 0 AND id <= 40 AND id > 2"),
    Query("two models", s"SELECT $F[0], featurize(v, 'raises')[0] FROM t WHERE v[0] > 0", 200, "SELECT v[0] * 2, v[0] * 2 FROM t")) ++
    GuardQueries.all
}
