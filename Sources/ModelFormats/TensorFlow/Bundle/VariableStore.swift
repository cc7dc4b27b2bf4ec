import CGraphSchemas
import TensorModule

/// Where a model's variables are stored.
protocol VariableStore: AnyObject {
  var names: [String] { get }

  func contains(_ name: String) -> Bool

  /// A variable, or a part of it.
  ///
  /// - Throws: `KilnError`: `badInput` when there is none or its bytes are damaged.
  func tensor(_ name: String, slice: TensorSlice?) throws -> Tensor
}

/// Elements as TensorFlow stores them: little-endian, one after the other.
enum StoredElements {
  /// A tensor over bytes whose count was checked; types that a graph does not have are widened.
  static func tensor(_ bytes: UnsafeRawBufferPointer, _ type: TFDataType, _ shape: Shape, owner: AnyObject) throws -> Tensor {
    guard let dtype = type.dtype, let size = type.storedBytes, let count = checkedProduct(shape), count * size == bytes.count else {
      throw KilnError(.unsupportedModel, "values of type \(type.name) are not supported")
    }
    if size == dtype.byteCount {
      guard let base = bytes.baseAddress else { return try Tensor(dtype: dtype, shape: shape) { _ in } }
      return Tensor(dtype: dtype, shape: shape, address: base, owner: owner)
    }
    let values: [Int64] = (0..<count).map { index in
      switch (type.number, size) {
      case (15, 2): Int64(bytes.loadUnaligned(fromByteOffset: index * 2, as: Int16.self))
      case (_, 2): Int64(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
      default: Int64(bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      }
    }
    return try Tensor(integers: values, dtype: dtype, shape: shape)
  }
}

/// Tensors that are stored in parts.
enum SlicedTensor {
  /// Puts the parts together and takes the wanted slice.
  ///
  /// - Throws: `KilnError` (`badInput`) when parts lie over each other, lead out or do not fill the shape.
  static func assemble(
    _ name: String, _ type: TFDataType, _ shape: Shape, _ parts: [TensorSlice], _ wanted: TensorSlice?,
    _ load: (TensorSlice) throws -> Tensor
  ) throws -> Tensor {
    guard let dtype = type.dtype, dtype != .string else {
      throw KilnError(.unsupportedModel, "a variable of type \(type.name) in parts is not supported")
    }
    guard let count = checkedProduct(shape) else { throw KilnError(.badInput, "has an impossible shape \(shape.shapeText)") }
    let tensors = try parts.map { part in
      guard let ranges = part.ranges(in: shape) else { throw KilnError(.badInput, "a part leads out of the shape \(shape.shapeText)") }
      let tensor = try load(part)
      guard tensor.dtype == dtype, tensor.shape == ranges.map(\.count) else {
        throw KilnError(.badInput, "a part has the type \(tensor.dtype.name)\(tensor.shape.shapeText)")
      }
      return (ranges: ranges, tensor: tensor)
    }
    let stored = tensors.reduce(0) { $0 + $1.tensor.count }
    for (index, one) in tensors.enumerated() {
      let isApart = tensors.prefix(index).allSatisfy { other in
        zip(one.ranges, other.ranges).contains { !$0.overlaps($1) }
      }
      guard isApart else { throw KilnError(.badInput, "its parts lie over each other") }
    }
    guard stored == count else { throw KilnError(.badInput, "its parts hold \(stored) values, its shape \(shape.shapeText) \(count)") }
    let whole = try Tensor(dtype: dtype, shape: shape) { memory in
      for (ranges, tensor) in tensors {
        Tensor.place(tensor.bytes, at: ranges, of: shape, elementBytes: dtype.byteCount, into: memory)
      }
    }
    guard let wanted else { return whole }
    guard let ranges = wanted.ranges(in: shape) else {
      throw KilnError(.badInput, "the wanted slice does not fit into its shape \(shape.shapeText)")
    }
    return ranges.map(\.count) == shape ? whole : try whole.box(ranges)
  }
}

extension TFShape {
  /// The shape of something stored: every length is known.
  static func stored(_ proto: UnsafePointer<Tf__TensorShapeProto>?) throws -> Shape {
    guard let proto else { return [] }
    guard let dims = try TFShape(proto.pointee).dims else { throw KilnError(.badInput, "has an unknown rank") }
    guard dims.count <= maximumRank else { throw KilnError(.badInput, "has \(dims.count) axes; at most \(maximumRank) are supported") }
    return try dims.map { dim in
      guard let dim else { throw KilnError(.badInput, "has an axis of unknown length") }
      return dim
    }
  }

  static func stored(_ proto: UnsafeMutablePointer<Tf__TensorShapeProto>?) throws -> Shape {
    try stored(proto.map { UnsafePointer($0) })
  }
}
