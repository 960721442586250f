package io.flambeau.bridge

import java.nio.file.Path
import java.util.concurrent.atomic.AtomicLong

import scala.jdk.CollectionConverters._
import scala.util.Using

import com.fasterxml.jackson.databind.JsonNode
import org.apache.arrow.c.{ArrowArray, ArrowSchema, CDataDictionaryProvider, Data}
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.{BigIntVector, Float4Vector, Float8Vector, VectorSchemaRoot}
import org.apache.arrow.vector.complex.ListVector
import org.apache.spark.sql.types.StructType

import io.flambeau.spark.ArrowAccess

/**
 * What a feed holds once sealed. Labels of training and of validation rows count; NaN where there is no row, or where labels
 * are vectors.
 */
final case class FeedSummary(
    rows: Long, validationRows: Long, bytes: Long, labelMin: Double, labelMax: Double, labelIntegral: Boolean)

/** What a row of a dense column becomes: a row of a tensor of this shape and element type, as packages name them. */
final case class DenseColumn(shape: Seq[Int], dtype: String)

/**
 * How a feed takes rows.
 *
 * @param slots
 *   how many slots `__slot` counts; 0 where there is no such column
 * @param dense
 *   columns of numbers, checked as in inference and stored as tensors' rows; a `__label` that is an array is one, of f64
 * @param labelRange
 *   least and largest label, where labels have bounds
 * @param skipInvalid
 *   whether a row that cannot be trained on is left out rather than an error
 * @param trial
 *   folder of the package by which rows of `inputs` that are not dense are tried, where such rows are left out
 * @param images
 *   what a picture of such a row may cost
 */
final case class FeedOptions(
    slots: Int, dense: Map[String, DenseColumn], labelRange: Option[(Double, Double)], skipInvalid: Boolean, trial: Option[String],
    inputs: Seq[String], images: Option[ImageLimits])

/**
 * One worker's rows: each batch crosses by the C Data Interface and is written to an Arrow IPC file in `directory`, which is
 * mapped into memory once sealed and deleted by `close()`. Used by the task thread only.
 */
final class TrainingFeed private (val handle: AtomicLong, allocator: BufferAllocator) extends AutoCloseable {

  /**
   * Appends the root's rows; its vectors may be reset afterwards. A bad row fails with its position in this root, or is left out.
   *
   * @return
   *   the positions of rows that were left out, each with its cause
   */
  def add(rows: VectorSchemaRoot): Seq[(Int, String)] = CStructs.using(allocator) { structs =>
    val array = structs.array()
    Data.exportVectorSchemaRoot(allocator, rows, null, array)
    val skipped = Json.read(NativeBridge.feed(handle.get, array.memoryAddress)).elements.asScala
    skipped.map(one => one.get("row").asInt -> one.get("cause").asText).toSeq
  }

  /** Ends writing; trainers can be opened from here on. */
  def seal(): FeedSummary = {
    val summary = Json.read(NativeBridge.sealFeed(handle.get))
    FeedSummary(
      summary.get("rows").asLong, summary.get("validation_rows").asLong, summary.get("bytes").asLong,
      Numbers.double(summary.get("label_min")), Numbers.double(summary.get("label_max")), summary.get("label_integral").asBoolean)
  }

