import CKernels
import GraphModule
import TensorModule

extension Reduce: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let shape = node.inputShapes[0]
    // Runs of axes that are reduced, ignoring axes of one element: each run is one pass, the last one first.
    var runs: [Range<Int>] = []
    for axis in axes where shape[axis] != 1 {
      if let last = runs.last, shape[last.upperBound..<axis].allSatisfy({ $0 == 1 }) {
        runs[runs.count - 1] = last.lowerBound..<axis + 1
      } else {
        runs.append(axis..<axis + 1)
      }
    }
    if runs.isEmpty {
      node.alias(of: 0)
      return true
    }
    let dtype = node.inputs[0].dtype
    var current = shape
    var source = node.input(0)
    for (index, run) in runs.reversed().enumerated() {
      var params = kiln_reduce_params()
      params.outer = Int64(Array(current[..<run.lowerBound]).elementCount)
      params.axis = Int64(Array(current[run]).elementCount)
      params.inner = Int64(Array(current[run.upperBound...]).elementCount)
      params.op = kind.kernel
      params.dtype = Int32(dtype.rawValue)
      params.result_dtype = params.dtype
      for axis in run { current[axis] = 1 }
      let target =
        index == runs.count - 1 ? node.output() : node.temporary(byteCount: max(1, current.elementCount * dtype.byteCount))
      try node.step(
        kiln_reduce, "reduce/\(kind.rawValue)", copying: params, [source, target],
        parts: kiln_reduce_parts(&params, node.threads))
      source = target
    }
    return true
  }
}

extension Reduce.Kind {
  /// The kernel's number of the reduction.
  var kernel: Int32 {
    switch self {
    case .sum: Int32(KILN_REDUCE_SUM.rawValue)
    case .mean: Int32(KILN_REDUCE_MEAN.rawValue)
    case .prod: Int32(KILN_REDUCE_PROD.rawValue)
    case .max: Int32(KILN_REDUCE_MAX.rawValue)
    case .min: Int32(KILN_REDUCE_MIN.rawValue)
    case .any: Int32(KILN_REDUCE_ANY.rawValue)
    case .all: Int32(KILN_REDUCE_ALL.rawValue)
    case .logsumexp: Int32(KILN_REDUCE_LOGSUMEXP.rawValue)
    }
  }
}
