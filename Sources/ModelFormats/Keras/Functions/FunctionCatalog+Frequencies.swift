import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension FunctionCatalog {
  /// Fourier transforms, windows of signals and their joining.
  static let frequencies: [String: Meaning] = {
    var table: [String: Meaning] = [
      "fft": { call in try transformed(call, inverse: false) },
      "ifft": { call in try transformed(call, inverse: true) },
      "fft2": { call in try transformed(call, inverse: false, axes: 2) },
      "ifft2": { call in try transformed(call, inverse: true, axes: 2) },
      "rfft": { call in
        var x = try call.floatTensor(0, "x", "input_tensor")
        let length = try call.ints("fft_length")?.last ?? call.length(x, -1)
        guard (1...1 << 24).contains(length) else { throw call.wrong("fft_length must be 1 or more") }
        x = try resized(call, x, length)
        let parts = try call.layer.addAll(FourierTransform(inverse: false), [x, try call.apply(.mul, x, 0)], "fft")
        let half = try parts.map { try call.range($0, axis: call.rank(x) - 1, nil, length / 2 + 1) }
        return try call.complexResult(half[0], half[1])
      },
      "irfft": { call in
        let (real, imaginary) = try call.complex(0, "x", "input_tensor")
        guard let imaginary else { throw call.wrong("needs complex numbers") }
        let length = try call.ints("fft_length")?.last ?? 2 * (call.length(real, -1) - 1)
        return [try inverseReal(call, real, imaginary, length)]
      },
      "stft": { call in
        if !call.isKeras { return try tensorFlowSTFT(call) }
        var x = try call.floatTensor(0, "x")
        let (length, step, size) = try sizes(call)
        if try call.bool("center") ?? true { x = try call.padded(x, axis: call.rank(x) - 1, size / 2, size / 2, .reflect) }
        let window = try window(call, length, size)
        let (real, imaginary) = try spectrum(call, x, window, step: step, size: size)
        return [real, imaginary]
      },
      "istft": { call in
        let (real, imaginary) = try call.complex(0, "x")
        guard let imaginary else { throw call.wrong("needs a pair of tensors") }
        let (length, step, size) = try sizes(call)
        let center = try call.bool("center") ?? true
        let wanted = try call.int("length")
        let window = try window(call, length, size)
        // The inverse window: the window by the sum of its squares at all frames that overlap.
        var scaled = window
        if call.argument(nil, "window") != nil || !call.windowIsNone {
          let overlaps = (size + step - 1) / step
          var sums = [Double](repeating: 0, count: overlaps * step)
          for (index, value) in window.enumerated() { sums[index] = value * value }
          for phase in 0..<step {
            let total = (0..<overlaps).reduce(0) { $0 + sums[$1 * step + phase] }
            for row in 0..<overlaps where row * step + phase < size {
              scaled[row * step + phase] = total == 0 ? .infinity * 0 : window[row * step + phase] / total
            }
          }
          scaled = scaled.map { $0.isNaN ? 0 : $0 }
        }
        let frames = try call.apply(
          .mul, try inverseReal(call, real, imaginary, size), try call.constant(scaled, [size], call.dtype(of: real)))
        let joined = try overlapped(call, frames, step)
        let start = center ? size / 2 : 0
        let axis = call.rank(joined) - 1
        if let wanted { return [try call.range(joined, axis: axis, start, start + wanted)] }
        return [center ? try call.range(joined, axis: axis, start, -(size / 2)) : joined]
      },
      "extract_sequences": { call in
        let x = try call.tensor(0, "x")
        guard let length = try call.int("sequence_length"), let step = try call.int("sequence_stride"), length > 0, step > 0 else {
          throw call.wrong("sequence_length and sequence_stride must be 1 or more")
        }
        return [try frames(call, x, length, step)]
      },
      "frame": { call in
        let x = try call.tensor(0, "signal")
        guard let length = try call.int("frame_length"), let step = try call.int("frame_step"), length > 0, step > 0 else {
          throw call.wrong("frame_length and frame_step must be 1 or more")
        }
        if try call.bool("pad_end") == true { throw call.unsupported("pad_end") }
        guard try call.axis(try call.int("axis") ?? -1, of: x) == call.rank(x) - 1 else { throw call.unsupported("another axis than the last") }
        return [try frames(call, x, length, step)]
      },
      "overlap_and_add": { call in
        let x = try call.tensor(0, "signal")
        guard let step = try call.int("frame_step"), step > 0 else { throw call.wrong("frame_step must be 1 or more") }
        return [try overlapped(call, x, step)]
      },
      // The transform of type 2: 2 Σ x cos(π (2n + 1) k / 2N).
      "dct": { call in
        let x = try call.floatTensor(0, "input")
        let kind = try call.int("type") ?? 2
        guard kind == 2, try call.int("n") == nil else { throw call.unsupported("type \(kind) or n") }
        let n = try call.length(x, -1)
        try call.limited(n, n)
        let ortho = try call.string("norm") == "ortho"
        var table = [Double](repeating: 0, count: n * n)
        for row in 0..<n {
          for k in 0..<n {
            let scale = ortho ? (k == 0 ? (1 / Double(n)).squareRoot() : (2 / Double(n)).squareRoot()) : 2
            table[row * n + k] = scale * cos(Double.pi * Double((2 * row + 1) * k % (4 * n)) / Double(2 * n))
          }
        }
        let flat = try call.layer.reshape(x, [Array(call.dims(of: x).dropLast()).reduce(1, *), Dim(n)])
        return [try call.layer.reshape(try call.product(flat, try call.constant(table, [n, n], call.dtype(of: x))), call.dims(of: x))]
      },
      "correlate": { call in
        let (x, y) = try call.floats()
        let (n, m) = (try call.length(x, 0), try call.length(y, 0))
        let mode = try call.string("mode") ?? "valid"
        guard call.rank(x) == 1, call.rank(y) == 1, m > 0 else { throw call.wrong("needs two vectors") }
        let wide = mode == "valid" ? x : try call.padded(x, axis: 0, m - 1, m - 1)
        let signal = try call.layer.reshape(wide, [1, call.dims(of: wide)[0], 1])
        let kernel = try call.layer.reshape(y, [Dim(m), 1, 1])
        let found = try call.layer.add(Conv(strides: [1], dilations: [1], padding: .valid, groups: 1), [signal, kernel], "correlate")
        let flat = try call.layer.reshape(found, [call.dims(of: found)[1]])
        guard mode == "same" else { return [flat] }
        let start = (n + m - 1 - max(n, m)) / 2
        return [try call.range(flat, axis: 0, start, start + max(n, m))]
      },
      "view_as_real": { call in
        let (real, imaginary) = try call.complex(0, "x")
        guard let imaginary else { throw call.unsupported("a real operand") }
        return [try call.stack([real, imaginary], axis: call.rank(real))]
      },
      "view_as_complex": { throw $0.unsupported("a complex result") },
      "polar": { throw $0.unsupported("a complex result") },
    ]
    for (name, target) in [("fft2d", "fft2"), ("ifft2d", "ifft2")] { table[name] = table[target] }
    return table
  }()

  // MARK: Parts

  private static func transformed(_ call: FunctionCall, inverse: Bool, axes: Int = 1) throws -> [ValueID] {
    var (real, other) = try call.complex(0, "x", "input")
    var imaginary = try other ?? call.apply(.mul, real, 0)
    for _ in 0..<axes {
      let parts = try call.layer.addAll(FourierTransform(inverse: inverse), [real, imaginary], "fft")
      (real, imaginary) = axes == 1 ? (parts[0], parts[1]) : (try call.matrixTransposed(parts[0]), try call.matrixTransposed(parts[1]))
    }
    return try call.complexResult(real, imaginary)
  }

  /// The last axis cut or padded with zeros.
  private static func resized(_ call: FunctionCall, _ x: ValueID, _ length: Int) throws -> ValueID {
    let (axis, own) = (call.rank(x) - 1, try call.length(x, -1))
    return own > length ? try call.range(x, axis: axis, nil, length) : try call.padded(x, axis: axis, 0, length - own)
  }

  /// The real numbers of which half the spectrum is given.
  private static func inverseReal(_ call: FunctionCall, _ real: ValueID, _ imaginary: ValueID, _ length: Int) throws -> ValueID {
    guard (1...1 << 24).contains(length) else { throw call.wrong("fft_length must be 1 or more") }
    let half = length / 2 + 1
    let axis = call.rank(real) - 1
    // The other half is the conjugate, turned round, without the ends that stand for themselves.
    func whole(_ x: ValueID, _ sign: Double) throws -> ValueID {
      let first = try resized(call, x, half)
      let inner = try call.range(first, axis: axis, 1, length - half + 1)
      let turned = try call.reversed(inner, axes: [axis])
      return try call.concat([first, sign < 0 ? try call.apply(.neg, turned) : turned], axis: axis)
    }
    // The imaginary parts at both ends have no meaning.
    var mask = [Double](repeating: 1, count: length)
    mask[0] = 0
    if length % 2 == 0 { mask[length / 2] = 0 }
    let odd = try call.apply(.mul, try whole(imaginary, -1), try call.constant(mask, [length], call.dtype(of: real)))
    return try call.layer.addAll(FourierTransform(inverse: true), [try whole(real, 1), odd], "ifft")[0]
  }

  private static func sizes(_ call: FunctionCall) throws -> (length: Int, step: Int, size: Int) {
    guard let length = try call.int("sequence_length"), let step = try call.int("sequence_stride"), let size = try call.int("fft_length"),
      length > 0, step > 0, size >= length, size <= 1 << 20
    else { throw call.wrong("sequence_length, sequence_stride and fft_length do not fit") }
    return (length, step, size)
  }

  /// The window in the middle of `size` places.
  private static func window(_ call: FunctionCall, _ length: Int, _ size: Int) throws -> [Double] {
    var values: [Double]
    if let numbers = try call.json("window"), let array = NumberArray(numbers) {
      guard array.values.count == length else { throw call.wrong("the window must have \(length) numbers") }
      values = array.values
    } else if let name = try call.string("window") {
      values = try SignalWindow.values(named: name, length, periodic: true)
    } else if call.windowIsNone {
      return [Double](repeating: 1, count: size)
    } else {
      values = try SignalWindow.values(named: "hann", length, periodic: true)
    }
    let low = (size - length) / 2
    values = [Double](repeating: 0, count: low) + values
    return values + [Double](repeating: 0, count: size - values.count)
  }

  /// The spectrum of each window of the last axis: one convolution with the windowed waves, or a transform of many points.
  static func spectrum(
    _ call: FunctionCall, _ x: ValueID, _ window: [Double], step: Int, size: Int
  ) throws -> (real: ValueID, imaginary: ValueID) {
    let dims = call.dims(of: x)
    let bins = size / 2 + 1
    let length = window.count
    if size > 2048 {
      let windowed = try call.apply(
        .mul, try frames(call, x, length, step), try call.constant(window, [length], call.dtype(of: x)))
      let wide = try resized(call, windowed, size)
      let parts = try call.layer.addAll(FourierTransform(inverse: false), [wide, try call.apply(.mul, wide, 0)], "fft")
      let axis = call.rank(wide) - 1
      return (try call.range(parts[0], axis: axis, nil, bins), try call.range(parts[1], axis: axis, nil, bins))
    }
    var waves = [Double](repeating: 0, count: length * 2 * bins)
    for n in 0..<length {
      for k in 0..<bins {
        let angle = -2 * Double.pi * Double(n * k % size) / Double(size)
        waves[n * 2 * bins + k] = window[n] * cos(angle)
        waves[n * 2 * bins + bins + k] = window[n] * sin(angle)
      }
    }
    let kernel = try call.constant(waves, [length, 1, 2 * bins], call.dtype(of: x))
    let signal = try call.layer.reshape(x, [Array(dims.dropLast()).reduce(1, *), dims[dims.count - 1], 1])
    let both = try call.layer.add(Conv(strides: [step], dilations: [1], padding: .valid, groups: 1), [signal, kernel], "spectrum")
    let shape = Array(dims.dropLast()) + [call.dims(of: both)[1], Dim(2 * bins)]
    let found = try call.layer.reshape(both, shape)
    let axis = shape.count - 1
    return (try call.range(found, axis: axis, nil, bins), try call.range(found, axis: axis, bins, nil))
  }

  /// Windows of the last axis, as a new axis before it.
  private static func frames(_ call: FunctionCall, _ x: ValueID, _ length: Int, _ step: Int) throws -> ValueID {
    let (axis, total) = (call.rank(x) - 1, try call.length(x, -1))
    let count = total < length ? 0 : (total - length) / step + 1
    try call.limited(count, length)
    let indices = (0..<count).flatMap { frame in (0..<length).map { Int64(frame * step + $0) } }
    let picks = call.layer.constant(try Tensor(integers: indices, dtype: .int64, shape: [count, length]), "frames")
    return try call.layer.add(Gather(axis: axis), [x, picks], "frames")
  }

  /// Frames [..., count, length] added where they overlap.
  private static func overlapped(_ call: FunctionCall, _ x: ValueID, _ step: Int) throws -> ValueID {
    let (count, length) = (try call.length(x, -2), try call.length(x, -1))
    let total = length + step * max(count - 1, 0)
    try call.limited(count, length)
    let outer = Array(call.dims(of: x).dropLast(2))
    // Places first: scatter works on leading axes.
    let flat = try call.layer.reshape(x, [outer.reduce(1, *), Dim(count * length)])
    let places = (0..<count).flatMap { frame in (0..<length).map { Int64(frame * step + $0) } }
    let indices = call.layer.constant(try Tensor(integers: places, dtype: .int64, shape: [places.count, 1]), "places")
    let rows = try call.layer.transpose(flat, [1, 0])
    let empty = try call.broadcast(try call.layer.scalar(0, call.dtype(of: x)), [Dim(total), call.dims(of: flat)[0]])
    let sum = try call.layer.add(Scatter(.add), [empty, indices, rows], "overlap")
    return try call.layer.reshape(try call.layer.transpose(sum, [1, 0]), outer + [Dim(total)])
  }

  private static func tensorFlowSTFT(_ call: FunctionCall) throws -> [ValueID] {
    let x = try call.floatTensor(0, "signals")
    guard let length = try call.int("frame_length"), let step = try call.int("frame_step"), length > 0, step > 0 else {
      throw call.wrong("frame_length and frame_step must be 1 or more")
    }
    var size = 1
    while size < length { size *= 2 }
    size = try call.int("fft_length") ?? size
    if try call.bool("pad_end") == true { throw call.unsupported("pad_end") }
    guard call.argument(nil, "window_fn") == nil, size >= length, size <= 1 << 20 else { throw call.unsupported("window_fn or this fft_length") }
    let window = try SignalWindow.values(named: "hann", length, periodic: true)
    let (real, imaginary) = try spectrum(call, x, window, step: step, size: size)
    return try call.complexResult(real, imaginary)
  }
}

extension FunctionCall {
  /// Whether the file says that there is no window.
  fileprivate var windowIsNone: Bool { isNull("window") }
}

/// The windows of signals by name.
enum SignalWindow {
  /// - Parameter periodic: the period is the length, not one less.
  static func values(named name: String, _ length: Int, periodic: Bool) throws -> [Double] {
    guard length > 1 else { return [Double](repeating: 1, count: max(length, 0)) }
    let period = Double(periodic ? length : length - 1)
    let parts: [Double]
    switch name {
    case "hann", "hanning": parts = [0.5, 0.5]
    case "hamming": parts = [0.54, 0.46]
    case "blackman": parts = [0.42, 0.5, 0.08]
    case "boxcar", "rectangular", "ones": parts = [1]
    default: throw KilnError(.unsupportedModel, "window \(KilnError.quoted(name)) is not supported", hint: "hann, hamming, blackman or numbers")
    }
    return (0..<length).map { n in
      parts.enumerated().reduce(0) { sum, part in
        sum + (part.offset % 2 == 0 ? 1 : -1) * part.element * cos(2 * Double.pi * Double(part.offset * n) / period)
      }
    }
  }
}