  /** Ends joining a group, or training heads of groups, over this feed with a NativeException of kind `cancelled`; from any thread. */
  def cancel(): Unit = {
    val open = handle.get
    if (open != 0) NativeBridge.cancelTrainers(open)
  }

  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object TrainingFeed {

  /**
   * @param directory
   *   a local folder of this task, with room for all of this worker's rows
   * @param schema
   *   inputs under their own names, `__label` (double, or array of double or float), and where present `__weight` (double),
   *   `__validation` (boolean), `__id` (long), `__slot` (int), `__group` (long)
   */
  def open(directory: Path, schema: StructType, options: FeedOptions, allocator: BufferAllocator): TrainingFeed = {
    NativeLibrary.ensureLoaded()
    val spec = Json.write(Map[String, Any](
        "directory" -> directory.toString, "slots" -> options.slots,
        "dense" -> options.dense.map { case (name, column) => name -> Map[String, Any]("shape" -> column.shape, "dtype" -> column.dtype) },
        "label_range" -> options.labelRange.map { case (low, high) => Seq(low, high) }, "skip_invalid" -> options.skipInvalid,
        "trial" -> options.trial.map(folder =>
          Map[String, Any]("package" -> folder, "inputs" -> options.inputs, "images" -> options.images.map(_.native)))))
    CStructs.using(allocator) { structs =>
      val struct = structs.schema()
      Data.exportSchema(allocator, ArrowAccess.toArrowSchema(schema), null, struct)
      new TrainingFeed(new AtomicLong(NativeBridge.openFeed(spec, struct.memoryAddress)), allocator)
    }
  }
}

/** The workers of one training, as one of them sees it. Its trainers close before it does. */
final class TrainingGroup private (val handle: AtomicLong, val rank: Int, val world: Int) extends AutoCloseable {
  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object TrainingGroup {

  /** One worker by itself: no sockets. */
  def alone(feed: TrainingFeed): TrainingGroup = open(feed, 0, 1, "", 0, "", NoBoard)

  /**
   * Joins, and waits until all have joined, the deadline has passed or `feed` was cancelled.
   *
   * @param feed
   *   this worker's own
   * @param ownHost
   *   the address by which the others reach this process, the only one that it listens on
   * @param timeoutMillis
   *   deadline of joining and of every wait for a peer
   * @param secret
   *   what all workers know, and nobody else
   * @param board
   *   where they find one another; asked on this thread until all have joined
   */
  def open(feed: TrainingFeed, rank: Int, world: Int, ownHost: String, timeoutMillis: Long, secret: String, board: Board): TrainingGroup = {
    NativeLibrary.ensureLoaded()
    val spec = Json.write(
      Map[String, Any]("rank" -> rank, "world" -> world, "own_host" -> ownHost, "timeout_ms" -> timeoutMillis, "secret" -> secret))
    new TrainingGroup(new AtomicLong(NativeBridge.openGroup(feed.handle.get, spec, board)), rank, world)
  }

  private object NoBoard extends Board {
    override def put(key: String, value: Array[Byte]): Unit = ()
    override def look(key: String): Array[Byte] = null
  }
}

object TrainableProgram {

  /**
   * Fails with a NativeException unless the program of a package has what is asked of it. Loads it, and lets go of it.
   *
   * @param program
   *   `package` (a folder), `output`, `frozen`, `loss_method` (rust/engine/src/train/spec.rs)
   */
  def check(program: Map[String, Any]): Unit = {
    NativeLibrary.ensureLoaded()
    NativeBridge.checkProgram(Json.write(program))
  }
}

/**
 * A finished epoch. `validationLoss` and `metrics` are over the validation rows of all workers, absent where there are none;
 * losses are weighted means; `lr` is that of the epoch's last step; `samples` were trained on by all workers together. Of `seconds`
 * this worker's steps waited `waitedSeconds` for their rows.
 */
final case class EpochRow(
    epoch: Int, trainLoss: Double, validationLoss: Option[Double], metrics: Map[String, Double], lr: Double, samples: Long,
    seconds: Double, waitedSeconds: Double)

/**
 * Where a trainer stands.
 *
 * @param epoch
 *   of the next step, from 0; equals `epochs` when done
 * @param step
 *   steps made in all
 * @param event
 *   why `run` returned: `running`, `epoch` (one ended), `checkpoint` (one is due), `done`, `stopped_early`
 */
final case class Progress(
    epoch: Int, epochs: Int, step: Long, stepsPerEpoch: Long, loss: Double, lr: Double, samplesPerSecond: Double, event: String,
    history: Seq[EpochRow]) {
  def finished: Boolean = event == "done" || event == "stopped_early"
}

/**
 * The trainings of a stack on this worker: one, or several heads that step together; `place` is one's place among them. `cancel`
 * may come from any thread; everything else is for the task thread.
 */
final class Trainers private (handle: AtomicLong) extends AutoCloseable {

  /** Trains for about `maxMillis`, or until something happened to one that the caller may act on. Where each stands, in their order. */
  def run(maxMillis: Long): Seq[Progress] = Json.read(NativeBridge.runTrainers(handle.get, maxMillis)).elements.asScala.map(Trainers.progress).toSeq

  /** Everything that an exact continuation needs, into a local file. */
  def saveCheckpoint(place: Int, file: Path): Unit = NativeBridge.saveCheckpoint(handle.get, place, file.toString)

  /** Continues where the checkpoint was made; the specification must be the same. */
  def restoreCheckpoint(place: Int, file: Path): Unit = NativeBridge.restoreCheckpoint(handle.get, place, file.toString)

