package io.flambeau.bridge

import java.nio.file.Path
import java.util.concurrent.atomic.AtomicLong

import io.flambeau.bridge.spec.{ExportSpec, TrainingSpec}

/**
 * Trainings on this worker: one, or several heads that step together; `place` is the index of one. Any thread may
 * call `cancel`; everything else is for the task thread.
 */
final class Trainers private (handle: AtomicLong) extends AutoCloseable {

  /** Trains for about `maxMillis`, or until one needs the caller. Returns the state of each, in their order. */
  def run(maxMillis: Long): Seq[Progress] = Json.listOf[Progress](NativeCalls.counted(NativeBridge.runTrainers(handle.get, maxMillis)))

  /** Ends one after an epoch, as early stopping does. All workers do it after the same epoch. */
  def stop(place: Int): Unit = NativeBridge.stopTrainer(handle.get, place)

  /** Writes everything that an exact continuation needs into a local file. */
  def saveCheckpoint(place: Int, file: Path): Unit = NativeCalls.counted(NativeBridge.saveCheckpoint(handle.get, place, file.toString))

  /** Continues where the checkpoint was made; the specification must be the same. */
  def restoreCheckpoint(place: Int, file: Path): Unit = NativeCalls.counted(NativeBridge.restoreCheckpoint(handle.get, place, file.toString))

  /**
   * Writes an inference package of the best parameters of one into `directory`, which must not exist or be empty.
   *
   * @return
   *   its description, as `ModelSession.describe` gives it
   */
  def savePackage(place: Int, directory: Path, spec: ExportSpec): String =
    NativeCalls.counted(NativeBridge.savePackage(handle.get, place, directory.toString, Json.write(spec)))

  /** Ends a running `run` with a NativeException of kind `canceled`, within a second. */
  def cancel(): Unit = {
    val open = handle.get
    if (open != 0) NativeBridge.cancelTrainers(open)
  }

  override def close(): Unit = NativeCalls.close(handle.getAndSet(0))
}

object Trainers {

  /** Which of these trainings step together, by their places; each group is to be opened by itself. */
  def together(specs: Seq[TrainingSpec]): Seq[Seq[Int]] = {
    NativeLibrary.ensureLoaded()
    Json.listOf[Seq[Int]](NativeBridge.trainingsTogether(Json.write(specs)))
  }

  /** The trainings of these specifications, which step together. */
  def open(dataset: TrainingDataset, group: ProcessGroup, specs: Seq[TrainingSpec]): Trainers =
    new Trainers(new AtomicLong(NativeCalls.counted(NativeBridge.openTrainers(dataset.handle.get, group.handle.get, Json.write(specs)))))
}
