package io.flambeau.train

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.Json

class RecentTrainingsSuite extends AnyFunSuite {
  private def at(epoch: Int) = Report(0, 1, 1, epoch, 5, epoch * 10L, 10, 0.5, 100, finished = epoch == 5, Nil)

  private def after(number: Long): Seq[(String, Int)] = Json.read(RecentTrainings.json(number)).elements.asScala
    .map(entry => (entry.get("owner").asText, entry.get("report").get("epoch").asInt)).toSeq

  test("the last report of each training that began later, in their order") {
    val before = RecentTrainings.count
    val (one, other) = (RecentTrainings.begin(), RecentTrainings.begin())
    assert(after(before).isEmpty, "neither has reported")
    RecentTrainings.report(one, "one", at(1))
    RecentTrainings.report(other, "other", at(2))
    RecentTrainings.report(one, "one", at(5))
    assert(after(before) == Seq("one" -> 5, "other" -> 2))
    assert(after(one) == Seq("other" -> 2))
    assert(RecentTrainings.count == before + 2)
  }

  test("the oldest are forgotten") {
    val before = RecentTrainings.count
    (1 to 100).foreach(epoch => RecentTrainings.report(RecentTrainings.begin(), s"training $epoch", at(epoch)))
    assert(after(before).map(_._2) == (69 to 100))
  }
}
