import GraphModule
import TensorModule

/// TensorFlow's `StridedSlice` with its five masks, brought to one range for each axis of the operand.
struct TFStridedSlice {
  enum Part {
    case range(Slice.Range)
    /// One position; the axis goes away.
    case index(Int)
    /// A range some end of which has to be computed; `item` is its place in the specification.
    case computed(item: Int, start: Bound, end: Bound, step: Int)
    /// One position that the data give.
    case computedIndex(item: Int)
  }

  enum Bound {
    case open
    case at(Dim)
    case data
  }

  /// One for each axis of the operand.
  private(set) var parts: [Part] = []
  /// For each axis of the result, the operand's axis, or nil for a new axis of length 1.
  private(set) var axes: [Int?] = []

  /// - Parameters:
  ///   - begin, end: one number for each item of the specification, nil where the data give it.
  ///   - dims: the operand's.
  init(_ call: TFCall, begin: [Dim?], end: [Dim?], strides: [Int], dims: [Dim]) throws {
    guard begin.count == end.count, end.count == strides.count, begin.count <= 32 else {
      throw call.wrong("begin, end and strides have \(begin.count), \(end.count) and \(strides.count) numbers")
    }
    func mask(_ name: String) throws -> (Int) -> Bool {
      let bits = try call.int(name, 0)
      return { $0 < 32 && bits >> $0 & 1 == 1 }
    }
    let (openBegin, openEnd) = (try mask("begin_mask"), try mask("end_mask"))
    let (ellipsis, new, shrink) = (try mask("ellipsis_mask"), try mask("new_axis_mask"), try mask("shrink_axis_mask"))
    let dense = begin.indices.filter { !ellipsis($0) && !new($0) }.count
    guard dense <= dims.count, begin.indices.filter(ellipsis).count <= 1 else {
      throw call.wrong("takes \(dense) axes of an operand of rank \(dims.count)")
    }
    var axis = 0
    func keep(_ count: Int) {
      for _ in 0..<count {
        parts.append(.range(.all))
        axes.append(axis)
        axis += 1
      }
    }
    for item in begin.indices {
      if ellipsis(item) {
        keep(dims.count - dense)
      } else if new(item) {
        axes.append(nil)
      } else {
        let length = dims[axis]
        if shrink(item) {
          parts.append(begin[item].flatMap { Self.place($0, length) }.map(Part.index) ?? .computedIndex(item: item))
        } else {
          let stride = strides[item]
          guard stride != 0 else { throw call.wrong("a stride is 0") }
          let start: Bound = openBegin(item) ? .open : begin[item].map(Bound.at) ?? .data
          let stop: Bound = openEnd(item) ? .open : end[item].map(Bound.at) ?? .data
          parts.append(Self.range(start, stop, stride, length).map(Part.range) ?? .computed(item: item, start: start, end: stop, step: stride))
          axes.append(axis)
        }
        axis += 1
      }
    }
    keep(dims.count - axis)
  }

  /// A range in numbers, when it can be told.
  private static func range(_ start: Bound, _ end: Bound, _ stride: Int, _ length: Dim) -> Slice.Range? {
    var range = Slice.Range(step: stride)
    switch start {
    case .open: break
    case .at(let dim):
      guard let place = place(dim, length) else { return nil }
      range.start = place
    case .data: return nil
    }
    switch end {
    case .open: break
    case .at(let dim):
      if let place = place(dim, length) { range.end = place } else {
        guard stride > 0, let distance = (dim - length).fixed, distance >= 0 else { return nil }
      }
    case .data: return nil
    }
    return range
  }

  /// A position as a number; one that is an expression counts from the end.
  private static func place(_ value: Dim, _ length: Dim) -> Int? {
    if let fixed = value.fixed { return fixed }
    if let distance = (value - length).fixed, distance < 0 { return distance }
    return nil
  }
}
