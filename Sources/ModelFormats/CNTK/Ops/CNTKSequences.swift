import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let sequences = Family(
    "Sequences",
    [
      Row("PastValue") { try [$0.delayed(isBackward: false)] },
      Row("FutureValue") { try [$0.delayed(isBackward: true)] },
      Row("Where") { try [$0.places()] },
      Row("PackedIndex") { call in [try call.value(1)] },
      Row("GatherPacked") { try [$0.gathered()] },
      Row("ScatterPacked") { try [$0.scattered()] },
      Row("ReconcileDynamicAxis") { try [$0.reconciled()] },
      Row("UnpackSequence") { try $0.unpacked() },
      Row("ToSequence") { try [$0.sequence()] },
      Row("ToSequenceLike") { try [$0.sequenceLike()] },
      Row("UnpackBatch") { call in
        let value = try call.value(0)
        guard value.axes.hasBatch, value.axes.sequence == nil else { throw call.unsupported("the batch of something that is a sequence or has none") }
        return [call.result(try call.x(0), .none)]
      },
      Row("ToBatch") { call in
        let value = try call.value(0)
        guard value.axes.count == 0, !value.shape.isEmpty else { throw call.wrong("makes a batch of something that has one, or of a scalar") }
        return [call.result(try call.x(0), .batch)]
      },
    ])
}

extension CNTKCall {
  /// A value as a sequence of the axis, [batch, time, ...].
  private func asSequence(_ value: CNTKValue, _ sequence: CNTKSequence) throws -> ValueID {
    let axes = CNTKAxes(hasBatch: true, sequence: sequence)
    let id = try spread(value, axes, rank: value.shape.count)
    let dims = [converter.batch, sequence.time] + value.shape
    return try broadcast(id, dims)
  }

  /// A truth [batch, time] with axes of length 1 behind it for a shape.
  private func over(_ truth: ValueID, _ shape: [Dim]) throws -> ValueID { try reshape(truth, type(truth).dims + shape.map { _ in 1 }) }

  /// A sequence moved by some steps, outside of recurrences.
  func delayed(isBackward: Bool) throws -> CNTKValue {
    let (value, initial) = (try value(0), try value(1))
    guard let sequence = value.axes.sequence else { throw unsupported("a delay of something that is no sequence") }
    let steps = try int("offset", 1)
    guard (1...1 << 20).contains(steps) else { throw unsupported("a delay of \(steps) steps") }
    var id = try asSequence(value, sequence)
    let dtype = type(id).dtype
    let places = try sequence.places(self)
    let axes = CNTKAxes(hasBatch: true, sequence: sequence)
    // The initial state has a rank of its own.
    let rank = max(value.shape.count, initial.shape.count)
    id = try spread(CNTKValue(value: .value(id, builder, name: name), axes: axes), axes, rank: rank)
    let start = try cast(try spread(initial, axes, rank: rank), dtype)
    let line = try reshape(places, [sequence.time])
    let sources = try binary(.max, try binary(.sub, line, try scalar(Double(steps), .int32)), try scalar(0, .int32))
    if isBackward { id = try add(Reverse(axes: [1]), [id], "reverse") }
    id = try add(Gather(axis: 1), [id, sources], "gather")
    if isBackward { id = try add(Reverse(axes: [1]), [id], "reverse") }
    let outside: ValueID
    if isBackward {
      let moved = try binary(.add, places, try scalar(Double(steps), .int32))
      outside = try binary(.greaterEqual, moved, try expand(try builder.id(sequence.lengths), 1))
    } else {
      outside = try binary(.less, places, try scalar(Double(steps), .int32))
    }
    let shape = Array(type(id).dims.dropFirst(2))
    return result(try select(try over(outside, shape), start, id), axes)
  }

