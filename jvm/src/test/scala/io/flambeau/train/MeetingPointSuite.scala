package io.flambeau.train

import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.Json

/** The driver's answers to workers that look for each other. */
class MeetingPointSuite extends AnyFunSuite {
  private def put(attempt: Int, key: String, value: String) = MeetingPoint.Question(attempt, Map(key -> value), Nil).json
  private def look(attempt: Int, keys: String*) = MeetingPoint.Question(attempt, Map.empty, keys).json

  test("what was put is there once all of it is, and stays as it was put first") {
    val meeting = new MeetingPoint
    assert(meeting.answer(look(0, "a", "b")) == "")
    assert(meeting.answer(put(0, "a", "né le 1er")) == "" && meeting.answer(look(0, "a", "b")) == "")
    meeting.answer(put(0, "b", ""))
    meeting.answer(put(0, "a", "later"))
    assert(meeting.answer(look(0, "a", "b")) == """["né le 1er",""]""")
  }

  test("an attempt sees nothing of the one before, which sees nothing any more") {
    val meeting = new MeetingPoint
    meeting.answer(put(0, "a", "old"))
    assert(meeting.answer(look(1, "a")) == "")
    meeting.answer(put(1, "a", "new"))
    assert(meeting.answer(look(1, "a")) == """["new"]""" && meeting.answer(look(0, "a")) == "")
  }

  test("a job's secret is of 256 bits, the same for all its workers, and another for each job") {
    def secret(meeting: MeetingPoint, attempt: Int) = Json.read(meeting.answer(look(attempt, "secret"))).get(0).asText
    val (one, other) = (new MeetingPoint, new MeetingPoint)
    assert(secret(one, 0).matches("[0-9a-f]{64}") && secret(one, 0) == secret(one, 1) && secret(one, 1) != secret(other, 1))
    one.answer(put(1, "secret", "mine"))
    assert(secret(one, 1) != "mine")
  }
}
