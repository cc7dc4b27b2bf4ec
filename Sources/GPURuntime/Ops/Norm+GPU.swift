import GraphModule
import TensorModule

extension LayerNorm: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    NormKernel(axis: axis, epsilon: epsilon, gamma: scale ? 1 : nil, beta: offset ? (scale ? 2 : 1) : nil, isCentred: true).append(to: node)
  }
}

extension RMSNorm: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    NormKernel(axis: axis, epsilon: epsilon, gamma: scale ? 1 : nil, beta: nil, isCentred: false).append(to: node)
  }
}

extension BatchNorm: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    typealias Step = ElementwiseKernel.Step
    func step(_ function: ScalarFunction, _ sources: [ElementwiseKernel.Source], _ parameters: [Double] = []) -> Step {
      Step(function: function, parameters: parameters, sources: sources, operand: dtype, result: dtype)
    }
    var steps = [
      step(.add, [.input(operands.variance), .constant(epsilon)]), step(.sqrt, [.step(0)]),
      step(.sub, [.input(0), .input(operands.mean)]), step(.div, [.step(2), .step(1)]),
    ]
    if let gamma = operands.gamma { steps.append(step(.mul, [.step(steps.count - 1), .input(gamma)])) }
    if let beta = operands.beta { steps.append(step(.add, [.step(steps.count - 1), .input(beta)])) }
    let kernel = ElementwiseKernel(shape: node.outputShapes[0], inputs: node.elementwiseInputs(), steps: steps, resultType: dtype)
    node.allowElementwiseInPlace()
    return kernel.append(to: node, output: node.output())
  }
}

/// (x − mean) / √(variance + epsilon) · gamma + beta over the last axes; without the mean where it is not centred.
private struct NormKernel {
  var axis: Int
  var epsilon: Double
  var gamma: Int?
  var beta: Int?
  var isCentred: Bool

  func append(to node: GPULowering) -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let first = axis < 0 ? axis + shape.count : axis
    let length = shape[first...].reduce(1, *)
    let rows = RowKernel(node, dtype, outer: shape[..<first].reduce(1, *), length: length, inner: 1)
    let (stored, number) = (ScalarPrinter.storedType(dtype), rows.number)
    func x(_ access: RowKernel.Access) -> String { access.load("x", rows.place, .dtype(dtype)) + (isCentred ? " - mean" : "") }
    let plus = { (a: String, b: String) in "\(a) + \(b)" }
    let mean =
      isCentred
      ? rows.fold("mean", start: "0", plus, isSum: true) { $0.load("x", rows.place, .dtype(dtype)) } + "  mean /= length;\n" : ""
    let squares = rows.fold("squares", start: "0", plus, isSum: true) { _ in "d_ * d_" } before: { "\($0.type) d_ = \(x($0));" }
    let result = rows.walk { access in
      var value = "(\(x(access))) * factor"
      if gamma != nil { value += " * \(access.load("gamma", "i", .dtype(dtype)))" }
      if beta != nil { value += " + \(access.load("beta", "i", .dtype(dtype)))" }
      return access.store(dtype, "y", rows.place, value)
    }
    let source = KernelSource(
      """
      kernel void norm(
          global const \(stored) *x, global const \(stored) *gamma, global const \(stored) *beta, global \(stored) *y, \(number) epsilon,
          \(RowKernel.parameters)) {
      \(rows.prologue)\(mean)\(squares)
        \(number) factor = 1 / sqrt(squares / length + epsilon);
      \(result)}
      """)
    node.allowInPlace(over: 0)
    rows.append(
      to: node, source, "norm",
      [
        node.input(0), node.optionalInput(gamma), node.optionalInput(beta), node.output(),
        dtype == .float64 ? .double(epsilon) : .float(Float(epsilon)),
      ])
    return .runs
  }
}
