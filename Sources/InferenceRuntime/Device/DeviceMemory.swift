/// Memory of a device that keeps its contents from run to run. Plans read and write it in place of a caller's.
///
/// Plans with residents of one backend, and these calls, happen in the order in which they are made.
package protocol DeviceMemory: AnyObject, Sendable {
  var byteCount: Int { get }
  /// Replaces the bytes from `offset` on.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws
  /// Copies the bytes from `offset` on, once all runs before are done.
  ///
  /// - Throws: `KilnError` (`failed`) when the device cannot give them, or one of these runs failed.
  func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws
}

/// A place in memory of a device, aligned as the backend wants it.
package struct DevicePlace: Sendable {
  package var memory: any DeviceMemory
  package var offset: Int

  package init(_ memory: any DeviceMemory, at offset: Int = 0) {
    self.memory = memory
    self.offset = offset
  }
}

/// The inputs and outputs of a graph, by position, that lie in memory of a device. An output may lie where an input does and then
/// replaces it; other places do not overlap with those of outputs.
package struct DeviceResidents: Sendable {
  package var inputs: [Int: DevicePlace] = [:]
  package var outputs: [Int: DevicePlace] = [:]
  /// Whether all nodes that can are to run on the device, whatever that costs.
  package var mustStay = false

  package init() {}

  package var isEmpty: Bool { inputs.isEmpty && outputs.isEmpty }
}
