import GraphModule
import TensorModule

/// Single elements of lists: reading, writing, pushing, popping.
extension TFOpCatalog {
  static func item(_ call: TFCall, _ index: Int, _ place: Int) throws -> TFValue {
    let list = try state(call, index)
    let known = try call.input(place).known?.fixed?.first
    if let known, list.rows == nil {
      if let items = list.items, items.indices.contains(known) { return items[known] }
      if let value = list.slots[known] { return value }
    }
    guard !list.isTrial else { throw call.unsupported("reading a list of unknown elements") }
    let rows = try list.buffer(call.builder, call.name)
    if let known, known >= 0, !list.grows {
      if let length = call.type(rows).dims[0].fixed, known >= length { throw call.wrong("index \(known) is out of range for \(length) elements") }
      return call.values([try call.drop(try call.slice(rows, axis: 0, known, known + 1), 0)])[0]
    }
    return call.values([try call.add(Gather(axis: 0), [rows, try call.x(place)], "item")])[0]
  }

  /// - Parameter grows: a write behind the end makes the list longer.
  static func written(_ call: TFCall, _ index: Int, _ place: Int, _ value: TFValue, grows: Bool = false) throws -> TFValue {
    var list = try state(call, index)
    guard case .tensor = value.kind else { throw call.unsupported("a list of lists or resources") }
    guard value.type.dtype == list.info.dtype else {
      throw call.wrong("writes \(value.type.message) to a list of \(list.info.dtype.name)")
    }
    let known = try call.input(place).known?.fixed?.first
    if let known, known < 0 { throw call.wrong("index \(known) is out of range") }
    if list.isTrial {
      list.info.element = value.type.dims
      if grows { list.added += 1 }
      return self.list(call, list)
    }
    if let known, list.rows == nil {
      if var items = list.items {
        guard known < items.count || grows, known <= items.count else { throw call.wrong("index \(known) is out of range") }
        if known == items.count { items.append(value) } else { items[known] = value }
        list.items = items
        list.info = .init(dtype: list.info.dtype, size: .constant(try Tensor([Int32(items.count)], shape: []), call.builder, name: call.name), element: value.type.dims)
        return self.list(call, list)
      }
      if let size = list.length?.fixed {
        if known >= size {
          guard grows, known <= DimTensor.maximumCount else { throw call.wrong("index \(known) is out of range for \(size) elements") }
          list.info = .init(dtype: list.info.dtype, size: .constant(try Tensor([Int32(known + 1)], shape: []), call.builder, name: call.name))
        }
        list.slots[known] = value
        list.info.element = value.type.dims
        return self.list(call, list)
      }
    }
    if list.info.element == nil { list.info.element = value.type.dims }
    let rows = try list.buffer(call.builder, call.name)
    let position = try call.x(place)
    let made = call.values([try call.add(SetItem(), [rows, position, try call.builder.id(value)], "set_item")])[0]
    var result = TFList(info: list.info, rows: made, grows: list.grows, added: list.added, isDynamic: list.isDynamic)
    if grows, list.grows || list.length?.fixed == nil || known.map({ $0 >= list.length?.fixed ?? 0 }) ?? true {
      let after = try call.binary(.add, try call.cast(position, .int32), try call.scalar(1, .int32))
      let size = try call.binary(.max, try list.count(call.builder), after)
      result.info = .init(dtype: list.info.dtype, size: .value(size, call.builder, name: "\(call.name)/size"), element: list.info.element)
      result.added += 1
    }
    return self.list(call, result)
  }

