package io.flambeau.train

import java.io.{ByteArrayOutputStream, DataOutputStream}
import java.net.InetAddress
import java.nio.{ByteBuffer, ByteOrder}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.zip.CRC32C

import org.apache.hadoop.fs.{FSDataOutputStream, LocalFileSystem, Path}

import io.flambeau.bridge.EpochRow
import io.flambeau.models.HadoopSettings

/**
 * TensorBoard's event file of one training: one scalar per epoch for each number of the history. Rank 0 writes it while it
 * trains, on the task's thread; a retried stage writes another file, and TensorBoard reads both.
 *
 * The format: records framed as in TFRecord (length, its masked CRC-32C, bytes, their masked CRC-32C; little endian). Each is an
 * `Event` message of tensorflow/core/util/event.proto with `wall_time` 1, `step` 2, `file_version` 3 and `summary` 5. The `value`
 * 1 of a summary has `tag` 1 and `simple_value` 2.
 */
private[train] final class TensorBoardLog(directory: String, hadoop: HadoopSettings) extends AutoCloseable {
  private var written = 0
  private lazy val out: FSDataOutputStream = open()

  def write(epochs: Seq[EpochRow]): Unit = {
    epochs.foreach { epoch =>
      TensorBoardLog.scalars(epoch).foreach { case (tag, value) => record(TensorBoardLog.scalar(tag, value, epoch.epoch + 1L)) }
    }
    written += epochs.length
    if (epochs.nonEmpty) out.hflush()
  }

  override def close(): Unit = if (written > 0) out.close()

  private def open(): FSDataOutputStream = {
    val folder = new Path(directory)
    val files = folder.getFileSystem(hadoop.configuration()) match {
      case checked: LocalFileSystem => checked.getRawFileSystem // a checksummed file shows nothing before it is closed
      case other => other
    }
    val name = s"events.out.tfevents.${System.currentTimeMillis() / 1000}.${InetAddress.getLocalHost.getHostName}.${ProcessHandle.current().pid()}"
    val stream = files.create(new Path(folder, name), true)
    stream.write(TensorBoardLog.framed(TensorBoardLog.version))
    stream
  }

  private def record(event: Array[Byte]): Unit = out.write(TensorBoardLog.framed(event))
}

private[train] object TensorBoardLog {
  private val MaskDelta = 0xa282ead8L
  private val Uint32 = 0xffffffffL
  private val MaskShift = 15
  private val Bits = 32

  /** An event with the version of the format, the first of a file. */
  def version: Array[Byte] = message { out => fixed64(out, 1, wallTime); bytes(out, 3, "brain.Event:2".getBytes(UTF_8)) }

  def scalar(tag: String, value: Double, step: Long): Array[Byte] = message { out =>
    val one = message { v => bytes(v, 1, tag.getBytes(UTF_8)); fixed32(v, 2, value.toFloat) }
    fixed64(out, 1, wallTime)
    key(out, 2, 0)
    varint(out, step)
    bytes(out, 5, message(summary => bytes(summary, 1, one)))
  }

  def framed(record: Array[Byte]): Array[Byte] = {
    val frame = ByteBuffer.allocate(record.length + 16).order(ByteOrder.LITTLE_ENDIAN)
    val length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(record.length.toLong).array()
    frame.put(length).putInt(masked(length)).put(record).putInt(masked(record)).array()
  }

  private def scalars(epoch: EpochRow): Seq[(String, Double)] =
    Seq("loss/train" -> epoch.trainLoss) ++ epoch.validationLoss.map("loss/validation" -> _) ++
      epoch.metrics.toSeq.sorted.map { case (name, value) => s"metric/$name" -> value } ++
      Seq("learning_rate" -> epoch.lr, "samples_per_second" -> (if (epoch.seconds > 0) epoch.samples / epoch.seconds else 0.0))

  private def masked(data: Array[Byte]): Int = {
    val crc = new CRC32C
    crc.update(data)
    val value = crc.getValue
    ((((value >>> MaskShift) | (value << (Bits - MaskShift))) + MaskDelta) & Uint32).toInt
  }

  private def wallTime: Double = System.currentTimeMillis() / 1000.0

  private def message(write: DataOutputStream => Unit): Array[Byte] = {
    val buffer = new ByteArrayOutputStream
    write(new DataOutputStream(buffer))
    buffer.toByteArray
  }

  private def key(out: DataOutputStream, field: Int, wire: Int): Unit = varint(out, (field.toLong << 3) | wire)

  private def varint(out: DataOutputStream, value: Long): Unit = {
    var rest = value
    while ((rest & ~0x7fL) != 0) {
      out.writeByte(((rest & 0x7f) | 0x80).toInt)
      rest >>>= 7
    }
    out.writeByte(rest.toInt)
  }

  private def fixed64(out: DataOutputStream, field: Int, value: Double): Unit = {
    key(out, field, 1)
    out.writeLong(java.lang.Long.reverseBytes(java.lang.Double.doubleToLongBits(value)))
  }

  private def fixed32(out: DataOutputStream, field: Int, value: Float): Unit = {
    key(out, field, 5)
    out.writeInt(Integer.reverseBytes(java.lang.Float.floatToIntBits(value)))
  }

  private def bytes(out: DataOutputStream, field: Int, value: Array[Byte]): Unit = {
    key(out, field, 2)
    varint(out, value.length.toLong)
    out.write(value)
  }
}
