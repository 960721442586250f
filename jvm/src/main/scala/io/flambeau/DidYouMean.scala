package io.flambeau

import java.util.Locale

import org.apache.commons.text.similarity.LevenshteinDistance

/** The name that a user probably meant, for messages. */
private[flambeau] object DidYouMean {

  private val ShortestPart = 3

  /** Two letters that changed places count as two. */
  private val SwappedLetters = 2

  /** The known name that is most similar to this one: it differs in a few letters, or one contains the other. None if none is similar. */
  def nearest(name: String, known: Iterable[String]): Option[String] = {
    val wanted = name.toLowerCase(Locale.ROOT)
    val near = known.toSeq.distinct.map(k => (k, distance(wanted, k.toLowerCase(Locale.ROOT)))).filter { case (k, letters) =>
      letters <= (if (wanted.length <= ShortestPart) 1 else math.max(SwappedLetters, wanted.length / 3)) || inside(wanted, k.toLowerCase(Locale.ROOT))
    }
    near.sortBy { case (k, letters) => (letters, k) }.headOption.map(_._1)
  }

  /** `; did you mean 'x'?`, or nothing. */
  def hint(name: String, known: Iterable[String]): String = nearest(name, known).fold("")(near => s"; did you mean '$near'?")

  private def distance(one: String, other: String): Int = LevenshteinDistance.getDefaultInstance.apply(one, other).intValue

  private def inside(one: String, other: String): Boolean =
    math.min(one.length, other.length) >= ShortestPart && (one.contains(other) || other.contains(one))
}
