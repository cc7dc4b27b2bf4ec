import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let reductions = Family(
    "Reductions",
    [
      Row("ReduceElements") { try [$0.reduced()] },
      Row("SumAll") { call in
        let value = try call.value(0)
        let all = Array(0..<value.value.type.rank)
        return [call.result(try call.reduce(.sum, try call.masked(value, 0), all), .none)]
      },
      Row("Softmax") { try [$0.normalised(log: false)] },
      Row("LogSoftmax") { try [$0.normalised(log: true)] },
      Row("Hardmax") { call in
        let value = try call.value(0)
        let count = value.shape.reduce(Dim(1)) { $0 * $1 }
        guard let length = count.fixed, (1...1 << 24).contains(length) else { throw call.unsupported("a hardmax over \(count) elements") }
        let flat = try call.reshape(try call.x(0), value.value.type.dims.prefix(value.axes.count) + [count])
        let place = try call.add(ArgReduce(.max, axis: value.axes.count, dtype: .int32), [flat], "arg_max")
        let hot = try call.add(OneHot(depth: length, dtype: value.value.type.dtype), [place], "one_hot")
        return [call.result(try call.reshape(hot, value.value.type.dims), value.axes)]
      },
    ])
}

extension CNTKCall {
  /// CNTK's own softmax is over all elements of a sample's step.
  func normalised(log: Bool) throws -> CNTKValue {
    let value = try value(0)
    let dims = value.value.type.dims
    if has("axis") {
      return result(try add(Softmax(axis: try place(try axis("axis"), of: value), log: log), [try x(0)], "softmax"), value.axes)
    }
    guard value.shape.count != 1 else { return result(try add(Softmax(axis: value.axes.count, log: log), [try x(0)], "softmax"), value.axes) }
    let flat = try reshape(try x(0), dims.prefix(value.axes.count) + [value.shape.reduce(Dim(1)) { $0 * $1 }])
    return result(try reshape(try add(Softmax(axis: value.axes.count, log: log), [flat], "softmax"), dims), value.axes)
  }

  func reduced() throws -> CNTKValue {
    let value = try value(0)
    let name = try text("reductionOpName")
    let listed = has("axis") || has("axisVec") ? try axes("axis", or: "axisVec") : []
    let keeps = has("reductionKeepDimensions") ? try keepsDimensions() : true
    var places: Set<Int> = []
    var axes = value.axes
    let dynamic = value.axes.count
    for axis in listed {
      switch axis.index {
      case CNTKAxis.allStatic: places.formUnion(dynamic..<dynamic + value.shape.count)
      case CNTKAxis.all:
        places.formUnion(0..<dynamic + value.shape.count)
        axes = .none
      case CNTKAxis.dynamic where axis.isBatch:
        guard value.axes.hasBatch, value.axes.sequence == nil else { throw unsupported("a reduction over the batch of \(value.axes.sequence == nil ? "something without one" : "sequences")") }
        places.insert(0)
        axes.hasBatch = false
      case CNTKAxis.dynamic:
        guard value.axes.sequence != nil else { throw unsupported("a reduction over a sequence axis within a recurrence, or without one") }
        places.insert(value.axes.hasBatch ? 1 : 0)
        axes.sequence = nil
      default: places.insert(try place(axis, of: value))
      }
    }
    let reducesAll = places.count == value.value.type.rank && axes.count == 0
    let overDynamic = places.contains { $0 < dynamic }
    guard !places.isEmpty || value.value.type.rank == 0 else { return value }
    let order = places.sorted()
    let id: ValueID
    if name == "Argmax" || name == "Argmin" {
      guard !overDynamic else { throw unsupported("\(name) over a dynamic axis") }
      id = try argument(name == "Argmax" ? .max : .min, value, order)
    } else {
      id = try reduction(name, value, order, overDynamic: overDynamic)
    }
    // Dynamic axes go, reduced axes of the shape stay with length 1.
    var dims: [Dim] = []
    for (index, dim) in value.value.type.dims.enumerated() {
      if !places.contains(index) { dims.append(dim) } else if index >= dynamic, keeps, !reducesAll || listed.contains(where: { $0.index != CNTKAxis.all }) { dims.append(1) }
    }
    if !keeps { dims = value.value.type.dims.enumerated().filter { !places.contains($0.offset) }.map(\.element) }
    return result(try reshape(id, dims), axes)
  }

  /// Whether reduced axes stay: a flag, or a number.
  private func keepsDimensions() throws -> Bool { try bool("reductionKeepDimensions") }

  private func argument(_ kind: ArgReduce.Kind, _ value: CNTKValue, _ places: [Int]) throws -> ValueID {
    let dtype = value.value.type.dtype
    if places.count == 1 { return try cast(try add(ArgReduce(kind, axis: places[0], dtype: .int32), [try x(0)], "arg"), dtype) }
    guard places == Array(value.axes.count..<value.value.type.rank) else { throw unsupported("the place of an extreme over some of several axes") }
    // Places count in the file's order, where NumPy's first axis runs slowest: the same as here.
    let flat = try reshape(try x(0), value.value.type.dims.prefix(value.axes.count) + [value.shape.reduce(Dim(1)) { $0 * $1 }])
    return try cast(try add(ArgReduce(kind, axis: value.axes.count, dtype: .int32), [flat], "arg"), dtype)
  }

  private func reduction(_ name: String, _ value: CNTKValue, _ places: [Int], overDynamic: Bool) throws -> ValueID {
    let kinds: [String: Reduce.Kind] = ["Sum": .sum, "Mean": .mean, "Max": .max, "Min": .min, "Prod": .prod, "LogSum": .logsumexp]
    guard let kind = kinds[name] else { throw unsupported("the reduction \(KilnError.quoted(name))") }
    guard overDynamic, let sequence = value.axes.sequence, places.contains(value.axes.hasBatch ? 1 : 0) else { return try reduce(kind, try x(0), places) }
    switch kind {
    case .sum: return try reduce(.sum, try masked(value, 0), places)
    case .max: return try reduce(.max, try masked(value, -.infinity), places)
    case .min: return try reduce(.min, try masked(value, .infinity), places)
    case .prod: return try reduce(.prod, try masked(value, 1), places)
    case .logsumexp: return try reduce(.logsumexp, try masked(value, -.infinity), places)
    case .mean:
      let sum = try reduce(.sum, try masked(value, 0), places)
      let dtype = value.value.type.dtype
      var count = try cast(try builder.id(sequence.lengths), dtype)
      // Steps of the whole batch, or of each sequence, times the elements of a step that are reduced.
      if places.contains(0), value.axes.hasBatch { count = try reduce(.sum, count, [0]) }
      let inner = places.filter { $0 >= value.axes.count }.map { value.value.type.dims[$0] }.reduce(Dim(1)) { $0 * $1 }
      guard let inner = inner.fixed else { throw unsupported("a mean over an open number of elements") }
      count = try binary(.mul, count, try scalar(Double(inner), dtype))
      let rest = type(sum).rank - type(count).rank
      count = try reshape(count, type(count).dims + [Dim](repeating: 1, count: max(0, rest)))
      return try binary(.div, sum, count)
    case .any, .all: throw unsupported("the reduction \(KilnError.quoted(name))")
    }
  }
}
