import GraphModule

/// What falls with every firing, so that the optimizer ends: compared part by part, in this order.
///
/// 1. The positions that convolutions compute, a length that is not known taken for 1000.
/// 2. The weight of the ops that compute.
/// 3. For poolings with strides, how many computing ops stand above each at most, added up.
/// 4. The channels of poolings without strides.
/// 5. For the computing ops in order: how many transposes, reshapes and broadcasts stand between its operands and the
///    computing ops above. One that moves behind an op lowers that op's number and raises those of later ops only.
/// 6. The weight of the ops that only move or convert.
/// 7. For each of these, how many such ops it has above itself in a row.
struct Measure: Comparable, CustomStringConvertible {
  private var positions = 0
  private var computing = 0
  private var strided = 0
  private var unstrided = 0
  private var marks: [Int] = []
  private var moving = 0
  private var depths = 0

  init(_ workspace: Workspace) {
    var depthOf: [ValueID: Int] = [:]
    var transposesAbove: [ValueID: Int] = [:]
    var computingAbove: [ValueID: Int] = [:]
    var slot = workspace.first
    while slot >= 0 {
      let node = workspace.node(slot)
      slot = workspace.slots[slot].next
      let most = node.inputs.map { computingAbove[$0] ?? 0 }.max() ?? 0
      for output in node.outputs { computingAbove[output] = Measure.movingWeight(node.op) == nil ? most + 1 : most }
      if let pool = node.op as? Pool {
        if pool.strides.contains(where: { $0 > 1 }) { strided += most } else {
          unstrided += workspace.type(of: node.outputs[0]).dims.last?.fixed ?? 0
        }
      }
      if let weight = Measure.movingWeight(node.op) {
        moving += weight
        let depth = 1 + (node.inputs.first.flatMap { depthOf[$0] } ?? 0)
        depths += depth
        let above = (node.inputs.first.flatMap { transposesAbove[$0] } ?? 0) + (node.op is Cast ? 0 : 1)
        for output in node.outputs {
          depthOf[output] = depth
          transposesAbove[output] = above
        }
      } else {
        if node.op is Conv { positions += Measure.positions(workspace.type(of: node.outputs[0])) }
        computing += Measure.weight(node.op)
        marks.append(node.inputs.reduce(0) { $0 + (transposesAbove[$1] ?? 0) })
        if node.op is BroadcastTo { for output in node.outputs { transposesAbove[output] = 1 } }
      }
    }
  }

  private static func positions(_ type: TensorType) -> Int {
    // Dims saturate.
    let product = type.dims.dropFirst().dropLast().reduce(Dim(1), *)
    return product.substituting(Dictionary(uniqueKeysWithValues: product.symbols.map { ($0, 1000) })).fixed ?? 1
  }

  private static func movingWeight(_ op: any OpDefinition) -> Int? {
    switch op {
    case is Transpose: 2
    case is Reshape, is Cast: 1
    default: nil
    }
  }

  static func weight(_ op: any OpDefinition) -> Int {
    switch op {
    case let op as Elementwise:
      switch op.function {
      case .identity: 1
      case .neg, .square, .reciprocal, .relu: 3
      case .sub, .generalRelu: 5
      case .div: 6
      case .pow: 8
      default: 4
      }
    case is ElementwiseChain: 2
    case is BatchNorm: 10
    default: 4
    }
  }

  static func < (left: Measure, right: Measure) -> Bool {
    if left.positions != right.positions { return left.positions < right.positions }
    if left.computing != right.computing { return left.computing < right.computing }
    if left.strided != right.strided { return left.strided < right.strided }
    if left.unstrided != right.unstrided { return left.unstrided < right.unstrided }
    if left.marks != right.marks {
      for (a, b) in zip(left.marks, right.marks) where a != b { return a < b }
      return left.marks.count < right.marks.count
    }
    return (left.moving, left.depths) < (right.moving, right.depths)
  }

  var description: String {
    "(\(positions), \(computing), \(strided), \(unstrided), \(marks.map(String.init).joined()), \(moving), \(depths))"
  }
}
