import GraphModule
import TensorModule

/// Elements of a value in another order, as transposes, reshapes, slices and broadcasts arrange them: element (i, j, …) is
/// `offset + i · strides[0] + j · strides[1] + …` elements into `base`.
struct StridedView {
  var base: ValueID
  var offset = 0
  var shape: Shape
  var strides: [Int]
  /// The nodes between `base` and what is seen.
  var nodes: [Int] = []

  init(of value: ValueID, _ shape: Shape) {
    base = value
    self.shape = shape
    strides = shape.rowMajorStrides
  }

  /// Changes what is seen to the result of `op`, or returns false when that has no strides.
  mutating func apply(_ op: any OpDefinition, _ result: Shape) -> Bool {
    switch op {
    case let op as Transpose:
      strides = op.permutation.map { strides[$0] }
    case is Reshape:
      guard let regrouped = StridedView.strides(of: result, over: shape, strides) else { return false }
      strides = regrouped
    case let op as Slice:
      for (axis, range) in op.ranges.enumerated() {
        guard range.step > 0 else { return false }
        offset += range.resolved(shape[axis]).start * strides[axis]
        strides[axis] *= range.step
      }
    case is BroadcastTo:
      strides = StridedView.broadcast(shape, strides, to: result)
    default: return false
    }
    shape = result
    return true
  }

  /// Strides under more or longer dims, as NumPy broadcasts.
  static func broadcast(_ shape: Shape, _ strides: [Int], to result: Shape) -> [Int] {
    let missing = result.count - shape.count
    return result.indices.map { $0 < missing || shape[$0 - missing] == 1 && result[$0] != 1 ? 0 : strides[$0 - missing] }
  }

  /// The strides of `result` over the elements that `shape` and `strides` see, in their row-major order; nil when there are none. Both
  /// shapes have as many elements, at least one.
  static func strides(of result: Shape, over shape: Shape, _ strides: [Int]) -> [Int]? {
    let axes = shape.indices.filter { shape[$0] != 1 }
    let wanted = result.indices.filter { result[$0] != 1 }
    var found = [Int](repeating: 0, count: result.count)
    var (from, to) = (0, 0)
    while from < axes.count, to < wanted.count {
      // The fewest axes of both sides that hold as many elements.
      var (endFrom, endTo) = (from + 1, to + 1)
      var (held, asked) = (shape[axes[from]], result[wanted[to]])
      while held != asked {
        if held < asked {
          guard endFrom < axes.count else { return nil }
          held *= shape[axes[endFrom]]
          endFrom += 1
        } else {
          guard endTo < wanted.count else { return nil }
          asked *= result[wanted[endTo]]
          endTo += 1
        }
      }
      for index in from..<endFrom - 1 where strides[axes[index]] != shape[axes[index + 1]] * strides[axes[index + 1]] { return nil }
      var stride = strides[axes[endFrom - 1]]
      for index in (to..<endTo).reversed() {
        found[wanted[index]] = stride
        stride *= result[wanted[index]]
      }
      (from, to) = (endFrom, endTo)
    }
    return found
  }
}

extension Graph {
  /// The ways to read a value: itself, then values ever further back of which it is a view.
  ///
  /// - Parameters:
  ///   - makers: the node that makes each value, by its index.
  ///   - besides: nodes not to look through.
  func views(of value: ValueID, _ makers: [Int?], besides: Set<Int>) -> [StridedView] {
    var found: [StridedView] = []
    var path: [Int] = []
    var at = value
    while let shape = type(of: at).shape {
      var view = StridedView(of: at, shape)
      view.nodes = path
      if path.reversed().allSatisfy({ view.apply(nodes[$0].op, type(of: nodes[$0].outputs[0]).shape ?? []) }) { found.append(view) }
      guard path.count < 8, let maker = makers[at.index], !besides.contains(maker) else { break }
      let node = nodes[maker]
      guard node.op is Transpose || node.op is Reshape || node.op is Slice || node.op is BroadcastTo else { break }
      path.append(maker)
      at = node.inputs[0]
    }
    return found
  }
}
