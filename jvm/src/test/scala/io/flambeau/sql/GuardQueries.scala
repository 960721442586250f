package io.flambeau.sql

/** Guards of calls: only rows that pass the guard go through the model, and the result is Spark's own. */
object GuardQueries {

  private val F = "featurize(v, 'tiny')"
  private val R = "featurize(v, 'raises')"
  private val X = "cast(id * 2 as float)"

  private def projection(name: String, call: String, rows: Long, expected: String): Query =
    Query(name, s"SELECT id, $call FROM t", rows, s"SELECT id, $expected FROM t")

  private val forms: Seq[Query] = Seq(
    projection("CASE", s"CASE WHEN id <= 50 THEN $F[0] ELSE 0 END", 50, s"CASE WHEN id <= 50 THEN $X ELSE 0 END"),
    projection("CASE without ELSE", s"CASE WHEN id <= 50 THEN $F END[0]", 50, s"CASE WHEN id <= 50 THEN $X END"),
    projection("ELSE", s"CASE WHEN id <= 50 THEN 0 ELSE $F[0] END", 50, s"CASE WHEN id <= 50 THEN 0 ELSE $X END"),
    projection("a later WHEN", s"CASE WHEN id <= 20 THEN 0 WHEN id <= 50 THEN $F[0] ELSE 1 END", 30,
      s"CASE WHEN id <= 20 THEN 0 WHEN id <= 50 THEN $X ELSE 1 END"),
    projection("CASE inside CASE", s"CASE WHEN id <= 50 THEN CASE WHEN g = 3 THEN $F[0] END ELSE -1 END", 5,
      s"CASE WHEN id <= 50 THEN CASE WHEN g = 3 THEN $X END ELSE -1 END"),
    projection("a call in WHEN", s"CASE WHEN id <= 50 AND $F[0] > 40 THEN 'big' WHEN id > 90 THEN 'end' END", 50,
      "CASE WHEN id <= 50 AND id > 20 THEN 'big' WHEN id > 90 THEN 'end' END"),
    projection("a call in WHEN and in THEN", s"CASE WHEN id <= 50 AND $F[0] > 40 THEN $F[0] END", 50, s"CASE WHEN id <= 50 AND id > 20 THEN $X END"),
    projection("a call in a later WHEN", s"CASE WHEN id <= 50 THEN 'low' WHEN $F[0] > 180 THEN 'high' END", 50,
      "CASE WHEN id <= 50 THEN 'low' WHEN id > 90 THEN 'high' END"),
    projection("the same call in both branches", s"CASE WHEN id <= 50 THEN $F[0] ELSE $F[1] END", 100, s"CASE WHEN id <= 50 THEN $X ELSE -$X END"),
    projection("the same call with and without a guard", s"$F[1], CASE WHEN id <= 50 THEN $F[0] END", 100, s"-$X, CASE WHEN id <= 50 THEN $X END"),
    projection("two guards that overlap", s"CASE WHEN id <= 10 THEN $F[0] END, CASE WHEN id > 5 AND id <= 30 THEN infer('tiny', v).features[1] END", 30,
      s"CASE WHEN id <= 10 THEN $X END, CASE WHEN id > 5 AND id <= 30 THEN -$X END"),
    projection("IF", s"IF(id <= 50, $F[0], 0)", 50, s"IF(id <= 50, $X, 0)"),
    projection("IF, the other side", s"IF(id <= 50, 0, $F[0])", 50, s"IF(id <= 50, 0, $X)"),
    projection("a condition that is NULL", s"IF(CASE WHEN id > 50 THEN true END, $F[0], 0)", 50, s"IF(id > 50, $X, 0)"),
    projection("a condition that is NULL, ELSE", s"CASE WHEN CASE WHEN id > 50 THEN true END THEN 0 ELSE $F[0] END", 50, s"IF(id > 50, 0, $X)"),
    projection("COALESCE", s"coalesce(if(id <= 90, 0, null), $F[0])", 10, s"if(id <= 90, 0, $X)"),
    projection("COALESCE, the call in the middle", s"coalesce(if(id <= 90, 0, null), if(id <= 95, $F[0], null), 7)", 5,
      s"CASE WHEN id <= 90 THEN 0 WHEN id <= 95 THEN $X ELSE 7 END"),
    projection("nvl", s"nvl(if(id <= 90, 0, null), $F[0])", 10, s"if(id <= 90, 0, $X)"),
    projection("nvl2", s"nvl2(if(id <= 90, 0, null), $F[0], 7)", 90, s"if(id <= 90, $X, 7)"),
    projection("nullif", s"nullif($F[0], 10)", 100, s"nullif($X, 10)"),
    projection("nullif under a guard", s"IF(id <= 50, nullif($F[0], 10), 0)", 50, s"IF(id <= 50, nullif($X, 10), 0)"),
    projection("nanvl", s"nanvl(if(id <= 90, 0d, double('NaN')), cast($F[0] as double))", 10, s"if(id <= 90, 0d, cast($X as double))"),
    projection("decode", s"decode(g, 1, $F[0], 0)", 10, s"decode(g, 1, $X, 0)"),
    projection("AND", s"id <= 10 AND $F[0] > 10", 10, s"id <= 10 AND $X > 10"),
    projection("AND with NULL", s"(CASE WHEN id <= 10 THEN true WHEN id > 40 THEN false END) AND $F[0] > 10", 40,
      s"(CASE WHEN id <= 10 THEN true WHEN id > 40 THEN false END) AND $X > 10"),
    projection("OR", s"id <= 90 OR $F[0] > 190", 10, s"id <= 90 OR $X > 190"),
    projection("OR of several", s"id <= 50 OR g = 3 OR $F[0] > 190", 45, s"id <= 50 OR g = 3 OR $X > 190"),
    projection("NOT", s"NOT (id <= 90 OR $F[0] > 190)", 10, s"NOT (id <= 90 OR $X > 190)"))

