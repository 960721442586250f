package io.flambeau.conf

import org.apache.spark.SparkEnv
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.Values.{Bytes, Flag, Folders, LocalFolder, OneOf, Real, Whole}

/**
 * Every setting of Flambeau, declared once: key, default, type, unit and range, meaning. The table of docs/settings.md is printed from
 * here (`io.flambeau.conf.SettingsTable`) and a test compares the two. [[SettingsCheck]] rejects settings that are not declared.
 *
 * Settings are read on the driver, from the session (`SET spark.flambeau…`) or, where a value must be known before a
 * session exists (`libtorch`, `decode.threads`, `log.level`, `udf.*`), from the Spark configuration of the process. Values are
 * checked here before they reach the native side.
 */
object FlambeauConf {

  val Prefix = "spark.flambeau."

  val BatchRows: Setting[Long] = Setting(
    Prefix + "batch.rows", "0", Whole("rows", 0, 1000000),
    "Maximum rows of one batch. Batches of slow image and tensor models are smaller: half a second of work. 0 takes the number of the model package (default: images 32, texts 1024, sounds 16, tensors 4096).")

  val BatchBytes: Setting[Long] = Setting(
    Prefix + "batch.bytes", "32m", Bytes("1", "1g"),
    "Maximum input bytes of one batch: a batch ends when either this or the row limit is reached. One row larger than this is a batch of its own.")

  val ModelsPath: Setting[Seq[String]] = Setting(
    Prefix + "models.path", "", Folders,
    "Folders that are searched for a plain model name, before the packages in jars: comma-separated paths or URIs of Hadoop file systems. A name can be a folder, a `.zip` of one or a `.pt` file with its `.toml`.")

  val ModelsAllow: Setting[Seq[String]] = Setting(
    Prefix + "models.allow", "", Folders,
    "Where model packages may come from: comma-separated folders (paths or URIs), `embedded` for those in jars, and `models:/…` or `runs:/…` for those of MLflow. A model is a program, so set this for the application if users are not trusted. A session can only narrow it. Empty allows all.")

  val ReadParallelism: Setting[Long] = Setting(
    Prefix + "read.parallelism", "16", Whole("files", 1, 256),
    "Files that `read_bytes` reads at the same time in each task, ahead of the row that is wanted.")

  val ReadAheadBytes: Setting[Long] = Setting(
    Prefix + "read.aheadBytes", "64m", Bytes("1", "1t"),
    "Maximum bytes of rows and files that `read_bytes` has read ahead in each task, on the JVM's heap. One file more than this may be there: the next that is wanted.")

  val ReadMaxBytes: Setting[Long] = Setting(
    Prefix + "read.maxBytes", "256m", Bytes("1", "1g"),
    "Maximum size of a file that `read_bytes` reads. A larger one is bad input.")

  val ReadAllow: Setting[Seq[String]] = Setting(
    Prefix + "read.allow", "", Folders,
    "Folders whose files `read_bytes` may read: comma-separated paths or URIs. Files are read with the application's rights, so set this for the application if users are not trusted. A session can only narrow it. Empty allows all.")

  val MlflowTrackingUri: Setting[String] = Setting(
    Prefix + "mlflow.trackingUri", "", Values.Address,
    "MLflow tracking server on which models named `models:/…` and `runs:/…` are looked up, by the driver. Empty: MLFLOW_TRACKING_URI in the driver's environment. Credentials belong into the environment too; they are only sent to the server that the application was started with.")

  val ModelsMaxBytes: Setting[Long] = Setting(
    Prefix + "models.maxBytes", "16g", Bytes("1", "1024t"),
    "Maximum total size of the files of one model package, checked when it is fetched or unpacked.", perProcess = true)

  val ModelsIdleBytes: Setting[Long] = Setting(
    Prefix + "models.idleBytes", "512m", Bytes("0", "1024t"),
    "Maximum size of unused models that stay in an executor's memory for the next task or query: their weights, plus 16 MiB each. Above it, the least recently used are removed when another model is loaded. After ten minutes without use, all are.",
    perProcess = true)

  val ModelsMachineCode: Setting[Boolean] = Setting(
    Prefix + "models.machineCode", "false", Flag,
    "Whether programs that were compiled ahead of time may run: `.pt2` files of packages. These are machine code and can do all that the executor can, so allow it only if all packages are trusted (see `spark.flambeau.models.allow`).",
    perProcess = true)

  val Libtorch: Setting[String] = Setting(
    Prefix + "libtorch", "", LocalFolder,
    "Folder with libtorch's libraries (2.13.0, for CPUs or CUDA) on every machine. Empty: the environment's LIBTORCH, then the flambeau-libtorch jar.",
    perProcess = true)

  val NativeDirectory: Setting[String] = Setting(
    Prefix + "native.directory", "", LocalFolder,
    "Folder for unpacked libraries and fetched models, one copy per machine and content hash. Empty: a folder of the user in java.io.tmpdir. Must not be mounted noexec.",
    perProcess = true)

