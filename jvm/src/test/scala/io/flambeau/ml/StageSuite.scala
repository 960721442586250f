package io.flambeau.ml

import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import java.nio.file.{Files, Path}
import java.util.Comparator
import javax.imageio.ImageIO

import org.apache.spark.sql.DataFrame

import io.flambeau.FlambeauSuite

/** Shared by the suites of stages: small pictures of one color, and scratch folders. */
abstract class StageSuite extends FlambeauSuite {

  /** A PNG of one color; the package image_tiny returns its mean red, green and blue. */
  protected def picture(rgb: Int): Array[Byte] = {
    val image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB)
    for (x <- 0 until 8; y <- 0 until 8) image.setRGB(x, y, rgb)
    val bytes = new ByteArrayOutputStream()
    assert(ImageIO.write(image, "png", bytes))
    bytes.toByteArray
  }

  protected def pictures(rows: (Int, Array[Byte])*): DataFrame = {
    val session = spark
    import session.implicits._
    rows.toDF("id", "content")
  }

  /** A red and a blue picture, a file that is not a picture, NULL. */
  protected def goodAndBad: DataFrame =
    pictures(1 -> picture(0xff0000), 2 -> picture(0x0000ff), 3 -> "no picture".getBytes, 4 -> null)

  protected def imageFeaturizer: DeepImageFeaturizer =
    new DeepImageFeaturizer().setInputCol("content").setOutputCol("features").setModelName("image_tiny")

  protected def withFolder[T](body: Path => T): T = {
    val folder = Files.createTempDirectory("flambeau stage ")
    try body(folder)
    finally delete(folder)
  }

  protected def delete(folder: Path): Unit = {
    val paths = Files.walk(folder)
    try paths.sorted(Comparator.reverseOrder()).forEach(p => Files.delete(p))
    finally paths.close()
  }

  protected def copyPackage(name: String, to: Path): Unit = {
    Files.createDirectories(to)
    val files = Files.list(FlambeauSuite.packages.resolve(name))
    try files.forEach { file => Files.copy(file, to.resolve(file.getFileName)); () }
    finally files.close()
  }
}
