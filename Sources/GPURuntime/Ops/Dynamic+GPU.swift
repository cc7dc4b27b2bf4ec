import GraphModule
import TensorModule

// Ops whose sizes are operands, where the sizes are declared: kernels check that they are what was declared.

extension DynamicReshape: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    node.checkSizes(1, node.outputShapes[0], mayBeOpen: true, opName)
    return node.sameElements()
  }
}

extension DynamicBroadcastTo: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    node.checkSizes(1, node.outputShapes[0], opName)
    return node.copyElements()
  }
}

extension DynamicTile: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (from, to) = (node.inputShapes[0], node.outputShapes[0])
    node.checkSizes(1, zip(from, to).map { $0 == 0 ? nil : $1 / $0 }, opName)
    let grid = ElementGrid(to)
    let strides = from.rowMajorStrides
    let type = CopyKernel.type(bytes: node.storedBytes(node.inputs[0].dtype))
    let place = to.indices.map { "c\($0) % l\($0) * s\($0)" }.joined(separator: " + ")
    let source = KernelSource(
      """
      kernel void tile(global const \(type) *x, global \(type) *y\(to.indices.map { ", int l\($0), int s\($0)" }.joined()), \(grid.parameters)) {
      \(grid.text)  y[i] = x[\(to.isEmpty ? "0" : place)];
      }
      """)
    grid.append(to: node, source, "tile", [node.input(0), node.output()] + to.indices.flatMap { [.int(max(1, from[$0])), .int(strides[$0])] })
    return .runs
  }
}

extension DynamicRange: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype.isFloat, !node.device.hasDouble { return .refused("how many numbers it makes needs float64, which the device has not") }
    let count = node.outputShapes[0].elementCount
    let number = dtype.isFloat ? "double" : "long"
    let stored = ScalarPrinter.storedType(dtype)
    let operands = ["start", "limit", "delta"]
    let loads = operands.enumerated().map { "  \(number) \($1) = \(ScalarPrinter.load(dtype, "x\($0)", "0"));\n" }.joined()
    let check =
      dtype.isFloat
      ? "ceil((limit - start) / delta) != n"
      : "delta == 0 || (delta > 0 ? start + (n - 1) * delta >= limit || start + n * delta < limit : start + (n - 1) * delta <= limit || start + n * delta > limit)"
    let source = KernelSource(
      """
      kernel void range(\(operands.indices.map { "global const \(stored) *x\($0), " }.joined())global \(stored) *y, global int *wrong, int n) {
        int i = get_global_id(0);
        if (i >= n) return;
      \(loads)  if (i == 0 && (\(check))) *wrong = 1;
        \(number) v = start + i * delta;
        \(ScalarPrinter.store(dtype, "y", "i", dtype == .float64 || !dtype.isFloat ? "v" : "((float)v)"))
      }
      """)
    let flag = node.errorFlag("op 'dynamic_range': it makes another number of elements than the \(count) that were declared")
    node.kernel(source, "range", operands.indices.map { node.input($0) } + [node.output(), flag, .int(count)], count: count)
    return .runs
  }
}

extension DynamicSlice: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (from, to) = (node.inputShapes[0], node.outputShapes[0])
    let grid = ElementGrid(to)
    let strides = from.rowMajorStrides
    let type = CopyKernel.type(bytes: node.storedBytes(node.inputs[0].dtype))
    let dtypes = [node.inputs[1].dtype, node.inputs[2].dtype]
    var place = to.indices.filter { !axes.contains($0) }.map { "c\($0) * s\($0)" }
    var text = ""
    for (index, axis) in axes.enumerated() {
      // NumPy's rules: negative places count from the end, and all are moved into the axis.
      text += "  long f\(axis) = \(ScalarPrinter.load(dtypes[0], "starts", "\(index)")), e\(axis) = \(ScalarPrinter.load(dtypes[1], "ends", "\(index)"));\n"
      let bounds = steps[index] > 0 ? "0L, (long)l\(axis)" : "-1L, (long)l\(axis) - 1"
      for name in ["f\(axis)", "e\(axis)"] { text += "  \(name) = clamp(\(name) < 0 ? \(name) + l\(axis) : \(name), \(bounds));\n" }
      let distance = steps[index] > 0 ? "e\(axis) - f\(axis)" : "f\(axis) - e\(axis)"
      text += "  { long d = \(distance), q = p\(axis) < 0 ? -(long)p\(axis) : p\(axis);\n    if ((d > 0 ? (d - 1) / q + 1 : 0) != m\(axis)) inside = 0; }\n"
      place.append("(int)(f\(axis) + (long)c\(axis) * p\(axis)) * s\(axis)")
    }
    let names = to.indices.map { ", int l\($0), int s\($0), int p\($0), int m\($0)" }.joined()
    let source = KernelSource(
      """
      kernel void slice(
          global const \(type) *x, global const \(ScalarPrinter.storedType(dtypes[0])) *starts, global const \(ScalarPrinter.storedType(dtypes[1])) *ends,
          global \(type) *y, global int *wrong\(names), \(grid.parameters)) {
      \(grid.text)  int inside = 1;
      \(text)  if (!inside) *wrong = 1;
        else y[i] = x[\(place.isEmpty ? "0" : place.joined(separator: " + "))];
      }
      """)
    let flag = node.errorFlag("op 'dynamic_slice': its result is not of the declared \(to.shapeText)")
    let numbers = to.indices.flatMap { axis in
      [from[axis], strides[axis], axes.firstIndex(of: axis).map { steps[$0] } ?? 1, to[axis]].map { GPUArgument.int($0) }
    }
    grid.append(to: node, source, "slice", [node.input(0), node.input(1), node.input(2), node.output(), flag] + numbers)
    return .runs
  }
}

extension GPULowering {
  /// Lets a kernel check that an operand, a vector of integers, holds these numbers; nil stands for any.
  ///
  /// - Parameter mayBeOpen: whether one of them may be −1 instead.
  fileprivate func checkSizes(_ operand: Int, _ sizes: [Int?], mayBeOpen: Bool = false, _ op: String) {
    if sizes.isEmpty { return }
    let dtype = inputs[operand].dtype
    var text = ""
    for (index, size) in sizes.enumerated() where size != nil {
      text += "  { long v = \(ScalarPrinter.load(dtype, "sizes", "\(index)"));\n    if (v == -1) open++;\n    else if (v != n\(index)) *wrong = 1; }\n"
    }
    let source = KernelSource(
      """
      kernel void check_sizes(global const \(ScalarPrinter.storedType(dtype)) *sizes, global int *wrong\(sizes.indices.map { ", long n\($0)" }.joined())) {
        if (get_global_id(0) > 0) return;
        int open = 0;
      \(text)  if (open > \(mayBeOpen ? 1 : 0)) *wrong = 1;
      }
      """)
    let flag = errorFlag("op '\(op)': its result is not of the declared \(outputShapes[0].shapeText)")
    kernel(source, "check_sizes", [input(operand), flag] + sizes.map { .long(Int64($0 ?? 0)) }, global: [1], local: [1])
  }
}
