package io.flambeau.spark;

import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.types.pojo.Schema;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.ArrowUtils;

/**
 * Spark's Arrow helpers are {@code private[sql]}, which only restricts Scala callers. This file is Java for that reason only.
 */
public final class ArrowAccess {
  private ArrowAccess() {}

  /** The process's root allocator, shared with Spark. */
  public static BufferAllocator rootAllocator() {
    return ArrowUtils.rootAllocator();
  }

  /** The Arrow schema of a Spark one; timestamps in UTC, duplicate names refused, plain (32-bit offset) strings. */
  public static Schema toArrowSchema(StructType schema) {
    return ArrowUtils.toArrowSchema(schema, "UTC", true, false);
  }
}
