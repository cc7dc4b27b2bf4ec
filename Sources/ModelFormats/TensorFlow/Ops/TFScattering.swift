import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Values put at places that indices say.
  static let scattering = Family(
    "Scattering",
    [
      "ScatterNd": { call in
        let (indices, updates) = (try call.x(0), try call.x(1))
        let dtype = call.type(updates).dtype
        let empty = try call.broadcast(try call.scalar(0, dtype), try call.sizes(2, "a shape"))
        return [try scattered(call, empty, indices, updates, .add)]
      },
      "ScatterNdNonAliasingAdd": { [try scattered($0, try $0.x(0), try $0.x(1), try $0.x(2), .add)] },
      "TensorScatterUpdate": { [try scattered($0, try $0.x(0), try $0.x(1), try $0.x(2), .update)] },
      "TensorScatterAdd": { [try scattered($0, try $0.x(0), try $0.x(1), try $0.x(2), .add)] },
      "TensorScatterSub": { [try scattered($0, try $0.x(0), try $0.x(1), try negated($0, try $0.x(2)), .add)] },
      "TensorScatterMin": { [try scattered($0, try $0.x(0), try $0.x(1), try $0.x(2), .min)] },
      "TensorScatterMax": { [try scattered($0, try $0.x(0), try $0.x(1), try $0.x(2), .max)] },
      "InplaceUpdate": { [try rows($0, .update, try $0.x(2))] },
      "InplaceAdd": { [try rows($0, .add, try $0.x(2))] },
      "InplaceSub": { [try rows($0, .add, try negated($0, try $0.x(2)))] },
      "TensorStridedSliceUpdate": { [try sliceUpdate($0)] },
    ])

  private static func negated(_ call: TFCall, _ x: ValueID) throws -> ValueID {
    let type = call.type(x)
    // Unsigned numbers: 0 − x wraps.
    return type.dtype == .uint8 ? try call.binary(.sub, try call.scalar(0, type.dtype), x) : try call.unary(.neg, x)
  }

  private static func scattered(_ call: TFCall, _ x: ValueID, _ indices: ValueID, _ updates: ValueID, _ kind: Scatter.Kind) throws -> ValueID {
    let skips = try call.text("bad_indices_policy", "") == "IGNORE"
    guard kind == .update || call.type(x).dtype.isFloat || call.type(x).dtype.isInteger else {
      throw call.unsupported("combining \(call.type(x).dtype.name)")
    }
    // A single update stands for all places.
    let type = call.type(x), places = call.type(indices)
    guard places.rank >= 1, let depth = places.dims[places.rank - 1].fixed, depth <= type.rank else {
      throw call.wrong("its indices \(places.message) do not fit \(type.message)")
    }
    let wanted = Array(places.dims.dropLast()) + type.dims[depth...]
    let full = call.type(updates).rank == 0 ? try call.broadcast(updates, wanted) : updates
    return try call.add(Scatter(kind, outside: skips ? .skip : .error), [x, indices, full], "scatter")
  }

  /// Rows by a vector of their numbers.
  private static func rows(_ call: TFCall, _ kind: Scatter.Kind, _ values: ValueID) throws -> ValueID {
    let (x, indices) = (try call.x(0), try call.x(1))
    // A scalar index stands for a row.
    if call.type(indices).rank == 0 {
      return try call.add(Scatter(kind), [x, try call.reshape(indices, [1, 1]), try call.expand(values, 0)], "scatter")
    }
    return try call.add(Scatter(kind), [x, try call.expand(indices, 1), values], "scatter")
  }

  /// A slice replaced: its axes come first, where every place of the slice has an index.
  private static func sliceUpdate(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let spec = try TFStridedSlice(
      call, begin: try call.numbers(1, "a start"), end: try call.numbers(2, "an end"), strides: try call.integers(3, "a stride"), dims: type.dims)
    var (axes, picks, lengths): ([Int], [[Int]], [Dim]) = ([], [], [])
    for (axis, part) in spec.parts.enumerated() {
      switch part {
      case .range(let range) where range == .all: lengths.append(type.dims[axis])
      case .range(let range):
        let (start, count) = range.resolved(try call.length(x, axis))
        guard count <= 1 << 22 else { throw call.unsupported("so large a slice") }
        axes.append(axis)
        picks.append((0..<count).map { start + $0 * range.step })
        lengths.append(Dim(count))
      case .index(let index):
        let length = try call.length(x, axis), place = index < 0 ? index + length : index
        guard (0..<length).contains(place) else { throw call.wrong("index \(index) is out of range for axis \(axis) of \(type.message)") }
        axes.append(axis)
        picks.append([place])
        lengths.append(1)
      case .computed, .computedIndex: throw call.unsupported("a place to update that depends on the model's data")
      }
    }
    // The value has the slice's shape, which may lack axes and have new ones.
    let shown = spec.axes.map { $0.map { lengths[$0] } ?? 1 }
    let value = try call.reshape(try call.broadcast(try call.x(4), shown), lengths)
    guard !axes.isEmpty else { return value }
    guard let count = checkedProduct(picks.map(\.count)), count <= 1 << 22 else { throw call.unsupported("so large a slice") }
    var places: [[Int]] = [[]]
    for pick in picks { places = places.flatMap { place in pick.map { place + [$0] } } }
    let order = axes + (0..<type.rank).filter { !axes.contains($0) }
    let indices = try call.numbers(places.flatMap { $0 }.map(Double.init), [count, axes.count], .int32, "places")
    let rest = order.dropFirst(axes.count).map { type.dims[$0] }
    let updates = try call.reshape(try call.transpose(value, order), [Dim(count)] + rest)
    let result = try call.add(Scatter(.update), [try call.transpose(x, order), indices, updates], "scatter")
    return try call.transpose(result, (0..<type.rank).map { axis in order.firstIndex(of: axis) ?? 0 })
  }
}
