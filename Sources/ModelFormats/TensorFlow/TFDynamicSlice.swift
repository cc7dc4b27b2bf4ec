import GraphModule
import TensorModule

/// Slices whose bounds are numbers, expressions over lengths, or come from the model's data.
///
/// An end that is an expression over lengths is taken to lie in the axis, which is checked when the model runs.
enum TFDynamicSlice {
  /// Where the range of one axis begins and ends, and how long it is.
  private struct Bound {
    var axis: Int
    /// int64 vectors of one element.
    var start: ValueID
    var end: ValueID
    var step = 1
    var length: Dim
  }

  /// `size` elements of an axis from `start` on.
  static func part(_ call: TFCall, _ x: ValueID, _ axis: Int, _ start: Dim, _ size: Dim) throws -> ValueID {
    let bound = Bound(axis: axis, start: try call.builder.size(start), end: try call.builder.size(start + size), length: size)
    return try sliced(call, x, [Slice.Range](repeating: .all, count: call.type(x).rank), [bound])
  }

  /// The static ranges first, then what has to be computed.
  private static func sliced(_ call: TFCall, _ x: ValueID, _ ranges: [Slice.Range], _ bounds: [Bound]) throws -> ValueID {
    let part = ranges.allSatisfy { $0 == .all } ? x : try call.add(Slice(ranges), [x], "slice")
    if bounds.isEmpty { return part }
    var dims = call.type(part).dims
    for bound in bounds { dims[bound.axis] = bound.length }
    let op = DynamicSlice(axes: bounds.map(\.axis), steps: bounds.map(\.step), dims: dims)
    return try call.dynamic(op, [part, try call.concat(bounds.map(\.start), axis: 0), try call.concat(bounds.map(\.end), axis: 0)], "dynamic_slice")[0]
  }

  /// One element of an integer operand, int64[1].
  private static func element(_ call: TFCall, _ index: Int, _ place: Int) throws -> ValueID {
    try call.slice(try call.vector(index), axis: 0, place, place + 1)
  }

  private static func constant(_ call: TFCall, _ value: Int) throws -> ValueID { try call.builder.size(Dim(value)) }

  /// A number past every end.
  private static let far = 1 << 48

  // MARK: Slice

  static func slice(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let type = call.type(x)
    let (begin, size) = (try call.numbers(1, "a start", count: type.rank), try call.numbers(2, "a size", count: type.rank))
    guard begin.count == type.rank, size.count == type.rank else { throw call.wrong("needs \(type.rank) starts and sizes") }
    var ranges = [Slice.Range](repeating: .all, count: type.rank)
    var bounds: [Bound] = []
    for axis in type.dims.indices {
      if let start = begin[axis]?.fixed {
        guard start >= 0 else { throw call.wrong("a start is \(start)") }
        if size[axis]?.fixed == -1 {
          ranges[axis] = Slice.Range(start: start == 0 ? nil : start)
          continue
        }
        if let size = size[axis] {
          let end = size + Dim(start)
          if let fixed = end.fixed, size.fixed ?? 0 >= 0 {
            if let length = type.dims[axis].fixed, fixed > length { throw call.wrong("a slice to \(fixed) leads out of axis \(axis) of \(type.message)") }
            ranges[axis] = Slice.Range(start: start == 0 ? nil : start, end: type.dims[axis].fixed == fixed ? nil : fixed)
            continue
          }
          if let distance = (end - type.dims[axis]).fixed, distance <= 0 {
            ranges[axis] = Slice.Range(start: start == 0 ? nil : start, end: distance == 0 ? nil : distance)
            continue
          }
        }
      }
      let start = try begin[axis].map(call.builder.size) ?? element(call, 1, axis)
      let length: Dim
      let end: ValueID
      if let size = size[axis], size.fixed != -1 {
        guard size.fixed ?? 0 >= 0 else { throw call.wrong("a size is \(size)") }
        length = size
        end = try begin[axis].map { try call.builder.size($0 + size) } ?? call.binary(.add, start, try call.builder.size(size))
      } else if size[axis] != nil {
        length = begin[axis].map { type.dims[axis] - $0 } ?? call.dataSize()
        end = try constant(call, far)
      } else {
        length = call.dataSize()
        let count = try element(call, 2, axis)
        let isOpen = try call.binary(.less, count, try constant(call, 0))
        end = try call.select(isOpen, try constant(call, far), try call.binary(.add, start, count))
      }
      bounds.append(Bound(axis: axis, start: start, end: end, length: length))
    }
    return try sliced(call, x, ranges, bounds)
  }

  // MARK: StridedSlice

  static func stridedSlice(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let type = call.type(x)
    let spec = try TFStridedSlice(
      call, begin: try call.numbers(1, "a start"), end: try call.numbers(2, "an end"), strides: try call.integers(3, "a stride"), dims: type.dims)
    var ranges = [Slice.Range](repeating: .all, count: type.rank)
    var bounds: [Bound] = []
    var picks: [(axis: Int, place: ValueID)] = []
    for (axis, part) in spec.parts.enumerated() {
      switch part {
      case .range(let range): ranges[axis] = range
      case .index(let index):
        if let length = type.dims[axis].fixed, !(-length..<length).contains(index) {
          throw call.wrong("index \(index) is out of range for axis \(axis) of \(type.message)")
        }
        ranges[axis] = Slice.Range(start: index, end: index == -1 ? nil : index + 1)
      case .computedIndex(let item):
        picks.append((axis, try element(call, 1, item)))
      case .computed(let item, let start, let end, let step):
        let first = try bound(call, 1, item, start, step > 0 ? 0 : far)
        let last = try bound(call, 2, item, end, step > 0 ? far : -far)
        bounds.append(Bound(axis: axis, start: first, end: last, step: step, length: length(call, start, end, step, type.dims[axis])))
      }
    }
    var result = try sliced(call, x, ranges, bounds)
    for (axis, place) in picks {
      // A place from the end is negative.
      let length = try call.builder.size(type.dims[axis])
      let positive = try call.select(try call.binary(.less, place, try constant(call, 0)), try call.binary(.add, place, length), place)
      result = try call.add(Gather(axis: axis), [result, positive], "gather")
    }
    let dims = call.type(result).dims
    return try call.reshape(result, spec.axes.map { $0.map { dims[$0] } ?? 1 })
  }

  private static func bound(_ call: TFCall, _ index: Int, _ item: Int, _ bound: TFStridedSlice.Bound, _ open: Int) throws -> ValueID {
    switch bound {
    case .open: try constant(call, open)
    case .at(let dim): try call.builder.size(dim)
    case .data: try element(call, index, item)
    }
  }

  /// How many elements a range has: an expression when its ends are expressions over lengths, else what the data bind.
  private static func length(_ call: TFCall, _ start: TFStridedSlice.Bound, _ end: TFStridedSlice.Bound, _ step: Int, _ length: Dim) -> Dim {
    guard step > 0 else { return call.dataSize() }
    func place(_ bound: TFStridedSlice.Bound, _ open: Dim) -> Dim? {
      switch bound {
      case .open: open
      case .at(let dim): if let fixed = dim.fixed, fixed < 0 { length + dim } else { dim }
      case .data: nil
      }
    }
    guard let first = place(start, 0), let last = place(end, length), TFShapeArithmetic.isLength(first), TFShapeArithmetic.isLength(last) else {
      return call.dataSize()
    }
    let count = (last - first).ceilDivided(by: step)
    return (count.fixed ?? 0) >= 0 ? count : call.dataSize()
  }
}
