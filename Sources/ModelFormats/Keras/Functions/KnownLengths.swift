import GraphModule
import TensorModule

/// Integers that a value is known to hold, as lengths of the inputs' axes: what `tf.shape` gives, and what is computed
/// from it.
struct KnownLengths {
  var dims: [Dim]
  /// Whether it is one number rather than a list.
  var isScalar: Bool

  init(_ dims: [Dim]) {
    self.dims = dims
    isScalar = false
  }

  init(scalar: Dim) {
    dims = [scalar]
    isScalar = true
  }
}

extension KerasGraphBuilder {
  /// The lengths that an argument is known to hold.
  func lengths(_ argument: KerasTree<KerasTensor>) -> KnownLengths? {
    switch argument {
    case .leaf(let tensor): return lengths[tensor.value]
    case .constant(let json):
      guard let array = NumberArray(json), array.shape.count <= 1, array.kind == .int64 || array.values.isEmpty,
        array.dtype?.isFloat != true
      else { return nil }
      let numbers = array.values.compactMap { Int(exactly: $0) }
      guard numbers.count == array.values.count else { return nil }
      return array.shape.isEmpty ? KnownLengths(scalar: Dim(numbers[0])) : KnownLengths(numbers.map { Dim($0) })
    case .list(let items):
      let parts = items.compactMap(lengths)
      guard parts.count == items.count, parts.allSatisfy(\.isScalar) else { return nil }
      return KnownLengths(parts.flatMap(\.dims))
    case .dict: return nil
    }
  }

  /// An argument without tensors, or with such that are known numbers.
  func constant(_ argument: KerasTree<KerasTensor>) -> JSON? {
    switch argument {
    case .constant(let json): return json
    case .leaf(let tensor):
      guard let known = lengths[tensor.value] else { return nil }
      let numbers = known.dims.compactMap(\.fixed)
      guard numbers.count == known.dims.count else { return nil }
      return known.isScalar ? .int(numbers[0]) : .array(numbers.map { .int($0) })
    case .list(let items):
      let parts = items.compactMap(constant)
      return parts.count == items.count ? .array(parts) : nil
    case .dict(let entries):
      let parts = entries.compactMap { entry in constant(entry.value).map { (entry.key, $0) } }
      return parts.count == entries.count ? .object(JSONObject(parts)) : nil
    }
  }
}

extension LayerCall {
  /// The lengths as a tensor of the graph: a length that is not known yet is counted.
  func tensor(of lengths: KnownLengths, _ dtype: DType = .int32) throws -> ValueID {
    let numbers = try lengths.dims.map { dim -> ValueID in
      if let fixed = dim.fixed { return try scalar(Double(fixed), dtype) }
      let ones = try add(BroadcastTo([dim]), [try scalar(1, dtype)], "ones")
      return try add(Reduce(.sum, axes: [0], keepDims: false), [ones], "length")
    }
    var value: ValueID
    if lengths.isScalar {
      value = try add(Elementwise(.identity), [numbers[0]], "length")
    } else if numbers.isEmpty {
      value = constant(try Tensor(converting: [], to: dtype, shape: [0]), "lengths")
    } else if lengths.dims.allSatisfy({ $0.fixed != nil }) {
      let values = lengths.dims.map { Double($0.fixed ?? 0) }
      value = constant(try Tensor(converting: values, to: dtype, shape: [values.count]), "lengths")
    } else {
      value = try add(Concat(axis: 0), try numbers.map { try expand($0, axis: 0) }, "lengths")
    }
    builder.lengths[value] = lengths
    return value
  }
}