  /// The places at which a condition holds, as a sequence of their own or, where there is one for each sequence, as a number of it.
  func places() throws -> CNTKValue {
    let condition = try value(0)
    guard let sequence = condition.axes.sequence else { throw unsupported("places in something that is no sequence") }
    guard condition.shape.allSatisfy({ $0 == 1 }) else { throw wrong("its condition \(condition.value.type.message) is more than one number for each step") }
    let truth = try binary(.notEqual, try reshape(try asSequence(condition, sequence), [converter.batch, sequence.time]), try scalar(0, condition.value.type.dtype))
    let holds = try binary(.and, truth, try sequence.mask(self))
    let places = try sequence.places(self)
    let big = try scalar(Double(Int32.max / 2), .int32)
    let dtype = condition.value.type.dtype
    if try isOne() {
      let first = try reduce(.min, try select(holds, places, big), [1])
      let last = try binary(.max, try binary(.sub, try builder.id(sequence.lengths), try scalar(1, .int32)), try scalar(0, .int32))
      let place = try cast(try binary(.min, first, last), dtype)
      return result(try reshape(place, [converter.batch] + condition.shape), .batch)
    }
    let name = try newAxisName()
    let counts = try reduce(.sum, try cast(holds, .int32), [1])
    let new = converter.derived[name] ?? CNTKSequence(name, time: sequence.time, lengths: .value(counts, builder, name: builder.graph[counts].name), isDerived: true)
    converter.derived[name] = new
    // Places that do not count go behind the others.
    let keys = try select(holds, places, try binary(.add, places, big))
    let sorted = try addAll(Sort(axis: 1), [keys], "sort")[0]
    let within = try binary(.less, places, try expand(counts, 1))
    let found = try cast(try select(within, sorted, try scalar(0, .int32)), dtype)
    return result(try reshape(found, [converter.batch, sequence.time] + condition.shape), CNTKAxes(hasBatch: true, sequence: new))
  }

  /// Whether there is one place for each sequence, and so no sequence axis.
  private func isOne() throws -> Bool {
    if case .list(let axes)? = function.attributes["newDynamicAxes"] { return axes.count == 1 }
    return try int("newSequenceAxisLengthScalingFactor", 1) == 0 && int("newSequenceAxisLengthAdditiveFactor", 0) == 1
  }

  private func newAxisName() throws -> String {
    guard case .list(let axes)? = function.attributes["newDynamicAxes"] else { return name }
    for case .axis(let axis) in axes where axis.isSequence { return axis.name }
    return name
  }

  /// The steps of a sequence at given places.
  func gathered() throws -> CNTKValue {
    let (value, index) = (try value(0), try value(1))
    guard let sequence = value.axes.sequence else { throw unsupported("picking steps of something that is no sequence") }
    let id = try asSequence(value, sequence)
    if let target = index.axes.sequence {
      let places = try cast(try reshape(try x(1), [converter.batch, target.time]), .int32)
      return result(try add(Gather(axis: 1, batchDims: 1), [id, places], "gather"), CNTKAxes(hasBatch: true, sequence: target))
    }
    let places = try cast(try reshape(try x(1), [converter.batch]), .int32)
    return result(try add(Gather(axis: 1, batchDims: 1), [id, places], "gather"), .batch)
  }

  /// The opposite of `gathered`: steps go where a condition holds, other steps are 0.
  func scattered() throws -> CNTKValue {
    let (value, condition) = (try value(0), try value(2))
    guard let source = value.axes.sequence, let target = condition.axes.sequence else { throw unsupported("spreading something that is no sequence") }
    let truth = try binary(.notEqual, try reshape(try asSequence(condition, target), [converter.batch, target.time]), try scalar(0, condition.value.type.dtype))
    let holds = try binary(.and, truth, try target.mask(self))
    let rank = try add(Cumulative(.sum, axis: 1, exclusive: true), [try cast(holds, .int32)], "rank")
    let picked = try add(Gather(axis: 1, batchDims: 1), [try asSequence(value, source), try select(holds, rank, try scalar(0, .int32))], "gather")
    let axes = CNTKAxes(hasBatch: true, sequence: target)
    return result(try select(try over(holds, value.shape), picked, try scalar(0, type(picked).dtype)), axes)
  }

