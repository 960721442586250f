package io.flambeau.bridge;

/**
 * Where the workers of a training find one another's addresses: keys and bytes that all of them see. Asked by
 * {@link NativeBridge#joinProcessGroup}, on the thread that called it. An exception of either method ends that call and is what its caller gets.
 */
public interface Board {
  /** Puts a value under a key. */
  void put(String key, byte[] value);

  /** The value under a key, or null if it is not there yet. Does not wait. */
  byte[] look(String key);
}
