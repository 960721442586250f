package io.flambeau.bridge

import org.apache.spark.TaskContext

import io.flambeau.FlambeauException
import io.flambeau.conf.FlambeauConf

/**
 * The device that a task's models run on, by libtorch's name.
 *
 * Spark gives a task GPUs if the application or its stage asks for them (`spark.task.resource.gpu.amount`). Their addresses are
 * the numbers of CUDA devices. A task uses the first one that it has; tasks may share one (an amount below 1).
 */
private[bridge] object TaskDevice {

  val Cpu = "cpu"

  private val Gpu = "gpu"

  /**
   * @param setting
   *   the value of `spark.flambeau.device`
   * @param task
   *   null outside of tasks
   * @throws FlambeauException
   *   FLAMBEAU_SETUP, if Spark's address is not a number
   */
  def of(setting: String, task: TaskContext): String = setting match {
    case "auto" => assigned(task).getOrElse(Cpu)
    case "cuda" => assigned(task).getOrElse("cuda:0")
    case device => device
  }

  private def assigned(task: TaskContext): Option[String] =
    Option(task).flatMap(_.resources().get(Gpu)).flatMap(_.addresses.headOption).map { address =>
      if (!address.matches("[0-9]{1,2}")) {
        throw FlambeauException.setup(
          s"Spark gave this task the GPU '$address', which is not the number of a CUDA device. Set ${FlambeauConf.Device.key} to cuda:N, " +
            "or let the discovery script (spark.executor.resource.gpu.discoveryScript) print numbers.", null)
      }
      s"cuda:$address"
    }
}
