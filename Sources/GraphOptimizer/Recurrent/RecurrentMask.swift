import GraphModule
import TensorModule

/// Which samples a step leaves as they are.
struct RecurrentMask: Equatable {
  enum Source: Equatable {
    /// A sliced value of booleans, one for each sample.
    case slice(ValueID)
    /// The step is before the sample's length: iteration < lengths.
    case lengths(ValueID)
  }

  var source: Source
  /// The sample is left as it is where the source is true.
  var isNegated: Bool

  /// The mask that a condition of `select` is.
  init?(_ body: BodyReader, _ id: ValueID, slices: Set<ValueID>) {
    var id = id
    var isNegated = false
    for _ in 0..<16 {
      if slices.contains(id) {
        let type = body.graph.type(of: id)
        guard type.dtype == .bool, type.rank == 1 || type.rank == 2 && type.dims[1].fixed == 1 else { return nil }
        self.init(source: .slice(id), isNegated: isNegated)
        return
      }
      guard let node = body.node(id) else { return nil }
      switch node.op {
      case let op as Reshape:
        // Axes of length 1 come or go behind the samples.
        let (before, after) = (body.graph.type(of: node.inputs[0]).dims, op.dims)
        guard before.first == after.first, (before + after).filter({ $0.fixed != 1 && $0 != before.first }).isEmpty else { return nil }
        id = body.plain(node.inputs[0])
      case is BroadcastTo:
        let (before, after) = (body.graph.type(of: node.inputs[0]).dims, body.graph.type(of: node.outputs[0]).dims)
        guard before.count == 2, after.count == 2, before[1].fixed == 1, before[0].fixed != 1 || after[0].fixed == 1 else { return nil }
        id = body.plain(node.inputs[0])
      case let op as Elementwise where op.function == .not:
        isNegated.toggle()
        id = body.plain(node.inputs[0])
      case let op as Elementwise where [.less, .greater, .lessEqual, .greaterEqual].contains(op.function):
        guard let lengths = Self.lengths(body, node, op.function, &isNegated) else { return nil }
        self.init(source: .lengths(lengths), isNegated: isNegated)
        return
      default: return nil
      }
    }
    return nil
  }

  private init(source: Source, isNegated: Bool) {
    self.source = source
    self.isNegated = isNegated
  }

  /// The lengths that the number of the iteration is compared with.
  private static func lengths(_ body: BodyReader, _ node: Node, _ function: ScalarFunction, _ isNegated: inout Bool) -> ValueID? {
    func isIteration(_ id: ValueID) -> Bool {
      var id = body.plain(id)
      while let node = body.node(id), node.op is Cast || node.op is Reshape { id = body.plain(node.inputs[0]) }
      return id == body.graph.inputs.first
    }
    let (a, b) = (node.inputs[0], node.inputs[1])
    let lengths: ValueID
    switch function {
    case .less where isIteration(a): lengths = b
    case .greater where isIteration(b): lengths = a
    case .greaterEqual where isIteration(a):
      isNegated.toggle()
      lengths = b
    case .lessEqual where isIteration(b):
      isNegated.toggle()
      lengths = a
    default: return nil
    }
    let id = body.plain(lengths)
    let type = body.graph.type(of: id)
    guard body.graph.inputs.contains(id), type.rank == 1, type.dtype.isInteger else { return nil }
    return id
  }
}
