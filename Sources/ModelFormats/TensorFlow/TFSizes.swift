import GraphModule
import TensorModule

/// The symbols of one graph under construction: where each can be read off, and which stand for numbers that the model
/// computes.
final class TFSizes {
  /// Numbers of symbols handed out, for all graphs of one model.
  private final class Counter { var next = 1 }

  private let counter: Counter
  private let outer: TFSizes?
  /// Integers that the model computes, by the symbols that stand for them.
  private var numbers: [String: (value: TFValue, element: Int)] = [:]
  /// The axes that have a symbol as their length and were made by a node.
  var axes: [String: (value: ValueID, axis: Int)] = [:]
  /// Symbols for sums of numbers that the model computes.
  var joined: [Dim: String] = [:]
  /// Sizes that are values already: int64 vectors of one element.
  var values: [Dim: ValueID] = [:]
  /// The shapes of values.
  var shapes: [ValueID: ValueID] = [:]

  init(_ outer: TFSizes?) {
    self.outer = outer
    counter = outer?.counter ?? Counter()
  }

  /// Lets go of the values, which hold their builders.
  func close() { numbers = [:] }

  /// A symbol that no input has: those are `batch` or have an underscore.
  func fresh() -> Dim {
    defer { counter.next += 1 }
    return .symbol("n\(counter.next)")
  }

  /// Symbols for the elements of an integer vector or scalar.
  func stand(for value: TFValue, count: Int) -> [Dim] {
    (0..<count).map { element in
      let symbol = fresh()
      if let name = symbol.plainSymbol { numbers[name] = (value, element) }
      return symbol
    }
  }

  /// The element that a symbol stands for; nil for a length.
  func number(_ symbol: String) -> (value: TFValue, element: Int)? { numbers[symbol] ?? outer?.number(symbol) }

  /// Whether a symbol stands for a number that no node of this graph has made a length yet.
  func isOpen(_ symbol: String) -> Bool { axes[symbol] == nil && number(symbol) != nil }
}

extension TFBuilder {
  /// Adds a node whose results' sizes depend on its operands; at once when they are constants.
  func addDynamic(_ op: any DataDependentOp, _ operands: [ValueID], name: String, scope: String) throws -> [ValueID] {
    let constants = operands.compactMap { evaluate($0) }
    if constants.count == operands.count {
      return try op.results(constants.map { ReferenceTensor($0) }).enumerated().map { index, result in
        graph.addConstant(index == 0 ? name : "\(name):\(index)", try result.tensor())
      }
    }
    let results = try graph.add(op, operands, name: name, scope: scope)
    for result in results {
      for (axis, dim) in graph.type(of: result).dims.enumerated() {
        if let symbol = dim.plainSymbol, sizes.axes[symbol] == nil { sizes.axes[symbol] = (result, axis) }
      }
    }
    return results
  }

  /// A size that dims may name: numbers in it that the model computes become the lengths of axes. A negative one is then an
  /// error when the model runs.
  func bound(_ dim: Dim) throws -> Dim {
    if !dim.symbols.contains(where: sizes.isOpen) { return dim }
    let symbol: String
    if let own = dim.plainSymbol { symbol = own } else if let own = sizes.joined[dim] { symbol = own } else {
      let sum = TFValue.value(try size(dim), self, name: "sizes")
      guard let own = sizes.stand(for: sum, count: 1)[0].plainSymbol else { throw KilnError(.internal, "a size has no symbol") }
      sizes.joined[dim] = own
      symbol = own
    }
    // A result without elements costs nothing, however long the axis.
    let shape = try graph.addOne(Concat(axis: 0), [try size(.symbol(symbol)), try size(0)], name: "sizes/\(symbol)/shape")
    let nothing = graph.addConstant("sizes/nothing", try Tensor(integers: [], dtype: .int32, shape: [0]))
    _ = try addDynamic(DynamicBroadcastTo([.symbol(symbol), 0]), [nothing, shape], name: "sizes/\(symbol)/length", scope: "")
    return .symbol(symbol)
  }

  /// A size as an int64 vector of one element, computed from the lengths of axes.
  func size(_ dim: Dim) throws -> ValueID {
    if let known = sizes.values[dim] { return known }
    func join(_ function: ScalarFunction, _ left: ValueID?, _ right: ValueID) throws -> ValueID {
      guard let left else { return right }
      return try graph.addOne(Elementwise(function), [left, right], name: "sizes/\(function.rawValue)")
    }
    let made: ValueID
    if let fixed = dim.fixed {
      made = graph.addConstant("sizes/\(fixed)", try Tensor(integers: [Int64(fixed)], dtype: .int64, shape: [1]))
    } else if let symbol = dim.plainSymbol {
      made = try length(symbol)
    } else {
      var sum: ValueID?
      for term in dim.terms {
        var product = term.coefficient == 1 ? nil : try size(Dim(term.coefficient))
        for atom in term.atoms {
          let factor =
            switch atom {
            case .symbol(let name): try size(.symbol(name))
            case .quotient(let inner, let divisor): try join(.floorDiv, try size(inner), try size(Dim(divisor)))
            }
          product = try join(.mul, product, factor)
        }
        if let product { sum = try join(.add, sum, product) }
      }
      if dim.constant != 0 { sum = try join(.add, sum, try size(Dim(dim.constant))) }
      guard let sum else { throw KilnError(.internal, "a size has no terms") }
      made = sum
    }
    sizes.values[dim] = made
    return made
  }

  /// Sizes as an int64 vector.
  func vector(_ dims: [Dim]) throws -> ValueID {
    if let fixed = TensorType(.int64, dims).shape {
      return graph.addConstant("sizes/vector", try Tensor(integers: fixed.map(Int64.init), dtype: .int64, shape: [fixed.count]))
    }
    let parts = try dims.map(size)
    return parts.count == 1 ? parts[0] : try graph.addOne(Concat(axis: 0), parts, name: "sizes/vector")
  }

  /// The length that a symbol is, read off an axis that has it.
  private func length(_ symbol: String) throws -> ValueID {
    if let (value, element) = sizes.number(symbol) {
      let vector = try graph.addOne(Cast(.int64), [try id(value)], name: "sizes/\(symbol)/cast")
      let flat = try graph.addOne(Reshape([graph.type(of: vector).elementCount]), [vector], name: "sizes/\(symbol)/reshape")
      return try graph.addOne(Slice([.init(start: element, end: element + 1)]), [flat], name: "sizes/\(symbol)")
    }
    var place = sizes.axes[symbol]
    for input in graph.inputs where place == nil {
      if let axis = graph.type(of: input).dims.firstIndex(of: .symbol(symbol)) { place = (input, axis) }
    }
    if let (value, axis) = place {
      let shape = try sizes.shapes[value] ?? graph.addOne(ShapeOf(), [value], name: "\(graph[value].name)/shape_of")
      sizes.shapes[value] = shape
      return try graph.addOne(Slice([.init(start: axis, end: axis + 1)]), [shape], name: "sizes/\(symbol)")
    }
    guard let parent else { throw KilnError(.unsupportedModel, "the size \(KilnError.quoted(symbol)) as data is not supported") }
    return try id(.value(try parent.size(.symbol(symbol)), parent, name: "sizes/\(symbol)"))
  }
}