  private val places: Seq[Query] = Seq(
    Query("OR in WHERE", s"SELECT id FROM t WHERE id <= 90 OR $F[0] > 190", 10, "SELECT id FROM t WHERE id <= 90 OR id > 95"),
    Query("OR in WHERE, and the result", s"SELECT id, $F[0] FROM t WHERE id <= 10 OR $F[0] > 180", 100, s"SELECT id, $X FROM t WHERE id <= 10 OR id > 90"),
    Query("OR in WHERE, and the result of some", s"SELECT id, $F[0] FROM t WHERE (id > 20 AND id <= 25) OR (id > 50 AND $F[0] > 180)", 55,
      s"SELECT id, $X FROM t WHERE (id > 20 AND id <= 25) OR id > 90"),
    Query("CASE in WHERE", s"SELECT id FROM t WHERE CASE WHEN id <= 50 THEN $F[0] > 90 ELSE id > 98 END", 50,
      "SELECT id FROM t WHERE (id > 45 AND id <= 50) OR id > 98"),
    Query("one model's result guards another", s"SELECT id FROM t WHERE $F[0] > 100 AND $R[0] > 190", 150, "SELECT id FROM t WHERE id > 95"),
    Query("one model's result guards another, in a projection", s"SELECT id, CASE WHEN $F[0] > 100 THEN $R[1] END FROM t", 150,
      s"SELECT id, CASE WHEN id > 50 THEN -$X END FROM t"),
    Query("one call's result guards a call over it", s"SELECT id, CASE WHEN $F[0] > 100 THEN featurize(array_append($F, 0), 'tiny')[0] END FROM t", 150,
      s"SELECT id, CASE WHEN id > 50 THEN cast(id * 4 as float) END FROM t"),
    Query("nested calls under a guard", s"SELECT id, CASE WHEN id > 50 THEN featurize(array_append($F, 0), 'tiny')[0] END FROM t", 100,
      s"SELECT id, CASE WHEN id > 50 THEN cast(id * 4 as float) END FROM t"),
    Query("calls that guard one another", s"SELECT id, CASE WHEN g = 1 AND $F[0] > 40 THEN $R[0] WHEN $R[0] > 190 THEN $F[0] END FROM t", 200,
      s"SELECT id, CASE WHEN (g = 1 AND id > 20) OR id > 95 THEN $X END FROM t"),
    Query("FILTER of an aggregate", s"SELECT sum($F[0]) FILTER (WHERE id <= 30) FROM t", 30, s"SELECT sum($X) FROM t WHERE id <= 30"),
    Query("FILTER of a grouped aggregate", s"SELECT g, max($F[0]) FILTER (WHERE id <= 30), count(*) FROM t GROUP BY g", 30,
      s"SELECT g, max($X) FILTER (WHERE id <= 30), count(*) FROM t GROUP BY g"),
    Query("FILTER that asks another call", s"SELECT count($R) FILTER (WHERE $F[0] > 100) FROM t", 150, "SELECT 50"),
    Query("FILTER and DISTINCT", s"SELECT count(DISTINCT $F[2]) FILTER (WHERE id <= 30), count(DISTINCT g) FROM t", 30, "SELECT 7, 10"),
    Query("CASE in an aggregate", s"SELECT sum(CASE WHEN id <= 30 THEN $F[0] ELSE 0 END) FROM t", 30, s"SELECT sum($X) FROM t WHERE id <= 30"),
    Query("an aggregate in CASE", s"SELECT CASE WHEN count(*) < 5 THEN max($F[0]) END FROM t", 100, "SELECT cast(NULL as float)"),
    Query("CASE over an aggregate", "SELECT g, CASE WHEN g < 3 THEN featurize(max(v), 'tiny')[0] END FROM t GROUP BY g", 3,
      s"SELECT g, CASE WHEN g < 3 THEN cast(max(id) * 2 as float) END FROM t GROUP BY g"),
    Query("GROUP BY CASE", s"SELECT CASE WHEN id > 50 THEN $F[2] END, count(*) FROM t GROUP BY 1", 50,
      "SELECT CASE WHEN id > 50 THEN cast(id % 7 * 2 as float) END, count(*) FROM t GROUP BY 1"),
    Query("ORDER BY CASE", s"SELECT id FROM t ORDER BY CASE WHEN id > 50 THEN $F[0] ELSE 0 END, id", 50, "SELECT id FROM t"),
    Query("a window over CASE", s"SELECT id, count(CASE WHEN id > 50 THEN $F[0] END) OVER (PARTITION BY g) FROM t", 50, "SELECT id, 5L FROM t"),
    Query("ON of an outer join", s"SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND t.g = 1 AND $F[0] > 20", 10,
      "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND t.g = 1 AND t.id > 10"),
    Query("ON of an outer join, the other side", "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND u.id > 15 AND featurize(v2, 'tiny')[0] > 34", 5,
      "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND u.id > 17"),
    Query("ON of an inner join", s"SELECT t.id FROM t JOIN u ON t.id = u.id AND t.g = 1 AND $F[0] > 20", 10, "SELECT id FROM t WHERE id = 11"),
    Query("CASE over a join", s"SELECT t.id, CASE WHEN u.id IS NOT NULL THEN $F[0] END FROM t LEFT JOIN u ON t.id = u.id", 20,
      s"SELECT id, CASE WHEN id <= 20 THEN $X END FROM t"),
    Query("CASE outside of a subquery", s"SELECT CASE WHEN g = 1 THEN f[0] END FROM (SELECT g, $F f FROM t WHERE id <= 50)", 5,
      s"SELECT CASE WHEN g = 1 THEN $X END FROM t WHERE id <= 50"),
    Query("CASE over a view", "SELECT CASE WHEN g = 1 THEN f[0] END FROM tv", 10, s"SELECT CASE WHEN g = 1 THEN $X END FROM t"),
    Query("CASE below and above a limit",
      s"SELECT CASE WHEN g = 1 THEN f END, g FROM (SELECT g, CASE WHEN id <= 20 THEN $F[0] END f FROM t ORDER BY id LIMIT 30)", 20,
      s"SELECT CASE WHEN g = 1 AND id <= 20 THEN $X END, g FROM t WHERE id <= 30"))

