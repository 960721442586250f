package io.flambeau

import java.nio.file.{Files, Path, Paths}

import org.apache.spark.SparkThrowable
import org.apache.spark.sql.{DataFrame, Row, SparkSession}
import org.scalatest.{BeforeAndAfterAll, BeforeAndAfterEach}
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Minutes, Span}

import io.flambeau.bridge.NativeStats
import io.flambeau.conf.FlambeauConf
import io.flambeau.files.LocalFiles
import io.flambeau.spark.{ArrowAccess, Conditions}

/**
 * The base of every suite that runs Spark: one session per JVM, the test packages by name, and a leak check after each
 * test. Spark itself fails a task that leaves memory behind (`spark.unsafe.exceptionOnMemoryLeak`).
 */
abstract class FlambeauSuite extends AnyFunSuite with BeforeAndAfterAll with BeforeAndAfterEach with Eventually {

  /** How long a test waits before it reports a hang. No test asserts how long something takes. */
  override implicit def patienceConfig: PatienceConfig = PatienceConfig(timeout = Span(2, Minutes))

  protected def spark: SparkSession = FlambeauSuite.session

  private var handlesBefore = 0L
  private var arrowBytesBefore = 0L

  override protected def beforeEach(): Unit = {
    super.beforeEach()
    SparkSession.setActiveSession(spark)
    handlesBefore = NativeStats.liveHandles
    arrowBytesBefore = ArrowAccess.rootAllocator().getAllocatedMemory
  }

  override protected def afterEach(): Unit = {
    super.afterEach()
    // Abandoned tasks of a finished query (the other partitions of a LIMIT) may still be ending.
    eventually {
      val root = ArrowAccess.rootAllocator()
      assert(root.getChildAllocators.isEmpty, s"allocators left open: ${root.toVerboseString}")
      assert(root.getAllocatedMemory == arrowBytesBefore, "Arrow bytes left behind")
      assert(NativeStats.liveHandles == handlesBefore, "native handles left open")
    }
  }

  /** Runs `body` with these settings of the session, then restores them. */
  protected def withConf[T](settings: (String, String)*)(body: => T): T = {
    val before = settings.map { case (key, _) => key -> spark.conf.getOption(key) }
    settings.foreach { case (key, value) => spark.conf.set(key, value) }
    try body
    finally before.foreach {
        case (key, Some(value)) => spark.conf.set(key, value)
        case (key, None) => spark.conf.unset(key)
      }
  }

  /** Runs `body` while every first forward pass fails in this way. */
  protected def withFault[T](fault: String)(body: => T): T = {
    sys.props(FlambeauConf.InternalFault) = fault
    try body
    finally sys.props -= FlambeauConf.InternalFault
  }

  /** The result of `body`, and how many rows went through a forward pass meanwhile. */
  protected def countingRows[T](body: => T): (T, Long) = {
    val before = NativeStats.rowsForwarded
    val result = body
    (result, NativeStats.rowsForwarded - before)
  }

  /** The innermost-named condition in a failure's chain of causes. */
  protected def conditionOf(failure: Throwable): Option[String] =
    causes(failure).collectFirst {
      case e: SparkThrowable if Option(Conditions.of(e)).exists(_.startsWith("FLAMBEAU_")) => Conditions.of(e)
    }

  /** The messages of a failure and its causes. */
  protected def messagesOf(failure: Throwable): String = causes(failure).map(_.getMessage).mkString("\n")

  private def causes(failure: Throwable): Seq[Throwable] = Iterator.iterate(failure)(_.getCause).takeWhile(_ != null).toSeq

  /** Asserts that `body` fails with this condition and that the messages contain all of `parts`. */
  protected def assertFails(condition: String, parts: String*)(body: => Any): Throwable = {
    val failure = intercept[Exception](body)
    assert(conditionOf(failure).contains(condition), s"in ${messagesOf(failure)}")
    parts.foreach(part => assert(messagesOf(failure).contains(part)))
    failure
  }

  /** The rows as text, without their order. */
  protected def sorted(df: DataFrame): Seq[String] = df.collect().toSeq.map(text).sorted

  protected def text(row: Row): String = row.toSeq.map { case bytes: Array[Byte] => bytes.toSeq; case other => other }.mkString("[", ",", "]")

  protected def rowsOf(sql: String): Seq[Row] = spark.sql(sql).collect().toSeq
}

object FlambeauSuite {

  /** Folder of the test packages (made by tests/fixtures/make_packages.py). */
  lazy val packages: Path = {
    val folder = Paths.get(sys.props.getOrElse("flambeau.testPackages", "build/test-packages")).toAbsolutePath
    require(Files.isDirectory(folder), s"$folder is missing: the Gradle task testModels makes it (system property flambeau.testPackages)")
    folder
  }

  /** Goes with the process, as the session that uses it does. */
  lazy val warehouse: Path = {
    val folder = Files.createTempDirectory("flambeau-warehouse")
    sys.addShutdownHook(LocalFiles.deleteFolder(folder))
    folder
  }

  lazy val session: SparkSession = SparkSession.builder()
    .master("local[4]") // room for four workers that train together
    .appName("flambeau-tests")
    .config("spark.sql.extensions", classOf[FlambeauExtensions].getName)
    .config(FlambeauConf.ModelsPath.key, packages.toString)
    .config(FlambeauConf.ModelsMachineCode.key, "true")
    .config(FlambeauConf.UdfPrefix + "tiny_udf", "tiny")
    .config("spark.unsafe.exceptionOnMemoryLeak", "true")
    .config("spark.sql.planChangeValidation", "true")
    .config("spark.sql.warehouse.dir", warehouse.toString)
    .config("spark.default.parallelism", "2")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.ui.enabled", "false")
    .config("spark.log.level", "WARN")
    .config("spark.task.maxFailures", "1")
    .getOrCreate()
}
