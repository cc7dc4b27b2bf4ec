/// A dense, row-major, immutable array: 64-byte aligned memory of its own, or memory that another object keeps alive
/// (a mapped file). String tensors hold byte strings instead.
///
/// Elements are little-endian. `bool` is one byte, 0 or 1. A tensor is written only while it is made
/// (`init(dtype:shape:filling:)`), so it can be shared between tasks.
public final class Tensor: @unchecked Sendable {
  public let dtype: DType
  public let shape: Shape
  /// The first element; `byteCount` bytes follow. Not meaningful for string tensors.
  public let address: UnsafeRawPointer
  /// The elements of a string tensor, row-major; empty for other dtypes.
  public let strings: [ByteString]

  private let owned: UnsafeMutableRawPointer?
  private let owner: AnyObject?

  public var count: Int { shape.elementCount }
  public var byteCount: Int { count * dtype.byteCount }

  /// Makes a tensor and lets `fill` write its bytes, which start out as zeros.
  ///
  /// - Parameter zeroed: false when `fill` writes every byte.
  /// - Throws: `KilnError` when the size overflows or memory cannot be had, and what `fill` throws.
  public init(
    dtype: DType, shape: Shape, zeroed: Bool = true, filling fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    guard dtype != .string else { throw KilnError(.internal, "a string tensor is made from strings") }
    guard shape.count <= maximumRank, let bytes = checkedProduct(shape + [dtype.byteCount]), bytes <= 1 << 46 else {
      throw KilnError(.badInput, "a tensor \(dtype.name)\(shape.shapeText) is too large")
    }
    let memory = try AlignedMemory.allocate(byteCount: bytes, zeroed: zeroed)
    self.dtype = dtype
    self.shape = shape
    self.address = UnsafeRawPointer(memory)
    self.strings = []
    self.owned = memory
    self.owner = nil
    try fill(UnsafeMutableRawBufferPointer(start: memory, count: bytes))
  }

  /// A tensor over memory that `owner` keeps alive and nobody changes.
  public init(dtype: DType, shape: Shape, address: UnsafeRawPointer, owner: AnyObject) {
    precondition(dtype != .string)
    self.dtype = dtype
    self.shape = shape
    self.address = address
    self.strings = []
    self.owned = nil
    self.owner = owner
  }

  /// A tensor of texts, as their UTF-8.
  @_disfavoredOverload
  public convenience init(strings: [String], shape: Shape) {
    self.init(strings: strings.map { ByteString($0) }, shape: shape)
  }

  public init(strings: [ByteString], shape: Shape) {
    precondition(strings.count == shape.elementCount)
    self.dtype = .string
    self.shape = shape
    self.address = UnsafeRawPointer(bitPattern: 64)!
    self.strings = strings
    self.owned = nil
    self.owner = nil
  }

  deinit { if let owned { AlignedMemory.free(owned) } }

  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: address, count: byteCount)
  }

  /// Whether the elements lie in a mapped file.
  package var isMapped: Bool { owner is MappedFile || (owner as? Tensor)?.isMapped == true }

  /// Lets go of memory that mirrors a mapped file; the elements are read from the file again when they are used.
  package func releaseMapping() {
    if let file = owner as? MappedFile { file.release(bytes) } else if let base = owner as? Tensor { base.releaseMapping() }
  }

  /// The same elements under another shape of equal count.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.elementCount == count)
    if dtype == .string { return Tensor(strings: strings, shape: shape) }
    return Tensor(dtype: dtype, shape: shape, address: address, owner: self)
  }
}

/// 64-byte aligned memory.
package enum AlignedMemory {
  package static func allocate(byteCount: Int, zeroed: Bool = true) throws(KilnError) -> UnsafeMutableRawPointer {
    var pointer: UnsafeMutableRawPointer?
    let size = max(64, byteCount)
    guard posix_memalign(&pointer, 64, size) == 0, let pointer else {
      throw KilnError(.failed, "out of memory: \(byteCount) bytes could not be allocated")
    }
    if zeroed { memset(pointer, 0, size) }
    return pointer
  }

  package static func free(_ pointer: UnsafeMutableRawPointer) {
    #if canImport(Glibc)
      Glibc.free(pointer)
    #else
      Darwin.free(pointer)
    #endif
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
