import GraphModule
import TensorModule

extension ArgReduce: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let from = node.inputs[0].dtype
    if from == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let axis = axis < 0 ? axis + shape.count : axis
    let (outer, length, inner) = (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    let rows = RowKernel(node, from, outer: outer, length: length, inner: inner)
    let number = rows.number
    // NaN before all, then the better, then the first.
    let better = { (a: String, ai: String, b: String, bi: String) in
      let compare = kind == .max ? ">" : "<"
      return "(\(b) != \(b) ? \(a) == \(a) || \(bi) < \(ai) : \(a) == \(a) && (\(b) \(compare) \(a) || (\(b) == \(a) && \(bi) < \(ai))))"
    }
    let lanes = rows.lanes
    let value = ScalarPrinter.load(from, "x", "(\(rows.place))")
    let join = """
        local int places_[\(lanes)];
        shared_[lane] = best;
        places_[lane] = place;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int s = \(lanes / 2); s > 0; s /= 2) {
          if (lane < s && \(better("shared_[lane]", "places_[lane]", "shared_[lane + s]", "places_[lane + s]"))) {
            shared_[lane] = shared_[lane + s];
            places_[lane] = places_[lane + s];
          }
          barrier(CLK_LOCAL_MEM_FENCE);
        }
        place = places_[0];

      """
    let source = KernelSource(
      """
      kernel void arg_reduce(global const \(ScalarPrinter.storedType(from)) *x, global \(ScalarPrinter.storedType(dtype)) *y, \(RowKernel.parameters)) {
      \(rows.prologue)  int i = min(lane, length - 1), place = i;
        \(number) best = \(value);
        for (i = lane + \(lanes); i < end; i += \(lanes)) {
          \(number) v = \(value);
          if (\(better("best", "place", "v", "i"))) {
            best = v;
            place = i;
          }
        }
      \(lanes > 1 ? join : "")\(lanes > 1 ? "  if (lane == 0)" : " ") \(ScalarPrinter.store(dtype, "y", "row", "place"))
      }
      """)
    rows.append(to: node, source, "arg_reduce", [node.input(0), node.output()])
    return .runs
  }
}
