import GraphModule
import TensorModule

/// The shared part of kernels that walk along one axis of [outer, length, inner] and fold it: norms, softmax, reductions.
///
/// A row is the axis at one place of outer and inner. On processors one work-item walks a row, by vectors where its elements are
/// adjacent. On GPUs the lanes of a work-group share a row whose elements are adjacent, and fold through local memory; other rows
/// have a work-item each, adjacent ones beside each other.
struct RowKernel {
  /// How an operand or result of numbers is stored.
  enum Stored {
    case dtype(DType)
    /// As the kernel computes: `float`, `double` or `long`.
    case plain

    func type(_ number: String) -> String {
      if case .dtype(let dtype) = self { ScalarPrinter.storedType(dtype) } else { number }
    }
  }

  let dtype: DType
  let outer: Int
  let length: Int
  let inner: Int
  /// Parts of a row that work-items fold each for itself.
  let chunks: Int
  /// Numbers of a vector, and work-items of a row.
  let width: Int
  let lanes: Int
  private let unfolded: Int

  /// - Parameter chunks: 1 where a row is written, not only folded.
  init(_ node: GPULowering, _ dtype: DType, outer: Int, length: Int, inner: Int, chunks: Int = 1) {
    self.dtype = dtype
    self.outer = outer
    self.length = length
    self.inner = inner
    self.chunks = chunks
    let own = (length + chunks - 1) / chunks
    let isRow = inner == 1
    width = node.prefersVectors && isRow && dtype == .float32 ? [16, 8, 4].first { $0 <= node.device.vectorWidth && $0 <= own } ?? 1 : 1
    lanes = node.prefersVectors || !isRow || own <= 32 ? 1 : [64, 128, 256].last { $0 <= node.device.maximumGroup && ($0 == 64 || $0 * 4 <= own) } ?? 1
    unfolded = node.prefersVectors ? max(1, min(16, outer * inner * chunks / (4 * max(1, node.device.computeUnits)))) : 64
  }

  /// Into how many parts to cut rows so that all of a device works.
  static func chunks(_ node: GPULowering, outer: Int, length: Int, inner: Int) -> Int {
    let rows = max(1, outer * inner)
    let wanted = node.prefersVectors ? 4 * node.device.computeUnits : inner == 1 ? 4 * node.device.computeUnits : 4096
    return rows >= wanted || length < 4096 ? 1 : max(1, min(wanted / rows, length / 1024))
  }

  var number: String { ScalarPrinter.type(dtype) }
  var vector: String { width == 1 ? number : "\(number)\(width)" }

  /// The parameters that `arguments` fill.
  static let parameters = "int rows, int length, int inner, int chunks"

  var arguments: [GPUArgument] { [.int(outer * inner * chunks), .int(length), .int(inner), .int(chunks)] }

  /// Statements that set `row`, `lane`, the row's first element `base`, and the part `begin..<end` of it to walk.
  var prologue: String {
    (lanes > 1
      ? "  int lane = get_local_id(0), row = get_global_id(1);\n  local \(number) shared_[\(lanes)];\n"
      : "  int lane = 0, row = get_global_id(0);\n  if (row >= rows) return;\n")
      + """
        int part_ = row / inner % chunks, size_ = (length + chunks - 1) / chunks;
        int begin = min(part_ * size_, length), end = min(begin + size_, length);
        size_t base = (size_t)(row / inner / chunks) * length * inner + row % inner;

      """
  }

  /// The place of the row's element `i`.
  var place: String { inner == 1 ? "base + i" : "base + (size_t)i * inner" }

  /// How a statement of a walk reads and writes.
  struct Access {
    let width: Int
    let dtype: DType
    let number: String

    /// Ends the names of variables that a walk has for its vectors and for the rest.
    var suffix: String { width == 1 ? "" : "v" }
    var type: String { width == 1 ? number : "\(number)\(width)" }

    func load(_ pointer: String, _ index: String, _ stored: Stored = .dtype(.float32)) -> String {
      if width > 1 {
        if case .plain = stored { return "vload\(width)(0, \(pointer) + \(index))" }
        return "LD\(width)(\(pointer), \(index))"
      }
      if case .dtype(let dtype) = stored { return ScalarPrinter.load(dtype, pointer, index) }
      return "\(pointer)[\(index)]"
    }

