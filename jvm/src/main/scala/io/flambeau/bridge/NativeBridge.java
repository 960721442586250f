package io.flambeau.bridge;

import org.apache.spark.TaskContext;

/**
 * The only class with native methods. The library exports one symbol, {@link #registerNatives}; all others are registered
 * from one table (rust/bridge/src/exports.rs), and a test compares that table with this class.
 *
 * <p>All methods are called on the thread that owns the work (a Spark task's thread, or the driver's planning thread).
 * They throw {@link NativeException} only. Addresses are of Arrow C Data structs that the caller owns; handles are
 * generation-checked numbers: a stale one is an error, never a crash.
 */
final class NativeBridge {
  private NativeBridge() {}

  /** Registers the other methods; called once, right after the library is loaded. */
  static native void registerNatives();

  /** Names of the registered methods, one per line: for the test that compares them with this class. */
  static native String nativeTable();

  /** Sets threads, allocator and log level of this process; later calls change nothing. Returns versions as JSON. */
  static native String start(String settingsJson);

  /** Reads and checks a model package without loading its program. Returns its description as JSON. */
  static native String describeModel(String directory);

  /**
   * The name, the hash and the files of a package, read from the text of its {@code model.toml} alone, as JSON:
   * {@code {"name", "hash", "files": [{"name", "sha256", "program"}]}}. {@code place} is for messages.
   */
  static native String listPackage(String place, String manifest);

  /**
   * The {@code model.toml} of a bare TorchScript file from the description next to it, as JSON: {@code {"manifest": text}}, or
   * {@code {"needs": [file names]}} while {@code hashesJson} (file name to SHA-256) is incomplete.
   */
  static native String wrapProgram(String place, String description, String program, String hashesJson);

  /** Loads the package's program, or finds it loaded: one copy of the weights per process. Returns a handle. */
  static native long openModel(String directory, String optionsJson);

  /** What was loaded, as JSON: {@link ModelFacts}. */
  static native String modelFacts(long model);

  /** A session evaluates batches of one input schema. Takes (moves out of) the schema. Returns a handle. */
  static native long openSession(long model, long inputSchemaAddress, String requestJson);

  /**
   * Evaluates one batch. Takes the input array; writes the result struct array and its schema.
   * {@code counters} receives what this call did, in the order in which {@link ModelSession} reads it.
   */
  static native void evaluate(long session, long inputArrayAddress, long outputArrayAddress, long outputSchemaAddress,
      long[] counters);

  /** Whether Spark killed this task, or the process ends. {@link #evaluate} calls it between forward passes, on the same thread. Throws nothing. */
  static boolean taskIsKilled() {
    TaskContext task = TaskContext.get();
    return NativeCalls.isEnding() || (task != null && task.isInterrupted());
  }

  /** Upper estimate of native bytes that one batch of {@code rows} rows needs besides the input itself. */
  static native long estimateBytes(long session, long rows);

  /**
   * A dataset: one worker's rows, written once to an Arrow IPC file in a local folder. {@code specJson}: {@code {"directory",
   * "shards", "dense": {column: {"shape", "dtype"}}, "label_range", "skip_invalid", "trial"}}. Takes the schema. Returns a handle; closing it deletes the file.
   */
  static native long openDataset(String specJson, long schemaAddress);

  /** Appends one batch of rows. Takes the input array. Returns a JSON array of the rows left out: {@code [{"row", "cause"}]}. */
  static native String addRows(long dataset, long arrayAddress);

  /**
   * Ends writing and maps the file. Returns {@code {"rows", "validation_rows", "bytes", "label_min", "label_max",
   * "label_integral"}}; labels of both kinds of rows count.
   */
  static native String finishDataset(long dataset);

  /**
   * Fails unless a package's program has the names in {@code {"package", "output", "frozen", "loss_method"}}. Loads the program,
   * and releases it.
   */
  static native void checkProgram(String specJson);

  /**
   * Joins a group and waits until all have joined or {@code dataset}, this worker's own, is canceled. The keys of {@code specJson}
   * are {@code rank}, {@code world}, {@code own_host}, {@code timeout_ms} and {@code secret}. {@code own_host} is this process's
   * address for its peers, and the only one that it listens on. The workers find one another by {@code board}, and prove that
   * they know {@code secret}. {@code world} = 1 opens no socket, and does not use the board. Returns a handle.
   */
  static native long joinProcessGroup(long dataset, String specJson, Board board);

  /**
   * Which trainings step together, from a JSON array of their specifications: an array of arrays of their places. Heads that differ
   * only in how they are optimized do, as many as fit.
   */
  static native String trainingsTogether(String specsJson);

  /**
   * Trainers over a finished dataset, from a JSON array of their specifications: one, or some that step together
   * ({@link #trainingsTogether}). Others may use the same dataset and group afterwards. Returns a handle; {@code place} is one's place in the array.
   */
  static native long openTrainers(long dataset, long group, String specsJson);

  /** Trains until about {@code maxMillis} have passed, or one needs the caller. Returns a JSON array of each one's progress. */
  static native String runTrainers(long trainers, long maxMillis);

  /** Writes everything that an exact continuation needs to a local file, atomically. */
  static native void saveCheckpoint(long trainers, long place, String localFile);

  /** Puts a trainer of the same specification where the checkpoint was made. */
  static native void restoreCheckpoint(long trainers, long place, String localFile);

  /** Ends a trainer after an epoch, as early stopping does; all workers call it after the same epoch. */
  static native void stopTrainer(long trainers, long place);

  /**
   * Writes an inference package of the best parameters (the last ones without validation) into a folder:
   * {@code {"name", "labels", "license", "description", "featurizer"}}. Returns the package's description.
   */
  static native String savePackage(long trainers, long place, String directory, String specJson);

  /**
   * Stops trainers within a second, also inside a collective; from any thread. A dataset's handle stops {@link #trainGroups}.
   */
  static native void cancelTrainers(long trainers);

  /**
   * One small head for every group of a dataset's column {@code __group}, all trained in this call. Writes a struct array and its
   * schema: {@code group} long, {@code rows} long, {@code loss} double, {@code parameters} array of float.
   */
  static native void trainGroups(long dataset, String specJson, long outputArrayAddress, long outputSchemaAddress);

  /**
   * A search for nearest neighbors. Keys of {@code specJson}: {@code metric}, {@code k}, {@code threshold}, {@code smaller_ids}. Takes
   * both schemas: a struct of {@code id} (long or string) and {@code vector} (array of float). Returns a handle.
   */
  static native long openNearest(String specJson, long querySchemaAddress, long rowSchemaAddress);

  /** Starts with these queries and forgets the ones before. Takes the array. */
  static native void nearestQueries(long search, long arrayAddress);

  /** Compares all queries with these rows. Takes the array. */
  static native void nearestRows(long search, long arrayAddress);

  /**
   * Writes a struct array and its schema: {@code query} int (a row of the queries), {@code id} as that of the rows (a string as
   * bytes), {@code score} double, best first for each query. The search has no queries afterwards.
   */
  static native void nearestResults(long search, long outputArrayAddress, long outputSchemaAddress);

  /** Closes a handle of any kind. Closing twice, or closing 0, does nothing. */
  static native void close(long handle);

  /** Counters of the process as JSON: live handles, models in memory, rows and forwards since start. */
  static native String stats();
}
