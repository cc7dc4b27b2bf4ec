import Kiln

/// The classes of greatest value of one sample.
struct TopClasses {
  struct Entry {
    let index: Int
    let label: String
    let value: Double
  }

  let entries: [Entry]

  /// The `count` greatest values of each row of a `[samples, classes]` output; ties keep their order, NaN comes last.
  ///
  /// - Throws: `KilnError` (`badInput`) when the output has another rank or the labels another number.
  static func rows(of output: Tensor, named name: String, count: Int, _ labels: Labels?) throws -> [TopClasses] {
    guard output.shape.count == 2, output.dtype != .string else {
      throw KilnError(
        .badInput,
        "output \(KilnError.quoted(name)) is \(output.dtype.name)\(output.shape.shapeText); --top needs [samples, classes]")
    }
    let classes = output.shape[1]
    if let labels, labels.names.count != classes {
      throw KilnError(
        .badInput, "\(labels.names.count) labels for the \(classes) classes of output \(KilnError.quoted(name))")
    }
    let values = output.doubles
    return (0..<output.shape[0]).map { row in
      let line = values[row * classes..<(row + 1) * classes]
      func rank(_ value: Double) -> Double { value.isNaN ? -.infinity : value }
      let order = line.indices.sorted { (rank(line[$1]), $0) < (rank(line[$0]), $1) }
      return TopClasses(
        entries: order.prefix(count).map { index in
          let place = index - row * classes
          return Entry(index: place, label: labels?.names[place] ?? String(place), value: line[index])
        })
    }
  }
}
