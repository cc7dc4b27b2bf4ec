import TensorModule

/// Which Keras wrote a file: decides defaults, formulas and how masks meet.
struct KerasDialect: Hashable {
  enum Generation: Int, Comparable {
    case keras1 = 1
    case keras2, keras3
    static func < (left: Generation, right: Generation) -> Bool { left.rawValue < right.rawValue }
  }

  var generation: Generation
  /// Major, minor, patch; zeros when unknown.
  var version: [Int]
  /// Whether the file says its version.
  var hasVersion = true
  /// Whether it is TensorFlow's own Keras (`2.2.4-tf`, 2.4 and later of generation 2).
  var isTensorFlowKeras: Bool
  var evidence: String
  /// What Keras computed with; TensorFlow where nothing depends on it.
  var backend: KerasBackend = .tensorflow
  /// What the backend can be; `backend` alone when the file or the caller says it.
  var possibleBackends: [KerasBackend] = []
  /// The order of axes that all layers which say one agree on; Keras 1 does not write it for some classes.
  var imageFormat: DataFormat?
  /// Whether BatchNormalization(renorm) keeps how much its averages weigh, as tf.keras 1.13 and 1.14 do, which write the
  /// same version as 1.15.
  var countsRenorm = false

  /// The options that would tell the backend, for messages.
  var backendChoices: String { possibleBackends.map { "--backend \($0.rawValue)" }.joined(separator: " or ") }

  var isKeras3: Bool { generation == .keras3 }

  /// Reads a version text such as `2.2.4-tf`, `3.15.1`; nil means that the file has none.
  init(versionText: String?) {
    guard let text = versionText else {
      generation = .keras1
      version = [1, 0, 0]
      hasVersion = false
      isTensorFlowKeras = false
      evidence = "there is no attribute keras_version"
      return
    }
    let numbers = text.split(separator: "-").first.map(String.init) ?? text
    version = numbers.split(separator: ".").prefix(3).map { Int($0.prefix { $0.isNumber }) ?? 0 }
    while version.count < 3 { version.append(0) }
    generation = version[0] >= 3 ? .keras3 : version[0] == 2 ? .keras2 : .keras1
    isTensorFlowKeras = generation == .keras2 && (text.contains("tf") || !version.lexicographicallyPrecedes([2, 4, 0]))
    evidence = "attribute keras_version is '\(KilnError.escaped(text, limit: 40))'"
  }

  /// Whether the version is older than the given one.
  func isBefore(_ major: Int, _ minor: Int, _ patch: Int = 0) -> Bool {
    version.lexicographicallyPrecedes([major, minor, patch])
  }

  /// Whether a frozen layer's weights are stored after the trainable ones; before Keras 1.0.7 freezing changes nothing in a file.
  var movesFrozenWeights: Bool { generation != .keras1 || !isBefore(1, 0, 7) }

  /// How messages and metadata name the generation.
  var generationName: String { "Keras \(generation.rawValue)" }

  /// The framework's usual name.
  var framework: String {
    switch generation {
    case .keras1, .keras3: "keras"
    case .keras2: isTensorFlowKeras ? "tf.keras" : "keras"
    }
  }
}
