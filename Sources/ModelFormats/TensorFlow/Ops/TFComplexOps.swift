import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Ops whose readers take complex operands.
  static let complexOps: Set<String> = Set(complexNumbers.readers.keys).union(frequencies.readers.keys)

  /// Complex numbers and their parts.
  static let complexNumbers = Family(
    "Complex numbers",
    [
      "Real": { [try $0.pair(0).real] },
      "Imag": { [try $0.pair(0).imaginary] },
      "ComplexAbs": { [try TFComplex.magnitude($0, try $0.pair(0))] },
      "Angle": { call in
        let (a, b) = try call.pair(0)
        return [try call.binary(.atan2, b, a)]
      },
    ],
    values: [
      "Complex": { call in
        let (a, b) = (try call.x(0), try call.x(1))
        let dims = try Broadcast.dims(call.type(a).dims, call.type(b).dims, "Complex")
        return [try call.complex((try call.broadcast(a, dims), try call.broadcast(b, dims)))]
      },
      "Conj": { [try $0.input(0)] },
    ])

  /// Fourier transforms.
  static let frequencies: Family = {
    var readers: [String: Reader] = [:]
    for (suffix, rank) in [("", 1), ("2D", 2), ("3D", 3)] {
      for prefix in suffix.isEmpty ? ["", "Batch"] : ["", "Batch"] {
        readers["\(prefix)FFT\(suffix)"] = { call in [try transformed(call, lastAxes(call, rank), nil, inverse: false)] }
        readers["\(prefix)IFFT\(suffix)"] = { call in [try transformed(call, lastAxes(call, rank), nil, inverse: true)] }
      }
      readers["RFFT\(suffix)"] = { call in [try realTransformed(call, lastAxes(call, rank), try lengths(call, rank))] }
      readers["IRFFT\(suffix)"] = { call in call.values([try inverseReal(call, lastAxes(call, rank), try lengths(call, rank))]) }
    }
    readers["FFTND"] = { call in
      let axes = try givenAxes(call)
      return [try transformed(call, axes, try lengths(call, axes.count), inverse: false)]
    }
    readers["IFFTND"] = { call in
      let axes = try givenAxes(call)
      return [try transformed(call, axes, try lengths(call, axes.count), inverse: true)]
    }
    readers["RFFTND"] = { call in
      let axes = try givenAxes(call)
      return [try realTransformed(call, axes, try lengths(call, axes.count))]
    }
    readers["IRFFTND"] = { call in
      let axes = try givenAxes(call)
      return call.values([try inverseReal(call, axes, try lengths(call, axes.count))])
    }
    return Family("Fourier transforms", [:], values: readers)
  }()

  private static func lastAxes(_ call: TFCall, _ count: Int) throws -> [Int] {
    let rank = try call.input(0).type.rank
    guard rank >= count else { throw call.wrong("needs rank \(count) or more, found \(try call.input(0).type.message)") }
    return Array(rank - count..<rank)
  }

  private static func givenAxes(_ call: TFCall) throws -> [Int] {
    let rank = try call.input(0).type.rank
    let axes = try call.integers(2, "axes").map { try call.axis($0, rank) }
    guard !axes.isEmpty, Set(axes).count == axes.count else { throw call.wrong("its axes are empty or repeat") }
    return axes
  }

  private static func lengths(_ call: TFCall, _ count: Int) throws -> [Int] {
    let lengths = try call.integers(1, "a length of the transform")
    guard lengths.count == count, lengths.allSatisfy({ (1...1 << 22).contains($0) }) else { throw call.wrong("needs \(count) lengths of 1 or more, found \(lengths)") }
    return lengths
  }

  /// An axis cut or padded with zeros.
  static func resized(_ call: TFCall, _ x: ValueID, _ axis: Int, _ length: Int) throws -> ValueID {
    let own = try call.length(x, axis)
    if own == length { return x }
    if own > length { return try call.slice(x, axis: axis, nil, length) }
    var high = [Int](repeating: 0, count: call.type(x).rank)
    high[axis] = length - own
    return try call.add(Pad(.constant, low: high.map { _ in 0 }, high: high), [x], "pad")
  }

  /// The transform along one axis.
  private static func along(_ call: TFCall, _ pair: TFComplex.Pair, _ axis: Int, inverse: Bool) throws -> TFComplex.Pair {
    let rank = call.type(pair.real).rank
    _ = try call.length(pair.real, axis)
    var order = Array(0..<rank)
    order.swapAt(axis, rank - 1)
    let parts = try call.addAll(
      FourierTransform(inverse: inverse), [try call.transpose(pair.real, order), try call.transpose(pair.imaginary, order)], "fft")
    return (try call.transpose(parts[0], order), try call.transpose(parts[1], order))
  }

  private static func transformed(_ call: TFCall, _ axes: [Int], _ lengths: [Int]?, inverse: Bool) throws -> TFValue {
    var pair = try call.pair(0)
    for (index, axis) in axes.enumerated() {
      if let lengths { pair = (try resized(call, pair.real, axis, lengths[index]), try resized(call, pair.imaginary, axis, lengths[index])) }
    }
    for axis in axes.reversed() { pair = try along(call, pair, axis, inverse: inverse) }
    return try call.complex(pair)
  }

  /// The transform of real numbers: of the last axis only the half that says all.
  private static func realTransformed(_ call: TFCall, _ axes: [Int], _ lengths: [Int]) throws -> TFValue {
    var x = try call.x(0)
    for (axis, length) in zip(axes, lengths) { x = try resized(call, x, axis, length) }
    guard let last = axes.last, let length = lengths.last else { throw call.wrong("has no axes") }
    let zero = try call.broadcast(try call.scalar(0, call.type(x).dtype), call.type(x).dims)
    let whole = try along(call, (x, zero), last, inverse: false)
    var pair = (real: try resized(call, whole.real, last, length / 2 + 1), imaginary: try resized(call, whole.imaginary, last, length / 2 + 1))
    for axis in axes.dropLast().reversed() { pair = try along(call, pair, axis, inverse: false) }
    return try call.complex(pair)
  }

  /// The real numbers of which half the transform is given.
  private static func inverseReal(_ call: TFCall, _ axes: [Int], _ lengths: [Int]) throws -> ValueID {
    var pair = try call.pair(0)
    guard let last = axes.last, let length = lengths.last else { throw call.wrong("has no axes") }
    for (axis, length) in zip(axes, lengths) {
      let wanted = axis == last ? length / 2 + 1 : length
      pair = (try resized(call, pair.real, axis, wanted), try resized(call, pair.imaginary, axis, wanted))
    }
    for axis in axes.dropLast() { pair = try along(call, pair, axis, inverse: true) }
    // The other half is the conjugate, turned round, without the ends that stand for themselves.
    func whole(_ x: ValueID, conjugated: Bool) throws -> ValueID {
      let end = length - length / 2
      guard end > 1 else { return x }
      let turned = try call.add(Reverse(axes: [last]), [try call.slice(x, axis: last, 1, end)], "reverse")
      return try call.concat([x, conjugated ? try call.unary(.neg, turned) : turned], axis: last)
    }
    // The imaginary parts at both ends have no meaning.
    var mask = [Double](repeating: 1, count: length)
    mask[0] = 0
    if length % 2 == 0 { mask[length / 2] = 0 }
    var shape = [Int](repeating: 1, count: call.type(pair.real).rank)
    shape[last] = length
    let odd = try call.binary(
      .mul, try whole(pair.imaginary, conjugated: true), try call.numbers(mask, shape, call.type(pair.real).dtype, "mask"))
    return try along(call, (try whole(pair.real, conjugated: false), odd), last, inverse: true).real
  }
}
