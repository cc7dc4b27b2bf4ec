import TensorModule

/// A `.npz` file: `x` and `y` (or `x_train` and `y_train`, as Keras's own data sets have them), or arrays by the names of
/// inputs and outputs; `sample_weight`, or `sample_weight_NAME` for an output, is optional.
enum ArrayFile {
  static func store(_ path: String, _ form: DataForm, _ options: DataOptions) throws -> SampleStore {
    let arrays = Dictionary(try NumPyFile.read(npz: path).map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    func found(_ names: [String], _ what: String) throws -> (String, Tensor) {
      for name in names { if let tensor = arrays[name] { return (name, tensor) } }
      let holds = arrays.keys.sorted().prefix(8).map(KilnError.quoted).joined(separator: ", ")
      throw KilnError(.badInput, "holds no array \(names.enumerated().filter { !names[..<$0.offset].contains($0.element) }.map { KilnError.quoted($0.element) }.joined(separator: " or ")) for \(what); it has \(holds)")
    }
    let count = try found(names(form.inputs[0].name, form.inputs[0].aliases, form.inputs.count, "x"), "the input").1.shape.first ?? 0
    func counted(_ name: String, _ tensor: Tensor) throws {
      guard tensor.shape.first == count else {
        throw KilnError(.badInput, "expected \(count) samples, found the shape \(tensor.shape.shapeText)", at: [name])
      }
    }
    func at<Result>(_ name: String, _ work: () throws -> Result) throws -> Result {
      do { return try work() } catch let error as KilnError { throw error.inside(name) }
    }
    let inputs = try form.inputs.map { input in
      let (name, tensor) = try found(names(input.name, input.aliases, form.inputs.count, "x"), "the input \(KilnError.quoted(input.name))")
      try counted(name, tensor)
      return try at(name) { SampleStore.Input(form: input, column: .array(try ArrayColumn.fitted(tensor, input))) }
    }
    var classNames = form.classNames
    let targets = try form.targets.map { target in
      let wanted = options.target.map { [$0] } ?? names(target.name, target.aliases, form.targets.count, "y")
      let (name, tensor) = try found(wanted, "the output \(KilnError.quoted(target.name))")
      try counted(name, tensor)
      return try at(name) { try TargetColumn.of(target, tensor, names: &classNames) }
    }
    var weights: [String: Tensor] = [:]
    for target in targets {
      let own = target.target
      // One for all outputs, or one for this.
      guard let name = ([own.name] + own.aliases).map({ "sample_weight_\($0)" }).first(where: { arrays[$0] != nil })
        ?? (arrays["sample_weight"] != nil ? "sample_weight" : nil), let weight = arrays[name]
      else { continue }
      try counted(name, weight)
      weights[own.name] = try at(name) {
        try ArrayChecks.finite(weight)
        let inner = Array(weight.shape.dropFirst())
        let isForSteps = inner.count > 0 && inner.count <= target.rowShape.count && inner == Array(target.rowShape.prefix(inner.count))
        return try (isForSteps ? weight : ArrayChecks.shaped(weight, [], "weights")).converted(to: .float32)
      }
    }
    return try SampleStore(path: path, count: count, inputs: inputs, targets: targets, weights: weights, classNames: classNames)
  }

  private static func names(_ name: String, _ aliases: [String], _ count: Int, _ short: String) -> [String] {
    [name] + aliases + (count == 1 ? [short, short + "_train"] : [])
  }
}

/// An array as an input takes it.
enum ArrayColumn {
  static func fitted(_ tensor: Tensor, _ input: DataForm.Input) throws -> Tensor {
    let what = "the input \(KilnError.quoted(input.name))"
    try ArrayChecks.finite(tensor)
    return try ArrayChecks.typed(try ArrayChecks.shaped(tensor, input.dims, what), input.dtype, what)
  }
}
