import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Lists of tensors: TensorFlow 2's TensorList and TensorFlow 1's TensorArray, whose state is its `flow`.
  static let lists = Family(
    "Lists of tensors", [:],
    values: [
      "TensorListReserve": { call in [list(call, TFList(info: .init(dtype: try call.dtype("element_dtype", .float32), size: try call.input(1), element: try declared(call, 0))))] },
      "EmptyTensorList": { call in
        [list(call, TFList(info: .init(dtype: try call.dtype("element_dtype", .float32), size: .constant(try Tensor([Int32(0)], shape: []), call.builder, name: call.name), element: try declared(call, 0)), items: []))]
      },
      "TensorListFromTensor": { call in [try filled(call, try call.input(0))] },
      "TensorListStack": { call in try rows(call, 0) },
      "TensorListGetItem": { call in [try item(call, 0, 1)] },
      "TensorListSetItem": { call in
        [try written(call, 0, 1, try call.input(2), grows: try call.bool("resize_if_index_out_of_bounds"))]
      },
      "TensorListLength": { call in [try size(call, 0)] },
      "TensorListResize": { call in [try resized(call)] },
      "TensorListElementShape": { call in
        guard let element = try state(call, 0).info.element else { throw call.unsupported("a list of unknown elements") }
        let dtype = try call.dtype("shape_type", .int32)
        return [.known(DimTensor(dtype, [element.count], element), call.builder, name: call.name) { throw call.unsupported("this shape") }]
      },
      "TensorListGather": { call in
        let rows = try call.builder.id(try rows(call, 0)[0])
        return call.values([try call.add(Gather(axis: 0), [rows, try call.x(1)], "gather")])
      },
      "TensorListScatterV2": { call in [try scattered(call, nil, try call.input(0), 1, size: try call.input(3))] },
      "TensorListScatterIntoExistingList": { call in [try scattered(call, try state(call, 0), try call.input(1), 2, size: nil)] },
      "TensorListSplit": { call in [try split(call, 0, 2)] },
      "TensorListConcat": { try joined($0, 0) }, "TensorListConcatV2": { try joined($0, 0) },
      "TensorListConcatLists": { call in
        let rows = try [0, 1].map { try call.builder.id(try TFOpCatalog.rows(call, $0)[0]) }
        return [try filled(call, call.values([try call.concat(rows, axis: 0)])[0])]
      },
      "TensorListPushBack": { call in [try pushed(call)] },
      "TensorListPopBack": { try popped($0) },
      "TensorArrayV3": { call in
        var element: [Dim]?
        if case .shape(let shape)? = call.attribute("element_shape"), let dims = shape.dims, dims.allSatisfy({ ($0 ?? -1) >= 0 }) { element = dims.map { Dim($0 ?? 0) } }
        let info = TFList.Info(dtype: try call.dtype("dtype", .float32), size: try call.input(0), element: element)
        let empty = list(call, TFList(info: info, isDynamic: try call.bool("dynamic_size")))
        return [empty, empty]
      },
      "TensorArrayScatterV3": { call in [try scattered(call, try state(call, 3), try call.input(2), 1, size: nil)] },
      "TensorArraySplitV3": { call in [try split(call, 1, 2)] },
      "TensorArrayReadV3": { call in [try item(call, 2, 1)] },
      "TensorArrayWriteV3": { call in [try written(call, 3, 1, try call.input(2), grows: try state(call, 3).isDynamic)] },
      "TensorArraySizeV3": { call in [try size(call, 1)] },
      "TensorArrayGatherV3": { call in
        let all = try rows(call, 2)
        if let indices = try call.input(1).known, let length = all[0].type.dims.first, isRange(indices, length) { return all }
        if let first = all[0].type.dims.first, try isWholeRange(call, 1, first) { return all }
        return call.values([try call.add(Gather(axis: 0), [try call.builder.id(all[0]), try call.x(1)], "gather")])
      },
      "TensorArrayConcatV3": { try joined($0, 1) },
    ])

  static func list(_ call: TFCall, _ list: TFList) -> TFValue { .list(list, call.builder, name: call.name) }

  static func state(_ call: TFCall, _ index: Int) throws -> TFList {
    guard case .list(let list) = try call.input(index).kind else { throw call.wrong("its operand is not a list of tensors") }
    return list
  }

  /// A declared shape of elements, when it is a whole one.
  private static func declared(_ call: TFCall, _ index: Int) throws -> [Dim]? {
    guard let known = try call.input(index).known, known.shape.count == 1, known.elements.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { return nil }
    return known.elements
  }

  private static func isRange(_ indices: DimTensor, _ length: Dim) -> Bool {
    indices.elements == (0..<indices.elements.count).map { Dim($0) } && length == Dim(indices.elements.count)
  }

  /// Whether indices are `range(0, length)` with a length that is a symbol.
  private static func isWholeRange(_ call: TFCall, _ index: Int, _ length: Dim) throws -> Bool {
    guard call.node.inputs.indices.contains(index), case .output(let output) = try call.converter.locate(call.frame, call.node.inputs[index]) else { return false }
    let frame = call.converter.frames[output.key.frame]
    let node = frame.nodes[output.key.node]
    guard node.op == "Range", node.inputs.count == 3 else { return false }
    func known(_ place: Int) throws -> Dim? {
      switch try call.converter.locate(frame, node.inputs[place]) {
      case .value(let value): return value.known?.elements.first
      case .output(let output):
        guard let made = call.converter.results[output.key] ?? nil, made.indices.contains(output.index) else { return nil }
        return made[output.index].known?.elements.first
      }
    }
    return try known(0) == 0 && known(2) == 1 && known(1) == length
  }

  /// A list whose rows are those of a tensor.
  static func filled(_ call: TFCall, _ tensor: TFValue) throws -> TFValue {
    guard let length = tensor.type.dims.first else { throw call.wrong("takes a tensor of rank 1 or more") }
    let size = TFValue.known(DimTensor(.int32, [], [length]), call.builder, name: "\(call.name)/size") {
      throw KilnError(.unsupportedModel, "the length of a list as data is not supported")
    }
    return list(call, TFList(info: .init(dtype: tensor.type.dtype, size: size, element: Array(tensor.type.dims.dropFirst())), rows: tensor))
  }

  /// A list to whose places the rows of a tensor are written.
  private static func scattered(_ call: TFCall, _ old: TFList?, _ tensor: TFValue, _ place: Int, size: TFValue?) throws -> TFValue {
    guard let length = tensor.type.dims.first else { throw call.wrong("takes a tensor of rank 1 or more") }
    let indices = try call.input(place)
    var isWhole = indices.known.map { isRange($0, length) } ?? false
    if !isWhole { isWhole = try isWholeRange(call, place, length) }
    let total: Dim? = try {
      guard let wanted = size ?? old?.info.size else { return nil }
      if let number = wanted.known?.elements.first { return number.fixed.map { $0 < 0 } == true ? nil : number }
      return try old?.rows?.type.dims.first
    }()
    let isFresh = old.map { $0.rows == nil && $0.items == nil && $0.slots.isEmpty } ?? true
    if isWhole, isFresh || total == length { return try filled(call, tensor) }
    let element = Array(tensor.type.dims.dropFirst())
    var base: ValueID
    if let old, !isFresh {
      base = try old.buffer(call.builder, call.name)
    } else {
      let top: Dim?
      if let total { top = total == 0 ? nil : total } else { top = nil }
      guard let count = top ?? indices.known?.fixed.map({ Dim(($0.max() ?? -1) + 1) }) else { throw call.unsupported("a scatter to a list of unknown length") }
      base = try TFList.zeros(tensor.type.dtype, count, try call.scalar(0, .int64), element, call.builder, call.name)
    }
    let places = try call.reshape(try call.x(place), [length, 1])
    base = try call.add(Scatter(.update), [base, places, try call.builder.id(tensor)], "scatter")
    return try filled(call, call.values([base])[0])
  }

  /// Pieces of a tensor along its first axis, all of one length.
  private static func split(_ call: TFCall, _ tensor: Int, _ lengths: Int) throws -> TFValue {
    let pieces = try call.integers(lengths, "lengths")
    let x = try call.x(tensor)
    let type = call.type(x)
    guard type.rank >= 1, pieces.allSatisfy({ $0 >= 0 }), pieces.count <= DimTensor.maximumCount else { throw call.wrong("cannot split \(type.message)") }
    if let total = type.dims[0].fixed, total != pieces.reduce(0, +) { throw call.wrong("its lengths are not those of \(type.message)") }
    let size = TFValue.constant(try Tensor([Int32(pieces.count)], shape: []), call.builder, name: "\(call.name)/size")
    var result = TFList(info: .init(dtype: type.dtype, size: size))
    var start = 0
    for (index, length) in pieces.enumerated() {
      result.slots[index] = call.values([try call.slice(x, axis: 0, start, start + length)])[0]
      start += length
    }
    if let first = pieces.first, pieces.allSatisfy({ $0 == first }) { result.info.element = [Dim(first)] + type.dims.dropFirst() }
    return list(call, result)
  }

  static func rows(_ call: TFCall, _ index: Int) throws -> [TFValue] {
    let list = try state(call, index)
    if let rows = list.rows, !list.grows { return [rows] }
    guard !list.isTrial else { throw call.unsupported("reading a list of unknown elements") }
    return call.values([try list.stacked(call.builder, call.name)])
  }

  private static func size(_ call: TFCall, _ index: Int) throws -> TFValue {
    let list = try state(call, index)
    if let items = list.items { return .constant(try Tensor([Int32(items.count)], shape: []), call.builder, name: call.name) }
    if let known = list.info.size.known, known.dtype == .int32 { return .known(known, call.builder, name: call.name) { try list.count(call.builder) } }
    return call.values([try list.count(call.builder)])[0]
  }
}