/// Arithmetic on lengths, beside that of the graph.
enum LengthArithmetic {
  /// Notes what the results of a function of known lengths are.
  static func note(
    _ name: String, _ call: LayerCall, _ configured: [(key: String, value: JSON)], _ results: [ValueID]
  ) {
    let builder = call.builder
    let given = call.arguments + call.keywords.filter { $0.key != "name" }.map(\.value)
    guard given.flatMap(\.leaves).contains(where: { builder.lengths[$0.value] != nil }) else { return }
    guard let first = results.first, builder.graph.type(of: first).dtype.isInteger else { return }
    func lengths(_ position: Int, _ key: String) -> KnownLengths? {
      if let named = call.keywords.first(where: { $0.key == key })?.value { return builder.lengths(named) }
      return call.arguments.indices.contains(position) ? builder.lengths(call.arguments[position]) : nil
    }
    func both(_ join: (Dim, Dim) -> Dim?) -> KnownLengths? {
      guard let a = lengths(0, "x"), let b = lengths(1, call.keywords.contains { $0.key == "x2" } ? "x2" : "y") else { return nil }
      let count = max(a.dims.count, b.dims.count)
      guard [1, count].contains(a.dims.count), [1, count].contains(b.dims.count) else { return nil }
      let dims = (0..<count).compactMap { join(a.dims[a.dims.count == 1 ? 0 : $0], b.dims[b.dims.count == 1 ? 0 : $0]) }
      guard dims.count == count else { return nil }
      return a.isScalar && b.isScalar ? KnownLengths(scalar: dims[0]) : KnownLengths(dims)
    }
    var known: KnownLengths?
    switch name {
    case "add": known = both { $0 + $1 }
    case "subtract": known = both { $0 - $1 }
    case "multiply": known = both { $0 * $1 }
    case "floor_divide": known = both { a, b in b.fixed.flatMap { $0 > 0 ? a.floorDivided(by: $0) : nil } }
    case "maximum": known = both { a, b in a.fixed.flatMap { x in b.fixed.map { Dim(max(x, $0)) } } }
    case "minimum": known = both { a, b in a.fixed.flatMap { x in b.fixed.map { Dim(min(x, $0)) } } }
    case "cast", "identity", "negative":
      if var all = lengths(0, "x") {
        if name == "negative" { all.dims = all.dims.map { Dim(0) - $0 } }
        known = all
      }
    case "prod":
      if let all = lengths(0, "x") { known = KnownLengths(scalar: all.dims.reduce(1, *)) }
    case "sum":
      if let all = lengths(0, "x") { known = KnownLengths(scalar: all.dims.reduce(0, +)) }
    case "stack":
      if let first = call.arguments.first { known = builder.lengths(first) }
    case "concatenate":
      if case .list(let items)? = call.arguments.first {
        let parts = items.compactMap(builder.lengths)
        if parts.count == items.count { known = KnownLengths(parts.flatMap(\.dims)) }
      }
    case "unstack":
      if let all = lengths(0, "value"), all.dims.count == results.count {
        for (result, dim) in zip(results, all.dims) { builder.lengths[result] = KnownLengths(scalar: dim) }
      }
      return
    case "reshape", "squeeze", "expand_dims", "ravel":
      if let all = lengths(0, "x") {
        known = builder.graph.type(of: first).rank == 0 ? KnownLengths(scalar: all.dims[0]) : all
      }
    case "get_item", "slice", "strided_slice": known = picked(call, configured, lengths(0, "x"), first)
    default: break
    }
    guard let known, builder.graph.type(of: first).dims == (known.isScalar ? [] : [Dim(known.dims.count)]) else { return }
    builder.lengths[first] = known
  }

  /// The lengths that a slice picks: those of the node that was made for it.
  private static func picked(
    _ call: LayerCall, _ configured: [(key: String, value: JSON)], _ lengths: KnownLengths?, _ result: ValueID
  ) -> KnownLengths? {
    guard let lengths, !lengths.isScalar else { return nil }
    let producers = call.builder.graph.nodes.suffix(8)
    var value = result
    for node in producers.reversed() where node.outputs.contains(value) {
      if let slice = node.op as? Slice, slice.ranges.count == 1, let range = slice.ranges.first {
        let place = range.resolved(lengths.dims.count)
        let picked = (0..<place.count).map { lengths.dims[place.start + $0 * range.step] }
        let isScalar = call.builder.graph.type(of: result).rank == 0
        guard isScalar ? picked.count == 1 : true else { return nil }
        return isScalar ? KnownLengths(scalar: picked[0]) : KnownLengths(picked)
      }
      guard node.op is Reshape || (node.op as? Elementwise)?.function == .identity, let input = node.inputs.first else { return nil }
      value = input
    }
    return value == result ? nil : call.builder.lengths[value]
  }
}
