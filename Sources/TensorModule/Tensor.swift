/// A dense, row-major, immutable array: 64-byte aligned memory of its own, or memory that another object keeps alive
/// (a mapped file), or elements that are computed when they are asked for. String tensors hold byte strings instead.
///
/// Elements are little-endian. `bool` is one byte, 0 or 1. A tensor is written only while it is made
/// (`init(dtype:shape:filling:)`), so it can be shared between tasks.
public final class Tensor: @unchecked Sendable {
  public let dtype: DType
  public let shape: Shape
  @usableFromInline let base: UnsafeRawPointer
  @usableFromInline let deferred: DeferredElements?
  /// The elements of a string tensor, row-major; empty for other dtypes.
  public let strings: [ByteString]

  private let owned: UnsafeMutableRawPointer?
  private let owner: AnyObject?

  /// The first element; `byteCount` bytes follow. Not meaningful for string tensors.
  @inlinable public var address: UnsafeRawPointer {
    deferred?.compute()
    return base
  }

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
    self.base = UnsafeRawPointer(memory)
    self.deferred = nil
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
    self.base = address
    self.deferred = nil
    self.strings = []
    self.owned = nil
    self.owner = owner
  }

  /// A tensor whose elements `fill` computes, in pieces and as often as they are asked for: `forEachPiece` and `copy` keep
  /// none of them, `address` and what is made of it compute all of them once and keep them.
  ///
  /// - Parameter fill: writes the elements of a range, in order, to memory of their size; gives the same ones each time, and
  ///   may be called from several threads.
  /// - Throws: `KilnError` when the size overflows or memory for all elements cannot be had.
  package init(
    dtype: DType, shape: Shape, deferring fill: @escaping @Sendable (Range<Int>, UnsafeMutableRawBufferPointer) -> Void
  ) throws {
    guard dtype != .string else { throw KilnError(.internal, "a string tensor is made from strings") }
    guard shape.count <= maximumRank, let bytes = checkedProduct(shape + [dtype.byteCount]), bytes <= 1 << 46 else {
      throw KilnError(.badInput, "a tensor \(dtype.name)\(shape.shapeText) is too large")
    }
    let deferred = try DeferredElements(count: bytes / dtype.byteCount, byteCount: bytes, fill)
    self.dtype = dtype
    self.shape = shape
    self.base = UnsafeRawPointer(deferred.memory)
    self.deferred = deferred
    self.strings = []
    self.owned = nil
    self.owner = nil
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
    self.base = UnsafeRawPointer(bitPattern: 64)!
    self.deferred = nil
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
    if !isDeferred { releaseMapping(bytes) }
  }

  /// The same for a part of the tensor.
  package func releaseMapping(_ part: UnsafeRawBufferPointer) {
    var tensor = self
    while let base = tensor.owner as? Tensor { tensor = base }
    if let file = tensor.owner as? MappedFile { file.release(part) }
  }

  /// The same elements under another shape of equal count.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.elementCount == count)
    if dtype == .string { return Tensor(strings: strings, shape: shape) }
    return Tensor(self, shape)
  }

  private init(_ other: Tensor, _ shape: Shape) {
    self.dtype = other.dtype
    self.shape = shape
    self.base = other.base
    self.deferred = other.deferred
    self.strings = []
    self.owned = nil
    self.owner = other
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
