import CKernels
import GraphModule
import TensorModule

extension Noise: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    node.alias(of: 0)
    return true
  }
}

extension RandomNumbers: CPUBinding {
  private struct Numbers {
    var isNormal: Bool
    var seedKey: UInt64
    var count: Int
  }

  /// Operands: counter, result.
  private static let kernel: kiln_kernel = { params, operands, part, parts in
    guard let params, let operands, let counter = operands[0], let out = operands[1] else { return }
    let numbers = params.load(as: Numbers.self)
    let key = RandomNumbers.mix(numbers.seedKey ^ UInt64(bitPattern: counter.load(as: Int64.self)))
    let result = out.assumingMemoryBound(to: Float.self)
    for index in numbers.count * Int(part) / Int(parts)..<numbers.count * (Int(part) + 1) / Int(parts) {
      result[index] = Float(RandomNumbers.number(numbers.isNormal ? .normal : .uniform, key, index))
    }
  }

  package func lower(_ node: NodeLowering) throws -> Bool {
    guard dtype == .float32 else { return false }
    let count = node.outputShapes[0].elementCount
    let numbers = Numbers(isNormal: kind == .normal, seedKey: streamKey, count: count)
    try node.step(
      Self.kernel, "random", copying: numbers, [node.input(0), node.output()], parts: max(1, min(node.threads, Int32(clamping: count / 4096))))
    return true
  }
}
