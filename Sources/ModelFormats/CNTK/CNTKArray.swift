import TensorModule

/// A constant array whose bytes stay in the mapped file until they are asked for.
struct CNTKArray: Sendable {
  /// CNTK's numbers of its data types.
  static func dtype(_ number: Int) -> DType? {
    switch number {
    case 1: .float32
    case 2: .float64
    case 4: .float16
    case 5: .int8
    case 6: .int16
    default: nil
    }
  }

  static func typeName(_ number: Int) -> String {
    switch number {
    case 0: "unknown"
    case 1: "float"
    case 2: "double"
    case 3: "8-bit unsigned"
    case 4: "float16"
    case 5: "int8"
    case 6: "int16"
    default: "number \(number)"
    }
  }

  let typeNumber: Int
  let shape: CNTKShape
  /// Runs of little-endian elements, or of zigzag varints.
  private let runs: [Range<Int>]
  private let isVarint: Bool
  private let file: MappedFile

  /// An array whose bytes stand alone in the file.
  init(type: Int, shape: CNTKShape, runs: [Range<Int>], isVarint: Bool = false, file: MappedFile) {
    typeNumber = type
    self.shape = shape
    self.runs = runs
    self.isVarint = isVarint
    self.file = file
  }

  /// The same values in another shape.
  func reshaped(_ shape: CNTKShape) -> CNTKArray { CNTKArray(type: typeNumber, shape: shape, runs: runs, isVarint: isVarint, file: file) }

  /// The values in NumPy's order of axes; bytes that lie right are used where they are.
  ///
  /// - Throws: `KilnError`: `badInput` when values and shape do not fit, `unsupportedModel` for a type without a dtype.
  func load() throws -> Tensor {
    guard let dtype = CNTKArray.dtype(typeNumber) else {
      throw KilnError(.unsupportedModel, "the data type \(CNTKArray.typeName(typeNumber)) is not supported")
    }
    let shape = try shape.fixed()
    if isVarint { return try integers(dtype, shape) }
    let stored = runs.reduce(0) { $0 + $1.count }
    guard let needed = checkedProduct(shape + [dtype.byteCount]), stored == needed else {
      throw KilnError(
        .badInput, "has \(stored) bytes of values, its shape \(shape.shapeText) of \(CNTKArray.typeName(typeNumber)) needs \(shape.elementCount * dtype.byteCount)")
    }
    if let run = runs.first, runs.count == 1, let base = UnsafeRawBufferPointer(rebasing: file.bytes[run]).baseAddress {
      return Tensor(dtype: dtype, shape: shape, address: base, owner: file)
    }
    return try Tensor(dtype: dtype, shape: shape) { memory in
      var offset = 0
      for run in runs {
        guard run.count <= memory.count - offset else { break }
        UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + run.count]).copyMemory(from: UnsafeRawBufferPointer(rebasing: file.bytes[run]))
        offset += run.count
      }
    }
  }

  private func integers(_ dtype: DType, _ shape: Shape) throws -> Tensor {
    guard dtype.isInteger else { throw KilnError(.unsupportedModel, "values of \(CNTKArray.typeName(typeNumber)) as integers are not supported") }
    var values: [Int64] = []
    let needed = shape.elementCount
    for run in runs {
      var reader = WireReader(file.bytes, run)
      while !reader.isAtEnd {
        guard values.count < needed else { throw KilnError(.badInput, "has more values than its shape \(shape.shapeText)") }
        let raw = try reader.varint()
        values.append(Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1))
      }
    }
    guard values.count == needed else {
      throw KilnError(.badInput, "has \(values.count) values, its shape \(shape.shapeText) needs \(needed)")
    }
    let limit: Int64 = dtype == .int8 ? 128 : 32768
    guard values.allSatisfy({ -limit <= $0 && $0 < limit }) else {
      throw KilnError(.badInput, "has a value that \(CNTKArray.typeName(typeNumber)) cannot hold")
    }
    return try Tensor(integers: values, dtype: dtype, shape: shape)
  }
}
