import GraphModule
import TensorModule

extension Pad: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if node.inputShapes[0] == node.outputShapes[0] { return node.sameElements() }
    // Axes without padding go with those before them: with any in constant mode, else with their like.
    var axes: [(length: Int, low: Int, result: Int)] = []
    for (axis, length) in node.inputShapes[0].enumerated() {
      let own = (length: length, low: low[axis], result: node.outputShapes[0][axis])
      let isWhole = own.length == own.result
      if isWhole, let last = axes.last, mode == .constant || last.length == last.result {
        axes[axes.count - 1] = (last.length * length, last.low * length, last.result * length)
      } else {
        axes.append(own)
      }
    }
    guard let fill = Self.bits(value, dtype, node.precision) else { return .refused("it works on \(dtype.name)") }
    let grid = ElementGrid(axes.map(\.result))
    let strides = axes.map(\.length).rowMajorStrides
    let type = CopyKernel.type(bytes: node.storedBytes(dtype))
    var parameters = ""
    var arguments: [GPUArgument] = []
    var text = ""
    for (axis, own) in axes.enumerated() {
      parameters += ", int l\(axis), int p\(axis), int s\(axis)"
      arguments += [.int(own.length), .int(own.low), .int(strides[axis])]
      text += "  int q\(axis) = c\(axis) - p\(axis);\n"
      switch mode {
      case .constant: text += "  if (q\(axis) < 0 || q\(axis) >= l\(axis)) inside = 0;\n"
      case .reflect: text += "  q\(axis) = q\(axis) < 0 ? -q\(axis) : q\(axis) >= l\(axis) ? 2 * (l\(axis) - 1) - q\(axis) : q\(axis);\n"
      case .symmetric: text += "  q\(axis) = q\(axis) < 0 ? -q\(axis) - 1 : q\(axis) >= l\(axis) ? 2 * l\(axis) - 1 - q\(axis) : q\(axis);\n"
      case .edge: text += "  q\(axis) = min(max(q\(axis), 0), l\(axis) - 1);\n"
      }
      text += "  at += q\(axis) * s\(axis);\n"
    }
    let source = KernelSource(
      """
      kernel void pad(global const \(type) *x, global \(type) *y, long fill\(parameters), \(grid.parameters)) {
      \(grid.text)  int inside = 1, at = 0;
      \(text)  y[i] = inside ? x[at] : (\(type))fill;
      }
      """)
    grid.append(to: node, source, "pad", [node.input(0), node.output(), .long(fill)] + arguments)
    return .runs
  }

  /// The bits of a number as the device stores it.
  static func bits(_ value: Double, _ dtype: DType, _ precision: GPUPrecision) -> Int64? {
    switch dtype {
    case .float32: precision == .float32 ? Int64(Float(value).bitPattern) : Int64(HalfPrecision.float16Bits(value))
    case .float64: Int64(bitPattern: value.bitPattern)
    case .float16: Int64(HalfPrecision.float16Bits(value))
    case .bfloat16: Int64(HalfPrecision.bfloat16Bits(Float(value)))
    case .string: nil
    default: dtype.clamping(value)
    }
  }
}