  private val conditions: Seq[Query] = Seq(
    projection("a condition that is not deterministic", s"CASE WHEN rand(1) < 2 THEN $F[0] END", 100, X),
    projection("a condition after one that is not deterministic", s"CASE WHEN rand(1) < 2 AND id <= 50 THEN $F[0] END", 50, s"CASE WHEN id <= 50 THEN $X END"),
    projection("a condition that would throw for others", s"CASE WHEN id = 50 THEN 0 WHEN 100 / (id - 50) > 10 THEN $F[0] END", 9,
      s"CASE WHEN id = 50 THEN 0 WHEN id > 50 AND id < 60 THEN $X END"),
    projection("an input that would throw for others", "CASE WHEN id <> 50 THEN featurize(array(0, 1 / (id - 50), 0, 0), 'tiny')[0] END", 99,
      "CASE WHEN id <> 50 THEN 0f END"),
    projection("a condition on a lambda's variable", s"transform(array(id), x -> CASE WHEN x > 50 THEN $F[0] END)[0]", 100, s"CASE WHEN id > 50 THEN $X END"),
    projection("a scalar subquery as a condition", s"CASE WHEN id > (SELECT max(id) FROM u) THEN $F[0] END", 80, s"CASE WHEN id > 20 THEN $X END"),
    projection("EXISTS as a condition", s"CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.id = t.id) THEN $F[0] END", 100, s"CASE WHEN id <= 20 THEN $X END"),
    Query("a guarded NULL input", s"SELECT id, CASE WHEN id <= 5 THEN $F[0] END FROM n", 4, s"SELECT id, CASE WHEN id <= 5 AND id % 3 <> 0 THEN $X END FROM n"),
    Query("no row comes to the call", s"SELECT id, CASE WHEN id > 500 THEN $F[0] END FROM t", 0, "SELECT id, cast(null as float) FROM t"))

