import TensorModule

/// Parts of strings, as in `tf.strings.substr`.
package struct StringSlice: OpDefinition {
  package static let name = "substr"
  package static let summary =
    "the part of each text of x from start, a negative one counted from the end, of at most length bytes or characters; start and length are integers that broadcast with x"

  package var unit: StringUnit

  package init(_ unit: StringUnit = .bytes) { self.unit = unit }

  package var attributes: Attributes { [("unit", .word(unit.rawValue))] }

  package init(from reader: inout AttributeReader) throws { unit = try reader.choice("unit") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...3, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    for (index, what) in [(1, "start"), (2, "length")] {
      try Expect.that(inputs[index].dtype.isInteger, Self.name, "\(what) must be integers, found \(inputs[index].message)")
    }
    let dims = try Broadcast.dims(inputs[0].dims, try Broadcast.dims(inputs[1].dims, inputs[2].dims, Self.name), Self.name)
    return [TensorType(.string, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let texts = inputs[0].broadcast(to: shape).texts
    let starts = inputs[1].broadcast(to: shape).integers
    let lengths = inputs[2].broadcast(to: shape).integers
    let out = try texts.indices.map { index in
      let bytes = texts[index].bytes
      let marks = unit == .bytes ? nil : UTF8Text.starts(bytes)
      let count = Int64(marks.map { $0.count - 1 } ?? bytes.count)
      let start = starts[index] < 0 ? starts[index] &+ count : starts[index]
      guard (0...count).contains(start) else {
        throw KilnError(.badInput, "op '\(Self.name)': start \(starts[index]) is outside \(texts[index].quoted)")
      }
      let end = start + min(max(lengths[index], 0), count - start)
      let range = marks.map { $0[Int(start)]..<$0[Int(end)] } ?? Int(start)..<Int(end)
      return ByteString(Array(bytes[range]))
    }
    return [ReferenceTensor(.string, shape, .strings(out))]
  }

  package static var examples: [OpExample] {
    let x = TensorType(.string, [4])
    let i = TensorType(.int32, [])
    return [
      OpExample(StringSlice(), [x, i, i], fixed: [1: [0], 2: [2]]),
      OpExample(StringSlice(.characters), [x, i, TensorType(.int64, [2, 1])], fixed: [1: [0], 2: [1, 100]]),
      OpExample(StringSlice(), [x, i, i], fixed: [1: [0], 2: [-1]]),
      OpExample(StringSlice(), [TensorType(.string, [0]), i, i], fixed: [1: [0], 2: [2]]),
    ]
  }
}
