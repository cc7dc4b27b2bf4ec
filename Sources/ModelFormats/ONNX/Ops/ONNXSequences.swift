import GraphModule
import TensorModule

extension ONNXOpCatalog {
  /// Sequences and optionals inside a graph, whose items are known one by one.
  static let sequences = Family(
    "Sequences and optionals",
    [
      Row(values: "SequenceEmpty", since: 11) { _ in [.sequence([])] },
      Row(values: "SequenceConstruct", since: 11) { call in [.sequence(try call.inputs.indices.map { try call.value($0) })] },
      Row(values: "SequenceInsert", since: 11) { call in
        var items = try call.items(0)
        let place = call.has(2) ? try call.integer(2, "a place") : items.count
        let positive = place < 0 ? place + items.count : place
        guard (0...items.count).contains(positive) else { throw call.wrong("the place \(place) is out of range for \(items.count) items") }
        items.insert(try call.value(1), at: positive)
        return [.sequence(items)]
      },
      Row(values: "SequenceErase", since: 11) { call in
        var items = try call.items(0)
        let place = call.has(1) ? try call.integer(1, "a place") : -1
        let positive = place < 0 ? place + items.count : place
        guard items.indices.contains(positive) else { throw call.wrong("the place \(place) is out of range for \(items.count) items") }
        items.remove(at: positive)
        return [.sequence(items)]
      },
      Row(values: "SequenceAt", since: 11) { call in
        let items = try call.items(0)
        let place = try call.integer(1, "a place")
        let positive = place < 0 ? place + items.count : place
        guard items.indices.contains(positive) else { throw call.wrong("the place \(place) is out of range for \(items.count) items") }
        return [items[positive]]
      },
      Row(values: "SequenceLength", since: 11) { call in
        [.plain(.constant(try Tensor([Int64(try call.items(0).count)], shape: []), call.builder, name: call.name))]
      },
      Row(values: "ConcatFromSequence", since: 11) { call in
        let items = try call.items(0)
        guard let first = items.first else { throw call.wrong("its sequence is empty") }
        let element = try call.tensor(first).1
        var parts = try items.map { try call.builder.id(try call.tensor($0).0) }
        let isNew = try call.bool("new_axis")
        let axis = try call.axis(try call.int("axis"), call.type(parts[0]).rank + (isNew ? 1 : 0))
        if isNew { parts = try parts.map { try call.expand($0, axis) } }
        return [call.result(try call.concat(parts, axis: axis), element)]
      },
      Row(values: "SplitToSequence", since: 11) { call in
        let x = try call.x(0), type = call.type(x), element = try call.element(0)
        let axis = try call.axis(try call.int("axis", 0), type.rank)
        let length = try call.fixed(type.dims[axis])
        var sizes = [Int](repeating: 1, count: length)
        var keeps = try call.bool("keepdims", true)
        if call.has(1) {
          keeps = true
          let given = try call.integers(1, "sizes")
          if try call.input(1).type.rank == 0 {
            guard let size = given.first, size >= 1 else { throw call.wrong("its size is not positive") }
            sizes = stride(from: 0, to: length, by: size).map { min(size, length - $0) }
          } else {
            sizes = given
          }
        }
        guard sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(0, +) == length, sizes.count <= 1 << 16 else { throw call.wrong("sizes do not fill \(length)") }
        var start = 0
        return [
          .sequence(
            try sizes.map { size in
              defer { start += size }
              let part = try call.slice(x, axis: axis, start, start + size)
              return .tensor(.value(keeps ? part : try call.drop(part, axis), call.builder, name: call.name), element)
            })
        ]
      },
      Row(values: "Optional", since: 15) { call in [call.has(0) ? try call.value(0) : .absent] },
      Row(values: "OptionalGetElement", since: 15) { call in [try call.value(0)] },
      Row(values: "OptionalHasElement", since: 15) { call in
        [.plain(.constant(try Tensor([call.has(0)], shape: []), call.builder, name: call.name))]
      },
    ])
}

extension ONNXCall {
  /// The items of a sequence.
  func items(_ index: Int) throws -> [ONNXValue] {
    guard case .sequence(let items) = try value(index) else { throw wrong("takes a sequence") }
    return items
  }
}
