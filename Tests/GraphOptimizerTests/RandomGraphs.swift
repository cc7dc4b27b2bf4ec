import GraphModule
import GraphOptimizer
import TensorModule

/// Random whole graphs: layers as importers make them, with residual connections, and pieces that rules look for.
struct RandomGraph {
  private var w: WitnessBuilder
  private var values: [ValueID] = []

  static func make(_ seed: UInt64) throws -> Graph {
    var maker = RandomGraph(w: WitnessBuilder(graph: Graph(name: "random"), random: SeededRandom(seed &* 77 &+ 5)))
    maker.values.append(try maker.w.input([2, 5, 4, 6]))
    if maker.w.size(0...1) == 0 { maker.values.append(try maker.w.input([2, 5, 4, 6])) }
    for _ in 0..<maker.w.size(3...14) { try maker.grow() }
    for (index, value) in maker.values.suffix(2).enumerated() {
      maker.w.graph.outputs.append(Graph.Output(name: "y\(index)", value: value))
    }
    if let extra = maker.w.graph.nodes.randomElement(using: &maker.w.random) {
      maker.w.graph.outputs.append(Graph.Output(name: "extra", value: extra.outputs[0]))
    }
    return maker.w.graph
  }

  private mutating func pick() -> ValueID {
    // Mostly the newest, so that graphs are deep.
    w.size(0...2) > 0 ? values[values.count - 1] : values[w.size(0...(values.count - 1))]
  }

  private func dims(_ id: ValueID) -> [Dim] { w.graph.type(of: id).dims }
  private func channels(_ id: ValueID) -> Int { dims(id).last?.fixed ?? 1 }

  private mutating func small(_ shape: Shape) throws -> ValueID {
    let scale = 1 / Double(max(shape.dropLast().elementCount, 1)).squareRoot()
    let random = (0..<shape.elementCount).map { _ in w.random.normal() * scale }
    return try w.constant(random, shape)
  }

  private mutating func grow() throws {
    let x = pick()
    let c = channels(x)
    let rank = dims(x).count
    switch w.size(0...21) {
    case 0...1 where rank == 4:
      let out = w.size(0...1) == 0 ? c : w.size(1...6)
      let k = try small([3, 3, c, out])
      values.append(try w.add(Conv(strides: [1, 1], padding: .same), x, k))
    case 2 where rank == 4:
      values.append(try w.add(Conv(strides: [1, 1], padding: .same, groups: c), x, try small([3, 3, 1, c])))
    case 3 where rank == 4:
      let padded = try w.add(Pad(.constant, low: [0, 1, 1, 0], high: [0, 1, 1, 0]), x)
      values.append(
        w.size(0...1) == 0
          ? try w.add(Conv(strides: [1, 1]), padded, try small([3, 3, c, 4]))
          : try w.add(Pool(.max, window: [3, 3], strides: [1, 1]), padded))
    case 4 where rank == 4:
      // Channels-first, as importers wrap it.
      let first = try w.add(Transpose([0, 3, 1, 2]), x)
      let inner = try w.add([.relu, .tanh, .sigmoid][w.size(0...2)], first)
      values.append(try w.add(Transpose([0, 2, 3, 1]), try w.add(.mul, inner, try small([c, 1, 1]))))
    case 5 where rank == 4:
      values.append(try w.add(Pool(.average, window: [2, 2], strides: [1, 1], padding: .same), x))
    case 6 where rank == 4:
      let mean = try w.add(Reduce(.mean, axes: [1, 2], keepDims: true), x)
      let gate = try w.add(.sigmoid, try w.add(MatMul(), mean, try small([c, c])))
      values.append(try w.add(.mul, x, gate))
    case 7: values.append(try w.add(MatMul(), x, try small([c, w.size(1...6)])))
    case 8:
      let op = BatchNorm(epsilon: 1e-3, scale: true, offset: true)
      let parameters = [try w.weights([c]), try w.weights([c]), try w.weights([c]), try w.weights([c], positive: true)]
      values.append(try w.addMany(op, [x] + parameters)[0])
    case 9...10:
      let f = [ScalarFunction.relu, .tanh, .sigmoid, .abs, .neg, .softplus, .silu, .identity, .square][w.size(0...8)]
      values.append(try w.add(f, f == .square ? try w.add(.tanh, x) : x))
    case 11: values.append(try w.add(.add, x, w.size(0...1) == 0 ? try small([c]) : try w.scalar(0.25)))
    case 12: values.append(try w.add(.mul, x, w.size(0...1) == 0 ? try w.weights([c]) : try w.scalar(0.5)))
    case 13: values.append(try w.add(.div, try w.add(.sub, x, try w.scalar(1)), try w.scalar(3)))
    case 14...15:
      let alike = values.filter { dims($0) == dims(x) }
      values.append(try w.add([.add, .add, .sub, .max][w.size(0...3)], x, alike[w.size(0...(alike.count - 1))]))
    case 16: values.append(try w.add(.mul, x, try w.add(.sigmoid, x)))
    case 17:
      let mean = try w.add(Reduce(.mean, axes: [rank - 1], keepDims: true), x)
      let centred = try w.add(.sub, x, mean)
      let variance = try w.add(Reduce(.mean, axes: [rank - 1], keepDims: true), try w.add(.square, centred))
      let y = try w.add(.div, centred, try w.add(.sqrt, try w.add(.add, variance, try w.scalar(1e-1))))
      values.append(try w.add(.add, try w.add(.mul, y, try w.weights([c])), try w.weights([c])))
    case 18: values.append(try w.add(Concat(axis: rank - 1), x, try w.add(Concat(axis: rank - 1), x, try w.add(.tanh, x))))
    case 19: values.append(try w.add(Cast(.float32), try w.add(Cast(.float64), x)))
    case 20:
      let flat = dims(x).dropFirst().reduce(Dim(1), *)
      values.append(try w.add(Reshape(dims(x)), try w.add(Reshape([dims(x)[0], flat]), x)))
    default: values.append(try w.add(Softmax(axis: -1), x))
    }
  }
}
