import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Lists of tensors: TensorFlow 2's TensorList and TensorFlow 1's TensorArray, whose state is its `flow`.
  static let lists = Family(
    "Lists of tensors", [:],
    values: [
      "TensorListReserve": { call in [list(call, TFList(info: .init(dtype: try call.dtype("element_dtype", .float32), size: try call.input(1), element: try declared(call, 0))))] },
      "EmptyTensorList": { call in [list(call, TFList(info: .init(dtype: try call.dtype("element_dtype", .float32), size: try call.input(1)), items: []))] },
      "TensorListFromTensor": { call in [try filled(call, try call.input(0))] },
      "TensorListStack": { call in try rows(call, 0) },
      "TensorListGetItem": { call in [try item(call, 0, 1)] },
      "TensorListSetItem": { call in [try written(call, 0, 1, try call.input(2))] },
      "TensorListLength": { call in
        let list = try state(call, 0)
        if let items = list.items { return [.constant(try Tensor([Int32(items.count)], shape: []), call.builder, name: call.name)] }
        return [list.info.size]
      },
      "TensorListElementShape": { call in
        guard let element = try state(call, 0).info.element, let shape = TensorType(.int32, element).shape else { throw call.unsupported("a list of unknown elements") }
        return [.constant(try Tensor(shape.map { Int32(clamping: $0) }, shape: [shape.count]), call.builder, name: call.name)]
      },
      "TensorListGather": { call in
        let rows = try call.builder.id(try rows(call, 0)[0])
        return call.values([try call.add(Gather(axis: 0), [rows, try call.x(1)], "gather")])
      },
      "TensorListConcat": { try joined($0, 0) }, "TensorListConcatV2": { try joined($0, 0) },
      "TensorListPushBack": { call in
        var state = try state(call, 0)
        guard state.items != nil else { throw call.unsupported("a push to a list that has rows") }
        let value = try call.input(1)
        state.items?.append(value)
        state.info.element = value.type.dims
        return [list(call, state)]
      },
      "TensorListPopBack": { call in
        var state = try state(call, 0)
        guard let last = state.items?.popLast() else { throw call.unsupported("a pop from this list") }
        return [list(call, state), last]
      },
      "TensorArrayV3": { call in
        let empty = list(call, TFList(info: .init(dtype: try call.dtype("dtype", .float32), size: try call.input(0))))
        return [empty, empty]
      },
      "TensorArrayScatterV3": { call in
        let indices = try call.input(1).evaluated?.integers
        if let indices, indices != Array(0..<Int64(indices.count)) { throw call.unsupported("a scatter in another order") }
        return [try filled(call, try call.input(2))]
      },
      "TensorArrayReadV3": { call in [try item(call, 2, 1)] },
      "TensorArrayWriteV3": { call in [try written(call, 3, 1, try call.input(2))] },
      "TensorArraySizeV3": { call in [try state(call, 1).info.size] },
      "TensorArrayGatherV3": { call in
        let all = try rows(call, 2)
        if let indices = try call.input(1).evaluated?.integers, all[0].type.dims.first == Dim(indices.count), indices == Array(0..<Int64(indices.count)) { return all }
        return call.values([try call.add(Gather(axis: 0), [try call.builder.id(all[0]), try call.x(1)], "gather")])
      },
      "TensorArrayConcatV3": { try joined($0, 1) },
    ])

  private static func list(_ call: TFCall, _ list: TFList) -> TFValue { .list(list, call.builder, name: call.name) }

  private static func state(_ call: TFCall, _ index: Int) throws -> TFList {
    guard case .list(let list) = try call.input(index).kind else { throw call.wrong("its operand is not a list of tensors") }
    return list
  }

  /// A declared shape of elements, when it is a whole one.
  private static func declared(_ call: TFCall, _ index: Int) throws -> [Dim]? {
    guard let known = try call.input(index).known, known.shape.count == 1, known.elements.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { return nil }
    return known.elements
  }

  /// A list whose rows are those of a tensor.
  private static func filled(_ call: TFCall, _ tensor: TFValue) throws -> TFValue {
    guard let length = tensor.type.dims.first else { throw call.wrong("takes a tensor of rank 1 or more") }
    let size = TFValue.known(DimTensor(.int32, [], [length]), call.builder, name: "\(call.name)/size") {
      throw KilnError(.unsupportedModel, "the length of a list as data is not supported")
    }
    return list(call, TFList(info: .init(dtype: tensor.type.dtype, size: size, element: Array(tensor.type.dims.dropFirst())), rows: tensor))
  }

  private static func rows(_ call: TFCall, _ index: Int) throws -> [TFValue] {
    let list = try state(call, index)
    if let rows = list.rows { return [rows] }
    let values: [TFValue]
    if let items = list.items {
      values = items
    } else {
      guard let size = list.info.size.known?.fixed?.first, (1...1 << 16).contains(size) else { throw call.unsupported("a list of unknown length") }
      let written = try (0..<size).map { place -> TFValue in
        if let value = list.slots[place] { return value }
        guard let element = list.info.element else { throw call.unsupported("a list that nothing is written to") }
        return call.values([try call.broadcast(try call.scalar(0, list.info.dtype), element)])[0]
      }
      values = written
    }
    guard !values.isEmpty else { throw call.unsupported("the stack of an empty list") }
    return call.values([try call.concat(try values.map { try call.expand(try call.builder.id($0), 0) }, axis: 0)])
  }

  private static func item(_ call: TFCall, _ index: Int, _ place: Int) throws -> TFValue {
    let list = try state(call, index)
    let known = try call.input(place).known?.fixed?.first
    if let known, list.rows == nil {
      if let items = list.items, items.indices.contains(known) { return items[known] }
      if let value = list.slots[known] { return value }
    }
    let rows = try call.builder.id(try rows(call, index)[0])
    if let known, known >= 0 {
      if let length = call.type(rows).dims[0].fixed, known >= length { throw call.wrong("index \(known) is out of range for \(length) elements") }
      return call.values([try call.drop(try call.slice(rows, axis: 0, known, known + 1), 0)])[0]
    }
    return call.values([try call.add(Gather(axis: 0), [rows, try call.x(place)], "item")])[0]
  }

  private static func written(_ call: TFCall, _ index: Int, _ place: Int, _ value: TFValue) throws -> TFValue {
    var list = try state(call, index)
    guard let known = try call.input(place).known?.fixed?.first, known >= 0 else { throw call.unsupported("a write to a place that depends on the model's data") }
    if let rows = list.rows {
      guard let size = rows.type.dims.first?.fixed, size <= 1 << 12 else { throw call.unsupported("a write to a list of unknown length") }
      let all = try call.builder.id(rows)
      list.slots = [:]
      for row in 0..<size where row != known {
        list.slots[row] = call.values([try call.drop(try call.slice(all, axis: 0, row, row + 1), 0)])[0]
      }
      list.rows = nil
    }
    if var items = list.items {
      guard items.indices.contains(known) else { throw call.wrong("index \(known) is out of range") }
      items[known] = value
      list.items = items
    } else {
      list.slots[known] = value
      list.info.element = value.type.dims
    }
    return TFValue.list(list, call.builder, name: call.name)
  }

  /// The elements one after another along their first axis, and their lengths.
  private static func joined(_ call: TFCall, _ index: Int) throws -> [TFValue] {
    let list = try state(call, index)
    if list.rows == nil {
      let size = list.info.size.known?.fixed?.first ?? 0
      let values = try list.items ?? (0..<size).map { place in
        guard let value = list.slots[place] else { throw call.unsupported("a list that is not full") }
        return value
      }
      let lengths = try values.map { value -> Double in
        guard let length = value.type.dims.first?.fixed else { throw call.unsupported("a list of unknown lengths") }
        return Double(length)
      }
      guard !values.isEmpty else { throw call.unsupported("an empty list") }
      let all = try call.concat(try values.map { try call.builder.id($0) }, axis: 0)
      return call.values([all, try call.numbers(lengths, [lengths.count], .int64, "lengths")])
    }
    let rows = try call.builder.id(try rows(call, index)[0])
    let dims = call.type(rows).dims
    guard dims.count >= 2, let count = dims[0].fixed, let length = dims[1].fixed else { throw call.unsupported("a list of unknown lengths") }
    let lengths = try call.numbers([Double](repeating: Double(length), count: count), [count], .int64, "lengths")
    return call.values([try call.reshape(rows, [dims[0] * dims[1]] + dims[2...]), lengths])
  }
}
