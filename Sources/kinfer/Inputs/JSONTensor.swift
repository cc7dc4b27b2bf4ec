import Kiln

/// Nested JSON lists as a tensor. A string that is not text is `{"b64": "..."}`, as in TensorFlow Serving.
enum JSONTensor {
  /// - Throws: `KilnError` (`badInput`) for lists of unequal length or values that are not numbers (strings for a string input).
  static func tensor(_ value: JSON, for input: TensorDescription) throws -> Tensor {
    var shape: Shape = []
    var level = value
    while case .array(let values) = level {
      guard shape.count < maximumRank else { throw KilnError(.badInput, "lists are nested deeper than rank \(maximumRank)") }
      shape.append(values.count)
      guard let first = values.first else { break }
      level = first
    }
    if input.dtype == .string {
      var strings: [ByteString] = []
      try collect(value, shape[...]) { leaf in
        strings.append(try string(leaf))
      }
      return Tensor(strings: strings, shape: shape)
    }
    if input.dtype.isFloat {
      var numbers: [Double] = []
      try collect(value, shape[...]) { leaf in
        guard let number = leaf.doubleValue ?? leaf.boolValue.map({ $0 ? 1 : 0 }) else {
          throw KilnError(.badInput, "expected a number, found \(leaf.kind)")
        }
        numbers.append(number)
      }
      return try Tensor(converting: numbers, to: input.dtype, shape: shape)
    }
    var numbers: [Int64] = []
    try collect(value, shape[...]) { leaf in
      guard let number = leaf.intValue ?? leaf.boolValue.map({ $0 ? 1 : 0 }) else {
        throw KilnError(.badInput, "expected an integer, found \(leaf.text())")
      }
      numbers.append(Int64(number))
    }
    return try Tensor(integers: numbers, dtype: .int64, shape: shape)
  }

  private static func string(_ leaf: JSON) throws -> ByteString {
    if let text = leaf.stringValue { return ByteString(text) }
    guard case .object(let object) = leaf, object.entries.count == 1, let text = object["b64"]?.stringValue else {
      throw KilnError(.badInput, "expected a string, found \(leaf.kind)")
    }
    guard let bytes = Base64.decode(text) else { throw KilnError(.badInput, "b64 is not Base64") }
    return ByteString(bytes)
  }

  private static func collect(_ value: JSON, _ shape: ArraySlice<Int>, _ leaf: (JSON) throws -> Void) throws {
    guard let length = shape.first else {
      if case .array = value { throw KilnError(.badInput, "lists are not equally deep") }
      return try leaf(value)
    }
    guard case .array(let values) = value, values.count == length else {
      throw KilnError(.badInput, "lists are not equally long: expected \(length) elements, found \(value.arrayValue?.count ?? 0)")
    }
    for item in values { try collect(item, shape.dropFirst(), leaf) }
  }
}
