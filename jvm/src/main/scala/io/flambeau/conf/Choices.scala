package io.flambeau.conf

/*
 * The values of settings that allow only a few. The native side has the same names (rust/engine).
 */

/** How large pictures are decoded, see `spark.flambeau.image.decode`. */
sealed abstract class Decode(override val name: String) extends Named

object Decode extends NamedValues[Decode] {
  case object Auto extends Decode("auto")
  case object Exact extends Decode("exact")
  override val all: Seq[Decode] = Seq(Auto, Exact)
}

/** Precision of inference, see `spark.flambeau.precision`. */
sealed abstract class InferencePrecision(override val name: String) extends Named

object InferencePrecision extends NamedValues[InferencePrecision] {
  case object F32 extends InferencePrecision("f32")
  case object Bf16 extends InferencePrecision("bf16")
  case object F16 extends InferencePrecision("f16")
  case object Fastest extends InferencePrecision("fastest")
  override val all: Seq[InferencePrecision] = Seq(F32, Bf16, F16, Fastest)
}

/** The engine that runs a model's program, see `spark.flambeau.engine`. */
sealed abstract class Engine(override val name: String) extends Named

object Engine extends NamedValues[Engine] {
  case object Auto extends Engine("auto")
  case object Torchscript extends Engine("torchscript")
  case object Fused extends Engine("fused")
  case object Aot extends Engine("aot")
  override val all: Seq[Engine] = Seq(Auto, Torchscript, Fused, Aot)
}

/** Level of native log messages, see `spark.flambeau.log.level`. */
sealed abstract class LogLevel(override val name: String) extends Named

object LogLevel extends NamedValues[LogLevel] {
  case object Error extends LogLevel("error")
  case object Warn extends LogLevel("warn")
  case object Info extends LogLevel("info")
  case object Debug extends LogLevel("debug")
  case object Trace extends LogLevel("trace")
  override val all: Seq[LogLevel] = Seq(Error, Warn, Info, Debug, Trace)
}
