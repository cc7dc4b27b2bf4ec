import GraphModule
import TensorModule
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension TestRandom {
  package mutating func uniform(_ range: ClosedRange<Double> = 0...1) -> Double { Double.random(in: range, using: &self) }

  package mutating func normal() -> Double {
    (-2 * log(1 - uniform(0...0.999999))).squareRoot() * cos(2 * Double.pi * uniform())
  }

  package mutating func tensor(
    _ type: TensorType, range: ClosedRange<Double>? = nil, fixed: [Double]? = nil, texts: [ByteString]? = nil
  ) throws -> Tensor {
    let shape = type.shape ?? []
    if let texts { return Tensor(strings: texts, shape: shape) }
    if type.dtype == .string {
      return Tensor(strings: (0..<shape.elementCount).map { _ in "s\(Int.random(in: 0..<9, using: &self))" }, shape: shape)
    }
    let values = (0..<shape.elementCount).map { index -> Double in
      if let fixed { return fixed[index] }
      if type.dtype == .bool { return uniform() < 0.5 ? 1 : 0 }
      let value = range.map { uniform($0) } ?? (type.dtype.isFloat ? normal() : uniform((type.dtype == .uint8 ? 0 : -9)...9))
      return type.dtype.isFloat ? value : value.rounded(.towardZero)
    }
    return try Tensor(converting: values, to: type.dtype, shape: shape)
  }
}

/// One node as a graph: operands in `constants` become constants, the rest inputs.
package func graph(of example: OpExample, _ tensors: [Tensor], constants: Set<Int>) throws -> (graph: Graph, feed: [Tensor]) {
  var graph = Graph(name: "example")
  var operands: [ValueID] = []
  var feed: [Tensor] = []
  for (index, tensor) in tensors.enumerated() {
    if constants.contains(index) { operands.append(graph.addConstant("c\(index)", tensor)) } else {
      operands.append(try graph.addInput("x\(index)", TensorType(tensor.dtype, shape: tensor.shape)))
      feed.append(tensor)
    }
  }
  let results = try graph.add(example.op, operands, name: "y")
  graph.outputs = results.enumerated().map { Graph.Output(name: "y\($0)", value: $1) }
  return (graph, feed)
}
