import GraphModule
import TensorModule

extension FourierTransform: GPUBinding {
  /// Factors up to `largestFactor` are taken one by one; a length with a larger one is a convolution (Bluestein) of twice its length.
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    if dtype == .float64, !node.device.hasDouble { return .refused("the device has no float64") }
    let shape = node.inputShapes[0]
    let length = shape[shape.count - 1]
    let kernels = FourierKernels(node: node, dtype: dtype, rows: shape.dropLast().reduce(1, *), inverse: inverse)
    guard let factors = FourierKernels.factors(length) else { return kernels.convolve(length) }
    return kernels.transform(length, factors)
  }
}

/// Fourier transforms of rows in steps of one factor each (Stockham): a work-item makes one number of a step's result.
///
/// Between steps the numbers are pairs of float or double, whatever the results are stored as. An inverse transform is one with
/// the parts swapped before and after.
private struct FourierKernels {
  static let largestFactor = 256

  let node: GPULowering
  let dtype: DType
  let rows: Int
  let inverse: Bool

  private var number: String { ScalarPrinter.type(dtype) }
  private var pair: String { number + "2" }
  private var pairBytes: Int { dtype == .float64 ? 16 : 8 }

  /// The steps' factors; nil when one is too large for sums of that many terms.
  static func factors(_ length: Int) -> [Int]? {
    var rest = length
    var found: [Int] = []
    for factor in [16, 8, 4, 2] {
      while rest % factor == 0 {
        rest /= factor
        found.append(factor)
      }
    }
    var factor = 3
    while factor <= largestFactor, rest > 1 {
      if rest % factor == 0 {
        rest /= factor
        found.append(factor)
      } else { factor += 2 }
    }
    return rest == 1 ? (found.isEmpty ? [1] : found) : nil
  }

  private func step(isFirst: Bool, isLast: Bool) -> KernelSource {
    let stored = ScalarPrinter.storedType(dtype)
    let source = isFirst ? "global const \(stored) *re, global const \(stored) *im" : "global const \(pair) *x"
    let target = isLast ? "global \(stored) *out_re, global \(stored) *out_im" : "global \(pair) *y"
    let read =
      isFirst ? "(\(pair))(\(ScalarPrinter.load(dtype, "re", "at")), \(ScalarPrinter.load(dtype, "im", "at")))" : "x[at]"
    let write =
      isLast
      ? ScalarPrinter.store(dtype, "out_re", "i", "(sum.x * scale)") + "\n  " + ScalarPrinter.store(dtype, "out_im", "i", "(sum.y * scale)")
      : "y[i] = sum * scale;"
    // After steps of factors whose product is `done`, x[j, k] is term k of the transform of every (length / done)-th number from j on.
    return KernelSource(
      """
      kernel void fourier(\(source), \(target), global const \(pair) *roots, int n, int length, int done, int factor, float scale_) {
        int i = get_global_id(0);
        if (i >= n) return;
        int width = done * factor, groups = length / width;
        int k = i % width, j = i / width % groups, base = i / length * length;
        int turn = k * groups, root = 0;
        \(number) scale = scale_ == 0 ? 1 / (\(number))length : (\(number))scale_;
        \(pair) sum = (\(pair))(0, 0);
        for (int q = 0; q < factor; q++) {
          int at = base + (j + groups * q) * done + k % done;
          \(pair) v = \(read), w = roots[root];
          sum += (\(pair))(v.x * w.x - v.y * w.y, v.x * w.y + v.y * w.x);
          root += turn;
          if (root >= length) root -= length;
        }
        \(write)
      }
      """)
  }

  /// A transform in steps.
  ///
  /// - Parameters:
  ///   - source, target: memory of pairs; nil for the node's operands and results.
  ///   - scale: what results are multiplied by; 0 stands for 1 / length.
  private func append(_ length: Int, _ factors: [Int], from source: GPUArgument?, to target: GPUArgument?, scale: Float) {
    let n = rows * length
    var done = 1
    var held = source
    let spare = factors.count > 1 ? [pairs(n), factors.count > 2 ? pairs(n) : .absent] : []
    let order = inverse ? [1, 0] : [0, 1]
    for (index, factor) in factors.enumerated() {
      let isLast = index == factors.count - 1
      let to = isLast ? target : spare[index % 2]
      let operands = (held.map { [$0] } ?? order.map { node.input($0) }) + (to.map { [$0] } ?? order.map { node.output($0) })
      node.kernel(
        step(isFirst: held == nil, isLast: to == nil), "fourier",
        operands + [roots(length), .int(n), .int(length), .int(done), .int(factor), .float(isLast ? scale : 1)], count: n)
      done *= factor
      held = to
    }
  }

