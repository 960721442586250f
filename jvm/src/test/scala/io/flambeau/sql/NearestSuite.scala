package io.flambeau.sql

import org.apache.spark.sql.DataFrame

import io.flambeau.{Flambeau, FlambeauSuite}

/** Nearest neighbors and near duplicates: results, plans, and that nothing is left behind (tests/test_similarity.py has more results). */
class NearestSuite extends FlambeauSuite {

  private def points(count: Int): DataFrame =
    spark.range(count.toLong).selectExpr("id", "transform(sequence(1, 5), i -> float(sin(id * i))) AS vector")

  private def vector(id: Long): Seq[Double] = (1 to 5).map(i => math.sin((id * i).toDouble).toFloat.toDouble)

  private def distance(a: Long, b: Long): Double = math.sqrt(vector(a).zip(vector(b)).map { case (x, y) => (x - y) * (x - y) }.sum)

  private def nearest(count: Int, of: Long, k: Int): Seq[Long] = (0L until count.toLong).sortBy(other => (distance(of, other), other)).take(k)

  private def found(frame: DataFrame): Map[Long, Seq[Long]] =
    frame.collect().groupBy(_.getLong(0)).map { case (id, rows) => id -> rows.sortBy(_.getInt(2)).map(_.getLong(1)).toSeq }

  test("Scala gives the nearest of all pairs, with adaptive execution and without") {
    Seq("true", "false").foreach { adaptive =>
      withConf("spark.sql.adaptive.enabled" -> adaptive) {
        val frame = Flambeau.nearest(points(40), points(300), 4, "l2")
        assert(frame.columns.toSeq == Seq("left_id", "right_id", "rank", "distance"))
        assert(found(frame) == (0L until 40L).map(id => id -> nearest(300, id, 4)).toMap)
      }
    }
    assert(spark.catalog.listTables().filter(_.name.startsWith("flambeau_")).isEmpty)
  }

  test("many rows on the left: each task compares some of them with all on the right") {
    val rows = found(Flambeau.nearest(points(5000), points(30), 2, "l2"))
    assert(rows.size == 5000 && (0L until 5000L by 97L).forall(id => rows(id) == nearest(30, id, 2)))
  }

  test("near duplicates have smaller ids") {
    val twice = points(50).union(points(50).selectExpr("id + 50", "vector"))
    val rows = found(Flambeau.nearDuplicates(twice, 0.9999999))
    assert(rows == (50L until 100L).map(id => id -> Seq(id - 50)).toMap - 50L, "the vector of id 0 has length 0")
  }

  test("an abandoned result and a failed query leave nothing behind") {
    assert(Flambeau.nearest(points(3000), points(3000)).limit(3).collect().length == 3)
    val longer = points(100).union(points(1).selectExpr("100L", "array(1F)"))
    assertFails("FLAMBEAU_BAD_INPUT", "flambeau_nearest", "a vector has 1 elements, and others have 5", "filter by size()") {
      Flambeau.nearest(points(100), longer).collect()
    }
  }

  test("the plan names it, and so does the function's help") {
    val plan = rowsOf("EXPLAIN SELECT * FROM flambeau_nearest(TABLE(SELECT 1, array(1)), TABLE(SELECT 1, array(2)))").head.getString(0)
    assert(plan.contains("NearestNeighbors flambeau_nearest") && plan.contains("RoundRobinPartitioning"))
    assert(rowsOf("DESCRIBE FUNCTION EXTENDED flambeau_nearest").map(_.getString(0)).mkString.contains("flambeau_nearest(left, right[, k, metric])"))
  }
}
