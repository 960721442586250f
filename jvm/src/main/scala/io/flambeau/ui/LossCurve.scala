package io.flambeau.ui

import java.util.Locale

import scala.xml.{Node, NodeSeq}

/**
 * The losses of a fit by epoch, as an SVG in the page: no script and no other file. Solid lines are training losses, dashed ones validation
 * losses; each training of a fit has its color. Lines break where a loss is not a number.
 */
private[ui] object LossCurve {
  private val (width, height) = (720, 300)
  private val (left, right, top, bottom) = (70, 10, 10, 40)
  private val colors = Seq("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
  private val MaxRuns = 50

  /** Nothing if there is no point to draw. */
  def apply(record: TrainingRecord): NodeSeq = {
    val shown = record.points.map(_.run).distinct.takeRight(MaxRuns)
    val series = shown.flatMap { run =>
      val points = record.points.filter(_.run == run)
      Seq(Series(run, isValidation = false, points.map(p => (p.epoch + 1, p.train))),
        Series(run, isValidation = true, points.flatMap(p => p.validation.map(p.epoch + 1 -> _))))
    }
    val finite = series.flatMap(_.points).filter(p => isFinite(p._2))
    if (finite.isEmpty) NodeSeq.Empty else NodeSeq.fromSeq(Seq(drawn(series, new Scale(finite, record.started.epochs))))
  }

  private final case class Series(run: Int, isValidation: Boolean, points: Seq[(Int, Double)])

  /** From epochs and losses to pixels. */
  private final class Scale(points: Seq[(Int, Double)], epochs: Int) {
    // An early stop is far from the planned end; a curve that just began should not be a dot.
    val lastEpoch: Int = math.max(2, math.min(epochs, points.map(_._1).max * 4 / 3 + 1))
    val (low, high) = {
      val (least, most) = (points.map(_._2).min, points.map(_._2).max)
      val space = if (most > least) (most - least) * 0.05 else math.max(math.abs(most) * 0.1, 1e-6)
      // Losses are hardly ever below 0: neither is the axis, unless they are.
      (if (least >= 0) math.max(0, least - space) else least - space, most + space)
    }
    def x(epoch: Int): String = pixel(left + (epoch - 1).toDouble / (lastEpoch - 1) * (width - left - right))
    def y(loss: Double): String = pixel(top + (high - loss) / (high - low) * (height - top - bottom))
    private def pixel(at: Double): String = "%.1f".formatLocal(Locale.US, at)
  }

  private def drawn(series: Seq[Series], scale: Scale): Node =
    <svg id="flambeau-loss" role="img" viewBox={s"0 0 $width $height"} width={width.toString} height={height.toString} font-size="11" fill="currentColor">
      <title>Loss by epoch</title>
      {axes(scale)}
      {series.filter(_.points.nonEmpty).map(line(_, scale))}
    </svg>

  private def line(series: Series, scale: Scale): NodeSeq = {
    val color = colors(series.run % colors.length)
    val dashes = if (series.isValidation) "5,4" else "none"
    val kind = if (series.isValidation) "validation" else "training"
    val finite = series.points.filter(p => isFinite(p._2))
    // A dot for each point of a short curve: one point alone has no line.
    val dots = if (finite.length > 60) Nil
    else finite.map { case (epoch, loss) =>
      <circle cx={scale.x(epoch)} cy={scale.y(loss)} r="2" fill={color}><title>{s"epoch $epoch: $kind loss ${number(loss)}"}</title></circle>
    }
    NodeSeq.fromSeq(
      <path class={s"flambeau-$kind-loss"} d={path(series.points, scale)} fill="none" stroke={color} stroke-width="1.5" stroke-dasharray={dashes}>
        <title>{s"$kind loss${if (series.run > 0) s" of training ${series.run + 1}" else ""}"}</title>
      </path> +: dots)
  }

  /** `M x y L x y …`; a new `M` behind each gap. */
  private def path(points: Seq[(Int, Double)], scale: Scale): String =
    points.zip(None +: points.map(Some(_))).collect {
      case ((epoch, loss), before) if isFinite(loss) =>
        s"${if (before.exists(p => isFinite(p._2))) "L" else "M"}${scale.x(epoch)} ${scale.y(loss)}"
    }.mkString(" ")

  private def axes(scale: Scale): NodeSeq = {
    val (x0, x1, y1) = (left.toString, (width - right).toString, (height - bottom).toString)
    val losses = (0 to 4).map(i => scale.low + (scale.high - scale.low) * i / 4)
    val epochs = (0 to 5).map(i => 1 + math.round((scale.lastEpoch - 1) * i / 5.0).toInt).distinct
    val rows = losses.map { loss =>
      <line x1={x0} x2={x1} y1={scale.y(loss)} y2={scale.y(loss)} stroke="currentColor" stroke-opacity="0.15"/>
      <text x={(left - 6).toString} y={scale.y(loss)} text-anchor="end" dominant-baseline="middle">{number(loss)}</text>
    }
    val marks = epochs.map(epoch => <text x={scale.x(epoch)} y={(height - bottom + 16).toString} text-anchor="middle">{epoch.toString}</text>)
    NodeSeq.fromSeq(
      rows.flatten ++ marks :+ <line x1={x0} x2={x1} y1={y1} y2={y1} stroke="currentColor"/>
        :+ <text x={((left + width - right) / 2).toString} y={
          (height - 6).toString
        } text-anchor="middle">epoch (solid: training loss, dashed: validation loss)</text>)
  }

  private def number(x: Double): String = "%.4g".formatLocal(Locale.US, x)

  private def isFinite(x: Double): Boolean = !x.isNaN && !x.isInfinite
}
