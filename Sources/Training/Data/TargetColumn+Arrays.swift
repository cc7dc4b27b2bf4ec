import TensorModule

extension TargetColumn {
  /// A target from an array: labels by name, by number or one-hot, or numbers, as the loss needs them.
  ///
  /// - Parameters:
  ///   - array: a row for each sample.
  ///   - names: what classes are called, when that is known; set when the array holds names and nothing says their order.
  static func of(_ target: DataForm.Target, _ array: Tensor, names: inout [String]?) throws -> TargetColumn {
    if array.dtype == .string { return try named(target, array, &names) }
    if target.labels == .numbers { return try TargetColumn(target, numbers: numbers(target, array)) }
    try ArrayChecks.finite(array)
    let inner = Array(array.shape.dropFirst())
    // The lengths of a sample's labels: those of the output without its classes.
    let positions = target.dims.isEmpty ? [] : Array(target.dims.dropLast())
    func fits(_ shape: Shape) -> Bool { shape.count == positions.count && zip(shape, positions).allSatisfy { $1 == nil || $0 == $1 } }
    if fits(inner) { return try indices(target, array, inner, names) }
    if inner.last == 1, fits(Array(inner.dropLast())) { return try indices(target, array, Array(inner.dropLast()), names) }
    if let classes = inner.last, classes > 1, fits(Array(inner.dropLast())) { return try oneHot(target, array, classes) }
    throw KilnError(.badInput, "expected labels \((positions).dimsText) or \(target.dims.dimsText) a sample, found \(inner.shapeText)")
  }

  private static let mostClasses: Int32 = 1 << 16

  private static func indices(_ target: DataForm.Target, _ array: Tensor, _ shape: Shape, _ names: [String]?) throws -> TargetColumn {
    let values = array.doubles
    if let bad = values.firstIndex(where: { $0 != $0.rounded() || abs($0) > 0x1p31 - 1 }) {
      // Chances of the second class.
      if target.labels == .binary, values.allSatisfy({ (0...1).contains($0) }) { return try TargetColumn(target, numbers: numbers(target, array)) }
      throw KilnError(.badInput, "sample \(bad / max(1, shape.elementCount)) has the label \(values[bad]); classes are integers from 0")
    }
    let classes = values.map { Int32($0) }
    if target.classCount == nil, names == nil, let greatest = classes.max(), greatest >= mostClasses {
      throw KilnError(.badInput, "a label is \(greatest); at most \(mostClasses) classes are supported where the output does not say how many")
    }
    let count = target.classCount ?? names?.count ?? Int(classes.max() ?? 0) + 1
    return try TargetColumn(target, classes: classes, shape: shape, classCount: count)
  }

  /// Rows of one 1 among 0 become classes; other rows (soft labels) stay numbers.
  private static func oneHot(_ target: DataForm.Target, _ array: Tensor, _ classes: Int) throws -> TargetColumn {
    if let count = target.classCount, count != classes {
      throw KilnError(.badInput, "rows of \(classes) classes; the output has \(count)")
    }
    let values = array.doubles
    var found: [Int32] = []
    found.reserveCapacity(values.count / classes)
    for start in stride(from: 0, to: values.count, by: classes) {
      let row = values[start..<start + classes]
      guard row.count(where: { $0 == 1 }) == 1, row.count(where: { $0 == 0 }) == classes - 1, let place = row.firstIndex(of: 1) else {
        if target.labels == .oneHot { return try TargetColumn(target, numbers: numbers(target, array)) }
        throw KilnError(
          .badInput, "sample \(start / max(1, array.shape.dropFirst().reduce(1, *))) is no one-hot row, and the loss takes one class a sample",
          hint: "--loss categorical_crossentropy takes rows of probabilities")
      }
      found.append(Int32(place - start))
    }
    return try TargetColumn(target, classes: found, shape: Array(array.shape.dropFirst().dropLast()), classCount: classes)
  }

  private static func named(_ target: DataForm.Target, _ array: Tensor, _ names: inout [String]?) throws -> TargetColumn {
    let inner = Array(array.shape.dropFirst())
    guard inner.isEmpty || inner == [1] else {
      throw KilnError(.badInput, "expected one name a sample, found \(inner.shapeText)")
    }
    let texts = array.strings.map(\.description)
    let order = names ?? Array(Set(texts)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let places = Dictionary(order.enumerated().map { ($1, Int32($0)) }, uniquingKeysWith: { first, _ in first })
    let classes = try texts.enumerated().map { sample, text in
      guard let place = places[text] else {
        throw KilnError(.badInput, "sample \(sample) has the label \(KilnError.quoted(text)), which is none of the classes \(listed(order))")
      }
      return place
    }
    names = order
    try countFits(target, order)
    return try TargetColumn(target, classes: classes, shape: [], classCount: order.count)
  }

  /// - Throws: `KilnError` (`badInput`) when the data have more or fewer classes than the output.
  static func countFits(_ target: DataForm.Target, _ names: [String]) throws {
    guard let count = target.classCount, count != names.count else { return }
    throw KilnError(
      .badInput, "\(names.count) class\(names.count == 1 ? "" : "es") (\(listed(names))); the output \(KilnError.quoted(target.name)) has \(count)",
      hint: target.labels == .binary ? nil : "--new-head \(names.count) gives the model a new last layer")
  }

  private static func listed(_ names: [String]) -> String {
    names.prefix(5).map(KilnError.quoted).joined(separator: ", ") + (names.count > 5 ? ", …" : "")
  }

  /// Numbers in the shape of the output. A last axis of 1 may be missing, or be one too many, as in Keras.
  private static func numbers(_ target: DataForm.Target, _ array: Tensor) throws -> Tensor {
    try ArrayChecks.finite(array)
    let shaped = try ArrayChecks.shaped(array, target.dims, "the output \(KilnError.quoted(target.name))")
    return RowCopy.converts(shaped.dtype, to: .float32) ? shaped : try shaped.converted(to: .float32)
  }
}