  /// The first operand with the dynamic axes of the second.
  func reconciled() throws -> CNTKValue {
    let (value, like) = (try value(0), try value(1))
    guard let sequence = like.axes.sequence else {
      if value.axes.sequence != nil { throw unsupported("a sequence as something that is none") }
      guard like.axes.hasBatch, !value.axes.hasBatch else { return value }
      return result(try full(value, .batch, like: like), .batch)
    }
    if let own = value.axes.sequence {
      if own === sequence { return value }
      let id = try x(0)
      guard own.time == sequence.time else { throw unsupported("a sequence of the axis \(KilnError.quoted(own.name)) as one of \(KilnError.quoted(sequence.name))") }
      return result(id, CNTKAxes(hasBatch: true, sequence: sequence))
    }
    return result(try asSequence(value, sequence), CNTKAxes(hasBatch: true, sequence: sequence))
  }

  /// A sequence as a tensor with the time as the slowest axis of its shape, and which of its steps are there.
  func unpacked() throws -> [CNTKValue] {
    let value = try value(0)
    guard let sequence = value.axes.sequence, value.axes.hasBatch else { throw unsupported("unpacking something that is no sequence") }
    let filling = try float("sequenceUnpackPaddingValue", 0)
    let filled = try converter.cut(self, try masked(value, filling), sequence)
    let values = result(filled, .batch)
    if try bool("sequenceUnpackSuppressMaskOutput", false) { return [values] }
    let mask = try cast(try sequence.mask(self), value.value.type.dtype)
    return [values, result(try converter.cut(self, mask, sequence), .batch, 1)]
  }

  func sequence() throws -> CNTKValue {
    let value = try value(0)
    guard value.axes.hasBatch, value.axes.sequence == nil, let time = value.shape.first else { throw wrong("makes a sequence of \(value.value.type.message)") }
    let name = try text("sequenceAxis", "")
    let lengths: ValueID
    if inputs.count > 1 {
      lengths = try cast(try reshape(try x(1), [converter.batch]), .int32)
    } else {
      let ones = try broadcast(try numbers([1], [1, 1], .int32, "one"), [converter.batch, time])
      lengths = try reduce(.sum, ones, [1])
    }
    let sequence = CNTKSequence(
      name.isEmpty ? self.name : name, time: time, lengths: .value(lengths, builder, name: builder.graph[lengths].name), isDerived: inputs.count > 1)
    return result(try x(0), CNTKAxes(hasBatch: true, sequence: sequence))
  }

  func sequenceLike() throws -> CNTKValue {
    let (value, like) = (try value(0), try value(1))
    guard let sequence = like.axes.sequence else { throw unsupported("a sequence like something that is none") }
    guard value.axes.hasBatch, value.axes.sequence == nil, let time = value.shape.first else { throw wrong("makes a sequence of \(value.value.type.message)") }
    var id = try x(0)
    // The lengths are said to agree; what is longer is cut.
    if time != sequence.time { id = try add(Gather(axis: 1), [id, try reshape(try sequence.places(self), [sequence.time])], "gather") }
    return result(id, CNTKAxes(hasBatch: true, sequence: sequence))
  }
}

extension CNTKConverter {
  /// A padded sequence [batch, time, ...] without the steps that no sequence has.
  func cut(_ call: some NodeBuilding, _ id: ValueID, _ sequence: CNTKSequence) throws -> ValueID {
    guard sequence.isDerived else { return id }
    let longest = try call.reduce(.max, try call.builder.id(sequence.lengths), [0])
    let end = try call.reshape(try call.cast(longest, .int64), [1])
    var dims = call.type(id).dims
    dims[1] = call.dataSize()
    let start = try call.numbers([0], [1], .int64, "start")
    return try call.add(DynamicSlice(axes: [1], dims: dims), [id, start, end], "cut")
  }
}
