package io.flambeau.spark;

import java.util.Map;
import java.util.function.Function;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.ui.SparkUI;
import org.apache.spark.ui.SparkUITab;
import org.apache.spark.util.kvstore.KVStore;
import scala.xml.NodeSeq;

/**
 * A tab of the Spark UI, of a running application or of one in the history server. Its pages read Spark's status store. Java because tabs
 * are open to Spark's own Scala packages only.
 */
public final class StatusTab {
  private StatusTab() {}

  /** What a tab shows. */
  public interface Content {
    /** The name in its address; with a capital letter, the name that people see. */
    String prefix();

    /** The page's name in its address (empty for the first one) -> title. */
    Map<String, String> pages();

    /** Keeps what the pages show in the store, while events arrive. */
    SparkListener listener(SparkConf conf, KVStore store);

    /** Whether the store has nothing to show. */
    boolean isEmpty(KVStore store);

    /** A page's content; {@code base} is the tab's address, {@code parameter} gives null for a parameter that the request lacks. */
    NodeSeq page(String name, KVStore store, String base, Function<String, String> parameter);
  }

  /** Adds it to a running application, unless that has no Spark UI. */
  public static void show(SparkContext context, Content content) {
    if (context.ui().isDefined()) {
      KVStore store = context.statusStore().store();
      context.listenerBus().addToStatusQueue(content.listener(context.conf(), store));
      add(context.ui().get(), store, content);
    }
  }

  static void add(SparkUI ui, KVStore store, Content content) {
    ui.attachTab(new Tab(ui, store, content));
  }

  // A class inside: Scala does not see that its parent is Spark's own.
  private static final class Tab extends SparkUITab {
    Tab(SparkUI ui, KVStore store, Content content) {
      super(ui, content.prefix());
      content.pages().forEach((name, title) ->
          attachPage(new StatusPage(this, name, title, (base, parameter) -> content.page(name, store, base, parameter))));
    }
  }
}