  val DecodeThreads: Setting[Long] = Setting(
    Prefix + "decode.threads", "0", Whole("threads", 0, 1024),
    "Threads that prepare rows (decode, resize, tokenize), one pool per executor process. A task with passes waiting also uses cores that no other task uses, up to this many cores in all. 0: as many as the executor has cores.",
    perProcess = true)

  val ImageMaxPixels: Setting[Long] = Setting(
    Prefix + "image.maxPixels", "178956970", Whole("pixels", 1, 4294836225L),
    "An image with more pixels than this is bad input. The number is read from its header, before decoding.")

  val ImageDecode: Setting[Decode] = Setting(
    Prefix + "image.decode", "exact", OneOf(Decode),
    "`exact` decodes every pixel that the model sees, as Pillow does. `auto` shrinks large JPEG photos while it decodes them, to at least twice the size that the model's resize needs. That is faster, but changes most values by up to one gray level, which small networks notice (the guide on images has figures). Smaller photos and other formats are exact in both.")

  val Precision: Setting[InferencePrecision] = Setting(
    Prefix + "precision", "f32", OneOf(InferencePrecision),
    "Precision of the computation: `f32`; `bf16` or `f16`, for packages with such a variant (others run in f32); `fastest`, the first variant of a package that the machine can run.")

  val Engine: Setting[io.flambeau.conf.Engine] = Setting(
    Prefix + "engine", "auto", OneOf(io.flambeau.conf.Engine),
    "Engine that runs a model's program. `torchscript`: libtorch's interpreter. `fused`: the same program with kernels of oneDNN. `aot`: machine code that the package holds, if `spark.flambeau.models.machineCode` allows it; the fastest other engine if there is none that this machine can run. `auto`: the fastest one whose outputs are right, chosen when a model is first loaded on a machine and then remembered. All executors of an application use the same engine.")

  val Device: Setting[String] = Setting(
    Prefix + "device", "auto", Values.Device,
    "Where models run. `auto`: on the GPU that Spark gave the task (`spark.task.resource.gpu.amount`), otherwise on the CPU. `cpu`. `cuda`: on the task's GPU, or the first one of the executor. `cuda:N`: on that one. A GPU needs a CUDA build of libtorch (`spark.flambeau.libtorch`); if it cannot be used, the task fails.")

  val MinCosine: Setting[Double] = Setting(
    Prefix + "precision.minCosine", "0.999", Real(0, 1),
    "A variant of reduced precision runs only if its package recorded at least this cosine to f32. 1.0 allows f32 only.")

  val TrainAllowUnencrypted: Setting[Boolean] = Setting(
    Prefix + "train.allowUnencrypted", "false", Flag,
    "Whether training with several workers may send gradients unencrypted, even if the application asks Spark for authentication or encryption (spark.authenticate, spark.network.crypto.enabled, spark.ssl). If false, such a training is an error.",
    perProcess = true)

  val UiRetainedModels: Setting[Long] = Setting(
    Prefix + "ui.retainedModels", "1000", Whole("models", 1, 1000000),
    "Models on the Models tab of the Spark UI, each counted once for each executor. Those that were not used for the longest time are forgotten.",
    perProcess = true)

  val UiRetainedTrainings: Setting[Long] = Setting(
    Prefix + "ui.retainedTrainings", "100", Whole("trainings", 1, 100000),
    "Trainings on the Models tab of the Spark UI. The oldest are forgotten.", perProcess = true)

  val LogLevel: Setting[io.flambeau.conf.LogLevel] = Setting(
    Prefix + "log.level", "info", OneOf(io.flambeau.conf.LogLevel),
    "Level of native log messages (error, warn, info, debug, trace). They appear in Spark's log under io.flambeau.native.", perProcess = true)

  val all: Seq[Setting[_]] = Seq(
    BatchRows, BatchBytes, ModelsPath, ModelsAllow, MlflowTrackingUri, ReadParallelism, ReadAheadBytes, ReadMaxBytes, ReadAllow, ImageMaxPixels, ImageDecode,
    Device, Engine, Precision, MinCosine, ModelsMaxBytes,
    ModelsIdleBytes,
    ModelsMachineCode, Libtorch,
    NativeDirectory, DecodeThreads, TrainAllowUnencrypted, UiRetainedModels, UiRetainedTrainings, LogLevel)

  /** Named functions: `spark.flambeau.udf.<name>=<model>`. */
  val UdfPrefix: String = Prefix + "udf."

  /** For tests only: a system property of the driver that makes the native side fail at a chosen place (`panic`, `torch`, `allocation`). */
  val InternalFault: String = Prefix + "internal.fault"

  /** The session's value, or the default. */
  def get[T](conf: SQLConf, setting: Setting[T]): T = setting.parse(conf.getConfString(setting.key, setting.default))

  /** The value in this process's Spark configuration, or the default. */
  def ofProcess[T](setting: Setting[T]): T =
    setting.parse(Option(SparkEnv.get).flatMap(_.conf.getOption(setting.key)).getOrElse(setting.default))

  /** The items of a comma-separated list. */
  def split(text: String): Seq[String] = text.split(',').iterator.map(_.trim).filter(_.nonEmpty).toSeq
}
