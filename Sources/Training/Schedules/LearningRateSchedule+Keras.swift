import TensorModule

extension LearningRateSchedule {
  /// The learning rate in an optimizer's configuration of Keras: a number, or a schedule class with its own configuration.
  ///
  /// - Throws: `KilnError`: `unsupportedModel` for another class, `badInput` for numbers that make no schedule.
  package init(keras json: JSON) throws {
    if let rate = json.doubleValue {
      guard rate.isFinite, rate >= 0 else { throw KilnError(.badInput, "the learning rate is \(rate); expected a number of 0 or more") }
      self = .constant(rate)
      return
    }
    guard let name = json["class_name"]?.stringValue, let config = json["config"], config.objectValue != nil else {
      throw KilnError(.badInput, "the learning rate is \(json.kind); expected a number or a schedule")
    }
    let reader = ScheduleConfig(name: name, config: config)
    switch name {
    case "ExponentialDecay":
      self = .exponential(
        rate: try reader.number("initial_learning_rate"), steps: try reader.positive("decay_steps"), decay: try reader.number("decay_rate"),
        hasStairs: reader.flag("staircase"))
    case "PiecewiseConstantDecay":
      let (boundaries, values) = (try reader.list("boundaries"), try reader.list("values"))
      guard values.count == boundaries.count + 1, zip(boundaries, boundaries.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw KilnError(.badInput, "\(name): \(boundaries.count) rising boundaries need one value more, found \(values.count)")
      }
      self = .piecewise(boundaries: boundaries, values: values)
    case "PolynomialDecay":
      self = .polynomial(
        rate: try reader.number("initial_learning_rate"), steps: try reader.positive("decay_steps"),
        end: try reader.number("end_learning_rate", 0.0001), power: try reader.number("power", 1), isCyclic: reader.flag("cycle"))
    case "InverseTimeDecay":
      self = .inverseTime(
        rate: try reader.number("initial_learning_rate"), steps: try reader.positive("decay_steps"), decay: try reader.number("decay_rate"),
        hasStairs: reader.flag("staircase"))
    case "CosineDecay":
      let target = config["warmup_target"]?.isNull ?? true ? nil : try reader.number("warmup_target")
      self = .cosine(
        rate: try reader.number("initial_learning_rate"), steps: try reader.positive("decay_steps"), alpha: try reader.number("alpha", 0),
        warmupTarget: target, warmupSteps: try reader.number("warmup_steps", 0))
    case "CosineDecayRestarts":
      self = .cosineRestarts(
        rate: try reader.number("initial_learning_rate"), steps: try reader.positive("first_decay_steps"),
        lengthFactor: try reader.number("t_mul", 2), heightFactor: try reader.number("m_mul", 1), alpha: try reader.number("alpha", 0))
    default:
      throw KilnError(
        .unsupportedModel, "the learning rate schedule \(KilnError.quoted(name)) is not supported", hint: "--learning-rate gives another")
    }
  }
}

/// The members of a schedule's configuration.
private struct ScheduleConfig {
  let name: String
  let config: JSON

  private func wrong(_ key: String, _ expected: String) -> KilnError {
    KilnError(.badInput, "\(name): \(key) must be \(expected), found \(KilnError.escaped(config[key]?.text() ?? "nothing"))")
  }

  func number(_ key: String, _ usual: Double? = nil) throws -> Double {
    if config[key] == nil, let usual { return usual }
    guard let value = config[key]?.doubleValue, value.isFinite else { throw wrong(key, "a number") }
    return value
  }

  func positive(_ key: String) throws -> Double {
    let value = try number(key)
    guard value > 0 else { throw wrong(key, "over 0") }
    return value
  }

  func flag(_ key: String) -> Bool { config[key]?.boolValue ?? false }

  func list(_ key: String) throws -> [Double] {
    guard let list = config[key]?.arrayValue else { throw wrong(key, "a list of numbers") }
    let values = list.compactMap(\.doubleValue)
    guard values.count == list.count, values.allSatisfy(\.isFinite) else { throw wrong(key, "a list of numbers") }
    return values
  }
}
