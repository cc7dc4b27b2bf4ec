import TensorModule

/// A `.csv` file with a header: a sample a row, the target in the column of its name, the other columns in their order as
/// the only input, or each input from the column of its name.
enum TableFile {
  static func store(_ path: String, _ form: DataForm, _ options: DataOptions) throws -> SampleStore {
    let file = try MappedFile(path: path)
    var rows = try withExtendedLifetime(file) { try CSVRows.parse(file.bytes) }
    guard rows.count > 1 else { throw KilnError(.badInput, "expected a header and rows, found \(rows.count) rows") }
    let header = rows.removeFirst().map(\.trimmingSpaces)
    if let twice = header.enumerated().first(where: { header.firstIndex(of: $1) != $0 })?.element {
      throw KilnError(.badInput, "two columns are called \(KilnError.quoted(twice))")
    }
    for (index, row) in rows.enumerated() where row.count != header.count {
      throw KilnError(.badInput, "row \(index + 2) has \(row.count) fields, the header \(header.count)")
    }
    var rest = header
    func take(_ names: [String], _ what: String) throws -> String {
      guard let name = names.first(where: rest.contains) else {
        let listed = header.prefix(8).map(KilnError.quoted).joined(separator: ", ") + (header.count > 8 ? ", …" : "")
        throw KilnError(
          .badInput, "no column \(names.map(KilnError.quoted).joined(separator: " or ")) for \(what); the columns are \(listed)",
          hint: "--target names the column of the targets")
      }
      rest.removeAll { $0 == name }
      return name
    }
    func column(_ name: String) -> [String] {
      let place = header.firstIndex(of: name) ?? 0
      return rows.map { $0[place] }
    }
    var classNames = form.classNames
    let targets = try form.targets.map { target in
      let usual = form.targets.count == 1 ? ["y", "label", "target", "class"] : []
      let named = form.targets.count == 1 ? options.target.map { [$0] } : nil
      let name = try take(named ?? [target.name] + target.aliases + usual, "the target")
      do { return try TargetColumn.of(target, values(column(name)), names: &classNames) } catch let error as KilnError {
        throw error.inside("column \(KilnError.quoted(name))")
      }
    }
    var weights: [String: Tensor] = [:]
    if rest.contains(weightColumn), !form.inputs.contains(where: { ([$0.name] + $0.aliases).contains(weightColumn) }) {
      let values = try numbers(column(try take([weightColumn], "weights")), weightColumn)
      for target in targets { weights[target.target.name] = try Tensor(values.map { Float($0) }, shape: [values.count]) }
    }
    let inputs = try form.inputs.map { input in
      let names = form.inputs.count == 1 ? rest : try columns(input, rest, take)
      guard input.dtype != .string else {
        return SampleStore.Input(form: input, column: .array(try texts(names.map(column), rows.count, input)))
      }
      let numbers = try names.map { name in try TableFile.numbers(column(name), name) }
      return SampleStore.Input(form: input, column: .array(try joined(numbers, rows.count, input)))
    }
    return try SampleStore(path: path, count: rows.count, inputs: inputs, targets: targets, weights: weights, classNames: classNames)
  }

  /// The column that weighs samples.
  private static let weightColumn = "sample_weight"

  /// The columns of one of several inputs: of its name, or its name with 0, 1, … after a `_` or `.`.
  private static func columns(
    _ input: DataForm.Input, _ rest: [String], _ take: ([String], String) throws -> String
  ) throws -> [String] {
    for name in [input.name] + input.aliases where !rest.contains(name) {
      for separator in ["_", "."] where rest.contains("\(name)\(separator)0") {
        let count = (0...).first { !rest.contains("\(name)\(separator)\($0)") } ?? 0
        return try (0..<count).map { try take(["\(name)\(separator)\($0)"], "an input") }
      }
    }
    return [try take([input.name] + input.aliases, "the input \(KilnError.quoted(input.name))")]
  }

  /// A column of the target: numbers when all fields are, else names.
  private static func values(_ fields: [String]) throws -> Tensor {
    if let empty = fields.firstIndex(where: { $0.trimmingSpaces.isEmpty }) { throw KilnError(.badInput, "row \(empty + 2) has no value") }
    let numbers = fields.compactMap(CSVRows.number)
    if numbers.count == fields.count { return try Tensor(numbers, shape: [numbers.count]) }
    return Tensor(strings: fields.map(\.trimmingSpaces), shape: [fields.count])
  }

  private static func numbers(_ fields: [String], _ name: String) throws -> [Double] {
    try fields.enumerated().map { index, field in
      let place = ["column \(KilnError.quoted(name))"]
      guard !field.trimmingSpaces.isEmpty else { throw KilnError(.badInput, "row \(index + 2) has no value", at: place) }
      guard let number = CSVRows.number(field) else {
        throw KilnError(
          .badInput, "row \(index + 2) holds \(KilnError.quoted(field)); expected numbers", at: place,
          hint: "give each category a number, or a column of 0 and 1 of its own")
      }
      guard number.isFinite else { throw KilnError(.badInput, "row \(index + 2) holds \(number); expected finite numbers", at: place) }
      return number
    }
  }

  private static func joined(_ columns: [[Double]], _ count: Int, _ input: DataForm.Input) throws -> Tensor {
    let shape = try shape(columns.count, input)
    let values = (0..<count).flatMap { row in columns.map { $0[row] } }
    let what = "the input \(KilnError.quoted(input.name))"
    let exact = try Tensor(values, shape: [count] + shape)
    return input.dtype == .float32 ? try exact.converted(to: .float32) : try ArrayChecks.typed(exact, input.dtype, what)
  }

  private static func texts(_ columns: [[String]], _ count: Int, _ input: DataForm.Input) throws -> Tensor {
    let shape = try shape(columns.count, input)
    return Tensor(strings: (0..<count).flatMap { row in columns.map { $0[row] } }, shape: [count] + shape)
  }

  /// Columns take the shape of a sample when their number is that of its elements.
  private static func shape(_ columns: Int, _ input: DataForm.Input) throws -> Shape {
    let fixed = input.dims.compactMap { $0 }
    if fixed.count == input.dims.count, checkedProduct(fixed) == columns { return fixed }
    if input.dims.count == 1, input.dims[0] == nil { return [columns] }
    throw KilnError(
      .badInput, "\(columns) columns besides the target; the input \(KilnError.quoted(input.name)) takes \(input.dims.dimsText) a sample")
  }
}