  /** Strict calls, kept from the rows that would fail. */
  private val overBadRows: Seq[Query] = Seq(
    Query("bad rows behind CASE", s"SELECT id, CASE WHEN size(v) = 4 THEN $F[0] END FROM bad", 16, s"SELECT id, if(id % 5 = 0, null, $X) FROM bad"),
    Query("bad rows behind OR", s"SELECT id FROM bad WHERE size(v) = 2 OR $F[0] > 20", 16, "SELECT id FROM bad WHERE id % 5 = 0 OR id > 10"),
    Query("bad rows behind FILTER", s"SELECT sum($F[0]) FILTER (WHERE size(v) = 4) FROM bad", 16, s"SELECT sum($X) FROM bad WHERE id % 5 <> 0"),
    Query("a strict call under a guard beside try_", s"SELECT id, try_featurize(v, 'tiny')[0], CASE WHEN size(v) = 4 THEN $F[1] END FROM bad", 16,
      s"SELECT id, if(id % 5 = 0, null, $X), if(id % 5 = 0, null, -$X) FROM bad"),
    Query("try_ and strict in one CASE", s"SELECT id, CASE WHEN id > 10 THEN try_featurize(v, 'tiny')[0] WHEN size(v) = 4 THEN $F[0] END FROM bad", 16,
      s"SELECT id, if(id % 5 = 0, null, $X) FROM bad"),
    Query("try_ guards a strict call", s"SELECT id, CASE WHEN try_featurize(v, 'tiny') IS NOT NULL THEN $F[0] END FROM bad", 32,
      s"SELECT id, if(id % 5 = 0, null, $X) FROM bad"),
    Query("a strict call above a guarded filter", s"SELECT id, $F[0] FROM bad WHERE id % 5 <> 0 AND (id < 5 OR $F[0] > 20)", 16,
      s"SELECT id, $X FROM bad WHERE id % 5 <> 0 AND (id < 5 OR id > 10)"),
    Query("rows that the program refuses", "SELECT id, try_featurize(if(id % 10 = 3, array(-1, 0, 0, 0), v), 'raises')[0] FROM t", 90,
      s"SELECT id, if(id % 10 = 3, null, $X) FROM t"))

  val all: Seq[Query] = forms ++ places ++ conditions ++ overBadRows
}
