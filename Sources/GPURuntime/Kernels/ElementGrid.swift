import TensorModule

/// Work-items over the elements of a shape: the last axis along get_global_id(0), the others together along get_global_id(1) where
/// the last is not short.
struct ElementGrid {
  let dims: [Int]
  private let isWide: Bool

  init(_ dims: [Int]) {
    self.dims = dims.isEmpty ? [1] : dims
    isWide = dims.count > 1 && dims[dims.count - 1] >= 16
  }

  /// The parameters that `arguments` fill.
  var parameters: String { (["int n"] + dims.indices.dropFirst().map { "int d\($0)" }).joined(separator: ", ") }

  var arguments: [GPUArgument] { [.int(dims.reduce(1, *))] + dims.dropFirst().map { .int($0) } }

  /// Statements that set the element's index `i` and its coordinates `c0`, `c1`, …; they return where there is none.
  var text: String {
    let last = dims.count - 1
    var text =
      isWide
      ? "  int c\(last) = get_global_id(0), r_ = get_global_id(1);\n  if (c\(last) >= d\(last)) return;\n  int i = r_ * d\(last) + c\(last);\n  if (i >= n) return;\n"
      : "  int i = get_global_id(0);\n  if (i >= n) return;\n"
    if last == 0 { return text + "  int c0 = i;\n" }
    if !isWide { text += "  int c\(last) = i % d\(last), r_ = i / d\(last);\n" }
    for axis in dims.indices.dropFirst().dropLast().reversed() { text += "  int c\(axis) = r_ % d\(axis);\n  r_ /= d\(axis);\n" }
    return text + "  int c0 = r_;\n"
  }

  /// Adds the kernel call; the kernel's parameters end with `parameters`.
  func append(to node: GPULowering, _ source: KernelSource, _ name: String, _ arguments: [GPUArgument]) {
    guard isWide else { return node.kernel(source, name, arguments + self.arguments, count: dims.reduce(1, *)) }
    let width = dims[dims.count - 1]
    let limit = min(256, node.device.maximumGroup)
    var group = min(16, limit)
    while group * 2 <= limit, group < width { group *= 2 }
    // The second index must not be rounded up past its rows.
    let rows = dims.dropLast().reduce(1, *)
    var high = 1
    while group * high * 2 <= limit, rows % (high * 2) == 0 { high *= 2 }
    node.kernel(source, name, arguments + self.arguments, global: [width, rows], local: [group, high])
  }
}
