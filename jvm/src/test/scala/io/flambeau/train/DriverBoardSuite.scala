package io.flambeau.train

import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.Json

/** The driver's answers to workers that look for each other. */
class DriverBoardSuite extends AnyFunSuite {
  private def put(attempt: Int, key: String, value: String) = DriverBoard.Question(attempt, Map(key -> value), Nil).json
  private def look(attempt: Int, keys: String*) = DriverBoard.Question(attempt, Map.empty, keys).json

  test("what was put is there once all of it is, and stays as it was put first") {
    val board = new DriverBoard
    assert(board.answer(look(0, "a", "b")) == "")
    assert(board.answer(put(0, "a", "né le 1er")) == "" && board.answer(look(0, "a", "b")) == "")
    board.answer(put(0, "b", ""))
    board.answer(put(0, "a", "later"))
    assert(board.answer(look(0, "a", "b")) == """["né le 1er",""]""")
  }

  test("an attempt sees nothing of the one before, which sees nothing any more") {
    val board = new DriverBoard
    board.answer(put(0, "a", "old"))
    assert(board.answer(look(1, "a")) == "")
    board.answer(put(1, "a", "new"))
    assert(board.answer(look(1, "a")) == """["new"]""" && board.answer(look(0, "a")) == "")
  }

  test("a job's secret is of 256 bits, the same for all its workers, and another for each job") {
    def secret(board: DriverBoard, attempt: Int) = Json.read(board.answer(look(attempt, "secret"))).get(0).asText
    val (one, other) = (new DriverBoard, new DriverBoard)
    assert(secret(one, 0).matches("[0-9a-f]{64}") && secret(one, 0) == secret(one, 1) && secret(one, 1) != secret(other, 1))
    one.answer(put(1, "secret", "mine"))
    assert(secret(one, 1) != "mine")
  }
}
