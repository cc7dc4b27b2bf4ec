import TensorModule

/// The library that Keras computed with; decides the direction of kernels and how `same` pads.
enum KerasBackend: String {
  case tensorflow, theano, cntk, jax, torch, numpy, openvino

  /// The classes whose Theano kernels are stored for a true convolution: correlation takes them turned round.
  /// Depthwise kernels are not, since Keras turns them itself before it calls Theano.
  private static let flipped: Set<String> = [
    "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D",
  ]

  /// Whether the kernels of a class (today's name) are turned round along every spatial axis on Theano.
  static func hasDirection(_ className: String) -> Bool { flipped.contains(className) }

  /// Whether the kernels of a class (today's name) are turned round along every spatial axis.
  func flipsKernels(of className: String) -> Bool { self == .theano && KerasBackend.flipped.contains(className) }

  /// The backends that a generation of Keras had before Keras 3.
  static func candidates(_ generation: KerasDialect.Generation) -> [KerasBackend] {
    generation == .keras1 ? [.tensorflow, .theano] : [.tensorflow, .theano, .cntk]
  }
}

extension KerasDialect {
  /// What the weights' names tell of the backend: TensorFlow's end in `:0`, those of Theano and CNTK do not. Keras 1
  /// calls a variable without a name `param_0`, which tells nothing.
  ///
  /// - Returns: the backends that it can be, and the evidence.
  func backends(weightNames: [String]) -> (found: [KerasBackend], evidence: String) {
    let all = KerasBackend.candidates(generation)
    let telling = weightNames.filter { !($0.split(separator: "/").last ?? "").hasPrefix("param_") }
    guard !telling.isEmpty else { return (all, "no attribute backend and no weights whose names could tell") }
    let numbered = telling.count { $0.hasSuffix(":0") }
    if numbered == telling.count { return ([.tensorflow], "no attribute backend; all weight names end in ':0'") }
    if numbered == 0 { return (all.filter { $0 != .tensorflow }, "no attribute backend; no weight name ends in ':0'") }
    return (all, "no attribute backend; \(numbered) of \(telling.count) weight names end in ':0'")
  }
}
