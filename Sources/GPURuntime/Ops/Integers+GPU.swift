import GraphModule
import TensorModule

extension ShapeOf: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let shape = node.inputShapes[0]
    let source = KernelSource(
      """
      kernel void shape_of(global long *y\(shape.indices.map { ", long d\($0)" }.joined())) {
        if (get_global_id(0) > 0) return;
      \(shape.indices.map { "  y[\($0)] = d\($0);\n" }.joined())}
      """)
    node.kernel(source, "shape_of", [node.output()] + shape.map { .long(Int64($0)) }, global: [1], local: [1])
    return .runs
  }
}

extension CheckRange: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    let stored = ScalarPrinter.storedType(dtype)
    let count = node.inputShapes[0].elementCount
    let source = KernelSource(
      """
      kernel void check_range(global const \(stored) *x, global \(stored) *y, global int *wrong, long low, long high, int n) {
        int i = get_global_id(0);
        if (i >= n) return;
        long v = x[i];
        if (v < low || v > high) *wrong = 1;
        y[i] = x[i];
      }
      """)
    let flag = node.errorFlag("a number is not from \(minimum) to \(maximum)")
    node.allowInPlace(over: 0)
    node.kernel(
      source, "check_range", [node.input(0), node.output(), flag, .long(Int64(minimum)), .long(Int64(maximum)), .int(count)], count: count)
    return .runs
  }
}

extension Bitcast: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let types = [node.inputs[0].dtype, dtype]
    if types[0] == types[1] { return node.sameElements() }
    guard types.allSatisfy({ node.storedBytes($0) == $0.byteCount }) else { return .refused("float32 is not stored as such with 16 bits") }
    if node.alias(of: 0) { return .runs }
    let count = node.inputShapes[0].elementCount * types[0].byteCount
    CopyKernel([count], source: [1], target: [1]).append(to: node, bytes: 1, node.input(0), node.output())
    return .runs
  }
}

extension Bincount: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let length = shape[shape.count - 1]
    let grid = ElementGrid([shape.dropLast().reduce(1, *), depth])
    let hasWeights = node.inputs.count > 1
    let (from, stored, number) = (node.inputs[0].dtype, ScalarPrinter.storedType(dtype), ScalarPrinter.type(dtype))
    let weight = hasWeights ? ScalarPrinter.load(dtype, "weights", "(base + j)") : "1"
    let source = KernelSource(
      """
      kernel void bincount(
          global const \(ScalarPrinter.storedType(from)) *x, global const \(stored) *weights, global \(stored) *y, int length, \(grid.parameters)) {
      \(grid.text)  size_t base = (size_t)c0 * length;
        \(number) count = 0;
        for (int j = 0; j < length; j++) if (\(ScalarPrinter.load(from, "x", "(base + j)")) == c1) count += \(weight);
        \(isBinary ? "count = count != 0;" : "")
        \(ScalarPrinter.store(dtype, "y", "i", "count"))
      }
      """)
    grid.append(to: node, source, "bincount", [node.input(0), node.optionalInput(hasWeights ? 1 : nil), node.output(), .int(length)])
    return .runs
  }
}

extension RandomNumbers: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let count = node.outputShapes[0].elementCount
    let number = ScalarPrinter.type(dtype)
    let scale = dtype == .float64 ? "5.9604644775390625e-08" : "5.9604644775390625e-08f"
    let value = kind == .uniform ? "first" : "sqrt(-2 * log(1 - first)) * cospi(2 * second)"
    let source = KernelSource(
      """
      static ulong mix(ulong z) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
      }
      kernel void random(global const long *counter, global \(ScalarPrinter.storedType(dtype)) *y, long stream, int n) {
        int i = get_global_id(0);
        if (i >= n) return;
        ulong key = mix((ulong)stream ^ (ulong)counter[0]);
        ulong bits = mix(key + 0x9E3779B97F4A7C15UL * ((ulong)i + 1));
        \(number) first = (\(number))(bits >> 40) * \(scale), second = (\(number))(bits >> 16 & 0xFFFFFF) * \(scale);
        \(ScalarPrinter.store(dtype, "y", "i", "(\(value))"))
      }
      """)
    node.kernel(source, "random", [node.input(0), node.output(), .long(Int64(bitPattern: streamKey)), .int(count)], count: count)
    return .runs
  }
}
