import TensorModule

/// What a model takes and what it is taught, so that data of any source can be brought to it.
public struct DataForm: Sendable {
  /// An input of the model.
  public struct Input: Sendable {
    public var name: String
    /// Other names that data may use.
    public var aliases: [String]
    public var dtype: DType
    /// The lengths of one sample; nil is any.
    public var dims: [Int?]

    public init(_ name: String, aliases: [String] = [], dtype: DType = .float32, dims: [Int?]) {
      (self.name, self.aliases, self.dtype, self.dims) = (name, aliases, dtype, dims)
    }
  }

  /// How a loss wants its targets.
  public enum Labels: String, Sendable {
    /// A class as an integer (`sparse_categorical_crossentropy`).
    case indices
    /// A class as a row of one 1 among 0 (`categorical_crossentropy`).
    case oneHot
    /// One of two classes as 0 or 1 in a row of one (`binary_crossentropy`).
    case binary
    /// Numbers in the shape of the output.
    case numbers

    /// What a loss of Keras wants.
    ///
    /// - Parameters:
    ///   - loss: its name in Keras (`mean_squared_error`, `MeanSquaredError`).
    ///   - dims: the output's lengths without the axis of samples.
    public init(loss: String, dims: [Int?]) {
      let name = loss.lowercased().filter { $0 != "_" }
      if name.hasPrefix("sparsecategorical") {
        self = .indices
      } else if name.hasPrefix("categorical") || name == "custom" && dims.last != 1 && !dims.isEmpty {
        self = .oneHot
      } else if name.hasPrefix("binary"), dims.isEmpty || dims.last == 1 {
        self = .binary
      } else {
        self = .numbers
      }
    }
  }

  /// An output of the model and what it is compared with.
  public struct Target: Sendable {
    public var name: String
    public var aliases: [String]
    /// The output's lengths without the axis of samples.
    public var dims: [Int?]
    public var labels: Labels
    /// A label that the loss passes over, in or out of the range of classes.
    public var ignoredLabel: Int?

    public init(_ name: String, aliases: [String] = [], dims: [Int?], labels: Labels, ignoredLabel: Int? = nil) {
      (self.name, self.aliases, self.dims, self.labels, self.ignoredLabel) = (name, aliases, dims, labels, ignoredLabel)
    }

    /// How many classes the output tells apart; nil where that is not known or there are none.
    var classCount: Int? {
      switch labels {
      case .indices, .oneHot: dims.last ?? nil
      case .binary: 2
      case .numbers: nil
      }
    }
  }

  public var inputs: [Input]
  public var targets: [Target]
  /// What the classes are called, in the order of the outputs, when the model says it.
  public var classNames: [String]?

  public init(inputs: [Input], targets: [Target], classNames: [String]? = nil) {
    (self.inputs, self.targets, self.classNames) = (inputs, targets, classNames)
  }
}

extension Array where Element == Int? {
  /// `[28,28,?]`
  var dimsText: String { "[" + map { $0.map(String.init) ?? "?" }.joined(separator: ",") + "]" }
}
