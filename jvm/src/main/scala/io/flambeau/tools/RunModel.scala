package io.flambeau.tools

import java.io.PrintStream
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths}

import scala.collection.immutable.ListMap
import scala.jdk.CollectionConverters._
import scala.util.Using
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode
import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch
import org.apache.spark.unsafe.types.UTF8String

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{InferenceSettings, OutputRequest, Task}
import io.flambeau.bridge.{Json, NativeException}
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.{InputKind, ModelRef, ModelStore, OutputRole, TensorSpec}
import io.flambeau.spark.ArrowAccess
import io.flambeau.sql.EvaluationFailure

/**
 * Runs a model over files without Spark: one batch goes through Arrow, boundary and engine as in a task, on this thread, without
 * a session. `python -m flambeau.models run` starts it.
 *
 * {{{java -cp <Spark's jars and Flambeau's> io.flambeau.tools.RunModel [--path FOLDERS] [--k K] MODEL FILE...}}}
 *
 * A file is one row: the bytes of an image or a sound, a UTF-8 text, or, for tensors, JSON (an array; an object by input's
 * name if there are several). One line of JSON per file: `{"file", "outputs": {name: values}, "labels": [{"label", "index",
 * "probability"}]}`, without `labels` where the model has no scores, or `{"file", "error"}`. Ends with 1 if a file was bad;
 * with 2 and the line `{"failed": why}` if there is no such model, or it or this process cannot run it.
 */
object RunModel {

  /** How it is called. */
  final case class Options(path: String, k: Int, model: String, files: Seq[String])

  private val DefaultK = 5

  def main(arguments: Array[String]): Unit = {
    val out = new PrintStream(System.out, true, UTF_8)
    val status =
      try run(parse(arguments.toList, Options("", DefaultK, "", Nil)), out)
      catch {
        case NonFatal(cause) =>
          out.println(Json.write(Map("failed" -> Option(cause.getMessage).getOrElse(cause.toString))))
          2
      }
    System.exit(status)
  }

  /** @return 0, or 1 if a file was bad */
  def run(options: Options, out: PrintStream): Int = {
    val conf = new SQLConf()
    conf.setConfString(FlambeauConf.ModelsPath.key, options.path)
    val ref = ModelStore.resolve(options.model, conf)
    val tasks = Seq(Task.Error, Task.Infer) ++ ref.spec.output(OutputRole.Scores).map(_ => Task.Classify)
    Using.Manager { use =>
      val allocator = use(ArrowAccess.rootAllocator().newChildAllocator("flambeau run", 0, Long.MaxValue))
      options.files.map { file =>
        val answer =
          try {
            val row = rowOf(Paths.get(file), ref)
            evaluate(ref, row, tasks.map(OutputRequest(_, options.k, 0, nullOnError = true)), InferenceSettings.of(conf), allocator)
          } catch {
            // Errors in a file's content are in the column `error`; this is an error of the model or of the process.
            case cause: NativeException => throw EvaluationFailure(cause, ref.name, tasks.map(_.name), partition = 0, firstRow = 0)
            case cause: FlambeauException => throw cause
            case NonFatal(cause) => ListMap("error" -> FlambeauException.describe(cause))
          }
        out.println(Json.write(ListMap[String, Any]("file" -> file) ++ answer))
        if (answer.contains("error")) 1 else 0
      }.foldLeft(0)(math.max(_, _))
    }.get
  }

  private def parse(arguments: List[String], sofar: Options): Options = arguments match {
    case "--path" :: folders :: rest => parse(rest, sofar.copy(path = folders))
    case "--k" :: k :: rest => parse(rest, sofar.copy(k = k.toInt))
    case model :: files if files.nonEmpty && !model.startsWith("--") => sofar.copy(model = model, files = files)
    case _ => throw new IllegalArgumentException("usage: RunModel [--path FOLDERS] [--k K] MODEL FILE...")
  }

  /** One row: the file's content as the model's inputs. */
  private def rowOf(file: Path, ref: ModelRef): (StructType, InternalRow) = {
    val bytes = Files.readAllBytes(file)
    val inputs = ref.spec.inputs
    lazy val json = Json.read(new String(bytes, UTF_8))
    val values = inputs.map { input =>
      input.kind match {
        case InputKind.Text if inputs.length == 1 => (StringType, UTF8String.fromBytes(bytes))
        case InputKind.Text => (StringType, UTF8String.fromString(field(json, input).asText))
        case InputKind.Tensor => tensor(if (inputs.length == 1 && !json.isObject) json else field(json, input), input.shape.length)
        case _ if inputs.length == 1 => (BinaryType, bytes)
        case kind => throw new IllegalArgumentException(s"model '${ref.name}' takes $kind and other inputs; a file cannot hold both")
      }
    }
    val schema = StructType(inputs.zip(values).map { case (input, (dataType, _)) => StructField(input.name, dataType) })
    (schema, InternalRow.fromSeq(values.map(_._2)))
  }

  private def field(json: JsonNode, input: TensorSpec): JsonNode =
    Option(json.get(input.name)).getOrElse(throw new IllegalArgumentException(s"the file has no value for input '${input.name}'"))

  /** Numbers as doubles; the native side makes them the model's element type, as it does for SQL. */
  private def tensor(json: JsonNode, rank: Int): (DataType, Any) =
    if (rank == 0) (DoubleType, number(json))
    else {
      val elements = json.elements.asScala.map(tensor(_, rank - 1)).toSeq
      if (!json.isArray) throw new IllegalArgumentException(s"expected an array, but the file has $json")
      val dataType = (1 to rank).foldLeft(DoubleType: DataType)((inner, _) => ArrayType(inner))
      (dataType, ArrayData.toArrayData(elements.map(_._2).toArray[Any]))
    }

  private def number(json: JsonNode): Double =
    if (json.isNumber) json.asDouble
    else if (json.isBoolean) { if (json.asBoolean) 1.0 else 0.0 }
    else throw new IllegalArgumentException(s"expected a number, but the file has $json")

  private def evaluate(
      ref: ModelRef,
      row: (StructType, InternalRow),
      requests: Seq[OutputRequest],
      settings: InferenceSettings,
      allocator: BufferAllocator): ListMap[String, Any] = OneRow(ref, row._1, row._2, requests, settings, allocator) { (session, root) =>
    Using.resource(session.evaluate(root))(answer(_, requests))
  }

  private def answer(batch: ColumnarBatch, requests: Seq[OutputRequest]): ListMap[String, Any] = {
    val results = requests.map(_.task).zipWithIndex.map { case (task, i) =>
      val column = batch.column(i)
      task -> (if (column.isNullAt(0)) null else plain(batch.getRow(0).get(i, column.dataType), column.dataType))
    }.toMap
    Option(results(Task.Error)).map(error => ListMap[String, Any]("error" -> error)).getOrElse {
      ListMap[String, Any]("outputs" -> results(Task.Infer)) ++ results.get(Task.Classify).map("labels" -> _)
    }
  }

  /** Spark's own values as plain collections, for JSON. */
  private def plain(value: Any, dataType: DataType): Any = (value, dataType) match {
    case (null, _) => null
    case (text: UTF8String, _) => text.toString
    case (array: ArrayData, ArrayType(element, _)) => array.toSeq[Any](element).map(plain(_, element))
    case (row: InternalRow, struct: StructType) =>
      ListMap(struct.fields.toSeq.zipWithIndex.map { case (f, i) => f.name -> plain(row.get(i, f.dataType), f.dataType) }: _*)
    case (other, _) => other
  }
}
