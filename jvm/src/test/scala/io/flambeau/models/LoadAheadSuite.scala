package io.flambeau.models

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauSuite
import io.flambeau.bridge.NativeStats
import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.conf.FlambeauConf

/** Loading before a task needs it. The settings make separate models that were not loaded before. */
class LoadAheadSuite extends FlambeauSuite {

  private def settings(minCosine: Double) = InferenceSettings.of(SQLConf.get).copy(minCosine = minCosine)

  test("tasks use the model that was loaded ahead, and only the first is") {
    val (ref, before, ahead) = (ModelStore.resolve("tiny", SQLConf.get), NativeStats.modelLoads, new LoadAhead)
    ahead.model(ref, settings(0.4321))
    ahead.model(ref, settings(0.4322))
    eventually(assert(NativeStats.modelLoads == before + 1))
    withConf(FlambeauConf.MinCosine.key -> "0.4321") {
      assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'tiny') FROM range(3)").length == 3)
    }
    assert(NativeStats.modelLoads == before + 1)
  }

  test("what cannot be loaded ahead is left to the task") {
    val ref = ModelStore.resolve("tiny", SQLConf.get)
    new LoadAhead().model(ref.copy(location = "file:/no/such/folder"), settings(0.4323))
    assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'tiny')").length == 1)
  }
}
