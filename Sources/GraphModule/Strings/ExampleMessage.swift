import TensorModule

/// A `tf.train.Example` (or the features of a `SequenceExample`) in protobuf's wire format: the places of its features.
package struct ExampleMessage {
  /// The values of a feature.
  package enum Values {
    case strings([ByteString])
    case floats([Double])
    case integers([Int64])

    package var count: Int {
      switch self {
      case .strings(let values): values.count
      case .floats(let values): values.count
      case .integers(let values): values.count
      }
    }
  }

  package let bytes: UnsafeRawBufferPointer
  /// The places of `Feature` messages by name; of a name that comes twice the last.
  package private(set) var features: [ByteString: [Range<Int>]] = [:]

  /// - Parameters:
  ///   - bytes: an Example.
  ///   - wanted: the features to look for, others are passed over; nil takes all.
  package init(_ bytes: UnsafeRawBufferPointer, wanted: Set<ByteString>? = nil) throws {
    self.bytes = bytes
    try ExampleMessage.fields(bytes, 0..<bytes.count) { number, wire, place in
      guard number == 1, wire == 2 else { return }
      try ExampleMessage.fields(bytes, place) { number, wire, entry in
        guard number == 1, wire == 2 else { return }
        var key = ByteString([])
        var value: [Range<Int>] = []
        try ExampleMessage.fields(bytes, entry) { number, wire, part in
          guard wire == 2 else { return }
          if number == 1 { key = ByteString(bytes[part]) } else if number == 2 { value.append(part) }
        }
        if wanted?.contains(key) ?? true { features[key] = value }
      }
    }
  }

  /// The values of a feature; nil when it is missing or holds no list.
  ///
  /// - Throws: `KilnError` when it holds another type.
  func values(_ key: ByteString, _ dtype: DType) throws -> Values? {
    let found = try values(key)
    switch (found, dtype) {
    case (nil, _), (.strings, .string), (.floats, .float32), (.integers, .int64): return found
    default: throw KilnError(.badInput, "the feature \(key.quoted) holds another type than \(dtype.name)")
    }
  }

  /// The values of a feature, whatever their type; nil when it is missing or holds no list.
  package func values(_ key: ByteString) throws -> Values? {
    guard let places = features[key] else { return nil }
    var found: Values?
    for place in places {
      try ExampleMessage.fields(bytes, place) { number, wire, list in
        guard wire == 2, (1...3).contains(number) else { return }
        let next = try read(number, list)
        switch (found, next) {
        case (.strings(let a)?, .strings(let b)): found = .strings(a + b)
        case (.floats(let a)?, .floats(let b)): found = .floats(a + b)
        case (.integers(let a)?, .integers(let b)): found = .integers(a + b)
        default: found = next
        }
      }
    }
    return found
  }

  /// The places of the texts that a feature holds; empty when it is missing or holds none.
  package func textPlaces(_ key: ByteString) throws -> [Range<Int>] {
    var found: [Range<Int>] = []
    for place in features[key] ?? [] {
      try ExampleMessage.fields(bytes, place) { number, wire, list in
        guard wire == 2, number == 1 else { return }
        try ExampleMessage.fields(bytes, list) { field, wire, text in
          if field == 1, wire == 2 { found.append(text) }
        }
      }
    }
    return found
  }

  private func read(_ number: UInt32, _ list: Range<Int>) throws -> Values {
    var strings: [ByteString] = []
    var floats: [Double] = []
    var integers: [Int64] = []
    try ExampleMessage.fields(bytes, list) { field, wire, place in
      guard field == 1 else { return }
      switch (number, wire) {
      case (1, 2): strings.append(ByteString(bytes[place]))
      case (2, 2), (2, 5):
        guard place.count % 4 == 0 else { throw KilnError(.badInput, "a list of floats has \(place.count) bytes") }
        for offset in stride(from: place.lowerBound, to: place.upperBound, by: 4) {
          let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
          floats.append(Double(Float(bitPattern: bits)))
        }
      case (3, 0), (3, 2):
        var reader = WireReader(bytes, place)
        while !reader.isAtEnd { integers.append(Int64(bitPattern: try reader.varint())) }
      default: throw KilnError(.badInput, "a list has a value of the wire type \(wire)")
      }
    }
    return number == 1 ? .strings(strings) : number == 2 ? .floats(floats) : .integers(integers)
  }

  /// Calls `body` for each field of a message with its number, wire type and payload.
  private static func fields(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ body: (UInt32, UInt8, Range<Int>) throws -> Void
  ) throws {
    var reader = WireReader(bytes, range)
    while !reader.isAtEnd {
      let (number, wire) = try reader.tag()
      try body(number, wire, try reader.payload(wire: wire))
    }
  }
}
