package io.flambeau.bridge

import java.nio.file.{Files, Path, Paths}

import scala.jdk.CollectionConverters._
import scala.util.Using
import scala.util.control.NonFatal

import org.apache.spark.SparkEnv
import org.apache.spark.internal.Logging

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.StartSpec
import io.flambeau.conf.FlambeauConf
import io.flambeau.files.LocalCache

/**
 * Finds libtorch and Flambeau's library, and loads both once per process (executor or driver).
 *
 * The rule, each step of it logged: `spark.flambeau.libtorch`, otherwise the environment's `LIBTORCH`, otherwise the
 * flambeau-libtorch jar on the class path, unpacked once per machine by content hash. Libraries are loaded one by one in
 * dependency order, so that neither LD_LIBRARY_PATH nor the folder of our own library matters.
 *
 * The first failure is stored and thrown again: later tasks must see the cause, not a NoClassDefFoundError.
 */
object NativeLibrary extends Logging {

  private val TorchIndex = "flambeau/native/linux-x86_64/libtorch.index"
  private val TorchVersion = "2.13.0"
  private val TorchLibrary = "libtorch_cpu.so"
  private val OwnIndex = "flambeau/native/linux-x86_64/flambeau.index"

  /** The existing libraries of libtorch, each after those that it depends on. */
  private val LoadOrder = Seq(
    // of the jar: what an old Linux lacks
    "libflambeau_compat.so",
    "libquadmath.so.0", "libgfortran.so.5", "libgomp.so.1", "libopenblas.so.0", "libc10.so", TorchLibrary,
    // of a build for CUDA
    "libc10_cuda.so", "libtorch_cuda.so")

  private lazy val loaded: Either[Throwable, String] =
    try Right(load())
    catch { case cause: Throwable if NonFatal(cause) || cause.isInstanceOf[LinkageError] => Left(cause) }

  /**
   * Loads on first use; returns the native side's versions and settings as JSON.
   *
   * @throws FlambeauException
   *   FLAMBEAU_SETUP, if this process cannot use it; FLAMBEAU_OUT_OF_MEMORY, if its address space is too small
   */
  def ensureLoaded(): String = loaded match {
    case Right(versions) => versions
    case Left(cause: AddressSpaceException) =>
      val parameters = Map("model" -> "libtorch", "cause" -> cause.getMessage)
      throw new FlambeauException("FLAMBEAU_OUT_OF_MEMORY", s"Flambeau's native library cannot be loaded in this process: ${cause.getMessage}", parameters,
        cause)
    case Left(cause) =>
      throw FlambeauException.setup(
        s"Flambeau's native library cannot be used in this process: ${FlambeauException.describe(cause)}. " +
          "Then restart the application.", cause)
  }

  private def load(): String = {
    val platform = s"${System.getProperty("os.name")} ${System.getProperty("os.arch")}"
    if (!platform.equalsIgnoreCase("Linux amd64")) {
      throw new UnsupportedOperationException(s"this build of Flambeau runs on Linux x86-64, but this machine is $platform")
    }
    // Fails where the JVM was started without the --add-opens that Arrow needs; its message names them.
    Class.forName("org.apache.arrow.memory.util.MemoryUtil")
    val torch = torchDirectory()
    AddressSpace.check()
    LoadOrder.map(torch.resolve).filter(Files.exists(_)).foreach(loadOne)
    val own = sys.props.get("flambeau.native.library").map(Paths.get(_)).getOrElse {
      LocalCache.unpack(OwnIndex, "flambeau").getOrElse(throw new IllegalStateException(
          s"the class path has no $OwnIndex: this jar was built without its native library (./gradlew jar builds it)")).resolve("libflambeau_bridge.so")
    }
    loadOne(own)
    NativeBridge.registerNatives()
    NativeCalls.endBeforeProcess()
    val versions = NativeBridge.start(startSettings())
    logInfo(s"Flambeau native library $own: $versions")
    versions
  }

  private def torchDirectory(): Path = {
    def libraries(folder: String): Path = {
      val lib = Paths.get(folder, "lib")
      if (Files.exists(lib.resolve(TorchLibrary))) lib else Paths.get(folder)
    }
    val configured = FlambeauConf.ofProcess(FlambeauConf.Libtorch)
    val environment = sys.env.getOrElse("LIBTORCH", "")
    val (folder, why) =
      if (configured.nonEmpty) (libraries(configured), s"${FlambeauConf.Libtorch.key}=$configured")
      else if (environment.nonEmpty) (libraries(environment), s"environment LIBTORCH=$environment")
      else {
        logInfo(s"${FlambeauConf.Libtorch.key} and LIBTORCH are not set; looking for the flambeau-libtorch jar")
        val unpacked = LocalCache.unpack(TorchIndex, "libtorch").getOrElse(throw new IllegalStateException(
            s"no libtorch: ${FlambeauConf.Libtorch.key} and the environment's LIBTORCH are not set, and the class path has no " +
              s"flambeau-libtorch jar. Add that jar to --jars, or set one of the two to a folder with libtorch $TorchVersion"))
        (unpacked, "flambeau-libtorch jar")
      }
    if (!Files.exists(folder.resolve(TorchLibrary))) {
      throw new IllegalStateException(s"no $TorchLibrary in $folder (from $why): it must be a folder with libtorch $TorchVersion on every machine")
    }
    checkVersion(folder, why)
    checkOnlyOne(folder)
    logInfo(s"libtorch from $folder ($why)")
    folder
  }

