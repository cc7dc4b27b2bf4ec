import TensorModule

/// A WAV file of 16-bit samples, as in `tf.audio.decode_wav`.
package struct DecodeWav: DataDependentOp {
  package static let name = "decode_wav"
  package static let summary =
    "the samples [count, channels] from -1 to 1 (float32) of the WAV file that x, one text, holds, and its rate (int32); of the channels asked for those that the file lacks repeat its last (-1: its own), the count is cut or filled up with zeros (-1: its own); `dims` declares the first result"

  package var channels: Int
  package var count: Int
  package var dims: [Dim]

  package init(channels: Int = -1, count: Int = -1, _ dims: [Dim]) { (self.channels, self.count, self.dims) = (channels, count, dims) }

  package var attributes: Attributes { [("channels", .int(channels)), ("count", .int(count)), ("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws {
    channels = try reader.int("channels")
    count = try reader.int("count")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.that(inputs[0].elementCount.fixed ?? 1 == 1, Self.name, "the operand must be one text, found \(inputs[0].message)")
    try Expect.that((-1...1024).contains(channels) && channels != 0, Self.name, "channels must be -1 or from 1, found \(channels)")
    try Expect.that((-1...1 << 26).contains(count), Self.name, "count must be -1 or more, found \(count)")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 2, Self.name, "dims must be count and channels")
    return [TensorType(.float32, dims), TensorType(.int32, [])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    guard let bytes = inputs[0].texts.first?.bytes, inputs[0].count == 1 else {
      throw KilnError(.badInput, "op '\(Self.name)': the operand holds \(inputs[0].count) texts, expected one")
    }
    let wave = try Wave(bytes)
    let (wanted, length) = (channels < 0 ? wave.channels : channels, count < 0 ? wave.count : count)
    let shape = try SizeOperand.shape([Int64(length), Int64(wanted)], Self.name)
    var values: [Double] = []
    values.reserveCapacity(length * wanted)
    for frame in 0..<length {
      for channel in 0..<wanted { values.append(frame < wave.count ? wave.sample(frame, min(channel, wave.channels - 1)) : 0) }
    }
    return [ReferenceTensor(.float32, shape, .floats(values)), ReferenceTensor(.int32, [], .integers([Int64(wave.rate)]))]
  }

  package func substituting(_ bindings: [String: Int]) -> DecodeWav {
    DecodeWav(channels: channels, count: count, dims.map { $0.substituting(bindings) })
  }

  /// Two frames of two channels, 8000 a second.
  private static let wave = ByteString(
    [
      82, 73, 70, 70, 44, 0, 0, 0, 87, 65, 86, 69, 102, 109, 116, 32, 16, 0, 0, 0, 1, 0, 2, 0, 64, 31, 0, 0, 0, 125,
      0, 0, 4, 0, 16, 0, 100, 97, 116, 97, 8, 0, 0, 0, 0, 0, 0, 64, 0, 128, 1, 0,
    ] as [UInt8])

  package static var examples: [OpExample] {
    let one = TensorType(.string, [])
    return [
      OpExample(DecodeWav([2, 2]), [one], texts: [0: [wave]]),
      OpExample(DecodeWav(channels: 3, count: 4, [4, 3]), [TensorType(.string, [1])], texts: [0: [wave]]),
      OpExample(DecodeWav(channels: 1, count: 0, [0, 1]), [one], texts: [0: [wave]]),
    ]
  }
}

/// The parts of a RIFF file that hold samples.
private struct Wave {
  let channels: Int
  let rate: Int
  let count: Int
  private let bytes: [UInt8]
  private let start: Int

  init(_ bytes: [UInt8]) throws {
    func wrong(_ message: String) -> KilnError { KilnError(.badInput, "op '\(DecodeWav.name)': the WAV file \(message)") }
    func number(_ offset: Int, _ count: Int) throws -> Int {
      guard offset + count <= bytes.count else { throw wrong("ends too early") }
      return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    func has(_ offset: Int, _ name: String) -> Bool { bytes.dropFirst(offset).starts(with: name.utf8) }
    guard has(0, "RIFF"), has(8, "WAVE") else { throw wrong("does not begin with RIFF and WAVE") }
    var format: (channels: Int, rate: Int)?
    var position = 12
    while position < bytes.count {
      let size = try number(position + 4, 4)
      let place = position + 8
      if has(position, "fmt ") {
        guard size >= 16, try number(place, 2) == 1, try number(place + 14, 2) == 16 else { throw wrong("holds no plain 16-bit samples") }
        format = (try number(place + 2, 2), try number(place + 4, 4))
      } else if has(position, "data") {
        guard let format, format.channels > 0 else { throw wrong("has no format before its samples") }
        guard size <= bytes.count - place else { throw wrong("ends too early") }
        (channels, rate, start, self.bytes) = (format.channels, format.rate, place, bytes)
        count = size / (2 * format.channels)
        return
      }
      guard size <= bytes.count - place else { throw wrong("ends too early") }
      position = place + size
    }
    throw wrong("has no samples")
  }

  func sample(_ frame: Int, _ channel: Int) -> Double {
    let place = start + 2 * (frame * channels + channel)
    return Double(Int16(truncatingIfNeeded: Int(bytes[place]) | Int(bytes[place + 1]) << 8)) / 32768
  }
}