    func store(_ dtype: DType, _ pointer: String, _ index: String, _ value: String) -> String {
      width > 1 ? "ST\(width)(\(pointer), \(index), \(value));" : ScalarPrinter.store(dtype, pointer, index, value)
    }
  }

  /// A walk over the row: the statements see `i`.
  func walk(_ body: (Access) -> String) -> String {
    let one = Access(width: 1, dtype: dtype, number: number)
    if width == 1 { return "  for (int i = begin + lane; i < end; i += \(lanes)) {\n    \(body(one))\n  }\n" }
    return """
        {
          int i_ = begin;
          for (; i_ + \(width) <= end; i_ += \(width)) {
            int i = i_;
            \(body(Access(width: width, dtype: dtype, number: number)))
          }
          for (int i = i_; i < end; i++) {
            \(body(one))
          }
        }

      """
  }

  /// Folds the row into a variable: `name = combine(name, term)` from `start`, in parts, so that sums of many terms stay exact.
  ///
  /// - Parameters:
  ///   - combine: an expression of two names, for numbers and vectors alike.
  ///   - term: an expression in the walk.
  ///   - before: statements before it.
  func fold(
    _ name: String, start: String, _ combine: (String, String) -> String, isSum: Bool = false, _ term: (Access) -> String,
    before: (Access) -> String = { _ in "" }
  ) -> String {
    let block = 64 * width * lanes
    var text = "  \(number) \(name) = \(start);\n"
    if width > 1 { text += "  \(vector) \(name)v = \(start);\n" }
    func step(_ access: Access, _ into: String) -> String {
      "{ \(before(access)) \(access.type) t_ = \(term(access)); \(into) = \(combine(into, "t_")); }"
    }
    let one = Access(width: 1, dtype: dtype, number: number)
    if isSum {
      text += "  for (int b_ = begin; b_ < end; b_ += \(block)) {\n    int stop_ = min(b_ + \(block), end), i_ = b_;\n"
      if width > 1 {
        let many = Access(width: width, dtype: dtype, number: number)
        text += "    \(vector) pv_ = \(start);\n"
        text += "    for (; i_ + \(width) <= stop_; i_ += \(width)) { int i = i_; \(step(many, "pv_")) }\n    \(name)v = \(combine(name + "v", "pv_"));\n"
      }
      text += "    \(number) p_ = \(start);\n    for (int i = i_ + lane; i < stop_; i += \(lanes)) \(step(one, "p_"))\n    \(name) = \(combine(name, "p_"));\n  }\n"
    } else {
      text += "  { int i_ = begin;\n"
      if width > 1 {
        let many = Access(width: width, dtype: dtype, number: number)
        text += "    for (; i_ + \(width) <= end; i_ += \(width)) { int i = i_; \(step(many, name + "v")) }\n"
      }
      text += "    for (int i = i_ + lane; i < end; i += \(lanes)) \(step(one, name))\n  }\n"
    }
    if width > 1 {
      text += "  { union { \(vector) v; \(number) e[\(width)]; } u_; u_.v = \(name)v;\n"
      text += "    for (int j_ = 0; j_ < \(width); j_++) { \(number) t_ = u_.e[j_]; \(name) = \(combine(name, "t_")); } }\n"
    }
    if lanes > 1 {
      text += """
          shared_[lane] = \(name);
          barrier(CLK_LOCAL_MEM_FENCE);
          for (int s_ = \(lanes / 2); s_ > 0; s_ /= 2) {
            if (lane < s_) { \(number) a_ = shared_[lane], t_ = shared_[lane + s_]; shared_[lane] = \(combine("a_", "t_")); }
            barrier(CLK_LOCAL_MEM_FENCE);
          }
          \(name) = shared_[0];
          barrier(CLK_LOCAL_MEM_FENCE);

        """
    }
    return text
  }

  /// Adds the kernel call; the kernel's parameters end with `parameters`.
  func append(to node: GPULowering, _ source: KernelSource, _ name: String, _ arguments: [GPUArgument]) {
    let rows = outer * inner * chunks
    let arguments = arguments + self.arguments
    if lanes > 1 {
      node.kernel(source, name, arguments, global: [lanes, rows], local: [lanes, 1])
    } else {
      node.kernel(source, name, arguments, global: [max(1, rows)], local: [min(unfolded, node.device.maximumGroup)])
    }
  }
}