  private def loadOne(file: Path): Unit = {
    try System.load(file.toRealPath().toString)
    catch {
      case cause: UnsatisfiedLinkError =>
        throw new IllegalStateException(s"$file cannot be loaded: ${cause.getMessage.replace(s"$file: ", "")}. ${advice(file, cause.getMessage)}", cause)
    }
    logDebug(s"loaded $file")
  }

  /** The meaning of an error of the system's loader. */
  private def advice(file: Path, said: String): String =
    if (said.contains("failed to map segment")) {
      s"Its folder is on a file system that is mounted noexec: set ${FlambeauConf.NativeDirectory.key} to another folder for unpacked files, or " +
        s"${FlambeauConf.Libtorch.key} or LIBTORCH to a libtorch that is installed on the machine"
    } else if (said.contains("undefined symbol")) {
      s"This is not the libtorch that Flambeau needs ($TorchVersion): set ${FlambeauConf.Libtorch.key} or LIBTORCH to that version, or use the flambeau-libtorch jar"
    } else if (said.contains("another classloader")) "This process has the Flambeau jar twice, for example in --jars and in jars of a session: keep one"
    else if (said.contains("GLIBC"))
      "This Linux is too old for this library. Flambeau's own and those of the flambeau-libtorch jar need glibc 2.28 and the libstdc++ of GCC 8 " +
        s"(RHEL 8, Debian 10, Ubuntu 20.04, Amazon Linux 2023 or newer)"
    else s"If it is damaged, remove its folder (${file.getParent}): what comes from a jar is unpacked again"

  /** The version in a folder of libtorch (`build-version` of a download, `version.py` of a wheel), if there is one. */
  private def checkVersion(lib: Path, why: String): Unit = {
    val told = Seq("build-version", "version.py").map(lib.resolveSibling(_)).filter(Files.isRegularFile(_)).flatMap { file =>
      "\\d+\\.\\d+\\.\\d+".r.findFirstIn(Files.readString(file))
    }
    told.find(_ != TorchVersion).foreach { version =>
      throw new IllegalStateException(s"libtorch in $lib (from $why) is version $version, but Flambeau needs $TorchVersion")
    }
  }

  /** Fails if another library of this process has loaded a libtorch of its own: two of them share symbols, and crash the process. */
  private def checkOnlyOne(lib: Path): Unit = {
    val own = lib.resolve(TorchLibrary)
    val mapped = Using.resource(Files.lines(Paths.get("/proc/self/maps"))) { lines =>
      lines.iterator.asScala.filter(_.endsWith(s"/$TorchLibrary")).map(line => Paths.get(line.substring(line.indexOf('/')))).toSet
    }
    mapped.find(file => !Files.exists(file) || !Files.isSameFile(file, own)).foreach { other =>
      throw new IllegalStateException(
        s"another library has loaded libtorch from ${other.getParent}, and two in one process crash it. Leave that library out of this " +
          s"application, or, if that is libtorch $TorchVersion for CPU, set ${FlambeauConf.Libtorch.key} to its folder")
    }
  }

  private def startSettings(): String = {
    val decode = FlambeauConf.ofProcess(FlambeauConf.DecodeThreads)
    val intraOp = sparkConf("spark.task.cpus").map(_.toInt).getOrElse(1)
    Json.write(StartSpec(
        intraOpThreads = intraOp,
        decodeThreads = if (decode > 0) decode.toInt else executorCores(),
        idleModelBytes = FlambeauConf.ofProcess(FlambeauConf.ModelsIdleBytes),
        machineCode = FlambeauConf.ofProcess(FlambeauConf.ModelsMachineCode),
        choicesFolder = LocalCache.baseDirectory().resolve("engines").toString,
        logLevel = FlambeauConf.ofProcess(FlambeauConf.LogLevel)))
  }

  private def executorCores(): Int = {
    val local = sparkConf("spark.master").exists(_.startsWith("local["))
    sparkConf("spark.executor.cores").filterNot(_ => local).map(_.toInt).getOrElse(Runtime.getRuntime.availableProcessors)
  }

  private def sparkConf(key: String): Option[String] = Option(SparkEnv.get).flatMap(_.conf.getOption(key))
}
