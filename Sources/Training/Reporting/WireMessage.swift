import TensorModule

/// A protobuf message that is written field by field.
struct WireMessage {
  private(set) var bytes: [UInt8] = []

  mutating func add(_ number: Int, _ value: Int) {
    bytes.append(varint: UInt64(number << 3))
    bytes.append(varint: UInt64(bitPattern: Int64(value)))
  }

  mutating func add(_ number: Int, _ value: Double) {
    bytes.append(varint: UInt64(number << 3 | 1))
    bytes.append64(value.bitPattern)
  }

  mutating func add(_ number: Int, _ value: Float) {
    bytes.append(varint: UInt64(number << 3 | 5))
    bytes.append32(value.bitPattern)
  }

  mutating func add(_ number: Int, _ value: [UInt8]) {
    bytes.append(varint: UInt64(number << 3 | 2))
    bytes.append(varint: UInt64(value.count))
    bytes += value
  }

  mutating func add(_ number: Int, _ text: String) { add(number, Array(text.utf8)) }

  mutating func add(_ number: Int, _ message: WireMessage) { add(number, message.bytes) }

  mutating func add(_ number: Int, _ fill: (inout WireMessage) -> Void) {
    var message = WireMessage()
    fill(&message)
    add(number, message)
  }
}