  static func pushed(_ call: TFCall) throws -> TFValue {
    var list = try state(call, 0)
    let value = try call.input(1)
    guard case .tensor = value.kind else { throw call.unsupported("a list of lists or resources") }
    if list.isTrial {
      list.info.element = value.type.dims
      list.added += 1
      return self.list(call, list)
    }
    if var items = list.items {
      items.append(value)
      list.items = items
      list.info = .init(dtype: list.info.dtype, size: .constant(try Tensor([Int32(items.count)], shape: []), call.builder, name: call.name), element: value.type.dims)
      return self.list(call, list)
    }
    guard list.grows else {
      let row = try call.expand(try call.builder.id(value), 0)
      return try filled(call, call.values([try call.concat([try list.stacked(call.builder, call.name), row], axis: 0)])[0])
    }
    let count = try list.count(call.builder)
    let rows = try call.add(SetItem(), [try list.buffer(call.builder, call.name), count, try call.builder.id(value)], "push")
    let size = try call.binary(.add, count, try call.scalar(1, .int32))
    list.rows = .value(rows, call.builder, name: call.name)
    list.info = .init(dtype: list.info.dtype, size: .value(size, call.builder, name: "\(call.name)/size"), element: list.info.element)
    list.added += 1
    return self.list(call, list)
  }

  static func popped(_ call: TFCall) throws -> [TFValue] {
    var list = try state(call, 0)
    if var items = list.items {
      guard let last = items.popLast() else { throw call.wrong("pops from an empty list") }
      list.items = items
      list.info = .init(dtype: list.info.dtype, size: .constant(try Tensor([Int32(items.count)], shape: []), call.builder, name: call.name), element: list.info.element)
      return [self.list(call, list), last]
    }
    guard !list.isTrial else { throw call.unsupported("reading a list of unknown elements") }
    let rows = try list.buffer(call.builder, call.name)
    let last = try call.binary(.sub, try list.count(call.builder), try call.scalar(1, .int32))
    let item = try call.add(Gather(axis: 0), [rows, last], "pop")
    var result = TFList(info: .init(dtype: list.info.dtype, size: .value(last, call.builder, name: "\(call.name)/size"), element: list.info.element), rows: .value(rows, call.builder, name: call.name))
    result.grows = true
    result.added = list.added
    return [self.list(call, result), call.values([item])[0]]
  }

  /// A list cut or with room for more elements.
  static func resized(_ call: TFCall) throws -> TFValue {
    let list = try state(call, 0)
    let size = try call.input(1)
    if list.isTrial || list.grows {
      var copy = list
      copy.info = .init(dtype: list.info.dtype, size: size, element: list.info.element)
      copy.added += 1
      return self.list(call, copy)
    }
    guard let wanted = size.known?.fixed?.first, wanted >= 0, wanted <= DimTensor.maximumCount, let length = list.length?.fixed else {
      throw call.unsupported("a list that is resized to a length that depends on the model's data")
    }
    var copy = TFList(info: .init(dtype: list.info.dtype, size: size, element: list.info.element))
    if list.rows == nil {
      copy.slots = list.items.map { Dictionary(uniqueKeysWithValues: $0.enumerated().map { ($0.offset, $0.element) }) } ?? list.slots
      copy.slots = copy.slots.filter { $0.key < wanted }
      return self.list(call, copy)
    }
    let rows = try list.buffer(call.builder, call.name)
    if wanted <= length { return try filled(call, call.values([try call.slice(rows, axis: 0, 0, wanted)])[0]) }
    let more = try TFList.zeros(list.info.dtype, Dim(wanted - length), rows, Array(call.type(rows).dims.dropFirst()), call.builder, call.name)
    return try filled(call, call.values([try call.concat([rows, more], axis: 0)])[0])
  }

  /// The elements one after another along their first axis, and their lengths.
  static func joined(_ call: TFCall, _ index: Int) throws -> [TFValue] {
    let list = try state(call, index)
    if list.rows == nil {
      let size = list.length?.fixed ?? 0
      let values = try list.items ?? (0..<min(size, DimTensor.maximumCount)).map { place in
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
    guard dims.count >= 2 else { throw call.wrong("its elements are scalars") }
    let length = try call.builder.scalar(of: dims[1])
    let lengths = try call.broadcast(length, [dims[0]])
    return call.values([try call.reshape(rows, [dims[0] * dims[1]] + dims[2...]), lengths])
  }
}
