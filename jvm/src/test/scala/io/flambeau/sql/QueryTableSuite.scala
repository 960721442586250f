package io.flambeau.sql

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf

/** Runs [[QueryTable]] with adaptive execution on and off, under ANSI mode (Spark 4's default): right answer, exact number of rows. */
class QueryTableSuite extends FlambeauSuite {

  private lazy val tables = QueryTable.createTables(spark)

  test("the table is long enough, and its names are unique") {
    assert(QueryTable.queries.length >= 45)
    assert(QueryTable.queries.map(_.name).distinct.length == QueryTable.queries.length)
  }

  private def check(query: Query, settings: (String, String)*): Unit = {
    tables
    withConf(settings :+ (FlambeauConf.BatchRows.key -> "8"): _*) {
      val (answer, rows) = countingRows(sorted(spark.sql(query.sql)))
      val expected = sorted(spark.sql(query.expected))
      assert(expected.nonEmpty, "a query without rows shows nothing")
      assert(answer == expected, spark.sql(query.sql).queryExecution.toString)
      assert(rows == query.rows, spark.sql(query.sql).queryExecution.toString)
    }
  }

  for (adaptive <- Seq(true, false); query <- QueryTable.queries) {
    test(s"${query.name} (AQE ${if (adaptive) "on" else "off"})") {
      check(query, "spark.sql.adaptive.enabled" -> adaptive.toString, "spark.sql.ansi.enabled" -> "true")
    }
  }

  test("guards without generated code, and without ANSI mode") {
    GuardQueries.all.foreach { query =>
      val interpreted = Seq("spark.sql.codegen.wholeStage" -> "false", "spark.sql.codegen.factoryMode" -> "NO_CODEGEN")
      withClue(query.name)(check(query, interpreted: _*))
      if (!query.name.contains("throw")) withClue(query.name)(check(query, "spark.sql.ansi.enabled" -> "false"))
    }
  }
}
