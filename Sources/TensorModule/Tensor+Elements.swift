/// Typed access to a tensor's elements, and conversion between dtypes.
extension Tensor {
  /// A tensor of Swift numbers. The count must be that of the shape.
  public convenience init(_ values: [Float], shape: Shape) throws { try self.init(values, .float32, shape) }
  public convenience init(_ values: [Double], shape: Shape) throws { try self.init(values, .float64, shape) }
  public convenience init(_ values: [Int32], shape: Shape) throws { try self.init(values, .int32, shape) }
  public convenience init(_ values: [Int64], shape: Shape) throws { try self.init(values, .int64, shape) }
  public convenience init(_ values: [UInt8], shape: Shape) throws { try self.init(values, .uint8, shape) }
  public convenience init(_ values: [Bool], shape: Shape) throws {
    try self.init(values.map { $0 ? 1 : 0 } as [UInt8], .bool, shape)
  }

  private convenience init<Element>(_ values: [Element], _ dtype: DType, _ shape: Shape) throws {
    guard values.count == checkedProduct(shape) else {
      throw KilnError(.badInput, "\(values.count) values do not fill the shape \(shape.shapeText)")
    }
    try self.init(dtype: dtype, shape: shape) { memory in values.withUnsafeBytes { memory.copyMemory(from: $0) } }
  }

  /// A tensor of `dtype` from numbers: rounded to nearest even for floats, truncated and clamped for integers.
  public convenience init(converting values: [Double], to dtype: DType, shape: Shape) throws {
    guard values.count == checkedProduct(shape) else {
      throw KilnError(.badInput, "\(values.count) values do not fill the shape \(shape.shapeText)")
    }
    try self.init(dtype: dtype, shape: shape) { memory in
      switch dtype {
      case .float32: memory.fill(values) { Float($0) }
      case .float64: memory.fill(values) { $0 }
      case .float16: memory.fill(values) { HalfPrecision.float16Bits($0) }
      case .bfloat16: memory.fill(values) { HalfPrecision.bfloat16Bits(Float($0)) }
      case .int8: memory.fill(values) { Int8(truncatingIfNeeded: DType.int8.clamping($0)) }
      case .int16: memory.fill(values) { Int16(truncatingIfNeeded: DType.int16.clamping($0)) }
      case .int32: memory.fill(values) { Int32(truncatingIfNeeded: DType.int32.clamping($0)) }
      case .int64: memory.fill(values) { DType.int64.clamping($0) }
      case .uint8: memory.fill(values) { UInt8(truncatingIfNeeded: DType.uint8.clamping($0)) }
      case .bool: memory.fill(values) { $0 != 0 ? UInt8(1) : 0 }
      case .string: break
      }
    }
  }

  /// A tensor of an integer dtype or `bool` from 64-bit integers; values wrap to the dtype's width.
  public convenience init(integers values: [Int64], dtype: DType, shape: Shape) throws {
    guard values.count == checkedProduct(shape) else {
      throw KilnError(.badInput, "\(values.count) values do not fill the shape \(shape.shapeText)")
    }
    if dtype.isFloat {
      try self.init(converting: values.map(Double.init), to: dtype, shape: shape)
      return
    }
    try self.init(dtype: dtype, shape: shape) { memory in
      switch dtype {
      case .int8: memory.fill(values) { Int8(truncatingIfNeeded: $0) }
      case .int16: memory.fill(values) { Int16(truncatingIfNeeded: $0) }
      case .int32: memory.fill(values) { Int32(truncatingIfNeeded: $0) }
      case .int64: memory.fill(values) { $0 }
      case .uint8: memory.fill(values) { UInt8(truncatingIfNeeded: $0) }
      default: memory.fill(values) { $0 != 0 ? UInt8(1) : 0 }
      }
    }
  }

  /// Every element as a Double (exact but for int64 beyond 2^53). Strings give NaN.
  public var doubles: [Double] {
    switch dtype {
    case .float32: elements(Float.self) { Double($0) }
    case .float64: elements(Double.self) { $0 }
    case .float16: elements(UInt16.self) { HalfPrecision.double(float16Bits: $0) }
    case .bfloat16: elements(UInt16.self) { Double(HalfPrecision.float(bfloat16Bits: $0)) }
    case .string: [Double](repeating: .nan, count: count)
    default: integers.map(Double.init)
    }
  }

  /// Every element of an integer or bool tensor; floats are truncated and clamped.
  public var integers: [Int64] {
    switch dtype {
    case .int8: elements(Int8.self) { Int64($0) }
    case .int16: elements(Int16.self) { Int64($0) }
    case .int32: elements(Int32.self) { Int64($0) }
    case .int64: elements(Int64.self) { $0 }
    case .uint8: elements(UInt8.self) { Int64($0) }
    case .bool: elements(UInt8.self) { $0 != 0 ? 1 : 0 }
    case .string: [Int64](repeating: 0, count: count)
    default: doubles.map { DType.int64.clamping($0) }
    }
  }

  /// Every element as a Float.
  public var floats: [Float] {
    dtype == .float32 ? elements(Float.self) { $0 } : doubles.map { Float($0) }
  }

  /// The same values under another numeric dtype.
  public func converted(to target: DType) throws -> Tensor {
    if target == dtype { return self }
    guard target != .string, dtype != .string else {
      throw KilnError(.badInput, "\(dtype.name) cannot be converted to \(target.name)")
    }
    if !dtype.isFloat && !target.isFloat { return try Tensor(integers: integers, dtype: target, shape: shape) }
    return try Tensor(converting: doubles, to: target, shape: shape)
  }

  private func elements<Element, Result>(_: Element.Type, _ transform: (Element) -> Result) -> [Result] {
    let memory = bytes
    return (0..<count).map {
      transform(memory.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self))
    }
  }
}

extension DType {
  /// A Double truncated toward zero and clamped to this integer dtype; NaN gives 0.
  package func clamping(_ value: Double) -> Int64 {
    guard let range = integerRange, !value.isNaN else { return 0 }
    if value <= Double(range.lowerBound) { return range.lowerBound }
    if value >= Double(range.upperBound) { return range.upperBound }
    return Int64(value)
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func fill<Source, Element>(_ values: [Source], _ transform: (Source) -> Element) {
    for (index, value) in values.enumerated() {
      storeBytes(of: transform(value), toByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
    }
  }
}

extension Tensor: Equatable {
  /// Equal dtype, shape and bits.
  public static func == (left: Tensor, right: Tensor) -> Bool {
    left === right
      || (left.dtype == right.dtype && left.shape == right.shape && left.strings == right.strings
        && (left.dtype == .string || left.hasSameBits(as: right)))
  }
}
