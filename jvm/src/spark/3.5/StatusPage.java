package io.flambeau.spark;

import javax.servlet.http.HttpServletRequest;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.apache.spark.ui.SparkUITab;
import org.apache.spark.ui.UIUtils$;
import org.apache.spark.ui.WebUIPage;
import scala.Option;
import scala.collection.Seq;
import scala.xml.Node;
import scala.xml.NodeSeq;

/** A page with Spark's header and footer. This line of Spark has the servlets of javax. */
final class StatusPage extends WebUIPage {
  private final SparkUITab tab;
  private final String title;
  private final BiFunction<String, Function<String, String>, NodeSeq> content;

  /** {@code content} gets the tab's address, and the request's parameters by name (null: there is none of this name). */
  StatusPage(SparkUITab tab, String name, String title, BiFunction<String, Function<String, String>, NodeSeq> content) {
    super(name);
    this.tab = tab;
    this.title = title;
    this.content = content;
  }

  @Override
  public Seq<Node> render(HttpServletRequest request) {
    String base = UIUtils$.MODULE$.prependBaseUri(request, tab.basePath(), "/" + tab.prefix());
    NodeSeq body = content.apply(base, request::getParameter);
    return UIUtils$.MODULE$.headerSparkPage(request, title, () -> body, tab, Option.empty(), false, false);
  }
}
