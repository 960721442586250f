package io.flambeau.bridge

import scala.reflect.{classTag, ClassTag}

import com.fasterxml.jackson.core.JsonParser
import com.fasterxml.jackson.databind.{
  BeanDescription,
  DeserializationConfig,
  DeserializationContext,
  DeserializationFeature,
  JavaType,
  JsonDeserializer,
  JsonNode,
  PropertyNamingStrategies
}
import com.fasterxml.jackson.databind.deser.Deserializers
import com.fasterxml.jackson.databind.deser.std.{NumberDeserializers, StdScalarDeserializer}
import com.fasterxml.jackson.databind.json.JsonMapper
import com.fasterxml.jackson.databind.module.SimpleModule
import com.fasterxml.jackson.module.scala.DefaultScalaModule

import io.flambeau.conf.{Named, NamedValues}

/**
 * JSON for the specifications and answers of native calls ([[spec]]), and for messages between workers; Jackson is Spark's own.
 *
 * Fields of case classes are written in snake_case, those that are `None` as `null`. What is read must have every field and no other.
 */
private[flambeau] object Json {

  private val mapper = JsonMapper.builder()
    .addModule(DefaultScalaModule).addModule(Values)
    .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
    .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
    .build()

  def write(value: Any): String = mapper.writeValueAsString(value)

  def read(text: String): JsonNode = mapper.readTree(text)

  /** A case class from its JSON. */
  def as[T: ClassTag](text: String): T = mapper.readValue(text, classTag[T].runtimeClass.asInstanceOf[Class[T]])

  /** Case classes from a JSON array of them. */
  def listOf[T: ClassTag](text: String): Seq[T] =
    mapper.readValue[Array[T]](text, classTag[T].wrap.runtimeClass.asInstanceOf[Class[Array[T]]]).toSeq

  /** Reads values that Jackson does not support. */
  private object Values extends SimpleModule {
    // JSON has no NaN: it is null.
    addDeserializer(classOf[Double].asInstanceOf[Class[java.lang.Double]], double(classOf[Double]))
    addDeserializer(classOf[java.lang.Double], double(classOf[java.lang.Double]))

    private def double(kind: Class[_]) = new NumberDeserializers.DoubleDeserializer(kind.asInstanceOf[Class[java.lang.Double]], Double.NaN)

    override def setupModule(context: com.fasterxml.jackson.databind.Module.SetupContext): Unit = {
      super.setupModule(context)
      context.addDeserializers(ByName)
    }
  }

  /** Reads a [[Named]] from the values of its companion object. */
  private object ByName extends Deserializers.Base {
    override def findBeanDeserializer(kind: JavaType, config: DeserializationConfig, description: BeanDescription): JsonDeserializer[_] =
      if (!classOf[Named].isAssignableFrom(kind.getRawClass)) null
      else {
        val companion = Class.forName(s"${kind.getRawClass.getName}$$", true, kind.getRawClass.getClassLoader).getField("MODULE$").get(null)
        new Reader(companion.asInstanceOf[NamedValues[_ <: Named]])
      }
  }

  private final class Reader(values: NamedValues[_ <: Named]) extends StdScalarDeserializer[Named](classOf[Named]) {
    override def deserialize(parser: JsonParser, context: DeserializationContext): Named = values.of(parser.getText)
  }
}
