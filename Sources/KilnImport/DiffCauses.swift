import GraphModule
import TensorModule

/// What may be the cause that two nodes with the same operands give different results.
struct DiffCauses {
  private let left: DiffTrace
  private let right: DiffTrace
  private(set) var list: [ModelDiff.Cause] = []

  init(_ left: DiffTrace, _ right: DiffTrace, _ first: Node?, _ second: Node?) {
    (self.left, self.right) = (left, right)
    guard let first, let second else { return }
    if DiffAlignment.title(first.op) == DiffAlignment.title(second.op) {
      compareWeights(first, second)
      compareAttributes(first.op, second.op)
    } else {
      compareKinds(first, second)
    }
    if list.isEmpty, let x = first.outputs.first, let y = second.outputs.first, left.hasSameNumbers(x, right, y) {
      add("layout", "both have the same numbers in another order")
    }
  }

  private mutating func add(_ kind: String, _ text: String) { list.append(ModelDiff.Cause(kind: kind, text: text)) }

  // MARK: Nodes of different kinds

  private mutating func compareKinds(_ first: Node, _ second: Node) {
    let names = ["the first model", "the second model"]
    for (index, (node, other)) in [(first, second), (second, first)].enumerated() {
      if let activation = DiffCauses.activation(node.op), DiffCauses.activation(other.op) == nil {
        return add("missing-activation", "\(names[index]) has \(activation) here, \(names[1 - index]) does not")
      }
      if node.op is Pad { return add("padding", "\(names[index]) pads here, \(names[1 - index]) does not, or pads in '\(other.op.opName)'") }
    }
    if let a = DiffCauses.activation(first.op), let b = DiffCauses.activation(second.op) {
      return add("activation", "the first model has \(a), the second \(b)")
    }
    let moves = [first.op, second.op].contains { $0 is Transpose || $0 is Reshape }
    if moves { add("layout", "one model turns or reshapes the value before '\(first.op is Transpose || first.op is Reshape ? second.op.opName : first.op.opName)'") }
  }

  /// The function, of a node that applies one to one value.
  private static func activation(_ op: any OpDefinition) -> String? {
    if op is Softmax { return "softmax" }
    guard let elementwise = op as? Elementwise, elementwise.function.arity == 1 else { return nil }
    return elementwise.function.rawValue
  }

  // MARK: Attributes

