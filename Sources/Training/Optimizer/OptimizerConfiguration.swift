import TensorModule

/// An optimizer as Keras names and configures it.
public struct OptimizerConfiguration: Sendable {
  public enum Kind: String, Sendable, CaseIterable {
    case sgd = "SGD"
    case adam = "Adam"
    case adamW = "AdamW"
    case rmsProp = "RMSprop"
    case adagrad = "Adagrad"
    case adadelta = "Adadelta"
    case adamax = "Adamax"
    case nadam = "Nadam"
    case ftrl = "Ftrl"
    case lion = "Lion"
    case lamb = "Lamb"
    case adafactor = "Adafactor"
  }

  public var kind: Kind
  public var learningRate: Double
  /// Options by Keras's names: `momentum`, `beta_1`, `epsilon`, …; flags are 0 or 1.
  public var options: [String: Double]
  /// The share of a weight that each step takes off, times the learning rate; nil: none.
  public var weightDecay: Double?
  /// The longest that one variable's gradient, all gradients together, and one number of them may be.
  public var clipNorm: Double?
  public var globalClipNorm: Double?
  public var clipValue: Double?
  public var usesAverage = false
  public var averageMomentum = 0.99
  public var averageOverwriteFrequency: Int?
  public var accumulationSteps: Int?
  /// The schedule of a Keras configuration, which takes the place of the learning rate.
  package var schedule: JSON?

  /// The optimizer with Keras's default values.
  ///
  /// - Parameter name: of the class, in any case: `adam`, `SGD`.
  /// - Throws: `KilnError` (`usage`) for a name that is not known.
  public init(_ name: String) throws {
    let wanted = name.lowercased() == "rms_prop" ? "rmsprop" : name.lowercased()
    guard let kind = Kind.allCases.first(where: { $0.rawValue.lowercased() == wanted }) else {
      throw KilnError(
        .usage, "there is no optimizer \(KilnError.quoted(name))",
        hint: Kind.allCases.map { $0.rawValue.lowercased() }.joined(separator: ", "))
    }
    self.kind = kind
    learningRate = kind == .sgd ? 0.01 : 0.001
    options = Self.defaults(kind)
    if kind == .adamW { weightDecay = 0.004 }
  }

  /// An optimizer of a `compile_config`: a name, or a class with its configuration.
  package init(_ json: JSON) throws {
    if let name = json.stringValue {
      try self.init(name)
      return
    }
    guard let name = json["class_name"]?.stringValue else {
      throw KilnError(.unsupportedModel, "the optimizer is \(json.kind), which is none of Keras's own")
    }
    try self.init(name)
    for (key, value) in json["config"]?.objectValue?.entries ?? [] where !value.isNull {
      let number = value.doubleValue ?? value.boolValue.map { $0 ? 1 : 0 }
      switch key {
      case "learning_rate", "lr": if let number { learningRate = number } else { schedule = value }
      case "weight_decay": weightDecay = number
      case "clipnorm": clipNorm = number
      case "global_clipnorm": globalClipNorm = number
      case "clipvalue": clipValue = number
      case "use_ema": usesAverage = value.boolValue ?? false
      case "ema_momentum": averageMomentum = number ?? averageMomentum
      case "ema_overwrite_frequency": averageOverwriteFrequency = value.intValue
      case "gradient_accumulation_steps": accumulationSteps = value.intValue
      default: if options[key] != nil, let number { options[key] = number }
      }
    }
  }

  /// What steps need of the rows that a table's gradient is the sum of. TensorFlow hands Keras's optimizers the rows; what is not
  /// linear in them comes out otherwise than for their sum.
  var rowTreatment: RowTreatment {
    var treatment = RowTreatment()
    // Gradients that are summed over steps are whole tables.
    if accumulationSteps != nil { return treatment }
    let clipsByNorm = (clipNorm ?? 0) > 0 || (globalClipNorm ?? 0) > 0
    if !clipsByNorm, let clipValue, clipValue > 0 { treatment.limit = clipValue }
    if clipsByNorm || treatment.limit != nil && kind != .adamax {
      treatment.sum = .squares
    } else if kind == .adamax {
      treatment.sum = .absolutes
    } else if ![.sgd, .lion].contains(kind) {
      treatment.sum = .squares
    }
    return treatment
  }

  func option(_ key: String) -> Float { Float(options[key] ?? 0) }

  private static func defaults(_ kind: Kind) -> [String: Double] {
    let moments = ["beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7]
    switch kind {
    case .sgd: return ["momentum": 0, "nesterov": 0]
    case .adam, .adamW: return moments.merging(["amsgrad": 0]) { $1 }
    case .rmsProp: return ["rho": 0.9, "momentum": 0, "epsilon": 1e-7, "centered": 0]
    case .adagrad: return ["initial_accumulator_value": 0.1, "epsilon": 1e-7]
    case .adadelta: return ["rho": 0.95, "epsilon": 1e-7]
    case .adamax, .nadam, .lamb: return moments
    case .ftrl:
      return [
        "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "l1_regularization_strength": 0, "l2_regularization_strength": 0,
        "l2_shrinkage_regularization_strength": 0, "beta": 0,
      ]
    case .lion: return ["beta_1": 0.9, "beta_2": 0.99]
    case .adafactor:
      return ["beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1, "relative_step": 1]
    }
  }

  /// The configuration as Keras 3 writes it.
  package var json: JSON {
    func number(_ value: Double?) -> JSON { value.map { .double($0) } ?? .null }
    func count(_ value: Int?) -> JSON { value.map { .int($0) } ?? .null }
    var config = JSONObject([
      ("name", .string(kind == .rmsProp ? "rmsprop" : kind.rawValue.lowercased())), ("learning_rate", schedule ?? .double(Double(Float(learningRate)))),
      ("weight_decay", number(weightDecay)), ("clipnorm", number(clipNorm)), ("global_clipnorm", number(globalClipNorm)),
      ("clipvalue", number(clipValue)), ("use_ema", .bool(usesAverage)), ("ema_momentum", .double(averageMomentum)),
      ("ema_overwrite_frequency", count(averageOverwriteFrequency)), ("loss_scale_factor", .null),
      ("gradient_accumulation_steps", count(accumulationSteps)),
    ])
    for (key, value) in options.sorted(by: { $0.key < $1.key }) {
      config[key] = ["nesterov", "amsgrad", "centered", "relative_step"].contains(key) ? .bool(value != 0) : .double(value)
    }
    return .object(
      JSONObject([
        ("module", .string("keras.optimizers")), ("class_name", .string(kind.rawValue)), ("config", .object(config)), ("registered_name", .null),
      ]))
  }
}
