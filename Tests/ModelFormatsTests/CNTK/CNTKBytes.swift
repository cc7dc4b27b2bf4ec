/// Writes CNTK's dictionaries and computation networks byte by byte, wrong ones too.
enum CNTKBytes {
  typealias G = GraphBytes

  indirect enum Value {
    case bool(Bool)
    case int(Int)
    case size(UInt64)
    case double(Double)
    case text(String)
    case shape([UInt64])
    case axis(Int, String, Bool)
    case list([Value])
    case dictionary([(String, Value)])
    case array(type: UInt64, dims: [UInt64], floats: [Float])
    case raw([UInt8])
  }

  static func packed(_ values: [UInt64]) -> [UInt8] { G.field(1, values.flatMap { G.varint($0) }) }
  static func bytes(_ values: [Float]) -> [UInt8] { values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } } }

  static func value(_ value: Value) -> [UInt8] {
    switch value {
    case .bool(let flag): G.field(2, int: 1) + G.field(3, int: flag ? 1 : 0)
    case .int(let number): G.field(2, int: 2) + G.field(4, int: UInt64(bitPattern: Int64(number)))
    case .size(let number): G.field(2, int: 3) + G.field(5, int: number)
    case .double(let number): G.field(2, int: 5) + G.varint(7 << 3 | 1) + withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) }
    case .text(let text): G.field(2, int: 6) + G.field(8, text)
    case .shape(let dims): G.field(2, int: 7) + G.field(9, packed(dims))
    case .axis(let index, let name, let isOrdered):
      G.field(2, int: 8) + G.field(10, G.field(1, int: UInt64(bitPattern: Int64(index))) + G.field(2, name) + G.field(3, int: isOrdered ? 1 : 0))
    case .list(let items): G.field(2, int: 9) + G.field(11, items.flatMap { G.field(1, self.value($0)) })
    case .dictionary(let entries): G.field(2, int: 10) + G.field(12, dictionary(entries))
    case .array(let type, let dims, let floats):
      G.field(2, int: 11) + G.field(13, G.field(1, int: type) + G.field(3, packed(dims)) + G.field(4, G.field(1, bytes(floats))))
    case .raw(let bytes): bytes
    }
  }

  static func dictionary(_ entries: [(String, Value)]) -> [UInt8] {
    G.field(1, int: 2) + entries.flatMap { G.field(2, G.field(1, $0.0) + G.field(2, value($0.1))) }
  }

  static let batch = Value.axis(Int(Int32.max), "defaultBatchAxis", false)
  static let sequence = Value.axis(Int(Int32.max), "defaultDynamicAxis", true)

  static func variable(
    _ uid: String, kind: UInt64, dims: [UInt64] = [2], type: UInt64 = 1, axes: [Value] = [batch], value: Value? = nil
  ) -> Value {
    .dictionary(
      [
        ("type", .text("Variable")), ("version", .size(1)), ("uid", .text(uid)), ("kind", .size(kind)), ("data_type", .size(type)), ("dynamic_axis", .list(axes)),
        ("is_sparse", .bool(false)), ("name", .text(uid)), ("needs_gradient", .bool(false)), ("shape", .shape(dims)),
      ] + (value.map { [("value", $0)] } ?? []))
  }

  static func function(_ uid: String, _ op: UInt64, _ inputs: [String], _ attributes: [(String, Value)] = [], more: [(String, Value)] = []) -> Value {
    .dictionary(
      [
        ("type", .text("PrimitiveFunction")), ("version", .size(24)), ("uid", .text(uid)), ("op", .size(op)), ("attributes", .dictionary(attributes)),
        ("inputs", .list(inputs.map { .text($0) })),
      ] + more)
  }

  static func block(_ uid: String, _ inputs: [String], root: String, _ arguments: [(String, String)]) -> Value {
    function(
      uid, 57, inputs,
      more: [
        ("block_function_op_name", .text("Block")), ("block_function_composite", .dictionary([("type", .text("CompositeFunction")), ("version", .size(3)), ("uid", .text("c\(uid)")), ("root", .text(root))])),
        ("block_function_composite_arguments_map_keys", .list(arguments.map { .text($0.0) })), ("block_function_composite_arguments_map_values", .list(arguments.map { .text($0.1) })),
      ])
  }

  static func model(_ functions: [Value], root: String, inputs: [Value] = [variable("x", kind: 0)], version: UInt64 = 3, type: String = "CompositeFunction") -> [UInt8] {
    dictionary([
      ("type", .text(type)), ("version", .size(version)), ("uid", .text("model")), ("name", .text("")), ("root", .text(root)), ("inputs", .list(inputs)),
      ("primitive_functions", .list(functions)),
    ])
  }

  // MARK: Computation networks

  static func text(_ text: String) -> [UInt8] { (text + "\0").utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] } }
  static func int(_ value: Int32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  static func long(_ value: Int64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  static func shape(_ dims: [Int32]) -> [UInt8] { int(Int32(dims.count)) + dims.flatMap { int($0) } }

  static func node(_ op: String, _ name: String, _ payload: [UInt8] = [], element: String = "float") -> [UInt8] { text(element) + text(op) + text(name) + payload }
  static func input(_ name: String, _ dims: [Int32] = [2], axis: String = "__noSequenceAxis") -> [UInt8] {
    node("InputValue", name, long(0) + long(0) + shape(dims) + int(1) + text(axis) + bytes([0]))
  }

  static func matrix(_ rows: Int64, _ columns: Int64, _ values: [Float], kind: UInt8 = UInt8(ascii: "d"), size: Int64 = 4) -> [UInt8] {
    [kind] + text("BMAT") + long(size) + text("unnamed") + int(0) + long(rows) + long(columns) + bytes(values) + text("EMAT")
  }

  static func parameter(_ name: String, _ dims: [Int32], _ matrix: [UInt8]) -> [UInt8] { node("LearnableParameter", name, bytes([1]) + shape(dims) + matrix) }

  static func network(
    _ nodes: [[UInt8]], _ relations: [(String, [String])], outputs: [String] = ["y"], version: Int64 = 31, count: Int64? = nil
  ) -> [UInt8] {
    var out = text("BCN") + text("BVersion") + long(version) + text("EVersion") + long(count ?? Int64(nodes.count)) + text("BNodeList")
    out += nodes.flatMap { $0 } + text("ENodeList") + text("BRelation")
    for (name, inputs) in relations { out += text(name) + long(Int64(inputs.count)) + inputs.flatMap { text($0) } }
    out += text("ERelation") + text("BRootNodes") + text("BOutputNodes") + long(Int64(outputs.count)) + outputs.flatMap { text($0) } + text("EOutputNodes")
    return out + text("ERootNodes") + text("ECN")
  }
}
