import Kiln

/// Samples that stand a line each: texts, or JSON values.
enum TextLines {
  /// The lines without their ends; a last empty one is none.
  static func split(_ bytes: UnsafeRawBufferPointer) -> [ArraySlice<UInt8>] {
    var lines = Array(bytes).split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { $0.last == 0x0D ? $0.dropLast() : $0 }
  }

  /// Texts as the samples of an input: [n], or [n, 1] where the input has one element a sample.
  static func tensor(_ texts: [ByteString], for input: TensorDescription) throws -> Tensor {
    Tensor(strings: texts, shape: try shape(texts.count, input))
  }

  private static func shape(_ count: Int, _ input: TensorDescription) throws -> Shape {
    guard input.dtype == .string else {
      throw KilnError(.usage, "input \(KilnError.quoted(input.name)) takes \(input.typeText), not text")
    }
    guard input.sampleCount == 1 || input.dims.isEmpty && count == 1 else {
      throw KilnError(.usage, "input \(KilnError.quoted(input.name)) takes \(input.typeText): more than one text a sample")
    }
    return input.dims.isEmpty ? [] : [count] + input.dims.dropFirst().map { _ in 1 }
  }

  /// The inputs of JSON lines: an object by input name each, or each the value of the only input.
  ///
  /// - Throws: `KilnError` (`badInput`) with the line.
  static func arrays(_ bytes: UnsafeRawBufferPointer, only: () throws -> TensorDescription, named: (String) throws -> TensorDescription) throws -> [(
    String, Tensor
  )] {
    var values: [String: [JSON]] = [:]
    var order: [String] = []
    for (index, line) in split(bytes).enumerated() where !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) {
      do {
        let value = try Array(line).withUnsafeBytes { try JSON.parse($0, limits: JSON.Limits(depth: 32, values: 64 << 20, bytes: 1 << 30)) }
        var entries = [(try? only().name, value)]
        if case .object(let object) = value, object["b64"] == nil { entries = object.entries.map { ($0.key, $0.value) } }
        for (name, value) in entries {
          let name = try name ?? only().name
          if values[name] == nil { order.append(name) }
          values[name, default: []].append(value)
        }
      } catch let error as KilnError { throw error.inside("line \(index + 1)") }
    }
    return try order.map { name in
      let input = try named(name)
      var tensor = try JSONTensor.tensor(.array(values[name] ?? []), for: input)
      // A bare value is a sample of one element.
      if tensor.shape.count == 1, input.dims.count == 2, input.dims[1] == 1 { tensor = tensor.reshaped(tensor.shape + [1]) }
      return (name, try input.adopt(tensor))
    }
  }
}
