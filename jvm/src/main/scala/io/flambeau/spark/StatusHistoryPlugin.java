package io.flambeau.spark;

import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.status.AppHistoryServerPlugin;
import org.apache.spark.status.ElementTrackingStore;
import org.apache.spark.ui.SparkUI;
import org.apache.spark.util.kvstore.KVStore;
import scala.collection.immutable.List;
import scala.collection.immutable.List$;

/** Makes a tab out of an event log, in the history server. Java because its parent is open to Spark's own Scala packages only. */
public abstract class StatusHistoryPlugin implements AppHistoryServerPlugin {
  private final StatusTab.Content content;

  protected StatusHistoryPlugin(StatusTab.Content content) {
    this.content = content;
  }

  @Override
  public final List<SparkListener> createListeners(SparkConf conf, ElementTrackingStore store) {
    return List$.MODULE$.<SparkListener>empty().$colon$colon(content.listener(conf, store));
  }

  /** An application with nothing to show has no such tab. */
  @Override
  public final void setupUI(SparkUI ui) {
    KVStore store = ui.store().store();
    if (!content.isEmpty(store)) {
      StatusTab.add(ui, store, content);
    }
  }
}