  func transform(_ length: Int, _ factors: [Int]) -> GPUSupport {
    append(length, factors, from: nil, to: nil, scale: inverse ? 0 : 1)
    return .runs
  }

  private func pairs(_ count: Int) -> GPUArgument { node.temporary(byteCount: count * pairBytes) }

  // MARK: Bluestein

  /// x[k] w^(k²/2) convolved with w^(−k²/2), w the length-th root of one.
  func convolve(_ length: Int) -> GPUSupport {
    var size = 1
    while size < 2 * length - 1 { size *= 2 }
    guard let factors = Self.factors(size), rows.multipliedReportingOverflow(by: size * pairBytes).overflow == false, rows * size < 1 << 31 else {
      return .refused("a transform of \(length) numbers takes too much memory")
    }
    let (padded, spectrum, product, convolved) = (pairs(rows * size), pairs(rows * size), pairs(rows * size), pairs(rows * size))
    let chirp = table("fourier chirp", length) { FourierTables.chirp(length) }
    let order = inverse ? [1, 0] : [0, 1]
    let stored = ScalarPrinter.storedType(dtype)
    let source = KernelSource(
      """
      kernel void fourier_begin(
          global const \(stored) *re, global const \(stored) *im, global \(pair) *y, global const \(pair) *chirp, int n, int length, int size) {
        int i = get_global_id(0);
        if (i >= n) return;
        int k = i % size;
        \(pair) v = (\(pair))(0, 0);
        if (k < length) {
          int at = i / size * length + k;
          \(pair) w = chirp[k];
          \(number) a = \(ScalarPrinter.load(dtype, "re", "at")), b = \(ScalarPrinter.load(dtype, "im", "at"));
          v = (\(pair))(a * w.x + b * w.y, b * w.x - a * w.y);
        }
        y[i] = v;
      }
      kernel void fourier_multiply(global const \(pair) *x, global const \(pair) *other, global \(pair) *y, int n, int size) {
        int i = get_global_id(0);
        if (i >= n) return;
        \(pair) v = x[i], w = other[i % size];
        y[i] = (\(pair))(v.x * w.y + v.y * w.x, v.x * w.x - v.y * w.y);
      }
      kernel void fourier_end(
          global const \(pair) *x, global \(stored) *re, global \(stored) *im, global const \(pair) *chirp, int n, int length, int size, int divides) {
        int i = get_global_id(0);
        if (i >= n) return;
        \(pair) v = x[i / length * size + i % length], w = chirp[i % length];
        \(number) scale = divides ? 1 / (\(number))length : 1;
        \(ScalarPrinter.store(dtype, "re", "i", "((v.y * w.x + v.x * w.y) * scale)"))
        \(ScalarPrinter.store(dtype, "im", "i", "((v.x * w.x - v.y * w.y) * scale)"))
      }
      """)
    node.kernel(
      source, "fourier_begin", order.map { node.input($0) } + [padded, chirp, .int(rows * size), .int(length), .int(size)], count: rows * size)
    append(size, factors, from: padded, to: spectrum, scale: 1)
    let filter = table("fourier filter", size, length) { [size] in FourierTables.filter(length, size) }
    // Swapped parts: the next transform is the inverse one.
    node.kernel(source, "fourier_multiply", [spectrum, filter, product, .int(rows * size), .int(size)], count: rows * size)
    append(size, factors, from: product, to: convolved, scale: 0)
    node.kernel(
      source, "fourier_end",
      [convolved] + order.map { node.output($0) } + [chirp, .int(rows * length), .int(length), .int(size), .int(inverse ? 1 : 0)], count: rows * length)
    return .runs
  }

  // MARK: Tables

  private func roots(_ length: Int) -> GPUArgument { table("fourier roots", length) { FourierTables.roots(length) } }

  /// Complex numbers in the kernels' own precision.
  private func table(_ name: String, _ count: Int, _ key: Int = 0, _ numbers: @escaping @Sendable () -> [(Double, Double)]) -> GPUArgument {
    let isDouble = dtype == .float64
    return node.table(name, key: [count, key, isDouble ? 1 : 0], byteCount: count * pairBytes) { bytes in
      for (index, (x, y)) in numbers().prefix(count).enumerated() {
        if isDouble {
          bytes.storeBytes(of: x, toByteOffset: 16 * index, as: Double.self)
          bytes.storeBytes(of: y, toByteOffset: 16 * index + 8, as: Double.self)
        } else {
          bytes.storeBytes(of: Float(x), toByteOffset: 8 * index, as: Float.self)
          bytes.storeBytes(of: Float(y), toByteOffset: 8 * index + 4, as: Float.self)
        }
      }
    }
  }
}
