package io.flambeau.ui

import scala.xml.{Node, Text}

/** Tables as Spark's own pages have them. Scala's XML escapes all text, so names that users choose cannot add markup. */
private[ui] object Tables {

  /**
   * A table that is sorted by a click.
   *
   * @param headings
   *   each with an explanation, which may be empty
   */
  def table(id: String, headings: Seq[(String, String)], rows: Seq[Node]): Node =
    <table id={id} class="table table-bordered table-sm table-striped sortable">
      <thead><tr>{headings.map { case (name, title) => <th title={Some(title).filter(_.nonEmpty).map(Text(_))}>{name}</th> }}</tr></thead>
      <tbody>{rows}</tbody>
    </table>

  /** A cell that is sorted by a number. */
  def cell(key: Long, shown: String): Node = <td sorttable_customkey={key.toString}>{shown}</td>

  /** As it is. */
  def cell(count: Long): Node = cell(count, Units.count(count))
}
