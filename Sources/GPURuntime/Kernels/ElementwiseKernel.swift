import GraphModule
import TensorModule

/// A kernel that computes steps of scalar functions over operands that broadcast together, printed as OpenCL C.
///
/// Axes along which all operands go on alike are joined first. A result of one axis, or with a short last one, is walked by one
/// index; else work-items lie along the last axis and the others together.
struct ElementwiseKernel {
  typealias Source = ElementwiseChain.Operand

  struct Step {
    var function: ScalarFunction
    var parameters: [Double]
    var sources: [Source]
    /// The dtype of its operands (of `select`: of the second and third), and of its result.
    var operand: DType
    var result: DType
  }

  struct Input {
    var argument: GPUArgument
    var dtype: DType
    var shape: Shape
  }

  /// The shape of the result, to which the inputs broadcast.
  var shape: Shape
  var inputs: [Input]
  /// The last step is the result; without steps the result is input 0, converted.
  var steps: [Step]
  var resultType: DType

  /// Adds the kernel call that writes `output`.
  func append(to node: GPULowering, output: GPUArgument) -> GPUSupport {
    let types = inputs.map(\.dtype) + steps.map(\.result) + [resultType]
    if types.contains(.string) { return .refused("it works on strings") }
    if types.contains(.float64), !node.device.hasDouble { return .refused("the device has no float64") }
    guard inputs.count <= 40 else { return .refused("it has \(inputs.count) operands") }
    let axes = Axes(shape, inputs.map(\.shape))
    guard let body = body(axes) else { return .refused("a function has no kernel") }
    let isWide = axes.dims.count > 1 && (axes.dims.last ?? 1) >= 64
    var parameters: [String] = []
    var arguments: [GPUArgument] = []
    for (index, input) in inputs.enumerated() {
      parameters.append("global const \(ScalarPrinter.storedType(input.dtype)) *x\(index)")
      arguments.append(input.argument)
    }
    parameters += ["global \(ScalarPrinter.storedType(resultType)) *y", "int n"]
    arguments += [output, .int(axes.dims.reduce(1, *))]
    for axis in axes.dims.indices.dropFirst() {
      parameters.append("int d\(axis)")
      arguments.append(.int(axes.dims[axis]))
    }
    for (index, strides) in axes.strides.enumerated() where axes.isGeneral(index) {
      for (axis, stride) in strides.enumerated() where stride > 1 {
        parameters.append("int t\(index)_\(axis)")
        arguments.append(.int(stride))
      }
    }
    var text = "kernel void elementwise(\(parameters.joined(separator: ", "))) {\n"
    let last = axes.dims.count - 1
    if isWide {
      text += "  int c\(last) = get_global_id(0), r = get_global_id(1);\n  if (c\(last) >= d\(last)) return;\n  int i = r * d\(last) + c\(last);\n"
    } else {
      text += "  int i = get_global_id(0);\n  if (i >= n) return;\n"
      if last > 0 { text += "  int c\(last) = i % d\(last), r = i / d\(last);\n" }
    }
    for axis in axes.dims.indices.dropFirst().dropLast().reversed() { text += "  int c\(axis) = r % d\(axis);\n  r /= d\(axis);\n" }
    if last > 0 { text += "  int c0 = r;\n" }
    text += body + "}\n"
    let source = KernelSource(text)
    if isWide {
      let rows = axes.dims.dropLast().reduce(1, *)
      let width = axes.dims[last]
      var group = 64
      while group < 256, group < width { group *= 2 }
      node.kernel(source, "elementwise", arguments, global: [width, rows], local: [min(group, node.device.maximumGroup), 1])
    } else {
      node.kernel(source, "elementwise", arguments, count: axes.dims.reduce(1, *))
    }
    return .runs
  }

  private func body(_ axes: Axes) -> String? {
    var text = ""
    for (index, input) in inputs.enumerated() {
      let place = ScalarPrinter.load(input.dtype, "x\(index)", axes.index(index))
      text += "  \(ScalarPrinter.type(input.dtype)) v\(index) = \(place);\n"
    }
    for (index, step) in steps.enumerated() {
      var names: [String] = []
      for (position, source) in step.sources.enumerated() {
        switch source {
        case .input(let number): names.append("v\(number)")
        case .step(let number): names.append("s\(number)")
        case .constant(let value):
          names.append(ScalarPrinter.literal(value, step.function == .select && position == 0 ? .bool : step.operand))
        }
      }
      guard let expression = ScalarPrinter.expression(step.function, names, step.parameters, step.operand) else { return nil }
      text += "  \(ScalarPrinter.type(step.result)) s\(index) = \(expression);\n"
    }
    let value = steps.isEmpty ? ScalarPrinter.convert("v0", inputs[0].dtype, resultType) : "s\(steps.count - 1)"
    return text + "  \(ScalarPrinter.type(resultType)) out = \(value);\n  " + ScalarPrinter.store(resultType, "y", "i", "out") + "\n"
  }

  /// The joined axes of the result, and each operand's strides along them.
  struct Axes {
    private(set) var dims: [Int] = []
    private(set) var strides: [[Int]]

    init(_ shape: Shape, _ operands: [Shape]) {
      strides = operands.map { _ in [] }
      let own = operands.map { Self.strides(of: $0, in: shape) }
      for axis in shape.indices where shape[axis] != 1 {
        let joins = !dims.isEmpty && own.indices.allSatisfy { (strides[$0].last ?? 0) == own[$0][axis] * shape[axis] }
        if joins {
          dims[dims.count - 1] *= shape[axis]
          for index in own.indices { strides[index][dims.count - 1] = own[index][axis] }
        } else {
          dims.append(shape[axis])
          for index in own.indices { strides[index].append(own[index][axis]) }
        }
      }
      if dims.isEmpty {
        dims = [1]
        for index in own.indices { strides[index] = [0] }
      }
    }

    /// Strides in elements of `shape` seen as `target`; 0 where it broadcasts.
    static func strides(of shape: Shape, in target: Shape) -> [Int] {
      let own = shape.rowMajorStrides
      let missing = target.count - shape.count
      return target.indices.map { axis in axis < missing || shape[axis - missing] == 1 ? 0 : own[axis - missing] }
    }

    private func isWhole(_ index: Int) -> Bool { strides[index] == dims.rowMajorStrides }

    /// Whether the operand's place is found from coordinates.
    func isGeneral(_ index: Int) -> Bool { !isWhole(index) && strides[index].contains { $0 != 0 } }

    /// The expression of an operand's index.
    func index(_ index: Int) -> String {
      if isWhole(index) { return "i" }
      let terms = strides[index].enumerated().compactMap { axis, stride in
        stride == 0 ? nil : stride == 1 ? "c\(axis)" : "c\(axis) * t\(index)_\(axis)"
      }
      return terms.isEmpty ? "0" : terms.joined(separator: " + ")
    }
  }
}
