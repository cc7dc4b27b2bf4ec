import GPURuntime
import GraphModule
import InferenceRuntime
import TensorModule
import Testing

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
