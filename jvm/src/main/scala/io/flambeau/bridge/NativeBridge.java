package io.flambeau.bridge;

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

  /** Names of the registered methods, one a line: for the test that compares them with this class. */
  static native String nativeTable();

  /** Sets threads, allocator and log level of this process; later calls change nothing. Returns versions as JSON. */
  static native String start(String settingsJson);

  /** Reads and checks a model package without loading its program. Returns its description as JSON. */
  static native String describeModel(String directory);

  /**
   * The name, the hash and the files of a package, told from the text of its {@code model.toml} alone, as JSON:
   * {@code {"name", "hash", "files": [{"name", "sha256", "program"}]}}. {@code place} is for messages.
   */
  static native String listPackage(String place, String manifest);

  /**
   * The {@code model.toml} of a bare TorchScript file from the description beside it, as JSON: {@code {"manifest": text}}, or
   * {@code {"needs": [file names]}} as long as {@code hashesJson} (file name to SHA-256) lacks some.
   */
  static native String wrapProgram(String place, String description, String program, String hashesJson);

  /** Loads the package's program, or finds it loaded: one copy of the weights per process. Returns a handle. */
  static native long openModel(String directory, String optionsJson);

  /** A session evaluates batches of one input schema. Takes (moves out of) the schema. Returns a handle. */
  static native long openSession(long model, long inputSchemaAddress, String requestJson);

  /**
   * Evaluates one batch. Takes the input array; writes the result struct array and its schema.
   * {@code counters} receives this call's rows, forwards, bad rows, prepare ns, forward ns, convert ns, peak native bytes,
   * real tokens, padded tokens.
   */
  static native void evaluate(long session, long inputArrayAddress, long outputArrayAddress, long outputSchemaAddress,
      long[] counters);

  /** Upper estimate of native bytes that one batch of {@code rows} rows needs beside the input itself. */
  static native long estimateBytes(long session, long rows);

  /** Closes a model or session handle. Closing twice, or closing 0, does nothing. */
  static native void close(long handle);

  /** Counters of the process as JSON: live handles, models in memory, rows and forwards since start. */
  static native String stats();
}
