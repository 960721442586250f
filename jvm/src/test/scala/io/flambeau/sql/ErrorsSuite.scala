package io.flambeau.sql

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf
import io.flambeau.spark.Conditions

/** Every mistake is an error with a condition, a cause and advice. The process continues, and nothing leaks. */
class ErrorsSuite extends FlambeauSuite {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    QueryTable.createTables(spark)
  }

  private def analyze(sql: String): Unit = spark.sql(sql)

  /** The process runs the next query as usual. */
  private def goesOn(): Unit = assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'tiny')").head.getSeq[Float](0) == Seq(2f, 4f, 6f))

  for ((name, sql, parts) <- Seq(
      ("a column as the model's name", "SELECT featurize(v, pad) FROM t", Seq("must be a literal", "pad")),
      ("NULL as the model's name", "SELECT featurize(v, NULL) FROM t", Seq("NULL")),
      ("a number as the model's name", "SELECT featurize(v, 7) FROM t", Seq("must be a string", "INT")),
      ("k of zero", "SELECT classify(v, 'tiny', 0) FROM t", Seq("k must be at least 1")),
      ("k that is negative", "SELECT classify(v, 'tiny', -3) FROM t", Seq("k must be at least 1")),
      ("k that is text", "SELECT classify(v, 'tiny', 'x') FROM t", Seq("k must be a positive whole number")),
      ("k that is a column", "SELECT classify(v, 'tiny', id) FROM t", Seq("k must be a literal")),
      ("no model", "SELECT featurize(v) FROM t", Seq("model missing", "featurize(input, model)")),
      ("no argument", "SELECT infer() FROM t", Seq("infer")),
      ("too many arguments", "SELECT featurize(v, 'tiny', 1) FROM t", Seq("too many", "featurize(input, model)")),
      ("an unknown named argument", "SELECT featurize(v, modle => 'tiny') FROM t", Seq("no parameter 'modle'", "did you mean 'model'?")),
      ("an argument given twice", "SELECT featurize(v, input => v, model => 'tiny') FROM t", Seq("'input' is given twice")),
      ("classify without scores", "SELECT classify(array_repeat(1, 16), 'noop') FROM t", Seq("no output of role scores", "features (features)")),
      ("too few inputs", "SELECT infer('tiny') FROM t", Seq("x missing")),
      ("the variable of a lambda", "SELECT transform(array(v), x -> featurize(x, 'tiny')) FROM t", Seq("lambda", "explode")))) {
    test(s"FLAMBEAU_BAD_ARGUMENT: $name") { assertFails("FLAMBEAU_BAD_ARGUMENT", parts: _*)(analyze(sql)) }
  }

  test("FLAMBEAU_BAD_ARGUMENT: inputs from both sides of an outer join") {
    assertFails("FLAMBEAU_BAD_ARGUMENT", "more than one side of a join") {
      rowsOf("SELECT t.id FROM t LEFT JOIN u ON t.id = u.id AND featurize(array(v[0], v2[0], 0, 0), 'tiny')[1] > 20")
    }
  }

  for ((name, sql, parts) <- Seq(
      ("text", "SELECT featurize(pad, 'tiny') FROM t", Seq("ARRAY<number>", "STRING")),
      ("the model's own input is named", "SELECT infer('tiny', pad) FROM t", Seq("The 'x' input parameter requires", "STRING")),
      ("a path for an image", "SELECT featurize(pad, 'image_tiny') FROM t", Seq("read_bytes(column) reads the files", "STRUCT<bytes: BINARY, path: STRING>")),
      ("an array of arrays", "SELECT featurize(array(v), 'tiny') FROM t", Seq("ARRAY<number>")),
      ("a number", "SELECT try_featurize(id, 'tiny') FROM t", Seq("ARRAY<number>", "INT")),
      ("an array of text", "SELECT classify(array(pad), 'tiny') FROM t", Seq("ARRAY<STRING>")))) {
    test(s"DATATYPE_MISMATCH: $name") {
      val failure = intercept[org.apache.spark.sql.AnalysisException](analyze(sql))
      assert(Conditions.of(failure) == "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
      parts.foreach(part => assert(failure.getMessage.contains(part)))
    }
  }

  test("FLAMBEAU_UNKNOWN_MODEL lists where it looked") {
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "'nope'", s"${FlambeauSuite.packages}/nope", FlambeauConf.ModelsPath.key)(
      analyze("SELECT featurize(v, 'nope') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "did you mean 'efficientnet_lite0'?")(analyze("SELECT featurize(v, 'eficientnet_lite0') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "did you mean 'image_tiny'?", "models there: ")(analyze("SELECT featurize(v, 'imagetiny') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "did you mean 'tiny'?")(analyze(s"SELECT featurize(v, '${FlambeauSuite.packages}/tinny') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "/no/such/folder")(analyze("SELECT featurize(v, '/no/such/folder') FROM t"))
  }

  test("FLAMBEAU_UNKNOWN_MODEL: the package itself as a folder of packages, and a package of the working folder") {
    withConf(FlambeauConf.ModelsPath.key -> s"${FlambeauSuite.packages}/tiny") {
      assertFails("FLAMBEAU_UNKNOWN_MODEL", s"${FlambeauSuite.packages}/tiny, which is a package itself", "the folder that holds the package")(
        analyze("SELECT featurize(v, 'tiny') FROM t"))
    }
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "'jvm' is in the working folder", "write './jvm'")(analyze("SELECT featurize(v, 'jvm') FROM t"))
  }

  test("FLAMBEAU_UNKNOWN_MODEL: a host that cannot be reached, a scheme that nobody reads") {
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "there is no host nowhere.invalid")(analyze("SELECT featurize(v, 'hdfs://nowhere.invalid:8020/m') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "S3AFileSystem not found")(analyze("SELECT featurize(v, 's3a://bucket/m') FROM t"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "hf")(analyze("SELECT featurize(v, 'hf://a/b') FROM t"))
  }

  test("FLAMBEAU_UNKNOWN_MODEL outside of the allowed places") {
    withConf(FlambeauConf.ModelsAllow.key -> "embedded,/opt/models") {
      val failure = assertFails("FLAMBEAU_UNKNOWN_MODEL")(analyze("SELECT featurize(v, 'tinny') FROM t"))
      assert(!messagesOf(failure).contains("image_tiny"), "names are not told of places that are not allowed")
      assertFails("FLAMBEAU_UNKNOWN_MODEL", FlambeauConf.ModelsAllow.key)(analyze("SELECT featurize(v, 'tiny') FROM t"))
    }
  }

  for (model <- Seq("bad_toml", "bad_hash", "not_torchscript", "wrong_shape")) {
    test(s"FLAMBEAU_BAD_MODEL: $model") {
      for (function <- Seq("featurize", "try_featurize")) {
        assertFails("FLAMBEAU_BAD_MODEL", s"'$model'")(rowsOf(s"SELECT $function(v, '$model') FROM t"))
      }
      goesOn()
    }
  }

  test("FLAMBEAU_BAD_MODEL ends with the cause, not with a place in the SQL text") {
    val failure = assertFails("FLAMBEAU_BAD_MODEL", "model.toml")(analyze("SELECT featurize(v, 'bad_toml') FROM t"))
    assert(!messagesOf(failure).contains("; line 1 pos"))
  }

  test("only a panic asks for a report") {
    for ((fault, report) <- Seq("panic" -> true, "torch" -> false, "allocation" -> false)) withFault(fault) {
      val failure = intercept[Exception](rowsOf("SELECT featurize(v, 'tiny') FROM t"))
      assert(messagesOf(failure).contains("report") == report, fault)
    }
    for (model <- Seq("bad_hash", "not_torchscript", "wrong_shape")) {
      assert(!messagesOf(intercept[Exception](rowsOf(s"SELECT featurize(v, '$model') FROM t"))).contains("report"), model)
    }
    goesOn()
  }

  test("FLAMBEAU_BAD_INPUT names model, row and what to do") {
    val failure = assertFails("FLAMBEAU_BAD_INPUT", "model 'tiny'", "Use try_featurize to get NULL", "handleInvalid")(
      rowsOf("SELECT featurize(v, 'tiny') FROM bad"))
    assert("row \\d+ of partition \\d+".r.findFirstIn(messagesOf(failure)).isDefined)
    goesOn()
  }

  test("FLAMBEAU_BAD_INPUT counts rows through the partition, not through the batch") {
    withConf(FlambeauConf.BatchRows.key -> "2") {
      assertFails("FLAMBEAU_BAD_INPUT", "row 7 of partition 0") {
        spark.range(0, 20, 1, 1).selectExpr("if(id = 7, array(1), array(1, 2, 3, 4)) v").selectExpr("featurize(v, 'tiny')").collect()
      }
    }
  }

  test("FLAMBEAU_BAD_INPUT: a guard lets a bad row in") {
    assertFails("FLAMBEAU_BAD_INPUT", "featurize with model 'tiny'")(rowsOf("SELECT CASE WHEN id > 0 THEN featurize(v, 'tiny') END FROM bad"))
    val beside = "SELECT try_featurize(v, 'tiny'), CASE WHEN id > 10 THEN featurize(v, 'tiny') END FROM bad"
    val failure = assertFails("FLAMBEAU_BAD_INPUT", "input 'x': dimension 0 has 2 values")(rowsOf(beside))
    assert("row \\d+ of partition \\d+".r.findFirstIn(messagesOf(failure)).isDefined)
    goesOn()
  }

  test("FLAMBEAU_BAD_INPUT: a row that the program refuses is named") {
    def query(function: String) =
      spark.range(0, 20, 1, 1).selectExpr("if(id = 7, array(-1, 0, 0, 0), array(id, 2, 3, 4)) v").selectExpr(s"$function(v, 'raises') f")
    assertFails("FLAMBEAU_BAD_INPUT", "model 'raises'", "row 7 of partition 0", "must not be negative", "try_featurize")(query("featurize").collect())
    withConf(FlambeauConf.BatchRows.key -> "3") {
      assertFails("FLAMBEAU_BAD_INPUT", "row 7 of partition 0")(query("featurize").collect())
      assert(query("try_featurize").collect().map(_.isNullAt(0)).toSeq == (0 until 20).map(_ == 7))
    }
    assert(query("try_featurize").collect().map(_.isNullAt(0)).toSeq == (0 until 20).map(_ == 7))
    goesOn()
  }

  test("FLAMBEAU_BAD_INPUT: an unknown id") {
    for ((model, part) <- Seq("embeds" -> "index out of range", "embeds_bounded" -> "the value 12 is above 9")) {
      assertFails("FLAMBEAU_BAD_INPUT", s"model '$model'", part)(rowsOf(s"SELECT featurize(array(3, 12), '$model')"))
      assert(rowsOf(s"SELECT try_featurize(array(id, 2), '$model')[0] FROM range(8, 12) ORDER BY id").map(_.get(0)) == Seq[Any](10f, 11f, null, null))
    }
  }

  test("FLAMBEAU_BAD_MODEL: the program refuses every row") {
    assertFails("FLAMBEAU_BAD_MODEL", "model 'refuses'", "rows that it was given failed", "takes nothing")(rowsOf("SELECT try_featurize(v, 'refuses') FROM t"))
    goesOn()
  }

  test("FLAMBEAU_BAD_INPUT: the program raises") {
    val failure = assertFails("FLAMBEAU_BAD_INPUT", "model 'raises'")(rowsOf("SELECT featurize(array(-1, 2, 3, 4), 'raises')"))
    assert(!messagesOf(failure).contains("Exception raised from"), "a C++ backtrace in the message")
    assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'raises')").head.getSeq[Float](0) == Seq(2f, 4f, 6f))
    goesOn()
  }

  test("FLAMBEAU_OUT_OF_MEMORY: the program allocates too much") {
    assertFails("FLAMBEAU_OUT_OF_MEMORY", "model 'allocates'", FlambeauConf.BatchRows.key)(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'allocates')"))
    goesOn()
  }

  for ((fault, condition, part) <- Seq(
      ("panic", "FLAMBEAU_NATIVE", ".rs:"), ("torch", "FLAMBEAU_NATIVE", "tiny"), ("allocation", "FLAMBEAU_OUT_OF_MEMORY", "tiny"))) {
    test(s"an injected fault: $fault") {
      withFault(fault) {
        assertFails(condition, part)(rowsOf("SELECT featurize(v, 'tiny') FROM t"))
        assertFails(condition, part)(rowsOf("SELECT try_featurize(v, 'tiny') FROM t"))
      }
      goesOn()
    }
  }

  test("a session cannot ask for a fault") {
    withConf(FlambeauConf.InternalFault -> "panic") {
      assertFails("FLAMBEAU_BAD_SETTING", s"there is no setting ${FlambeauConf.InternalFault}")(rowsOf("SELECT featurize(v, 'tiny') FROM t"))
    }
    goesOn()
  }

  test("no cause in the chain is an OutOfMemoryError, which would end the executor") {
    val failure = intercept[Exception](rowsOf("SELECT featurize(array(1, 2, 3, 4), 'allocates')"))
    assert(Iterator.iterate[Throwable](failure)(_.getCause).takeWhile(_ != null).forall(!_.isInstanceOf[OutOfMemoryError]))
  }
}
