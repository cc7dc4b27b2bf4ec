import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let losses = Family(
    "Losses",
    [
      Row("NegativeLogLikelihoodLoss", since: 12) { call in [try likelihood(call, try call.x(0))] },
      Row("SoftmaxCrossEntropyLoss", since: 12) { call in
        let scores = try call.x(0)
        let logarithms = try call.add(Softmax(axis: 1, log: true), [scores], "log_softmax")
        return [try likelihood(call, logarithms), logarithms]
      },
    ])

  /// −weight · x of each label's class, and what the reduction makes of them.
  private static func likelihood(_ call: ONNXCall, _ x: ValueID) throws -> ValueID {
    let type = call.type(x), dtype = type.dtype
    let labels = try call.cast(try call.x(1), .int64)
    guard type.rank >= 2, call.type(labels).rank == type.rank - 1 else { throw call.wrong("labels \(call.type(labels).message) do not fit \(type.message)") }
    let classes = try call.fixed(type.dims[1])
    // Labels that are ignored may be no class at all.
    let ignored = call.has("ignore_index") ? try call.int("ignore_index") : nil
    let counts = try ignored.map { try call.binary(.notEqual, labels, try call.scalar(Double($0), .int64)) }
    let safe = try counts.map { try call.select($0, labels, try call.scalar(0, .int64)) } ?? labels
    guard classes >= 1 else { throw call.wrong("has no classes") }
    let last = try call.transpose(x, [0] + Array(2..<type.rank) + [1])
    let rank = type.rank - 1
    let picked = try call.drop(try call.add(Gather(axis: rank, batchDims: rank), [last, try call.expand(safe, rank)], "gather"), rank)
    var weight: ValueID?
    if call.has(2) { weight = try call.add(Gather(axis: 0), [try call.x(2), safe], "gather") }
    if let counts {
      let ones = try weight ?? call.broadcast(try call.scalar(1, dtype), call.type(safe).dims)
      weight = try call.select(counts, ones, try call.scalar(0, dtype))
    }
    var loss = try call.unary(.neg, picked)
    if let weight { loss = try call.binary(.mul, loss, weight) }
    let axes = Array(0..<rank)
    switch try call.text("reduction", "mean") {
    case "none": return loss
    case "sum": return try call.reduce(.sum, loss, axes)
    case "mean":
      guard let weight else { return try call.reduce(.mean, loss, axes) }
      return try call.binary(.div, try call.reduce(.sum, loss, axes), try call.reduce(.sum, weight, axes))
    case let name: throw call.unsupported("the reduction \(KilnError.quoted(name))")
    }
  }
}
