import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let sources = Family(
    "Constants",
    [
      Row(values: "Constant") { [try constant($0)] },
      Row(values: "Identity") { [try $0.value(0)] },
      Row(values: "ConstantOfShape", since: 9) { call in
        var (value, element) = (try Tensor(converting: [0], to: .float32, shape: [1]), ONNXDataType(.float32))
        if case .tensor(let tensor)? = call.attribute("value") { (value, element) = (try tensor.load(), tensor.type) }
        guard value.count == 1 else { throw call.wrong("its value has \(value.count) elements") }
        let scalar = call.constant(value.reshaped([]), "value")
        return [call.result(try call.filled(scalar, shape: 0), element)]
      },
      Row("Range", since: 11) { call in
        let operands = try (0..<3).map { try call.reshape(try call.x($0), []) }
        let dtype = call.type(operands[0]).dtype
        if let all = try? (0..<3).map({ try call.number($0, "a bound") }) {
          let count = Swift.max(((all[1] - all[0]) / all[2]).rounded(.up), 0)
          guard count.isFinite, count <= 0x1p22 else { throw call.wrong("its range \(all[0]), \(all[1]), \(all[2]) is too long") }
          return [try call.numbers((0..<Int(count)).map { all[0] + Double($0) * all[2] }, [Int(count)], dtype, "range")]
        }
        return [try call.add(DynamicRange(call.dataDims(0, rank: 1)[0]), operands, "range")]
      },
      Row("EyeLike", since: 9) { call in
        let type = try call.input(0).type
        guard type.rank == 2 else { throw call.wrong("takes a matrix, found \(type.message)") }
        let element = try call.element("dtype", try call.element(0))
        let (rows, columns) = (try call.fixed(type.dims[0]), try call.fixed(type.dims[1]))
        let k = try call.int("k", 0)
        guard rows * columns <= 1 << 22 else { throw call.wrong("\(type.message) is too large") }
        let values = (0..<rows).flatMap { row in (0..<columns).map { $0 - row == k ? 1.0 : 0 } }
        return [try call.numbers(values, [rows, columns], try call.dtype(element), "eye")]
      },
    ])

  private static func constant(_ call: ONNXCall) throws -> ONNXValue {
    func made(_ tensor: Tensor, _ element: ONNXDataType? = nil) -> ONNXValue {
      .tensor(.constant(tensor, call.builder, name: call.name), element ?? ONNXDataType(tensor.dtype))
    }
    if case .tensor(let tensor)? = call.attribute("value") { return made(try tensor.load(), tensor.type) }
    if case .sparse(let sparse)? = call.attribute("sparse_value") { return made(try sparse.load(), sparse.values.type) }
    if case .int(let value)? = call.attribute("value_int") { return made(try Tensor([Int64(value)], shape: [])) }
    if case .float(let value)? = call.attribute("value_float") { return made(try Tensor([value], shape: [])) }
    if case .bytes(let value)? = call.attribute("value_string") { return made(Tensor(strings: [ByteString(value)], shape: [])) }
    if case .ints(let values)? = call.attribute("value_ints") { return made(try Tensor(values.map { Int64($0) }, shape: [values.count])) }
    if case .floats(let values)? = call.attribute("value_floats") { return made(try Tensor(values, shape: [values.count])) }
    if call.has("value_strings") {
      let texts = try call.texts("value_strings")
      return made(Tensor(strings: texts, shape: [texts.count]))
    }
    throw call.wrong("has no value")
  }
}

extension ONNXCall {
  /// A length that must be a number.
  func fixed(_ dim: Dim) throws -> Int {
    guard let length = dim.fixed else {
      throw KilnError(.unsupportedModel, "the length \(dim) must be known", hint: "give the inputs' shapes with --input-shape")
    }
    // So that arithmetic on a few of them cannot overflow.
    guard (0...Int(Int32.max)).contains(length) else { throw unsupported("the length \(length)") }
    return length
  }

  /// 0, 1, 2, … as numbers; a length that a file declares does not justify more memory.
  func counting(_ count: Int) throws -> [Double] {
    guard (0...1 << 22).contains(count) else { throw unsupported("counting to \(count)") }
    return (0..<count).map(Double.init)
  }

  /// The dims of a type, all of which must be numbers.
  func fixedShape(_ type: TensorType) throws -> Shape { try type.dims.map { try fixed($0) } }

  /// A scalar in the shape that the operand at `index` holds.
  func filled(_ scalar: ValueID, shape index: Int) throws -> ValueID {
    if let dims = try dims(index) {
      guard dims.count <= maximumRank, dims.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { throw wrong("its shape is impossible: \(dims)") }
      return try broadcast(scalar, dims)
    }
    let shape = try x(index)
    guard let rank = type(shape).elementCount.fixed ?? declared(0)?.count, rank <= maximumRank else { throw unsupported("a shape of unknown rank") }
    return try add(DynamicBroadcastTo(dataDims(0, rank: rank)), [scalar, shape], "broadcast_to")
  }
}
