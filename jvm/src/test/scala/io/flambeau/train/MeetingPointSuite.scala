package io.flambeau.train

import org.scalatest.funsuite.AnyFunSuite

/** What the driver answers to workers that look for rank 0. */
class MeetingPointSuite extends AnyFunSuite {

  test("a port is known from when rank 0 told it, to workers of its own attempt alone") {
    val meeting = new MeetingPoint
    assert(meeting.answer("0") == "")
    assert(meeting.answer("0 4711") == "4711" && meeting.answer("0") == "4711")
    assert(meeting.answer("1") == "")
    assert(meeting.answer("1 815") == "815" && meeting.answer("1") == "815" && meeting.answer("0") == "4711")
  }
}
