import GraphModule
import TensorModule

/// The library that Keras computed with; decides the direction of kernels and how `same` pads.
enum KerasBackend: String {
  case tensorflow, theano, cntk, jax, torch, numpy, openvino

  /// The classes whose Theano kernels are stored for a true convolution: correlation takes them turned round.
  /// Depthwise kernels are not, since Keras turns them itself before it calls Theano.
  private static let flipped: Set<String> = [
    "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D",
  ]

  /// Whether the kernels of a class (today's name) are turned round along every spatial axis.
  func flipsKernels(of className: String) -> Bool { self == .theano && KerasBackend.flipped.contains(className) }

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
        let low = length > 2 && length % 2 == 1 ? length - 2 : length - 1
        return Padding.Amount(low, length - low - 1)
      })
  }

  /// `same` of CNTK with strides: the windows stand in the middle of the input, which decides by its length.
  ///
  /// - Throws: `KilnError` when a window would begin inside the input.
  func centredPadding(_ call: LayerCall, _ x: ValueID, kernel: [Int], strides: [Int]) throws -> Padding {
    guard self == .cntk, strides.contains(where: { $0 > 1 }) else { return .same }
    return .explicit(
      try kernel.indices.map { axis in
        let length = try call.fixed(x, axis: axis + 1)
        let last = (length - 1) / strides[axis] * strides[axis]
        let low = (kernel[axis] - 1) / 2 - (length - 1 - last) / 2
        let high = last + kernel[axis] - length - low
        guard low >= 0, high >= 0 else {
          throw KilnError(.unsupportedModel, "padding 'same' of a stride longer than the window, on CNTK")
        }
        return Padding.Amount(low, high)
      })
  }

  /// `same` of a transposed convolution with results of n · stride: what is cut off each end. Nil where zeros would
  /// have to be added.
  func sameTransposePadding(kernel: [Int], strides: [Int], dilations: [Int], outputPadding: [Int]?) -> Padding? {
    guard self == .theano else { return .same }
    var amounts: [Padding.Amount] = []
    for axis in kernel.indices {
      let extent = Dim.clamp((kernel[axis] - 1) * dilations[axis]) + 1
      let low = extent / 2
      let high = outputPadding.map { low - $0[axis] } ?? (extent - strides[axis] - low)
      guard high >= 0 else { return nil }
      amounts.append(Padding.Amount(low, high))
    }
    return .explicit(amounts)
  }
}

extension KerasDialect {
  /// The backend of a file: what it names; in Keras 1, which names none, what its weights' names tell.
  ///
  /// - Parameter weightNames: the paths of all weights; TensorFlow's end in `:0`.
  /// - Returns: nil when nothing tells, and the evidence.
  static func backend(named name: String?, weightNames: [String]) -> (backend: KerasBackend?, evidence: String) {
    if let name { return (KerasBackend(rawValue: name), "attribute backend is '\(KilnError.escaped(name, limit: 40))'") }
    guard !weightNames.isEmpty else { return (nil, "no attribute backend and no weights whose names could tell") }
    let numbered = weightNames.count { $0.hasSuffix(":0") }
    if numbered == weightNames.count { return (.tensorflow, "no attribute backend; all weight names end in ':0'") }
    if numbered == 0 { return (.theano, "no attribute backend; no weight name ends in ':0'") }
    return (nil, "no attribute backend; \(numbered) of \(weightNames.count) weight names end in ':0'")
  }
}
