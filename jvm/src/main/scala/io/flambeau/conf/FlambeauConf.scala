package io.flambeau.conf

import org.apache.spark.network.util.{ByteUnit, JavaUtils}
import org.apache.spark.sql.internal.SQLConf

/**
 * Every setting of Flambeau, declared once: key, default, meaning. The README's table is printed from here
 * (`io.flambeau.conf.SettingsTable`) and a test compares the two.
 *
 * Settings are read on the driver, from the session (`SET spark.flambeau…`) or, where a value must be known before a
 * session exists (`libtorch`, `decode.threads`, `log.level`, `udf.*`), from the Spark configuration of the process.
 */
object FlambeauConf {

  /** One setting. `perProcess`: fixed when the process starts, a session's `SET` comes too late. */
  final case class Setting(key: String, default: String, doc: String, perProcess: Boolean = false)

  val Prefix = "spark.flambeau."

  val BatchRows: Setting = Setting(
    Prefix + "batch.rows", "0",
    "Rows of one batch at the most. 0 takes the model package's own number (images 32, texts 1024, sounds 16, tensors 4096 unless it says otherwise).")

  val BatchBytes: Setting = Setting(
    Prefix + "batch.bytes", "32m",
    "Input bytes of one batch at the most: a batch ends when either this or the row limit is reached. One row larger than this is a batch of its own.")

  val ModelsPath: Setting = Setting(
    Prefix + "models.path", "",
    "Folders, comma-separated, in which a plain model name is looked up before the packages embedded in jars: paths or URIs of Hadoop file systems. A name stands for a folder, a `.zip` of one or a `.pt` file with its `.toml`.")

  val ModelsAllow: Setting = Setting(
    Prefix + "models.allow", "",
    "Where model packages may come from: comma-separated folders (paths or URIs), and `embedded` for those in jars. A model is a program: set this for the application where users are not trusted; a session can only narrow it. Empty allows all.")

  val ModelsMaxBytes: Setting = Setting(
    Prefix + "models.maxBytes", "16g",
    "Bytes of all files of one model package at the most, when it is fetched or unpacked.", perProcess = true)

  val Libtorch: Setting = Setting(
    Prefix + "libtorch", "",
    "Folder with libtorch's libraries (2.13.0) on every machine. Empty: the environment's LIBTORCH, then the flambeau-libtorch jar.", perProcess = true)

  val NativeDirectory: Setting = Setting(
    Prefix + "native.directory", "",
    "Where libraries and models are unpacked and fetched to, once per machine and content hash. Empty: a folder of the user's in java.io.tmpdir. Must not be mounted noexec.", perProcess = true)

  val DecodeThreads: Setting = Setting(
    Prefix + "decode.threads", "0",
    "Threads that prepare rows (decode, resize, tokenize), one pool per executor process. 0: as many as the executor has cores.", perProcess = true)

  val ImageMaxPixels: Setting = Setting(
    Prefix + "image.maxPixels", "178956970",
    "An image of more pixels than this (read from its header, before decoding) is bad input.")

  val Precision: Setting = Setting(
    Prefix + "precision", "f32",
    "Precision that models run in: `f32`; `bf16` or `f16`, for packages that hold such a variant (others stay in f32); `fastest`, the first variant of a package that the machine can run.")

  val MinCosine: Setting = Setting(
    Prefix + "precision.minCosine", "0.999",
    "A variant of reduced precision runs only if the cosine its package recorded against f32 is at least this. 1.0 allows f32 only.")

  val LogLevel: Setting = Setting(
    Prefix + "log.level", "info",
    "Level of the native side's messages (error, warn, info, debug, trace); they appear in Spark's log under io.flambeau.native.", perProcess = true)

  val all: Seq[Setting] = Seq(
    BatchRows, BatchBytes, ModelsPath, ModelsAllow, ImageMaxPixels, Precision, MinCosine, ModelsMaxBytes, Libtorch, NativeDirectory, DecodeThreads, LogLevel)

  /** Named functions: `spark.flambeau.udf.<name>=<model>`. */
  val UdfPrefix: String = Prefix + "udf."

  /** For tests only: makes the native side fail at a chosen place (`panic`, `torch`, `allocation`). */
  val InternalFault: String = Prefix + "internal.fault"

  def string(conf: SQLConf, setting: Setting): String = conf.getConfString(setting.key, setting.default).trim

  def int(conf: SQLConf, setting: Setting): Int = number(setting, string(conf, setting))(_.toInt)

  def long(conf: SQLConf, setting: Setting): Long = number(setting, string(conf, setting))(_.toLong)

  def double(conf: SQLConf, setting: Setting): Double = number(setting, string(conf, setting))(_.toDouble)

  /** Sizes take Spark's suffixes: `32m`, `1g`; a bare number is bytes. */
  def bytes(conf: SQLConf, setting: Setting): Long =
    number(setting, string(conf, setting))(JavaUtils.byteStringAs(_, ByteUnit.BYTE))

  def strings(conf: SQLConf, setting: Setting): Seq[String] =
    split(string(conf, setting))

  /** The parts of a list with commas between. */
  def split(text: String): Seq[String] = text.split(',').iterator.map(_.trim).filter(_.nonEmpty).toSeq

  private def number[T](setting: Setting, text: String)(parse: String => T): T =
    try parse(text)
    catch {
      case cause: NumberFormatException =>
        throw new IllegalArgumentException(s"${setting.key} is '$text', which is not a valid value (default ${setting.default})", cause)
    }
}