  /**
   * Writes an inference package of the best parameters of one into `directory`, which must not exist or be empty.
   *
   * @param labels
   *   names of the classes
   * @param featurizer
   *   folder of the package in front of a head: the package written then takes that one's inputs
   * @return
   *   its description, as `ModelSession.describe` gives it
   */
  def savePackage(
      place: Int, directory: Path, name: String, labels: Option[Seq[String]], license: String, description: String, featurizer: Option[Path]): String =
    NativeBridge.savePackage(handle.get, place, directory.toString,
      Json.write(Map[String, Any](
          "name" -> name, "labels" -> labels, "license" -> license, "description" -> description,
          "featurizer" -> featurizer.map(_.toString))))

  /** Ends a running `run` with a NativeException of kind `cancelled`, within a second. */
  def cancel(): Unit = {
    val open = handle.get
    if (open != 0) NativeBridge.cancelTrainers(open)
  }

  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object Trainers {

  /** `specs` are training specifications (rust/engine/src/train/spec.rs) as nested maps and sequences. */
  def open(feed: TrainingFeed, group: TrainingGroup, specs: Seq[Map[String, Any]]): Trainers =
    new Trainers(new AtomicLong(NativeBridge.openTrainers(feed.handle.get, group.handle.get, Json.write(specs))))

  private def progress(node: JsonNode): Progress = Progress(
    node.get("epoch").asInt, node.get("epochs").asInt, node.get("step").asLong, node.get("steps_per_epoch").asLong,
    Numbers.double(node.get("loss")), node.get("lr").asDouble, node.get("samples_per_second").asDouble, node.get("event").asText,
    node.get("history").elements.asScala.map(epochRow).toSeq)

  private[bridge] def epochRow(node: JsonNode): EpochRow = EpochRow(
    node.get("epoch").asInt, Numbers.double(node.get("train_loss")),
    Option(node.get("validation_loss")).filterNot(_.isNull).map(_.asDouble),
    node.get("metrics").properties.asScala.map(entry => entry.getKey -> Numbers.double(entry.getValue)).toMap,
    node.get("lr").asDouble, node.get("samples").asLong, node.get("seconds").asDouble, node.get("waited_seconds").asDouble)
}

/** One group's head: `parameters` are each layer's weight `[out, in]` followed by its bias, layer after layer. */
final case class GroupHead(group: Long, rows: Long, loss: Double, parameters: Array[Float])

object GroupHeads {

  /**
   * Trains one head for each group of a sealed feed's `__group`, and gives them by group.
   *
   * @param spec
   *   `head`, `input` (a dense column), `loss`, `optimizer`, `schedule`, `batch_rows` (null: all of a group's rows), `epochs`,
   *   `seed` (rust/engine/src/train/groups.rs)
   */
  def train(feed: TrainingFeed, spec: Map[String, Any], allocator: BufferAllocator): Seq[GroupHead] = CStructs.using(allocator) { structs =>
    val array = structs.array()
    val schema = structs.schema()
    NativeBridge.trainGroups(feed.handle.get, Json.write(spec), array.memoryAddress, schema.memoryAddress)
    Using.resource(new CDataDictionaryProvider()) { provider =>
      Using.resource(VectorSchemaRoot.create(Data.importSchema(allocator, ArrowSchema.wrap(schema.memoryAddress), provider), allocator)) { root =>
        Data.importIntoVectorSchemaRoot(allocator, ArrowArray.wrap(array.memoryAddress), root, provider)
        val groups = root.getVector("group").asInstanceOf[BigIntVector]
        val rows = root.getVector("rows").asInstanceOf[BigIntVector]
        val losses = root.getVector("loss").asInstanceOf[Float8Vector]
        val parameters = root.getVector("parameters").asInstanceOf[ListVector]
        val values = parameters.getDataVector.asInstanceOf[Float4Vector]
        (0 until root.getRowCount).map { i =>
          val (from, to) = (parameters.getElementStartIndex(i), parameters.getElementEndIndex(i))
          GroupHead(groups.get(i), rows.get(i), losses.get(i), Array.tabulate(to - from)(j => values.get(from + j)))
        }
      }
    }
  }
}

/** JSON has no NaN: it comes as null. */
private object Numbers {
  def double(node: JsonNode): Double = if (node == null || node.isNull) Double.NaN else node.asDouble
}
