package io.flambeau.sql

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf

/** Runs [[QueryTable]] under ANSI mode (Spark 4's default): right answer, exact number of rows. */
abstract class QueryTableSuite(adaptive: Boolean) extends FlambeauSuite {

  private lazy val tables = QueryTable.createTables(spark)

  protected def check(query: Query, settings: (String, String)*): Unit = {
    tables
    withConf(settings :+ (FlambeauConf.BatchRows.key -> "8"): _*) {
      val (answer, rows) = countingRows(sorted(spark.sql(query.sql)))
      // Spark's own answer: to compile such a query takes longer than to run it.
      val expected = withConf(QueryTableSuite.Interpreted: _*)(sorted(spark.sql(query.expected)))
      assert(expected.nonEmpty, "a query without rows shows nothing")
      // A clue is made whether the test fails or not, and a plan takes long to make.
      if (answer != expected || rows != query.rows) info(spark.sql(query.sql).queryExecution.toString)
      assert(answer == expected)
      assert(rows == query.rows)
    }
  }

  for (query <- QueryTable.queries) {
    test(s"${query.name} (AQE ${if (adaptive) "on" else "off"})") {
      check(query, "spark.sql.adaptive.enabled" -> adaptive.toString, "spark.sql.ansi.enabled" -> "true")
    }
  }
}

private object QueryTableSuite {

  /** Settings of a session that generates no code. */
  val Interpreted: Seq[(String, String)] = Seq("spark.sql.codegen.wholeStage" -> "false", "spark.sql.codegen.factoryMode" -> "NO_CODEGEN")
}

/** With adaptive execution. */
class QueryTableAdaptiveSuite extends QueryTableSuite(true) {

  test("the table is long enough, and its names are unique") {
    assert(QueryTable.queries.length >= 45)
    assert(QueryTable.queries.map(_.name).distinct.length == QueryTable.queries.length)
  }
}

/** Without adaptive execution. The two suites are of one size: two processes run them beside each other. */
class QueryTableStaticSuite extends QueryTableSuite(false) {

  test("guards without generated code, and without ANSI mode") {
    GuardQueries.all.foreach { query =>
      withClue(query.name)(check(query, QueryTableSuite.Interpreted: _*))
      if (!query.name.contains("throw")) withClue(query.name)(check(query, "spark.sql.ansi.enabled" -> "false"))
    }
  }
}
