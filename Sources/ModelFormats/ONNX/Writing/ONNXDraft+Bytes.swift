import GraphModule
import TensorModule

/// The file messages of ONNX, written. Field numbers as in `Sources/CGraphSchemas/onnx.proto`.
extension ONNXDraft {
  /// Where a tensor lies in the file of tensors beside the model.
  struct Place {
    var offset: Int
    var length: Int
  }

  /// The model as a message.
  ///
  /// - Parameter external: the name of the file of tensors and each tensor's place in it; nil keeps them all in the message.
  func model(_ main: ONNXBlock, metadata: [(String, String)], external: (file: String, places: [String: Place])?) throws -> ProtobufMessage {
    var model = ProtobufMessage()
    model.varint(1, ONNXDraft.irVersion)
    model.string(2, "kiln")
    model.message(7, try graph(main, initializers: initializers, external))
    for (domain, version) in [("", ONNXDraft.operatorSet)] + domains.sorted().map({ ($0, ONNXDraft.classicalOperatorSet) }) {
      var set = ProtobufMessage()
      if !domain.isEmpty { set.string(1, domain) }
      set.varint(2, version)
      model.message(8, set)
    }
    for (key, value) in metadata {
      var entry = ProtobufMessage()
      entry.string(1, key)
      entry.string(2, value)
      model.message(14, entry)
    }
    return model
  }

  private func graph(
    _ block: ONNXBlock, initializers: [Initializer], _ external: (file: String, places: [String: Place])?
  ) throws -> ProtobufMessage {
    var message = ProtobufMessage()
    for draft in block.nodes { message.message(1, try node(draft)) }
    message.string(2, block.name)
    for initializer in initializers { message.message(5, try tensor(initializer, external)) }
    for input in block.inputs { message.message(11, value(input)) }
    for output in block.outputs { message.message(12, value(output)) }
    return message
  }

  private func written(_ name: String) -> String { renamed[name] ?? name }

  private func node(_ draft: ONNXDraftNode) throws -> ProtobufMessage {
    var message = ProtobufMessage()
    for input in draft.inputs { message.string(1, written(input)) }
    for output in draft.outputs { message.string(2, written(output)) }
    message.string(3, draft.outputs.first.map(written) ?? "")
    message.string(4, draft.op)
    for (name, value) in draft.attributes { message.message(5, try attribute(name, value)) }
    if !draft.domain.isEmpty { message.string(7, draft.domain) }
    return message
  }

  private func attribute(_ name: String, _ value: ONNXDraftAttribute) throws -> ProtobufMessage {
    var message = ProtobufMessage()
    message.string(1, name)
    let type: Int
    switch value {
    case .float(let number):
      message.float(2, Float(number))
      type = 1
    case .int(let number):
      message.varint(3, number)
      type = 2
    case .text(let text):
      message.string(4, text)
      type = 3
    case .graph(let block):
      message.message(6, try graph(block, initializers: [], nil))
      type = 5
    case .floats(let numbers):
      message.packed(7, numbers.map { Float($0) })
      type = 6
    case .ints(let numbers):
      message.packed(8, numbers)
      type = 7
    case .texts(let texts):
      for text in texts { message.bytes(9, text.bytes) }
      type = 8
    }
    message.varint(20, type)
    return message
  }

  private func value(_ draft: ONNXDraftValue) -> ProtobufMessage {
    var shape = ProtobufMessage()
    for dim in draft.type.dims {
      var message = ProtobufMessage()
      if let length = dim.fixed { message.varint(1, length) } else if draft.namesDims, let symbol = dim.plainSymbol { message.string(2, symbol) }
      shape.message(1, message)
    }
    var tensor = ProtobufMessage()
    tensor.varint(1, ONNXDataType(draft.type.dtype).number)
    tensor.message(2, shape)
    var type = ProtobufMessage()
    type.message(1, tensor)
    var message = ProtobufMessage()
    message.string(1, written(draft.name))
    message.message(2, type)
    return message
  }

  private func tensor(_ initializer: Initializer, _ external: (file: String, places: [String: Place])?) throws -> ProtobufMessage {
    var message = ProtobufMessage()
    if !initializer.shape.isEmpty { message.packed(1, initializer.shape) }
    message.varint(2, ONNXDataType(initializer.dtype).number)
    message.string(8, written(initializer.name))
    if initializer.dtype == .string {
      for text in try initializer.make().strings { message.bytes(6, text.bytes) }
    } else if let external, let place = external.places[initializer.name] {
      for (key, value) in [("location", external.file), ("offset", "\(place.offset)"), ("length", "\(place.length)")] {
        var entry = ProtobufMessage()
        entry.string(1, key)
        entry.string(2, value)
        message.message(13, entry)
      }
      message.varint(14, 1)
    } else {
      message.tensor(9, count: initializer.byteCount, initializer.make)
    }
    return message
  }
}
