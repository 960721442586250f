package io.flambeau.ui;

import io.flambeau.spark.StatusHistoryPlugin;

/** The Models tab in the history server, which finds this class if Flambeau's jar is on its class path. */
public final class ModelsHistoryPlugin extends StatusHistoryPlugin {
  /** The history server calls it. */
  public ModelsHistoryPlugin() {
    super(ModelsTab$.MODULE$);
  }
}
