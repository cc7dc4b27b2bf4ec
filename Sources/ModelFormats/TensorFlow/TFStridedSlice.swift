import GraphModule
import TensorModule

/// TensorFlow's `StridedSlice` with its five masks, brought to one range for each axis of the operand.
struct TFStridedSlice {
  enum Part {
    case range(Slice.Range)
    /// One position; the axis goes away.
    case index(Int)
  }

  /// One for each axis of the operand.
  private(set) var parts: [Part] = []
  /// For each axis of the result, the operand's axis, or nil for a new axis of length 1.
  private(set) var axes: [Int?] = []

  /// - Parameters:
  ///   - begin, end: one number for each item of the specification.
  ///   - dims: the operand's.
  init(_ call: TFCall, begin: [Dim], end: [Dim], strides: [Int], dims: [Dim]) throws {
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
        if shrink(item) {
          parts.append(.index(try TFStridedSlice.place(call, begin[item], dims[axis])))
        } else {
          let stride = strides[item]
          guard stride != 0 else { throw call.wrong("a stride is 0") }
          let start = openBegin(item) ? nil : try TFStridedSlice.place(call, begin[item], dims[axis])
          let stop = openEnd(item) ? nil : try TFStridedSlice.end(call, end[item], dims[axis], stride)
          parts.append(.range(Slice.Range(start: start, end: stop, step: stride)))
          axes.append(axis)
        }
        axis += 1
      }
    }
    keep(dims.count - axis)
  }

  /// A position as a number; one that is an expression counts from the end.
  private static func place(_ call: TFCall, _ value: Dim, _ length: Dim) throws -> Int {
    if let fixed = value.fixed { return fixed }
    if let distance = (value - length).fixed, distance < 0 { return distance }
    throw call.unsupported("a slice that starts at \(value) of \(length)")
  }

  private static func end(_ call: TFCall, _ value: Dim, _ length: Dim, _ stride: Int) throws -> Int? {
    if let fixed = value.fixed { return fixed }
    if let distance = (value - length).fixed {
      if distance < 0 { return distance }
      if stride > 0 { return nil }
    }
    throw call.unsupported("a slice that ends at \(value) of \(length)")
  }
}
