import GraphModule
import TensorModule

/// How each backend computes `same`.
extension KerasBackend {
  /// `same` of a convolution. Theano pads half of the kernel before, for every stride, and cuts the result to
  /// ceil(n / stride).
  func samePadding(kernel: [Int], dilations: [Int]) -> Padding {
    guard self == .theano else { return .same }
    return .explicit(
      zip(kernel, dilations).map { kernel, dilation in
        let extent = Dim.clamp((kernel - 1) * dilation) + 1
        return Padding.Amount(extent / 2, (extent - 1) / 2)
      })
  }

  /// `same` of pooling. Theano pads p − 1 before a window of length p, p − 2 when p is odd and over 2, and cuts the
  /// result to ceil(n / stride).
  func samePoolPadding(window: [Int]) -> Padding {
    guard self == .theano else { return .same }
    return .explicit(
      window.map { length in
        let low = KerasBackend.theanoPool(length)
        return Padding.Amount(low, length - low - 1)
      })
  }

  private static func theanoPool(_ window: Int) -> Int { window > 2 && window % 2 == 1 ? window - 2 : window - 1 }

  /// What CNTK puts before the first window: the windows stand in the middle of the input. Negative where the first
  /// window begins inside it.
  static func cntkLow(length: Int, window: Int, stride: Int) -> Int {
    (window - 1) / 2 - (length - 1 - (length - 1) / stride * stride) / 2
  }

  /// `same` of CNTK with strides, which decides by the length of the input.
  ///
  /// - Returns: the input, without the cells before the first window, and the padding of the rest.
  func centred(
    _ call: LayerCall, _ x: ValueID, window: [Int], strides: [Int]
  ) throws -> (input: ValueID, padding: Padding) {
    guard self == .cntk, strides.contains(where: { $0 > 1 }) else { return (x, .same) }
    var ranges = [Slice.Range](repeating: .all, count: call.type(x).rank)
    var amounts: [Padding.Amount] = []
    for axis in window.indices {
      let length = try call.fixed(x, axis: axis + 1)
      let low = KerasBackend.cntkLow(length: length, window: window[axis], stride: strides[axis])
      let last = (length - 1) / strides[axis] * strides[axis]
      amounts.append(Padding.Amount(max(low, 0), max(last + window[axis] - length - low, 0)))
      if low < 0 { ranges[axis + 1] = Slice.Range(start: -low) }
    }
    let input = ranges.allSatisfy { $0 == .all } ? x : try call.add(Slice(ranges), [x], "crop")
    return (input, .explicit(amounts))
  }

  /// Whether CNTK's convolution in groups reads the first channel for all of them: so it does where `same` puts more
  /// after the input than before it, along any axis.
  func readsFirstChannelOnly(_ call: LayerCall, _ x: ValueID, window: [Int], strides: [Int]) throws -> Bool {
    guard self == .cntk else { return false }
    return try window.indices.contains { axis in
      if strides[axis] == 1 { return window[axis] % 2 == 0 }
      let length = try call.fixed(x, axis: axis + 1)
      let low = KerasBackend.cntkLow(length: length, window: window[axis], stride: strides[axis])
      return (length - 1) / strides[axis] * strides[axis] + window[axis] - length - low > low
    }
  }

  /// Whether `same` pooling takes the same cells on all these backends, for the length of the axis or, where it is not
  /// known, for every length.
  static func agreeOnPooling(_ backends: [KerasBackend], window: Int, stride: Int, length: Int?) -> Bool {
    guard window > 1, backends.count > 1 else { return true }
    guard let length else {
      let period = window + stride
      return period <= 256 && (1...2 * period).allSatisfy {
        agreeOnPooling(backends, window: window, stride: stride, length: $0)
      }
    }
    let count = length / stride + (length % stride == 0 ? 0 : 1)
    let lows = Set(
      backends.map { backend in
        switch backend {
        case .theano: theanoPool(window)
        case .cntk: cntkLow(length: length, window: window, stride: stride)
        default: max((count - 1) * stride + window - length, 0) / 2
        }
      })
    if lows.count < 2 { return true }
    // Away from the ends windows that begin elsewhere hold other cells.
    guard count <= 4096 else { return false }
    return (0..<count).allSatisfy { index in
      Set(lows.map { low in [max(index * stride - low, 0), min(index * stride - low + window, length)] }).count == 1
    }
  }

  /// What a transposed convolution cuts off the front of the full result to give `output` cells; negative where it puts
  /// zeros there.
  func transposedCut(input: Int, output: Int, extent: Int, stride: Int, isSame: Bool) -> Int {
    guard isSame else { return 0 }
    let span = Dim.clamp((input - 1) * stride)
    switch self {
    case .theano: return extent / 2
    case .cntk: return (extent - 1) / 2 - (output - 1 - span) / 2
    default: return max(span + extent - output, 0) / 2
    }
  }
}
