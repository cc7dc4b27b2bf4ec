/// Writes ONNX models byte by byte, wrong ones too.
enum ONNXBytes {
  typealias G = GraphBytes

  static func attribute(_ name: String, int value: Int) -> [UInt8] {
    G.field(5, G.field(1, name) + G.field(3, int: UInt64(bitPattern: Int64(value))) + G.field(20, int: 2))
  }

  static func attribute(_ name: String, ints values: [Int]) -> [UInt8] {
    G.field(5, G.field(1, name) + values.flatMap { G.field(8, int: UInt64(bitPattern: Int64($0))) } + G.field(20, int: 7))
  }

  static func attribute(_ name: String, text: String) -> [UInt8] { G.field(5, G.field(1, name) + G.field(4, text) + G.field(20, int: 3)) }
  static func attribute(_ name: String, graph: [UInt8]) -> [UInt8] { G.field(5, G.field(1, name) + G.field(6, graph) + G.field(20, int: 5)) }

  /// A node's fields.
  static func plainNode(_ op: String, _ inputs: [String], _ outputs: [String], _ attributes: [UInt8] = [], domain: String = "") -> [UInt8] {
    inputs.flatMap { G.field(1, $0) } + outputs.flatMap { G.field(2, $0) } + G.field(4, op) + attributes + (domain.isEmpty ? [] : G.field(7, domain))
  }

  static func node(_ op: String, _ inputs: [String], _ outputs: [String], _ attributes: [UInt8] = [], domain: String = "") -> [UInt8] {
    G.field(1, plainNode(op, inputs, outputs, attributes, domain: domain))
  }

  /// A dim that is no number is a name.
  static func type(_ element: Int, _ dims: [Any]) -> [UInt8] {
    let shape = dims.flatMap { dim in G.field(1, (dim as? Int).map { G.field(1, int: UInt64(bitPattern: Int64($0))) } ?? G.field(2, dim as? String ?? "")) }
    return G.field(1, G.field(1, int: UInt64(element)) + G.field(2, shape))
  }

  static func info(_ name: String, _ element: Int = 1, _ dims: [Any] = []) -> [UInt8] { G.field(1, name) + G.field(2, type(element, dims)) }
  static func input(_ name: String, _ element: Int = 1, _ dims: [Any] = [2, 3]) -> [UInt8] { G.field(11, info(name, element, dims)) }
  static func output(_ name: String, _ element: Int = 1, _ dims: [Any] = [2, 3]) -> [UInt8] { G.field(12, info(name, element, dims)) }

  /// A tensor's fields.
  static func tensor(_ name: String, _ element: Int, _ dims: [Int], _ data: [UInt8]) -> [UInt8] {
    dims.flatMap { G.field(1, int: UInt64(bitPattern: Int64($0))) } + G.field(2, int: UInt64(element)) + G.field(8, name) + data
  }

  static func raw(_ bytes: [UInt8]) -> [UInt8] { G.field(9, bytes) }
  static func floats(_ values: [Float]) -> [UInt8] { raw(values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }) }
  static func integers(_ values: [Int64]) -> [UInt8] { raw(values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }) }

  static func initializer(_ name: String, _ element: Int, _ dims: [Int], _ data: [UInt8]) -> [UInt8] {
    G.field(5, tensor(name, element, dims, data))
  }

  /// Of floats.
  static func initializer(_ name: String, _ dims: [Int], _ data: [UInt8]) -> [UInt8] { initializer(name, 1, dims, data) }

  /// A whole file.
  static func model(_ graph: [UInt8], opset: Int = 17, domains: [(String, Int)] = [], functions: [[UInt8]] = [], ir: Int = 8) -> [UInt8] {
    var out = G.field(1, int: UInt64(ir)) + G.field(2, "test") + G.field(7, graph) + G.field(8, G.field(2, int: UInt64(opset)))
    for (domain, version) in domains { out += G.field(8, G.field(1, domain) + G.field(2, int: UInt64(version))) }
    for function in functions { out += G.field(25, function) }
    return out
  }
}
