import GPURuntime
import GraphModule
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The OpenCL device that tests run on: the first one. There is none where no driver is installed.
enum TestDevice {
  static let device: GPUDevice? = {
    let found = (try? GPUDevice.all())?.first { $0.hasCompiler && $0.isAvailable }
    if found == nil { print("NO OPENCL DEVICE ON THIS MACHINE: the GPU's tests are skipped (Debian: apt-get install pocl-opencl-icd)") }
    return found
  }()

  static var isThere: Bool { device != nil }

  /// A backend that takes every node that has a kernel.
  static func backend(precision: GPUPrecision = .float32, strict: Bool = false, vectors: Bool? = nil, rules: [PlacementRule] = []) throws -> GPUBackend {
    try GPUBackend(
      #require(device),
      options: GPUBackend.Options(precision: precision, isStrict: strict, rules: rules, prefersVectors: vectors, ignoresCost: true))
  }
}

extension TestRandom {
  mutating func uniform(_ range: ClosedRange<Double> = 0...1) -> Double { Double.random(in: range, using: &self) }

  mutating func normal() -> Double {
    (-2 * log(1 - uniform(0...0.999999))).squareRoot() * cos(2 * Double.pi * uniform())
  }

  mutating func tensor(
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
func graph(of example: OpExample, _ tensors: [Tensor], constants: Set<Int>) throws -> (graph: Graph, feed: [Tensor]) {
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

/// Runs a graph by a plan whose nodes lie on the device where they can.
func run(_ graph: Graph, _ feed: [Tensor], _ backend: GPUBackend) throws -> (outputs: [Tensor], plan: Plan) {
  let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(device: backend))
  return (try Executor(plan, pool: .single).run(feed), plan)
}

/// The first element outside the tolerance, as text; nil when all are inside.
func firstDifference(_ got: Tensor, _ expected: Tensor, relative: Double, absolute: Double) -> String? {
  if got.dtype != expected.dtype || got.shape != expected.shape {
    return "\(got.dtype.name)\(got.shape.shapeText) for \(expected.dtype.name)\(expected.shape.shapeText)"
  }
  if got.dtype == .string { return got.strings == expected.strings ? nil : "strings differ" }
  let tolerance = got.dtype.isFloat ? Tolerance(absolute: absolute, relative: relative) : Tolerance.exact
  for (index, (a, b)) in zip(got.doubles, expected.doubles).enumerated() where !tolerance.accepts(a, b) {
    return "element \(index): \(a) for \(b)"
  }
  return nil
}
