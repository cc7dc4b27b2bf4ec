import GraphModule
import TensorModule
import Testing

/// Files and messages inside string tensors that are wrong: each is an error that says why.
@Suite struct HostileBytesTests {
  private func message(_ op: any DataDependentOp, _ texts: [ByteString], _ more: [ReferenceTensor] = [], shape: Shape? = nil) -> String {
    do {
      _ = try op.results([StringGolden.s(shape ?? [texts.count], texts)] + more)
      return "no error"
    } catch { return "\(error)" }
  }

  // MARK: Examples

  private func field(_ number: UInt8, _ payload: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(payload.count)] + payload }

  private func example(_ key: String, _ list: UInt8, _ values: [UInt8]) -> ByteString {
    ByteString(field(1, field(1, field(1, Array(key.utf8)) + field(2, field(list, values)))))
  }

  @Test func examplesThatDoNotFit() throws {
    let op = ParseExample([.init("k", .dense, .int64)])
    let none = StringGolden.i([0], [], .int64)
    func said(_ texts: ByteString...) -> String { message(op, texts, [none]) }
    #expect(said(example("k", 3, [8, 5])) == "no error")
    #expect(said(example("k", 1, field(1, [65]))).contains("'k' holds another type than int64"))
    #expect(said(example("k", 3, [8, 5, 8, 6])).contains("'k' has 2 values in example 0, expected 1"))
    #expect(said(example("k", 3, [8, 5]), example("j", 3, [8, 5])).contains("'k' is missing in example 1"))
    #expect(said("").contains("'k' is missing in example 0"))
    let whole = example("k", 3, [8, 5]).bytes
    for length in 1..<whole.count { #expect(said(ByteString(whole.prefix(length))).contains("example 0: protobuf message at byte"), "\(length)") }
    #expect(said(ByteString([0x0B])).contains("group"))
    #expect(said(ByteString([0x0A] + [UInt8](repeating: 0xFF, count: 11))).contains("more than 10 bytes"))
    // A length near 2^63 must not overflow.
    #expect(said(ByteString([0x0A] + [UInt8](repeating: 0xFF, count: 8) + [0x7F])).contains("declares"))
    #expect(message(ParseExample([.init("f", .dense, .float32)]), [example("f", 2, field(1, [0, 0, 128]))], [StringGolden.f([0], [], .float32)]).contains("3 bytes"))
  }

  // MARK: Pictures and sound

  private func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + data
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in body {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? 0xEDB8_8320 ^ crc >> 1 : crc >> 1 }
    }
    func big(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) } }
    return big(UInt32(data.count)) + body + big(~crc)
  }

  @Test func picturesThatAreNone() throws {
    let op = DecodePicture(.any, dims: [.symbol("h"), .symbol("w"), .symbol("c")])
    func said(_ bytes: [UInt8], _ op: DecodePicture? = nil) -> String {
      message(op ?? DecodePicture(.any, dims: [.symbol("h"), .symbol("w"), .symbol("c")]), [ByteString(bytes)], shape: [])
    }
    #expect(said([]).contains("neither a PNG nor a JPEG"))
    #expect(said(Array("GIF89a".utf8)).contains("GIF pictures are not supported"))
    #expect(said(Array("GIF89a".utf8), DecodePicture(.bmp, dims: op.dims)).contains("no BMP"))
    let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    let huge = signature + chunk("IHDR", [0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 8, 2, 0, 0, 0])
    #expect(said(huge + chunk("IDAT", [])).contains("30000 x 30000 pixels is over the limit"))
    #expect(said(signature).contains("damaged picture"))
    guard let png = DecodePicture.examples.first?.texts[0]?.first?.bytes else { return }
    for length in 8..<png.count - 12 { #expect(said(Array(png.prefix(length))).contains("damaged picture"), "\(length)") }
    #expect(said([0xFF, 0xD8, 0xFF, 0xE0, 0, 16]).contains("damaged picture"))
    #expect(said(Array("BM".utf8)).contains("ends too early"))
    let bitmap = Array("BM".utf8) + [UInt8](repeating: 0xFF, count: 52)
    #expect(said(bitmap).contains("the BMP picture has 65535 bits"))
    // Width and height whose product overflows.
    var wide = bitmap
    wide.replaceSubrange(18..<30, with: [0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0x80, 1, 0, 24, 0])
    #expect(said(wide).contains("over the limit"))
  }

  @Test func soundThatIsNone() throws {
    let op = DecodeWav([.symbol("n"), .symbol("c")])
    guard let wave = DecodeWav.examples.first?.texts[0]?.first?.bytes else { return }
    #expect(message(op, [ByteString(wave)], shape: []) == "no error")
    for length in 0..<wave.count { #expect(message(op, [ByteString(wave.prefix(length))], shape: []).contains("the WAV file"), "\(length)") }
    var floats = wave
    floats[20] = 3
    #expect(message(op, [ByteString(floats)], shape: []).contains("no plain 16-bit samples"))
  }
}
