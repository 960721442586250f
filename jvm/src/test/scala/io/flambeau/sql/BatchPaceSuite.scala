package io.flambeau.sql

import org.scalatest.funsuite.AnyFunSuite

/** The size of batches from the times of earlier ones; the times are given, none is measured. */
class BatchPaceSuite extends AnyFunSuite {
  private val Millisecond = 1000L * 1000

  test("an unknown model begins with few rows") {
    assert(new BatchPace(sorts = false).rows(4096) == 8)
    assert(new BatchPace(sorts = false).rows(3) == 3)
  }

  test("a light model gets all the rows that are allowed, never more") {
    val pace = new BatchPace(sorts = false)
    pace.measured(8, Millisecond)
    assert(pace.rows(32) == 32 && pace.rows(2048) == 2048)
    assert(pace.rows(1000000) == 3907) // quartered until it takes at most half a second
  }

  test("batches of a heavy model take half a second at the most, unless that were too few rows") {
    val pace = new BatchPace(sorts = false)
    pace.measured(8, 80 * Millisecond)
    assert(pace.rows(1024) == 32)
    assert(pace.rows(32) == 32)
    (0 until 4).foreach(_ => pace.measured(8, 8 * 60 * 1000 * Millisecond))
    assert(pace.rows(1024) == 8 && pace.rows(5) == 5)
  }

  test("rows that are sorted by length stay together, but for the first batch") {
    val pace = new BatchPace(sorts = true)
    assert(pace.rows(1024) == 8)
    pace.measured(8, 8 * 1000 * Millisecond)
    assert(pace.rows(1024) == 1024)
  }

  test("a stall changes nothing, and a first batch that compiled the program little") {
    val pace = new BatchPace(sorts = false)
    pace.measured(8, 8 * 1000 * Millisecond)
    assert(pace.rows(1024) == 8)
    pace.measured(8, 8 * Millisecond)
    assert(pace.rows(256) == 256)
    pace.measured(256, 60 * 1000 * Millisecond)
    assert(pace.rows(256) == 256)
  }
}