  private mutating func compareAttributes(_ first: any OpDefinition, _ second: any OpDefinition) {
    let others = Dictionary(second.attributes.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    for (name, value) in first.attributes {
      guard let other = others[name], other != value, name != "dims" else { continue }
      let kind =
        switch name {
        case "padding", "output_padding", "low", "high", "counts_padding": "padding"
        case "epsilon": "epsilon"
        case "activation", "recurrent_activation", "function", "parameters": "activation"
        case "permutation": "layout"
        case "cell": "gate-order"
        default: "attribute"
        }
      add(kind, "\(name) is \(DiffCauses.text(value)) in the first model and \(DiffCauses.text(other)) in the second")
    }
  }

  private static func text(_ value: AttributeValue) -> String {
    switch value {
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .float(let number): "\(number)"
    case .word(let text), .string(let text): KilnError.escaped(text)
    case .list(let items): "[" + items.map(text).joined(separator: ", ") + "]"
    case .dims(let dims): "<" + dims.map(\.description).joined(separator: ", ") + ">"
    case .graph: "a graph"
    }
  }

  // MARK: Weights

  private mutating func compareWeights(_ first: Node, _ second: Node) {
    for (index, (x, y)) in zip(first.inputs, second.inputs).enumerated() {
      guard let a = left.graph.constants[x], let b = right.graph.constants[y], a.dtype != .string, b.dtype != .string else { continue }
      if a.shape == b.shape, DiffCauses.isClose(a.doubles, b.doubles) { continue }
      let what = "\(KilnError.quoted(right.graph[y].name)) of the second model"
      if let cause = change(a, b, first.op, index, what) { list.append(cause) }
    }
  }

  /// How a constant of the second model comes from that of the first.
  private func change(_ a: Tensor, _ b: Tensor, _ op: any OpDefinition, _ index: Int, _ what: String) -> ModelDiff.Cause? {
    func cause(_ kind: String, _ text: String) -> ModelDiff.Cause { ModelDiff.Cause(kind: kind, text: "\(what) \(text)") }
    let wanted = b.doubles
    func gives(_ tensor: Tensor?) -> Bool { tensor.map { $0.shape == b.shape && DiffCauses.isClose($0.doubles, wanted) } ?? false }
    if op is Conv || op is ConvTranspose, index == 1, a.shape == b.shape {
      let spatial = Array(0..<a.shape.count - 2)
      if gives(reversed(a, spatial)) { return cause("kernel-flip", "is the first model's kernel with its spatial axes reversed") }
      if spatial.count == 2, gives(try? a.transposed([1, 0, 2, 3])) { return cause("transposed-weight", "is the first model's kernel with rows and columns exchanged") }
    }
    if let rnn = op as? RNN, a.shape == b.shape, let last = a.shape.last, last % rnn.cell.gates == 0 {
      for order in DiffCauses.orders(rnn.cell.gates) where gives(gates(a, order)) {
        return cause("gate-order", "has the first model's gates in the order \(order)")
      }
    }
    if a.shape.count >= 2 {
      var order = Array(a.shape.indices)
      order.swapAt(order.count - 1, order.count - 2)
      if gives(try? a.transposed(order)) { return cause("transposed-weight", "is the first model's, transposed") }
    }
    guard a.count == b.count else { return cause("weights", "is \(b.dtype.name)\(b.shape.shapeText), the first model's \(a.dtype.name)\(a.shape.shapeText)") }
    if a.shape == b.shape, a.shape.count == 2, DiffCauses.isClose(sortedRows(a), sortedRows(b)) {
      return cause("layout", "has the first model's rows in another order, as a flatten of other axes asks for")
    }
    let (numbers, others) = (a.doubles, wanted)
    if DiffCauses.isClose(numbers.sorted(), others.sorted()) { return cause("layout", "has the first model's numbers in another order") }
    let worst = zip(numbers, others).reduce(0) { max($0, abs($1.0 - $1.1)) }
    return cause("weights", "differs from the first model's by up to \(Float(worst))")
  }

  private func reversed(_ tensor: Tensor, _ axes: [Int]) -> Tensor? {
    let type = TensorType(tensor.dtype, shape: tensor.shape)
    return try? Reverse(axes: axes).reference([ReferenceTensor(tensor)], [type]).first?.tensor()
  }

  /// The blocks of the last axis in another order.
  private func gates(_ tensor: Tensor, _ order: [Int]) -> Tensor? {
    guard let last = tensor.shape.last, last > 0 else { return nil }
    let (values, units) = (tensor.doubles, last / order.count)
    var moved: [Double] = []
    moved.reserveCapacity(values.count)
    for row in stride(from: 0, to: values.count, by: last) {
      for gate in order {
        let start = row + gate * units
        moved += values[start..<start + units]
      }
    }
    return try? Tensor(converting: moved, to: tensor.dtype, shape: tensor.shape)
  }

  /// Orders of a few things but the given one.
  private static func orders(_ count: Int) -> [[Int]] {
    func all(_ count: Int) -> [[Int]] {
      if count == 0 { return [[]] }
      return all(count - 1).flatMap { shorter in (0...shorter.count).map { place in
        var longer = shorter
        longer.insert(count - 1, at: place)
        return longer
      } }
    }
    return all(count).filter { $0 != Array(0..<count) }
  }

  /// A matrix's elements with its rows in the order of their elements.
  private func sortedRows(_ tensor: Tensor) -> [Double] {
    let (values, width) = (tensor.doubles, tensor.shape[1])
    let rows = (0..<tensor.shape[0]).map { Array(values[$0 * width..<($0 + 1) * width]) }
    return rows.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 }
  }

  private static func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    guard a.count == b.count else { return false }
    let scale = a.reduce(0) { max($0, abs($1)) }
    return zip(a, b).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN || abs($0 - $1) <= 1e-5 * scale }
  }
}
