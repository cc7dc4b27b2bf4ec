import GraphModule
import TensorModule

extension Softmax: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let axis = axis < 0 ? axis + shape.count : axis
    let (outer, length, inner) = (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    let rows = RowKernel(node, dtype, outer: outer, length: length, inner: inner)
    let (stored, number) = (ScalarPrinter.storedType(dtype), rows.number)
    func x(_ access: RowKernel.Access) -> String { access.load("x", rows.place, .dtype(dtype)) }
    let result = rows.walk { access in
      log
        ? access.store(dtype, "y", rows.place, "\(x(access)) - highest - total")
        : access.store(dtype, "y", rows.place, "\(access.load("y", rows.place, .dtype(dtype))) * total")
    }
    let source = KernelSource(
      """
      kernel void softmax(global const \(stored) *x, global \(stored) *y, \(RowKernel.parameters)) {
      \(rows.prologue)\(rows.fold("highest", start: "-INFINITY", { "\($0) < \($1) ? \($1) : \($0)" }, x))
      \(rows.fold("sum", start: "0", { "\($0) + \($1)" }, isSum: true) { access in
        let power = "exp(\(x(access)) - highest)"
        // The powers stay in the result for the last walk.
        return log ? power : "e_"
      } before: { access in
        log ? "" : "\(access.type) e_ = exp(\(x(access)) - highest); \(access.store(dtype, "y", rows.place, "e_"))"
      })
        \(number) total = \(log ? "log(sum)" : "1 / sum");
      \(result)}
      """)
    node.allowInPlace(over: 0)
    rows.append(to: node, source, "softmax", [node.input(0), node.output()])
    return .runs
  }
}
